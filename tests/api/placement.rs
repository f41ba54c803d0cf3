//! Where meetings go, and why.

use std::time::Instant;

use b3scale::ledger::{Copies, Lookups, Polls};
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{AdminState, BackendId, Placement, Refusal, Standing};
use b3scale_middleware::ports::Directory as _;
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, TestCluster};
use futures_util::future::join_all;

/// Three nodes, two of them tagged `eu`.
async fn three() -> TestCluster {
    let tags = vec![vec!["eu"], vec!["eu", "gpu"], vec!["us"]];
    TestCluster::with(ClusterOptions { nodes: 3, tags, ..ClusterOptions::default() }).await
}

async fn explained(cluster: &TestCluster, params: &[(&str, &str)]) -> Placement {
    let school = cluster.cluster.frontend("school").unwrap();
    cluster.pipeline.explain(&school, params).await.unwrap()
}

/// The verdict on each node's backend, in the order of the nodes.
async fn standings(cluster: &TestCluster, params: &[(&str, &str)]) -> Vec<Standing> {
    let Placement(verdicts) = explained(cluster, params).await;
    let of = |id| verdicts.iter().find(|verdict| verdict.backend == id).unwrap().standing.clone();
    cluster.backends.iter().map(|backend| of(backend.id)).collect()
}

fn refused(stage: &'static str, word: &'static str, reason: &str) -> Standing {
    Standing::Refused { stage, refusal: Refusal::new(word, reason) }
}

async fn until_state(cluster: &TestCluster, number: usize, state: AdminState) {
    let id = cluster.backends[number].id;
    cluster.database.store().backends().record_admin_state(id, state).await.unwrap().unwrap();
    let known = || cluster.cluster.backend(id).is_some_and(|backend| backend.admin_state == state);
    cluster.until("the server knows the state", known).await;
}

#[tokio::test]
async fn each_backend_is_explained_by_the_stage_that_decided() {
    let cluster = three().await;
    cluster.frontend("school", |settings| settings.required_tags = Some(["eu"].iter().collect())).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_server-tag=gpu!").await.success();
    let placed = standings(&cluster, &[]).await;
    assert!(matches!(placed[0], Standing::Chosen { load } if load.round() == 0.0), "{placed:?}");
    assert!(matches!(placed[1], Standing::Outranked { load, because: None } if load.round() == 15.0), "{placed:?}");
    assert_eq!(placed[2], refused("tag-filter", "tags", "it lacks the tag `eu`"));
    assert!(cluster.homes("explanation").is_empty(), "nothing was placed");

    until_state(&cluster, 0, AdminState::Stopped).await;
    cluster.nodes[1].misbehave(Misbehaviour::Status(502));
    for _ in 0..3 {
        cluster.cluster.catch_up().await;
    }
    let placed = standings(&cluster, &[]).await;
    assert_eq!(placed[0], refused("backend-pool", "stopped", "its admin state is stopped"));
    let Standing::Refused { refusal: Refusal { word, reason }, .. } = &placed[1] else { panic!("{placed:?}") };
    assert_eq!(*word, "down");
    assert!(reason.starts_with("its node is down: ") && reason.contains("HTTP status 502"), "{reason}");

    let failed = cluster.call(CallKind::Create, "name=Lesson&meetingID=m2").await;
    assert_eq!(
        (failed.failed().as_str(), failed.field("message").as_str()),
        ("internalError", "There is no server that can take this meeting.")
    );
}

#[tokio::test]
async fn a_choice_that_cannot_be_had_is_told_with_scalelites_key() {
    let cluster = three().await;
    cluster.frontend("school", |settings| settings.allowed_tags = Some(["eu"].iter().collect())).await;
    let answer = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_server-tag=gpu!").await;
    assert_eq!(answer.failed(), "serverTagUnavailable");
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_server-tag=gpu").await.success();
}

#[tokio::test]
async fn a_disabled_frontend_is_not_explained() {
    let cluster = three().await;
    cluster.database.execute("UPDATE frontends SET active = false").await;
    cluster.until("it is switched off", || !cluster.cluster.frontend("school").unwrap().active).await;
    let school = cluster.cluster.frontend("school").unwrap();
    assert!(cluster.pipeline.explain(&school, &[]).await.is_err());
}

#[tokio::test]
async fn a_node_whose_agent_says_that_it_is_busy_is_for_later() {
    let cluster = TestCluster::start().await;
    let (busy, idle) = (cluster.backends[0].id, cluster.backends[1].id);
    cluster.database.store().record_heartbeat(busy, Some((0.9, 0.5))).await.unwrap();
    cluster.database.store().record_heartbeat(idle, Some((0.1, 0.5))).await.unwrap();
    let heard = |id: &BackendId| cluster.cluster.backend(*id).is_some_and(|backend| backend.vitals.agent().is_some());
    cluster.until("both agents are heard", || [busy, idle].iter().all(heard)).await;
    for number in 0..3 {
        cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
    }
    assert_eq!(cluster.homes("Lesson"), [1]);
}

#[tokio::test]
async fn a_drained_node_keeps_its_meetings_and_gets_no_new_ones() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=First&meetingID=m0").await.success();
    let home = cluster.homes("First")[0];
    until_state(&cluster, home, AdminState::Stopped).await;
    let queries: Vec<_> = (1..6).map(|number| format!("name=Lesson&meetingID=m{number}")).collect();
    for answer in join_all(queries.iter().map(|query| cluster.call(CallKind::Create, query))).await {
        answer.success();
    }
    assert_eq!(cluster.homes("Lesson"), [1 - home]);
    cluster.cluster.catch_up().await;
    let joined = cluster.call(CallKind::Join, "meetingID=m0&fullName=Ada&role=VIEWER").await;
    assert!(joined.location().starts_with(&cluster.nodes[home].url()), "{joined:?}");
    let again = cluster.call(CallKind::Create, "name=First&meetingID=m0").await.success();
    assert_eq!(again.field("messageKey"), "duplicateWarning");
}

#[tokio::test]
async fn a_meeting_that_has_just_ended_is_not_made_again_on_a_node_that_was_stopped_meanwhile() {
    let cluster = TestCluster::start().await;
    let create = "name=Lesson&meetingID=m1";
    cluster.call(CallKind::Create, create).await.success();
    let home = cluster.homes("Lesson")[0];
    until_state(&cluster, home, AdminState::Stopped).await;
    let meeting = cluster.nodes[home].meetings().remove(0).meeting_id;
    // No server knows of its end yet.
    assert!(cluster.nodes[home].control().expire(&meeting));
    cluster.call(CallKind::Create, create).await.success();
    assert_eq!(cluster.homes("Lesson"), [1 - home]);

    // The same when its end was asked for here.
    until_state(&cluster, home, AdminState::Ready).await;
    until_state(&cluster, 1 - home, AdminState::Stopped).await;
    cluster.call(CallKind::End, "meetingID=m1").await.success();
    cluster.call(CallKind::Create, create).await.success();
    cluster.until_node(home, "the meeting is here again", |node| node.meetings().len() == 1).await;
    let kept = cluster.database.store().load_meetings().await.unwrap();
    assert_eq!(kept.iter().map(|meeting| meeting.backend).collect::<Vec<_>>(), [cluster.backends[home].id]);
}

#[tokio::test]
async fn a_create_that_one_node_refuses_for_itself_goes_to_the_next_and_the_node_is_well() {
    let cluster = TestCluster::start().await;
    for (number, key) in ["nonUniqueVoiceBridge", "apiNotEnabled", "serverFull", "checksumError"].iter().enumerate() {
        cluster.nodes[0].misbehave_on("create", Misbehaviour::Refuse(key));
        for turn in 0..2 {
            let query = format!("name=Lesson&meetingID=m{number}{turn}");
            cluster.call(CallKind::Create, &query).await.success();
        }
    }
    assert_eq!(cluster.spread(), [(0, 0), (1, 8)].into());
    let backend = cluster.cluster.backend(cluster.backends[0].id).unwrap();
    assert_eq!(backend.takes_meetings(Instant::now()), Ok(()));
    assert!(cluster.database.store().load_copies().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_voice_bridge_in_use_on_every_node_is_refused_as_the_nodes_do() {
    let cluster = TestCluster::start().await;
    let create = async |id: &str| {
        let query = format!("name=Lesson&meetingID={id}&voiceBridge=71234");
        cluster.call(CallKind::Create, &query).await
    };
    create("m1").await.success();
    create("m2").await.success();
    assert_eq!(cluster.spread(), [(0, 1), (1, 1)].into());
    let refused = create("m3").await;
    assert!(refused.text.contains("<key>nonUniqueVoiceBridge</key>"), "{refused:?}");
    assert_eq!(cluster.database.store().load_meetings().await.unwrap().len(), 2);
}
