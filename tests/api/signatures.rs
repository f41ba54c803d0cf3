//! Every way in which a call may be signed, on its way to a node.

use b3scale_middleware::bbb::{self, Algorithm, CallKind, Secret};
use b3scale_middleware::cluster::NodeState;
use b3scale_middleware::ports::Directory as _;
use b3scale_node::{Misbehaviour, NodeOptions};
use b3scale_support::{Answer, ClusterOptions, SECRET, TestCluster};
use http::Method;

async fn one_node() -> TestCluster {
    TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await
}

fn checksum(algorithm: Algorithm, call: &str, query: &str) -> String {
    bbb::sign(algorithm, call, query, &Secret::new(SECRET).unwrap())
}

async fn get(cluster: &TestCluster, call: &str, query: &str, checksum: &str) -> Answer {
    cluster.get(&format!("/bbb/school/bigbluebutton/api/{call}?{query}&checksum={checksum}"), &[]).await
}

/// Defect 27 of the original: SHA-1 and SHA-256 in lower case, in the query of a GET, were all it knew.
#[tokio::test]
async fn every_algorithm_and_spelling_of_a_checksum_reaches_the_node() {
    let cluster = one_node().await;
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let lower = format!("name={algorithm}&meetingID={algorithm}-lower");
        get(&cluster, "create", &lower, &checksum(algorithm, "create", &lower)).await.success();
        let upper = format!("name={algorithm}&meetingID={algorithm}-upper");
        let signature = checksum(algorithm, "create", &upper).to_uppercase();
        get(&cluster, "create", &upper, &signature).await.success();
        let form =
            format!("name={algorithm}&meetingID={algorithm}-form&checksum={}", checksum(algorithm, "create", ""));
        let form_type = [("content-type", "application/x-www-form-urlencoded")];
        cluster.request(Method::POST, "/bbb/school/bigbluebutton/api/create", &form_type, &form).await.success();
        let made = cluster.nodes[0].meetings().iter().filter(|meeting| meeting.name == algorithm.to_string()).count();
        assert_eq!(made, 3, "{algorithm}");
    }
}

/// A node reads the first value of a name, so only that one is sent.
#[tokio::test]
async fn what_is_said_twice_is_decided_once_and_only_that_reaches_the_node() {
    let cluster = one_node().await;
    let query = "name=Lesson&meetingID=m1&record=false&record=true&Record=true&record[]=true&meetingid=m2&%6Eame=Other";
    get(&cluster, "create", query, &checksum(Algorithm::Sha256, "create", query)).await.success();
    let meeting = cluster.nodes[0].meetings().remove(0);
    let mut said: Vec<_> = meeting.params.iter().filter(|(name, _)| !name.starts_with("meta_")).collect();
    said.sort();
    let (id, name, record) = (&said[0].1, &said[1].1, &said[2].1);
    assert_eq!((said.len(), id, name.as_str(), record.as_str()), (3, &meeting.meeting_id, "Lesson", "false"));
}

#[tokio::test]
async fn a_viewers_link_with_a_form_behind_it_stays_a_viewers() {
    let cluster = one_node().await;
    let create = "name=Lesson&meetingID=m1&moderatorPW=mp&attendeePW=ap";
    get(&cluster, "create", create, &checksum(Algorithm::Sha1, "create", create)).await.success();
    let join = "meetingID=m1&fullName=Eve&role=VIEWER&redirect=false";
    let path =
        format!("/bbb/school/bigbluebutton/api/join?{join}&checksum={}", checksum(Algorithm::Sha1, "join", join));
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    cluster.request(Method::GET, &path, &form_type, "role=MODERATOR&userID=admin").await.success();
    let joins = cluster.nodes[0].calls().into_iter().filter(|call| call.call == "join").collect::<Vec<_>>();
    assert_eq!(joins.len(), 1);
    assert!(joins[0].target.contains("&role=VIEWER&") && !joins[0].target.contains("admin"), "{}", joins[0].target);
    assert!(joins[0].body.is_empty());
}

#[tokio::test]
async fn beside_a_signed_query_a_form_sets_no_rights_no_tags_and_no_addresses() {
    let cluster = one_node().await;
    let create = "name=Lesson&meetingID=m1&moderatorPW=mp&attendeePW=ap";
    let path = |call, query: &str| {
        format!("/bbb/school/bigbluebutton/api/{call}?{query}&checksum={}", checksum(Algorithm::Sha1, call, query))
    };
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let form = "moderatorPW=mine&ModeratorPW=mine&meetingID=m2&isBreakout=true&parentMeetingID=m3&meta_server-tag=x!\
                &meta_b3s-frontend=other&logoutURL=mine&meta_endCallbackUrl=mine&pluginManifests=mine&voiceBridge=mine&welcome=hi";
    cluster.request(Method::POST, &path("create", create), &form_type, form).await.success();
    let meeting = cluster.nodes[0].meetings().remove(0);
    assert_eq!((meeting.moderator_pw.as_str(), meeting.param("welcome")), ("mp", Some("hi")));
    assert_eq!(
        meeting.params.iter().filter(|(_, value)| ["mine", "m2", "m3", "other"].contains(&value.as_str())).count(),
        0
    );
    let end = "meetingID=m1";
    let answer = cluster.request(Method::POST, &path("end", end), &form_type, "password=wrong").await;
    answer.success();
}

/// A text signed as a query must not be read as another call when it is sent as a form.
#[tokio::test]
async fn a_signed_create_cannot_be_replayed_as_a_form() {
    let cluster = one_node().await;
    let create = "attendeePW=ap&meetingID=m1&moderatorPW=mp&name=Lesson";
    let signature = checksum(Algorithm::Sha1, "create", create);
    get(&cluster, "create", create, &signature).await.success();
    let (names, last) = create.rsplit_once('=').unwrap();
    let hidden = format!("{}={last}", names.replace('=', "%3D").replace('&', "%26"));
    let path = "/bbb/school/bigbluebutton/api/create";
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    for (query, form) in [
        (format!("?checksum={signature}"), hidden.clone()),
        (String::new(), format!("{hidden}&checksum={signature}")),
        (String::new(), format!("{hidden}&meetingID=m2&checksum={signature}")),
    ] {
        let answer = cluster.request(Method::POST, &format!("{path}{query}"), &form_type, &form).await;
        assert_eq!(answer.failed(), "checksumError", "{query} {form}");
    }
    assert_eq!(cluster.nodes[0].meetings().len(), 1);
}

/// Defect 31 of the original: these calls were neither refused nor forwarded.
#[tokio::test]
async fn calls_that_bbb_has_given_up_are_refused_and_no_node_is_asked() {
    let cluster = one_node().await;
    for call in ["setConfigXML", "getDefaultConfigXML"] {
        let query = "meetingID=m1&configXML=%3Cconfig%2F%3E";
        let signature = checksum(Algorithm::Sha1, call, query);
        assert_eq!(get(&cluster, call, query, &signature).await.failed(), "unsupportedRequest", "{call}");
    }
    let health = |call: &b3scale_node::SeenCall| call.call == "getMeetings";
    assert!(cluster.nodes[0].calls().iter().all(health));
}

/// Two nodes that take checksums of one length only.
async fn choosy(digits: usize) -> TestCluster {
    let node = NodeOptions { checksum_digits: Some(digits), ..NodeOptions::default() };
    TestCluster::with(ClusterOptions { node, ..ClusterOptions::default() }).await
}

#[tokio::test]
async fn nodes_that_take_one_algorithm_only_answer_every_call_and_have_their_copies_ended() {
    for digits in [128, 40] {
        let cluster = choosy(digits).await;
        assert_eq!([0, 1].map(|node| cluster.node_state(node)), [NodeState::Ready; 2], "by their health checks");
        cluster.nodes[0].misbehave_on("create", Misbehaviour::CutAfter);
        for id in ["m1", "m2"] {
            cluster.call(CallKind::Create, &format!("name=Lesson&meetingID={id}")).await.success();
        }
        assert_eq!(cluster.nodes[1].meetings().len(), 2);
        cluster.nodes[0].behave();
        cluster.cluster.catch_up().await;
        cluster.until_node(0, "the copy is ended", |node| node.meetings().is_empty()).await;
        let join = "meetingID=m1&fullName=Ada&role=VIEWER&redirect=false";
        for (kind, query) in [
            (CallKind::Join, join),
            (CallKind::GetMeetingInfo, "meetingID=m1"),
            (CallKind::IsMeetingRunning, "meetingID=m1"),
            (CallKind::GetSessions, ""),
            (CallKind::End, "meetingID=m1"),
        ] {
            cluster.call(kind, query).await.success();
        }
    }
}

#[tokio::test]
async fn a_browser_is_sent_with_a_checksum_that_its_node_takes_by_a_server_that_has_not_asked_it_yet() {
    let cluster = choosy(40).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    for backend in &cluster.backends {
        cluster.cluster.backend(backend.id).unwrap().vitals.signing.forget();
    }
    let joined = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER").await;
    let (_, checksum) = joined.location().rsplit_once("checksum=").unwrap();
    assert_eq!(checksum.len(), 40, "{joined:?}");
}
