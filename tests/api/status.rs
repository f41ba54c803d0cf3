//! Health and metrics.

use std::sync::Arc;

use b3scale::telemetry::{Counts, MetricsPage};

use crate::rig::{NoFigures, Plan, Rig, head, school};

#[tokio::test]
async fn a_ready_server_says_so() {
    let rig = Rig::new(&school()).await;
    assert_eq!(rig.get("/health/live").await.status, 200);
    let ready = rig.get("/health/ready").await;
    assert_eq!(ready.status, 200);
    let checks =
        ["database", "draining", "calls", "connections", "descriptors"].map(|name| format!("{{\"name\":\"{name}\"}}"));
    assert_eq!(ready.body, format!("{{\"ready\":true,\"checks\":[{}]}}", checks.join(",")));
}

#[tokio::test]
async fn a_server_that_is_not_ready_says_why() {
    let rig = Plan::new(&school()).problem("no answer for 10 s").serve().await;
    let ready = rig.get("/health/ready").await;
    assert_eq!((ready.status, ready.header("content-type")), (503, Some("application/json")));
    assert!(ready.body.contains(r#"{"name":"database","problem":"no answer for 10 s"}"#));
    assert!(ready.body.starts_with(r#"{"problem":"database: no answer for 10 s","ready":false,"#), "{}", ready.body);
    assert_eq!(rig.get("/health/live").await.status, 200);
}

/// Defect 9 of the original: metrics needed no token.
#[tokio::test]
async fn metrics_are_shown_to_those_with_the_token() {
    let counted = Counts::new().unwrap();
    let page = MetricsPage { counted, figures: Arc::new(NoFigures), token: Some("word".to_owned()) };
    let rig = Plan::new(&school()).metrics(page).serve().await;
    for headers in ["", "Authorization: Bearer wrong\r\n", "Authorization: word\r\n"] {
        assert_eq!(rig.fetch_with("/metrics", headers).await.status, 401);
    }
    let page = rig.fetch_with("/metrics", "Authorization: Bearer word\r\n").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    for figure in
        [r#"b3scale_ready{check="database"} 1"#, r#"b3scale_ready{check="draining"} 1"#, "b3scale_calls_in_flight 0"]
    {
        assert!(page.body.contains(figure), "{}", page.body);
    }
    assert!(page.body.contains("process_resident_memory_bytes"));
}

#[tokio::test]
async fn a_server_without_metrics_has_no_such_page() {
    assert_eq!(Rig::new(&school()).await.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn everything_else_is_not_there() {
    let rig = Rig::new(&school()).await;
    assert_eq!(rig.get("/").await.status, 200);
    for target in ["/bbb", "/x", "/health", "/b3s/", "/index.php?checksum=1"] {
        assert_eq!(rig.get(target).await.status, 404, "{target}");
    }
    assert_eq!(rig.send(head("POST", "/", "Content-Length: 0\r\n")).await.status, 404);
}

#[tokio::test]
async fn the_documentation_of_the_original_leads_to_ours() {
    let rig = Rig::new(&school()).await;
    for target in ["/static/docs", "/static/docs/", "/static/docs/api-v1.html", "/static/docs/index.html"] {
        assert_eq!(rig.get(target).await.header("location"), Some("/docs/api/v1/"), "{target}");
    }
    let document = rig.get("/static/docs/b3scale-openapi-v1.json").await;
    assert_eq!((document.status, document.header("location")), (302, Some("/api/v1/openapi.json")));
    for target in ["/static", "/static/docsx", "/static/css/main.css"] {
        assert_eq!(rig.get(target).await.status, 404, "{target}");
    }
}
