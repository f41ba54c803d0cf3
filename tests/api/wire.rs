//! What of a call reaches a node, byte for byte, and what does not.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::AttendeesLimit;
use b3scale_node::SeenCall;
use b3scale_support::{ClusterOptions, TestCluster};
use http::Method;

use crate::log::Lines;

async fn one_node() -> TestCluster {
    TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await
}

/// The calls of that name that the node got, without the checksum.
fn seen(cluster: &TestCluster, name: &str) -> Vec<SeenCall> {
    cluster.nodes[0].calls().into_iter().filter(|call| call.call == name).collect()
}

/// A query in the spellings that clients use. None is ours.
const WRITTEN: &str = "name=A+lesson%20of~!*'():/?@,;$%c3%BC&welcome=%0A%3cb%3E&unknown&empty=";

#[tokio::test]
async fn what_was_not_changed_reaches_the_node_as_it_was_written() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, &format!("meetingID=m1&{WRITTEN}")).await.success();
    assert!(seen(&cluster, "create")[0].target.contains(&format!("&{WRITTEN}&")));
    let joined = cluster.call(CallKind::Join, &format!("meetingID=m1&role=VIEWER&fullName=x&{WRITTEN}")).await;
    assert!(joined.location().contains(&format!("&role=VIEWER&fullName=x&{WRITTEN}&checksum=")));
}

/// A welcome text holds BBB's placeholders, and not every client encodes their percent signs.
#[tokio::test]
async fn a_stray_percent_sign_refuses_no_create_and_the_node_reads_it() {
    let cluster = one_node().await;
    let written = "name=50%&welcome=Hi+%%CONFNAME%%,+100%+of+%zz%4&meta_note=%";
    cluster.call(CallKind::Create, &format!("meetingID=m%1x&{written}")).await.success();
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let form = cluster.signed("school", CallKind::Create, "");
    cluster.request(Method::POST, &form, &form_type, &format!("meetingID=m%252&{written}")).await.success();
    let meetings = cluster.nodes[0].meetings();
    assert_eq!(meetings.len(), 2);
    for meeting in meetings {
        assert_eq!(meeting.param("name"), Some("50%"));
        assert_eq!(meeting.param("welcome"), Some("Hi %%CONFNAME%%, 100% of %zz%4"));
        assert_eq!(meeting.param("meta_note"), Some("%"));
    }
    for id in ["m%1x", "m%251x", "m%252"] {
        let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={id}")).await.success();
        assert!(["m%1x", "m%2"].contains(&info.field("meetingID").as_str()), "{id}: {info:?}");
    }
    let join = cluster.call(CallKind::Join, "meetingID=m%1x&fullName=100%&role=VIEWER").await;
    assert!(join.location().contains("&fullName=100%25&"), "{}", join.location());
}

#[tokio::test]
async fn a_call_that_a_node_would_take_is_not_made_too_long_for_it() {
    let cluster = one_node().await;
    let slides = r#"<modules><module name="presentation"><document url="https://f.example/a.pdf"/></module></modules>"#;
    let long = format!("meetingID=m1&name=x+y&logoutURL=https://x.example/?a={}", "(a+b)".repeat(1190));
    cluster.post(CallKind::Create, &long, "application/xml", slides).await.success();
    let join = format!("meetingID=m1&role=VIEWER&redirect=false&fullName=Ada&avatarURL={}", "x+/".repeat(2250));
    cluster.call(CallKind::Join, &join).await.success();
}

#[tokio::test]
async fn what_is_too_long_for_a_request_line_is_posted_beside_a_query_that_is_signed() {
    let cluster = one_node().await;
    let groups = format!("groups={}", "x+".repeat(10_000));
    cluster
        .call(CallKind::Create, &format!("{groups}&name=Lesson&meetingID=m1&moderatorPW=mp&attendeePW=ap"))
        .await
        .success();
    let create = seen(&cluster, "create").remove(0);
    assert_eq!((create.method, &*create.body), (Method::POST, groups.as_bytes()));
    for kept in ["meetingID=", "moderatorPW=mp", "attendeePW=ap", "name=Lesson", "checksum="] {
        assert!(create.target.contains(kept), "{}", create.target);
    }
    assert_eq!(cluster.nodes[0].meetings()[0].param("groups").map(str::len), Some(20_000 - 1));
}

#[tokio::test]
async fn what_fits_no_node_is_a_clear_fault_and_no_node_is_asked() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let long = "x".repeat(8200);
    let join = cluster.call(CallKind::Join, &format!("meetingID=m1&fullName={long}&role=VIEWER")).await;
    assert_eq!(join.failed(), "requestTooLong");
    let chat = cluster.call(CallKind::SendChatMessage, &format!("meetingID=m1&message={long}")).await;
    assert_eq!(chat.failed(), "requestTooLong");
    let create = format!("meetingID=m2&name=x&welcome={long}");
    assert_eq!(cluster.post(CallKind::Create, &create, "text/xml", "<modules/>").await.failed(), "requestTooLong");
    assert_eq!((seen(&cluster, "create").len(), seen(&cluster, "join").len()), (1, 0));
}

#[tokio::test]
async fn one_tenant_cannot_make_the_lists_of_a_node_too_large() {
    let cluster = one_node().await;
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let path = cluster.signed("school", CallKind::Create, "");
    for name in ["meta_a", "welcome", "name", "meta_A-b", "moderatorPW"] {
        let form = format!("meetingID=m1&{name}={}&name=Lesson", "x".repeat(1_950_000));
        let answer = cluster.request(Method::POST, &path, &form_type, &form).await;
        assert_eq!(answer.failed(), "metadataTooLarge", "{name}");
    }
    let many: String = (0..2000).map(|at| format!("&meta_a{at}={}", "x".repeat(30))).collect();
    let answer = cluster.request(Method::POST, &path, &form_type, &format!("meetingID=m1&name=Lesson{many}")).await;
    assert_eq!(answer.failed(), "metadataTooLarge");
    assert!(seen(&cluster, "create").is_empty());
}

/// A node writes such names into its lists unchecked, and then no server can read the list.
#[tokio::test]
async fn names_that_cannot_be_elements_reach_no_node_and_are_logged_once_a_call() {
    let (lines, _guard) = Lines::catch();
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_x+y=1&meta_%3Ca=2&meta_ok=3").await.success();
    let join = "meetingID=m1&role=VIEWER&fullName=Ada&redirect=false&userdata-x%20y=1&userdata-=2&userdataZ-z%20y=1&userdata-bbb_ok=3";
    cluster.call(CallKind::Join, join).await.success();
    let (create, join) = (&seen(&cluster, "create")[0].target, &seen(&cluster, "join")[0].target);
    assert!(create.contains("&meta_ok=3&") && !create.contains("meta_x") && !create.contains("meta_%3C"), "{create}");
    assert!(
        join.contains("&userdata-bbb_ok=3&")
            && !join.contains("userdata-x")
            && !join.contains("userdata-=")
            && !join.contains("userdataZ"),
        "{join}"
    );
    assert_eq!(lines.text().matches("Leaving parameters out").count(), 2);
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

#[tokio::test]
async fn a_breakout_that_a_frontend_creates_lets_in_no_more_people() {
    for breakout in ["isBreakout=true%C2%A0", "isBreakout=true", "isBreakout=%09True%20", "isBreakout[]=true"] {
        let cluster = one_node().await;
        cluster.frontend("school", |settings| settings.attendees_limit = Some(AttendeesLimit { limit: 2 })).await;
        cluster.call(CallKind::Create, "name=Parent&meetingID=m1").await.success();
        let query = format!("name=Room&meetingID=b1&{breakout}&parentMeetingID=m1&sequence=1");
        cluster.call(CallKind::Create, &query).await.success();
        let join = async |user: &str| {
            let query = format!("meetingID=b1&role=VIEWER&fullName={user}&userID={user}&redirect=false");
            cluster.call(CallKind::Join, &query).await
        };
        join("ada").await.success();
        join("grace").await.success();
        for user in ["eve", "mallory"] {
            assert_eq!(join(user).await.failed(), "maxParticipantsReached", "{breakout}");
        }
    }
}

#[tokio::test]
async fn no_breakout_is_made_under_another_tenants_meeting() {
    let cluster = one_node().await;
    cluster.frontend("other", |_| {}).await;
    cluster.call(CallKind::Create, "name=Victim&meetingID=m1").await.success();
    let victim = cluster.nodes[0].meetings().remove(0).meeting_id;
    for spelling in ["X", "+X", "%09X", "%00X", "X%20%00", "%C2%A0X"] {
        let parent = spelling.replace('X', &victim);
        for names in [&["parentMeetingID"][..], &["parentmeetingid", "%70arentMeetingID"], &["parentMeetingID[]"]] {
            let parents: String = names.iter().map(|name| format!("&{name}={parent}")).collect();
            let query = format!("name=Thief&meetingID=t1&isBreakout=true{parents}");
            cluster.call_as("other", CallKind::Create, &query).await;
        }
    }
    assert!(seen(&cluster, "create").iter().skip(1).all(|call| !call.target.contains(&victim)));
    assert_eq!(cluster.nodes[0].meetings().len(), 1);
}
