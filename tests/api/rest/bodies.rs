//! Unreadable bodies, and odd but valid bodies.

use b3scale_support::TestCluster;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::message;

#[tokio::test]
async fn what_is_no_json_is_told_with_its_place() {
    let cluster = TestCluster::start().await;
    let post = async |body: &str| cluster.operator().send(Method::POST, "/frontends", "application/json", body).await;
    let broken = post("{b").await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert!(broken.json()["message"].as_str().unwrap().starts_with("Syntax error: offset=2, error="), "{broken:?}");
    let wrong = message("Unmarshal type error: expected=string, got=number, field=bbb.key, offset=17");
    assert_eq!(post(r#"{"bbb": {"key": 5}}"#).await.refused(), (400, &*wrong));
    assert_eq!(post(r#"{"bbb":"#).await.refused(), (400, &*message("unexpected EOF")));
}

#[tokio::test]
async fn only_json_is_read() {
    let cluster = TestCluster::start().await;
    let body = r#"{"bbb":{"key":"x","secret":"y"}}"#;
    let post = async |media: &str, body: &str| cluster.operator().send(Method::POST, "/frontends", media, body).await;
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        assert_eq!(post(media, body).await.refused(), (415, &*message("Unsupported Media Type")), "{media}");
    }
    assert_eq!(post("application/json; charset=utf-8", body).await.status, StatusCode::OK);
    // No value is given, so the field is missing, for any type.
    assert_eq!(post("text/plain", "").await.json()["error"], "validation_error");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let cluster = TestCluster::start().await;
    let large = json!({"bbb": {"key": "x", "secret": "y".repeat(2 << 20)}}).to_string();
    let answer = cluster.operator().send(Method::POST, "/frontends", "application/json", &large).await;
    assert_eq!(answer.refused(), (413, &*message("Request Entity Too Large")));
    let unasked = cluster.stranger().send(Method::POST, "/frontends", "application/json", &large).await;
    assert_eq!(unasked.status, StatusCode::UNAUTHORIZED, "a stranger's body is not even looked at");
}

#[tokio::test]
async fn a_character_that_no_database_has_is_refused() {
    let cluster = TestCluster::start().await;
    let answer = cluster.operator().post("/frontends", &json!({"bbb": {"key": "a\u{0}b", "secret": "x"}})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    assert_eq!(cluster.operator().fetch("/frontends?key=a%00b").await.refused(), (400, &*message("Bad Request")));
}

/// A refusal names the fault of a body, and does not send the body back.
#[tokio::test]
async fn what_an_answer_quotes_is_cut() {
    let cluster = TestCluster::start().await;
    let long = "x".repeat(300_000);
    let many = vec![json!("md5"); 10_000];
    let named = |field: &str, value: Value| json!({"bbb": {"key": "a", "secret": "x", field: value}});
    for (method, path, body) in [
        (Method::POST, "/frontends", named("checksum_algorithms", json!([long]))),
        (Method::POST, "/frontends", named("checksum_algorithms", json!(many))),
        (Method::POST, "/frontends", json!({"bbb": {"key": long, "secret": long}})),
        (Method::POST, "/frontends", json!({"settings": {"create_default_params": {long.clone(): 1}}})),
        (Method::POST, "/frontends", json!({"settings": {"recordings": {"visibility_override": long}}})),
        (Method::POST, "/backends", json!({"bbb": {"host": long, "secret": "x"}, "admin_state": long})),
        (Method::POST, "/commands", json!({"action": long})),
        (Method::POST, "/state", json!({"version": 1, long.clone(): 1})),
        (
            Method::POST,
            "/state",
            json!({"version": 1, "frontends": [{"key": "a", "secret": "x", "settings": {long.clone(): 1}}]}),
        ),
    ] {
        let answer = cluster.operator().send(method, path, "application/json", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.text.len() < 20_000, "{path}: {} bytes", answer.text.len());
    }
    let rpc = json!({"action": "meeting_set_running", "payload": {"internal_meeting_id": {long: 1}}});
    cluster.agent("node-1").post("/backends", &json!({"bbb": {"host": "http://h/", "secret": "x"}})).await.granted();
    assert!(cluster.agent("node-1").post("/agent/rpc", &rpc).await.text.len() < 2_000);
}
