//! What a node tells other servers when its meetings have ended.

use serde_json::Value;

use super::*;
use crate::outgoing::jwt;

/// `http://<address>/bigbluebutton/api`, encoded.
fn encoded(listener: &Node) -> String {
    format!("http%3A%2F%2F{}%2Fbigbluebutton%2Fapi", listener.address())
}

#[test]
fn tokens_are_those_of_bbbs_scripts() {
    let claims = r#"{"meeting_id":"abc123","record_id":"6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000"}"#;
    let ready = "eyJhbGciOiJIUzI1NiJ9.eyJtZWV0aW5nX2lkIjoiYWJjMTIzIiwicmVjb3JkX2lkIjoiNjM2N2M0OGRkMTkzZDU2ZWE3YjBiYWFkMjViMTk0NTVl\
                 NTI5ZjVlZS0xNzAwMDAwMDAwMDAwIn0.qibuVDHywsfZM2fqRz4ZjxSFpjmPcYUJ0Q0GEtCHxKs";
    assert_eq!(jwt(r#"{"alg":"HS256"}"#, claims, SECRET), ready);
    let analytics = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.eyJleHAiOjE3MDAwODY0MDB9.0PErfVad6pEl4N0wFB06y0gTqAn3M1pMQ6Imr_RjAHuvrIwHi\
                     TryYkDdTd0JR7uiT1ZmiHZnM2YbLzv6MpNCmw";
    assert_eq!(jwt(r#"{"typ":"JWT","alg":"HS512"}"#, r#"{"exp":1700086400}"#, SECRET), analytics);
}

#[tokio::test]
async fn an_end_says_whether_the_recording_was_started() {
    let (node, listener) = (node().await, node().await);
    for (id, starts) in [("marked", true), ("unmarked", false)] {
        get(&node, "create", &format!("name=Room&meetingID={id}&meta_endCallbackUrl={}", encoded(&listener))).await;
        assert!(!starts || node.control().record(id, true) && node.control().record(id, false));
        assert!(node.control().expire(id));
    }
    listener.wait_until(|state| state.calls_seen() == 2).await;
    let mut queries: Vec<_> = listener.calls().into_iter().map(|call| call.target).collect();
    queries.sort();
    let expected = ["recordingmarks=false&meetingID=unmarked", "recordingmarks=true&meetingID=marked"];
    assert_eq!(queries, expected.map(|query| format!("/bigbluebutton/api?{query}")));
}

#[tokio::test]
async fn each_format_of_a_recording_is_told_to_the_first_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = node().await;
    let node = node_with(|options| options.recordings = Some(folder.path().to_owned())).await;
    let url = encoded(&listener);
    let names = format!("meta_bn-recording-ready-url={url}%3Fbn&meta_bbb-recording-ready-url={url}%3Fbbb");
    get(&node, "create", &format!("{DEMO}&record=true&{names}")).await;
    assert!(node.control().expire("abc123"));
    listener.wait_until(|state| state.calls_seen() == 2).await;
    let claims = format!(r#"{{"meeting_id":"abc123","record_id":"{INTERNAL}"}}"#);
    for call in listener.calls() {
        assert_eq!(call.target, "/bigbluebutton/api?bbb");
        assert_eq!(call.body, format!("signed_parameters={}", jwt(r#"{"alg":"HS256"}"#, &claims, SECRET)));
    }
}

#[tokio::test]
async fn analytics_are_told_of_a_meeting_with_kept_events() {
    let (node, listener) = (node().await, node().await);
    let url = encoded(&listener);
    get(&node, "create", &format!("{DEMO}&meetingKeepEvents=true&meta_analytics-callback-url={url}")).await;
    get(&node, "create", &format!("name=Room&meetingID=other&meta_analytics-callback-url={url}")).await;
    node.control().join("abc123", "Ada", crate::Role::Moderator);
    assert!(node.control().expire("other") && node.control().expire("abc123"));
    listener.wait_until(|state| state.calls_seen() == 1).await;
    let call = listener.calls().remove(0);
    assert_eq!(call.headers["user-agent"], "BigBlueButton Analytics Callback");
    assert!(
        call.headers["authorization"]
            .to_str()
            .expect("a token")
            .starts_with("Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.")
    );
    let body: Value = serde_json::from_slice(&call.body).expect("it is JSON");
    assert_eq!((&body["meeting_id"], &body["internal_meeting_id"]), (&Value::from("abc123"), &Value::from(INTERNAL)));
    assert_eq!(body["data"]["attendees"][0]["name"], "Ada");
}
