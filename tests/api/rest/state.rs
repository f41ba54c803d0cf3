//! The configuration as one document.

use b3scale_support::TestCluster;
use http::{Method, StatusCode};
use serde_json::json;

use crate::log::Lines;

#[tokio::test]
async fn what_is_read_out_and_put_back_is_no_change() {
    let cluster = TestCluster::start().await;
    let document = cluster.operator().fetch("/state").await.granted();
    assert_eq!((&document["version"], &document["frontends"][0]["key"]), (&json!(1), &json!("school")));
    assert_eq!(document["backends"].as_array().unwrap().len(), 2);
    for query in ["", "?dry_run=true", "?delete=true"] {
        let done = cluster.operator().post(&format!("/state{query}"), &document).await.granted();
        assert_eq!(done["changes"], json!([]), "{query}");
    }
}

#[tokio::test]
async fn a_document_is_tried_and_then_put_back() {
    let (lines, _guard) = Lines::catch();
    let cluster = TestCluster::start().await;
    let mut document = cluster.operator().fetch("/state").await.granted();
    document["frontends"] =
        json!([{"key": "academy", "secret": "not-for-the-log", "settings": {"required_tags": ["eu"]}}]);
    let tried = cluster.operator().post("/state?dry_run=1&delete=1", &document).await.granted();
    assert_eq!((&tried["applied"], tried["changes"].as_array().unwrap().len()), (&json!(false), 2));
    assert_eq!(cluster.operator().fetch("/frontends?key=academy").await.granted(), json!([]));
    let done = cluster.operator().post("/state?delete=1", &document).await.granted();
    assert_eq!((&done["applied"], &done["changes"]), (&json!(true), &tried["changes"]));
    assert_eq!(cluster.operator().fetch("/frontends").await.granted()[0]["bbb"]["key"], "academy");
    let log = lines.text();
    assert!(log.contains("a frontend was added by a document") && log.contains("a frontend was removed by a document"));
    assert!(!log.contains("not-for-the-log"));
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_document_is_told() {
    let cluster = TestCluster::start().await;
    let twice = json!({"version": 1, "frontends": [{"key": "a", "secret": ""}, {"key": "a", "secret": "x"}],
        "backends": [{"host": "nowhere", "secret": "x", "load_factor": 0}]});
    let answer = cluster.operator().post("/state", &twice).await;
    assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::BAD_REQUEST, &json!("validation_error")));
    assert!(answer.json()["fields"].as_object().unwrap().len() >= 4, "{answer:?}");
    for (body, place) in [
        (r#"{"version": 1, "frontends": [{"key": 5, "secret": "x"}]}"#, "frontends[0].key: "),
        (r#"{"version": 1, "backends": [{"host": "http://h/", "secret": "x", "tags": [1]}]}"#, "backends[0].tags[0]: "),
    ] {
        let answer = cluster.operator().send(Method::POST, "/state", "application/json", body).await;
        let (status, said) = answer.refused();
        assert!(status == 400 && said.contains(place), "a field that cannot be read is named: {said}");
    }
    for body in [r#"{"version": 1, "tenants": []}"#, r#"{"frontends": []}"#, "[]", "{"] {
        let answer = cluster.operator().send(Method::POST, "/state", "application/json", body).await;
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(answer.status == StatusCode::BAD_REQUEST && said.contains("line 1"), "{body}: {answer:?}");
    }
    assert_eq!(cluster.operator().fetch("/frontends").await.granted().as_array().unwrap().len(), 1);
}
