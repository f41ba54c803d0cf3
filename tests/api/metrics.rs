//! Counters of calls, and values that never become labels.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::fault::NodeFailure;
use b3scale_support::{Counted, SECRET};

use crate::rig::{Plan, Rig, head, school, signed};

#[tokio::test]
async fn calls_are_counted_by_whose_they_were_and_what_came_of_them() {
    let counted = Counted::here();
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    rig.get(&signed(CallKind::Join, "meetingID=m1&fullName=x&role=VIEWER")).await;
    rig.get(&signed(CallKind::GetMeetingInfo, "meetingID=other")).await;
    rig.get("/bbb/school/bigbluebutton/api/create?meetingID=m1&checksum=5ec4e7").await;
    for (labels, count) in [
        (r#"frontend="school",call="create",outcome="success",blame="""#, 1),
        (r#"frontend="school",call="join",outcome="redirect",blame="""#, 1),
        (r#"frontend="school",call="getMeetingInfo",outcome="notFound",blame="frontend""#, 1),
        (r#"frontend="school",call="create",outcome="checksumError",blame="frontend""#, 1),
    ] {
        assert_eq!(counted.value(&format!("b3scale_calls_total{{{labels}}}")), Some(count), "{labels}");
    }
    assert_eq!(counted.value(r#"b3scale_call_duration_seconds_count{frontend="school",call="create"}"#), Some(2));
    let faults = r#"b3scale_stage_faults_total{stage="checksum-verify",blame="frontend"}"#;
    assert_eq!(counted.value(faults), Some(1));
    assert_eq!(counted.value(r#"b3scale_stage_duration_seconds_count{stage="backend-select"}"#), Some(1));
}

/// Defect 9 of the original: hosts and addresses became labels as clients sent them, and memory had no bound.
#[tokio::test]
async fn what_clients_think_of_never_becomes_a_label() {
    let counted = Counted::here();
    let rig = Rig::new(&school()).await;
    for number in 0..50 {
        rig.get(&format!("/bbb/tenant-{number}/bigbluebutton/api/create?meetingID=thought-{number}&checksum=1")).await;
        rig.get(&format!("/bbb/school/bigbluebutton/api/thought-{number}?checksum=1")).await;
        rig.get(&format!("/thought-{number}")).await;
        let odd = head(&format!("THOUGHT{number}"), "/bbb/school/api/join", "Host: thought.example\r\n");
        rig.send(odd).await;
    }
    let text = counted.text();
    assert!(!text.contains("thought") && !text.contains("THOUGHT") && !text.contains("tenant-"), "{text}");
    let series = text.lines().filter(|line| line.starts_with("b3scale_calls_total{")).count();
    assert!((1..=4).contains(&series), "{series} series");
    let unknown = r#"b3scale_calls_total{frontend="undefined",call="create",outcome="checksumError",blame="frontend"}"#;
    assert_eq!(counted.value(unknown), Some(50));
}

#[tokio::test]
async fn a_node_cannot_make_series_by_its_message_keys() {
    let counted = Counted::here();
    let answer = "<response><returncode>FAILED</returncode><messageKey>thought17</messageKey></response>";
    let rig = Rig::new(&school().node_replies("n1", answer)).await;
    rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    let failed = r#"b3scale_calls_total{frontend="school",call="create",outcome="failed",blame=""}"#;
    assert_eq!(counted.value(failed), Some(1), "{}", counted.text());
    let rig = Rig::new(&school().node_replies("n1", &answer.replace("thought17", "parentMeetingIdMissing"))).await;
    rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    let usual = r#"b3scale_calls_total{frontend="school",call="create",outcome="parentMeetingIdMissing",blame=""}"#;
    assert_eq!(counted.value(usual), Some(1), "{}", counted.text());
}

#[tokio::test]
async fn why_a_create_found_no_place_is_counted_by_reason() {
    let counted = Counted::here();
    let rig = Plan::new(&school().backend("n2", &[]).node_down("n1").node_down("n2")).serve().await;
    rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    let down = r#"b3scale_placement_refusals_total{stage="backend-pool",reason="down"}"#;
    assert_eq!(counted.value(down), Some(2), "{}", counted.text());
    let rig = Rig::new(&school().node_fails("n1", NodeFailure::Status(502))).await;
    rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    let ours = r#"b3scale_calls_total{frontend="school",call="create",outcome="internalError",blame="us"}"#;
    let nodes = r#"b3scale_calls_total{frontend="school",call="create",outcome="internalError",blame="backend"}"#;
    assert_eq!((counted.value(ours), counted.value(nodes)), (Some(1), Some(1)));
}

/// A token with a chosen key must not show another frontend's figures.
#[tokio::test]
async fn a_frontend_is_told_its_own_series_and_no_others() {
    let counted = Counted::here();
    let cluster = school().frontend("school2", SECRET).frontend(r#"odd",frontend="school"#, SECRET);
    let rig = Rig::new(&cluster).await;
    rig.get("/bbb/school/api/create?checksum=1").await;
    rig.get("/bbb/school2/api/end?checksum=1").await;
    rig.get("/bbb/odd%22%2Cfrontend%3D%22school/api/join?checksum=1").await;
    let told = counted.handle.of_frontend("school", "server-1");
    let calls: Vec<&str> = told.lines().filter(|line| line.starts_with("b3scale_calls_total")).collect();
    let own = r#"b3scale_calls_total{server="server-1",frontend="school",call="create",outcome="checksumError",blame="frontend"} 1"#;
    assert_eq!(calls, [own], "{told}");
    assert!(told.contains("# TYPE b3scale_call_duration_seconds histogram") && !told.contains("stage"));
}
