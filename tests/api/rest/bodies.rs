//! Bodies that cannot be read, and those that can although they look odd.

use b3scale_support::TestCluster;
use http::{Method, StatusCode};
use serde_json::json;

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
    // Nothing is said, so the field is missing, whatever the type.
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
