//! Every way in which a call may be signed, on its way to a node.

use b3scale_middleware::bbb::{self, Algorithm, Secret};
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

/// Defect 27 of the original: of a parameter that came twice, the node got one.
#[tokio::test]
async fn a_parameter_that_comes_twice_reaches_the_node_twice() {
    let cluster = one_node().await;
    let query = "name=Lesson&meetingID=m1&disabledFeatures=chat&disabledFeatures=polls";
    get(&cluster, "create", query, &checksum(Algorithm::Sha256, "create", query)).await.success();
    let meeting = cluster.nodes[0].meetings().remove(0);
    let features = meeting.params.iter().filter(|(name, _)| name == "disabledFeatures");
    assert_eq!(features.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["chat", "polls"]);
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
    let health = |call: &b3scale::node::SeenCall| call.call == "getMeetings";
    assert!(cluster.nodes[0].calls().iter().all(health));
}
