//! The frontend reads its own URLs, and nobody else does.

use b3scale_support::Tool;

use super::*;

const END: &str = "http://127.0.0.1:9/end?salt=%242y%2410%24a%2Fb.";

fn metadata(answer: &Answer) -> String {
    let (_, rest) =
        answer.text.split_once("<endcallbackurl>").unwrap_or_else(|| panic!("it has none: {}", answer.text));
    rest.split_once("</endcallbackurl>").unwrap().0.to_owned()
}

#[tokio::test]
async fn a_frontend_reads_its_own_urls_and_a_node_does_not() {
    let called = Called::start().await;
    let cluster = &called.cluster;
    let listed = async || metadata(&cluster.call(CallKind::GetMeetings, "").await.success());
    assert_eq!(listed().await, END, "of the create");
    cluster.cluster.catch_up().await;
    assert_eq!(listed().await, END, "of the report");
    assert_eq!(listed().await, END, "and again");
    let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=algebra").await.success();
    assert_eq!(metadata(&info), END);
    assert!(!info.text.contains("/callbacks/proxy/"));
    cluster.frontend("college", |_| {}).await;
    let other = cluster.call_as("college", CallKind::GetMeetings, "").await.text;
    assert!(!other.contains("127.0.0.1"), "{other}");
}

/// A node gives a breakout the metadata of its parent.
#[tokio::test]
async fn a_frontend_reads_its_own_urls_of_a_breakout() {
    let called = Called::start().await;
    let cluster = &called.cluster;
    let room = cluster.nodes[called.node].control().breakout(&called.scoped, "Room 1").expect("its parent runs");
    cluster.cluster.catch_up().await;
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={room}")).await.success();
    for (answer, count) in [(list, 2), (info, 1)] {
        assert_eq!(answer.text.matches(&format!("<endcallbackurl>{END}<")).count(), count, "{}", answer.text);
        assert!(!answer.text.contains("/callbacks/proxy/"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_agent_reads_no_url_of_a_frontend() {
    let called = Called::start().await;
    let cluster = &called.cluster;
    cluster.cluster.catch_up().await;
    let sql = format!("UPDATE backends SET agent_ref = 'agent' WHERE id = '{}'", cluster.backends[called.node].id);
    cluster.database.execute(&sql).await;
    let path = format!("/meetings/internal:{}", called.internal_id);
    let shown = async |tool: Tool<'_>| tool.fetch(&path).await.text;
    let operator = shown(cluster.operator()).await;
    assert!(operator.contains(END), "{operator}");
    let agent = shown(cluster.tool("agent", "b3scale:node")).await;
    assert!(agent.contains(&called.internal_id) && !agent.contains("127.0.0.1"), "{agent}");
}
