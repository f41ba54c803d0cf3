//! Following one call through its stages in the log.

use b3scale_middleware::bbb::CallKind;
use b3scale_support::{TestCluster, token};

use crate::log::Lines;

const STAGE: &str = "A call has left a stage";

async fn create(cluster: &TestCluster, headers: &[(&str, &str)]) {
    cluster.get(&cluster.signed("school", CallKind::Create, "meetingID=m1&name=Lesson"), headers).await.success();
}

#[tokio::test]
async fn an_operators_token_follows_a_call_through_its_stages() {
    let (lines, _guard) = Lines::catch();
    let cluster = TestCluster::start().await;
    let token = token("operator", "b3scale:admin");
    cluster.nodes[0].misbehave(b3scale_node::Misbehaviour::Status(502));
    create(&cluster, &[("x-b3scale-follow", &token), ("x-request-id", "followed-1")]).await;
    create(&cluster, &[("x-request-id", "unfollowed-2")]).await;
    let followed: Vec<_> = lines.of("followed-1").into_iter().filter(|line| line["message"] == STAGE).collect();
    let stages: Vec<&str> = followed.iter().filter_map(|line| line["stage"].as_str()).collect();
    assert!(stages.ends_with(&["checksum-verify", "frontend-resolve"]) && stages.contains(&"proxy"), "{stages:?}");
    assert!(followed.iter().all(|line| line["level"] == "INFO" && line["microseconds"].is_u64()));
    assert!(!lines.of("unfollowed-2").iter().any(|line| line["message"] == STAGE));
    assert!(!lines.text().contains(&token), "the token is in the log");
}

#[tokio::test]
async fn nobody_else_follows_anything() {
    let (lines, _guard) = Lines::catch();
    let cluster = TestCluster::start().await;
    for token in [token("school", "b3scale"), token("node", "b3scale:node"), "no token".to_owned()] {
        create(&cluster, &[("x-b3scale-follow", &token)]).await;
    }
    assert!(!lines.text().contains(STAGE));
    assert_eq!(lines.text().matches("Invalid token for the REST API").count(), 1);
}

#[tokio::test]
async fn a_fault_names_the_stage_that_raised_it() {
    let (lines, _guard) = Lines::catch();
    let cluster = TestCluster::start().await;
    let token = token("operator", "b3scale:admin");
    let call = "/bbb/school/bigbluebutton/api/create?meetingID=m1&checksum=5ec4e7";
    cluster.get(call, &[("x-b3scale-follow", &token), ("x-request-id", "wrong-1")]).await.failed();
    let told: Vec<_> = lines.of("wrong-1").into_iter().filter(|line| line["message"] == STAGE).collect();
    let told: Vec<_> = told.iter().map(|line| (line["stage"].as_str(), line["outcome"].as_str())).collect();
    let wanted = [("checksum-verify", "raised"), ("frontend-resolve", "failed behind")];
    assert_eq!(told, wanted.map(|(stage, outcome)| (Some(stage), Some(outcome))));
}
