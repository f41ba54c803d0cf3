//! Changes by one server, seen by another.

use b3scale::ledger::{Announcements, CommandState};
use b3scale_middleware::bbb::{Algorithm, CallKind, MeetingId, Params, ScopedId, Secret, sign};
use b3scale_middleware::cluster::{AdminState, NodeState};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::{Misbehaviour, Role};
use b3scale_support::{ClusterOptions, TestCluster};
use serde_json::{Value, json};

/// The id under which nodes know a meeting of the school.
fn scoped(id: &str) -> ScopedId {
    ScopedId::new("school", &MeetingId::new(id))
}

/// Waits until a command is done, and returns its state and result.
async fn done(cluster: &TestCluster, action: &str, params: Value) -> (CommandState, Value) {
    let store = cluster.database.store();
    let mut feed = store.feed();
    let asked = store.commands().record(action, Some(&params)).await.unwrap();
    let finished = async {
        // Each step of a command is announced, and so is that there is something to listen to.
        while feed.recv().await.is_some() {
            let command = store.commands().find(asked.id).await.unwrap().unwrap();
            if let Some(result) = command.result {
                return (command.state, result);
            }
        }
        panic!("the feed has ended")
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), finished).await.expect("the command is done in time")
}

#[tokio::test]
async fn what_one_server_sees_of_a_node_another_knows_without_asking() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let other = cluster.another_server().await;
    cluster.nodes[home].control().join(scoped("m1").as_ref(), "Ada", Role::Viewer).unwrap();
    cluster.cluster.catch_up().await;
    let backend = other.backend(cluster.backends[home].id).unwrap();
    assert_eq!(backend.vitals.health().state, NodeState::Ready);
    other.wait_until(|| backend.vitals.attendees() == 1).await;

    let school = other.frontend("school").unwrap().id;
    let listed = other.listed(school).await;
    let listed = String::from_utf8(listed.concat()).unwrap();
    assert!(listed.contains("<meetingID>m1</meetingID>") && listed.contains("<fullName>Ada</fullName>"), "{listed}");
    other.stop();
}

#[tokio::test]
async fn a_meeting_is_listed_before_its_node_has_reported_it_and_by_every_server() {
    let cluster = TestCluster::start().await;
    let other = cluster.another_server().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_origin=test").await.success();
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    for text in ["<meetingName>Lesson</meetingName>", "<meetingID>m1</meetingID>", "<origin>test</origin>"] {
        assert!(list.text.contains(text), "{text}: {list:?}");
    }
    let school = other.frontend("school").unwrap().id;
    // The claim is announced, its result is not.
    other.wait_until(|| other.known(scoped("m1").as_ref()).is_some()).await;
    assert_eq!(other.listed(school).await.len(), 1);
    cluster.call(CallKind::End, "meetingID=m1").await.success();
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(list.text.contains("noMeetings"), "what was ended is not listed, though its node takes a moment: {list:?}");
    other.stop();
}

/// Defect 32 of the original: breakouts belonged to no frontend.
#[tokio::test]
async fn breakouts_belong_to_their_parents_frontend_and_can_be_called() {
    let cluster = TestCluster::start().await;
    cluster.frontend("other", |_| {}).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let node = &cluster.nodes[cluster.homes("Lesson")[0]];
    node.control().join(scoped("m1").as_ref(), "Ada", Role::Moderator).unwrap();
    let room = node.control().breakout(scoped("m1").as_ref(), "Room 1").unwrap();
    cluster.cluster.catch_up().await;
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(list.text.contains(&format!("<meetingID>{room}</meetingID>")), "{list:?}");
    let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={room}")).await.success();
    assert_eq!(info.field("isBreakout"), "true");
    let foreign = cluster.call_as("other", CallKind::GetMeetingInfo, &format!("meetingID={room}")).await;
    assert_eq!(foreign.failed(), "notFound");
    cluster.call(CallKind::End, &format!("meetingID={room}")).await.success();
}

/// Takes the meeting `m1` out of the database, and lets another server ask the nodes. Returns whether it found the meeting, and its
/// remarks about the node.
async fn after_loss(cluster: &TestCluster, loss: &str) -> (bool, Vec<String>) {
    let home = cluster.homes("Lesson")[0];
    cluster.database.execute(&format!("{loss}; SELECT pg_notify('b3scale', 'meeting:x')")).await;
    let other = cluster.another_server().await;
    assert!(other.known(scoped("m1").as_ref()).is_none());
    other.catch_up().await;
    let is_found = other.known(scoped("m1").as_ref()).is_some_and(|found| found.meeting_id == MeetingId::new("m1"));
    other.stop();
    (is_found, other.remarks(cluster.backends[home].id))
}

#[tokio::test]
async fn a_meeting_that_the_database_lost_is_found_on_its_node() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(after_loss(&cluster, "DELETE FROM meetings").await, (true, vec![]));
}

/// A node, or a stolen token of its agent, could report the id of any tenant.
#[tokio::test]
async fn a_meeting_that_nothing_explains_is_a_stray_that_operators_see() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let seen = after_loss(&cluster, "DELETE FROM meetings; DELETE FROM meeting_history").await;
    assert_eq!(seen, (false, vec!["1 meeting of no frontend runs there".to_owned()]));
}

/// It would take the place of a meeting that its frontend has yet to create.
#[tokio::test]
async fn a_breakout_under_the_id_of_another_frontend_is_a_stray() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.frontend("other", |_| {}).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let victims = ScopedId::new("other", &MeetingId::new("room"));
    let mut params = Params::default();
    for (name, value) in [("meetingID", victims.as_ref()), ("isBreakout", "true"), ("sequence", "1"), ("name", "Room")]
    {
        params.set(name, value);
    }
    params.set("parentMeetingID", scoped("m1").as_ref());
    let query = params.encode();
    let secret = Secret::new("node-secret-0").unwrap();
    let checksum = sign(Algorithm::Sha256, "create", &query, &secret);
    let url = cluster.nodes[0].url();
    let address = url.split('/').nth(2).unwrap().to_owned();
    let path = format!("/bigbluebutton/api/create?{query}&checksum={checksum}");
    cluster.fetch_from(&address, &path).await.success();
    cluster.cluster.catch_up().await;
    assert!(cluster.cluster.known(victims.as_ref()).is_none());
    let created = cluster.call_as("other", CallKind::Create, "name=Ours&meetingID=room").await;
    assert!(created.is_success(), "{created:?}");
}

#[tokio::test]
async fn a_meeting_is_found_only_where_its_frontend_may_have_meetings() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.frontend("school", |settings| settings.required_tags = Some(["eu"].iter().collect())).await;
    let (is_found, _) = after_loss(&cluster, "DELETE FROM meetings").await;
    assert!(!is_found);
}

#[tokio::test]
async fn a_single_slow_answer_takes_no_node_out() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].misbehave_once("getMeetings", Misbehaviour::CutConnection);
    cluster.cluster.catch_up().await;
    assert_eq!(cluster.node_state(0), NodeState::Ready);
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

#[tokio::test]
async fn the_meetings_of_a_backend_are_ended_by_a_command() {
    let cluster = TestCluster::start().await;
    for number in 0..6 {
        cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
    }
    let params = json!({"BackendID": cluster.backends[0].id});
    assert_eq!(done(&cluster, "end_all_meetings", params).await, (CommandState::Success, Value::Bool(true)));
    cluster.until_node(0, "its meetings end", |node| node.meetings().is_empty()).await;
    assert_eq!(cluster.nodes[1].meetings().len(), 3, "the other node keeps its own");
}

#[tokio::test]
async fn commands_that_cannot_be_done_say_why() {
    let cluster = TestCluster::start().await;
    let nobody = json!({"BackendID": uuid::Uuid::nil()});
    for (action, params, why) in [
        ("end_all_meetings", json!({}), "needs the parameter `BackendID`"),
        ("end_all_meetings", json!({"BackendID": "x"}), "`x` is no id of a backend"),
        ("end_all_meetings", nobody, "there is no backend"),
        ("dance", json!(null), "there is no action `dance`"),
    ] {
        let (state, result) = done(&cluster, action, params).await;
        assert!(state == CommandState::Error && result.as_str().unwrap().contains(why), "{action}: {result}");
    }
    cluster.nodes[0].misbehave(Misbehaviour::CutConnection);
    let (state, _) = done(&cluster, "update_node_state", json!({"ID": cluster.backends[0].id})).await;
    assert_eq!(state, CommandState::Error);
}

#[tokio::test]
async fn a_decommissioned_backend_goes_by_itself_once_its_last_meeting_has_ended() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let id = cluster.backends[home].id;
    assert_eq!(
        done(&cluster, "decommission_backend", json!({"id": id})).await,
        (CommandState::Success, Value::Bool(false))
    );
    cluster
        .until("it is told", || {
            cluster.cluster.backend(id).is_some_and(|backend| backend.admin_state == AdminState::Decommissioned)
        })
        .await;
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
    cluster.call(CallKind::End, "meetingID=m1").await.success();
    cluster.until("it is removed", || cluster.cluster.backend(id).is_none()).await;
}

/// Defect 21 of the original: rooms stuck on a node that was removed.
#[tokio::test]
async fn a_removed_backend_causes_no_error_for_its_former_meetings() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let id = cluster.backends[home].id;
    assert!(cluster.database.store().backends().remove(id).await.unwrap());
    cluster.until("it is gone", || cluster.cluster.backend(id).is_none()).await;
    let running = cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success();
    assert_eq!(running.field("running"), "false");
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    assert_eq!(cluster.call(CallKind::End, "meetingID=m1").await.failed(), "notFound");
    let join = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER").await;
    assert!(join.location().starts_with("/b3s/retry-join/"), "{join:?}");
    assert!(cluster.call(CallKind::GetMeetings, "").await.success().text.contains("noMeetings"));
    cluster.call(CallKind::Create, "name=Anew&meetingID=m1").await.success();
    assert_eq!(cluster.homes("Anew"), [1 - home]);
}

/// Once it left the rows of agents, and seats, to the duty of that name.
#[tokio::test]
async fn the_command_collect_garbage_removes_what_the_duty_of_that_name_removes() {
    let cluster = TestCluster::start().await;
    let rows = "INSERT INTO seats (id, frontend_id, meeting, expires_at)
            SELECT gen_random_uuid(), id, 'm1', now() + make_interval(mins => minutes)
            FROM frontends, unnest(ARRAY[-1, 1]) AS minutes;
        INSERT INTO agents (backend_id, boot, seq, begun_at, heard_at)
            SELECT id, gen_random_uuid(), 1, now(), now() - make_interval(days => days)
            FROM (SELECT id FROM backends LIMIT 1) AS backends, unnest(ARRAY[0, 2]) AS days;
        INSERT INTO jobs (kind, payload, poisoned_at)
            SELECT 'test', '{}', now() - make_interval(days => days) FROM unnest(ARRAY[1, 31]) AS days";
    cluster.database.execute(rows).await;
    assert_eq!(done(&cluster, "collect_garbage", json!({})).await, (CommandState::Success, Value::Bool(true)));
    for table in ["seats", "agents", "jobs WHERE kind = 'test'"] {
        assert_eq!(cluster.database.count(&format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
}
