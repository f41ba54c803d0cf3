//! The OpenAPI document, held against the server.

use std::collections::BTreeSet;

use b3scale_support::TestCluster;
use http::{Method, StatusCode};
use serde_json::Value;

#[tokio::test]
async fn every_route_of_the_document_is_there_and_says_what_it_may_answer() {
    let cluster = TestCluster::start().await;
    let document = cluster.get("/api/v1/openapi.json", &[]).await.granted();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document, serde_json::from_str::<Value>(&b3scale::admin::openapi()).unwrap());
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "00000000-0000-0000-0000-000000000000").replace("{key}", "school");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let documented: BTreeSet<&str> =
                operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            for status in ["401", "403", "404", "503"] {
                assert!(documented.contains(status), "{method} {path} says nothing of {status}");
            }
            assert!(operation["summary"].is_string(), "{method} {path}");
            let answer = cluster.operator().send_anywhere(method.clone(), &concrete, "application/json", "{}").await;
            assert!(documented.contains(answer.status.as_str()), "{method} {path} answers {answer:?}");
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
}

#[tokio::test]
async fn the_document_is_shown_as_a_page() {
    let cluster = TestCluster::start().await;
    let page = cluster.get("/docs/api/v1/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("swagger-ui"), "{page:?}");
    let script = cluster.get("/docs/api/v1/swagger-initializer.js", &[]).await;
    assert!(script.text.contains("/api/v1/openapi.json"), "{script:?}");
    let redirect = cluster.get("/docs/api/v1", &[]).await;
    assert!(redirect.status.is_redirection() && redirect.location().ends_with("/docs/api/v1/"), "{redirect:?}");
}
