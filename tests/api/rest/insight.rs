//! The cluster at a glance, why a meeting goes where it goes, and the pipeline.

use std::time::Instant;

use b3scale::ledger::{Lookups, Polls};
use b3scale_middleware::cluster::BackendId;
use b3scale_middleware::ports::Directory as _;
use b3scale_node::{Node, NodeOptions};
use b3scale_support::{ClusterOptions, TestCluster};
use http::StatusCode;
use serde_json::{Value, json};

async fn tagged() -> TestCluster {
    TestCluster::with(ClusterOptions { tags: vec![vec!["eu"], vec![]], ..ClusterOptions::default() }).await
}

#[tokio::test]
async fn the_cluster_is_seen_at_a_glance() {
    let cluster = TestCluster::start().await;
    let (stopped, path) = (cluster.backends[1].id, format!("/backends/{}", cluster.backends[1].id));
    cluster.operator().patch(&path, &json!({"admin_state": "stopped"})).await.granted();
    cluster
        .until("the server knows", || cluster.cluster.backend(stopped).unwrap().takes_meetings(Instant::now()).is_err())
        .await;
    let report = cluster.operator().fetch("/cluster").await.granted();
    let server = &report["servers"][0];
    assert_eq!((&server["alive"], &server["answering"], &server["problems"]), (&json!(true), &json!(true), &json!([])));
    let backends = report["backends"].as_array().unwrap();
    let reason = |id: Value| backends.iter().find(|one| one["id"] == id).unwrap()["reason"].clone();
    assert_eq!(reason(json!(cluster.backends[0].id)), Value::Null);
    assert_eq!(reason(json!(stopped)), "its admin state is stopped");
    assert_eq!(
        report["frontends"][0],
        json!({"id": report["frontends"][0]["id"], "key": "school", "active": true, "meetings": 0, "attendees": 0})
    );
}

#[tokio::test]
async fn a_node_whose_agent_reports_overload_takes_no_meetings_and_everybody_is_told_why() {
    let cluster = TestCluster::start().await;
    let busy = cluster.backends[0].id;
    cluster.database.store().record_heartbeat(busy, Some((0.97, 0.5))).await.unwrap();
    cluster
        .until("the agent is heard", || cluster.cluster.backend(busy).unwrap().takes_meetings(Instant::now()).is_err())
        .await;
    let said = "its agent reports overload: processors 97 % busy, until below 80 %";
    let report = cluster.operator().fetch("/cluster").await.granted();
    let reasons: Vec<_> = report["backends"].as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    assert!(reasons.contains(&json!(said)), "{report}");
    let explained = cluster.operator().fetch("/explain/create?frontend=school").await.granted();
    assert_eq!(explained["chosen"], json!(cluster.backends[1].url));
    let refused = &explained["candidates"][1];
    assert_eq!((&refused["stage"], &refused["reason"]), (&json!("backend-pool"), &json!(said)));
}

#[tokio::test]
async fn a_server_started_without_a_backend_judges_its_first_one_by_the_pipeline_file() {
    let strict = include_str!("../../../pipeline.toml")
        .replace("overload-cpu = 0.95", "overload-cpu = 0.5")
        .replace("recovered-cpu = 0.80", "recovered-cpu = 0.4")
        .replace("attempts = 3", "cpu-weight = 1000");
    let options = ClusterOptions { nodes: 0, pipeline: Some(strict), ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    let node = Node::start(NodeOptions::default()).await.unwrap();
    let settings = json!({"bbb": {"host": node.url(), "secret": node.secret()}, "admin_state": "ready"});
    let added = cluster.operator().post("/backends", &settings).await.granted();
    let id: BackendId = serde_json::from_value(added["id"].clone()).unwrap();
    cluster.until("the node is up", || cluster.cluster.backend(id).is_some_and(|first| first.is_up())).await;
    cluster.database.store().record_heartbeat(id, Some((0.6, 0.0))).await.unwrap();
    cluster.until("the agent is heard", || cluster.cluster.backend(id).unwrap().vitals.agent().is_some()).await;
    let report = cluster.operator().fetch("/cluster").await.granted();
    let first = &report["backends"][0];
    assert_eq!(first["reason"], "its agent reports overload: processors 60 % busy, until below 40 %", "{first}");
    assert_eq!(first["load"].as_f64().map(f64::round), Some(600.0));
}

#[tokio::test]
async fn a_placement_is_explained_and_nothing_is_placed() {
    let cluster = tagged().await;
    cluster.frontend("school", |settings| settings.required_tags = Some(["eu"].iter().collect())).await;
    let explained = cluster.operator().fetch("/explain/create?frontend=school&name=x").await.granted();
    assert_eq!(explained["chosen"], json!(cluster.backends[0].url), "{explained}");
    let refused = &explained["candidates"][1];
    assert_eq!((&refused["verdict"], &refused["stage"]), (&json!("refused"), &json!("tag-filter")));
    assert!(refused["reason"].as_str().unwrap().contains("eu"), "{refused}");
    assert!(cluster.database.store().load_meetings().await.unwrap().is_empty());
    for (query, status) in [("", StatusCode::BAD_REQUEST), ("?frontend=nobody", StatusCode::NOT_FOUND)] {
        assert_eq!(cluster.operator().fetch(&format!("/explain/create{query}")).await.status, status);
    }
    let odd = cluster.operator().fetch("/explain/create?frontend=school&meetingID=a,b").await;
    assert_eq!(odd.status, StatusCode::CONFLICT, "{odd:?}");
}

#[tokio::test]
async fn the_catalog_has_every_kind_with_its_contract() {
    let cluster = TestCluster::start().await;
    let catalog = cluster.operator().fetch("/pipeline/catalog").await.granted();
    let kind = |name: &str| catalog.as_array().unwrap().iter().find(|kind| kind["kind"] == name).unwrap().clone();
    assert_eq!(kind("proxy")["is"], "endpoint");
    let select = kind("backend-select");
    assert_eq!((&select["is"], &select["takes"]), (&json!("stage"), &json!(["candidates"])));
}

#[tokio::test]
async fn the_pipeline_is_shown_and_read_again() {
    let cluster = TestCluster::start().await;
    let shown = cluster.operator().fetch("/pipeline").await.granted();
    assert!(shown["plan"].as_str().unwrap().contains("create\n  frontend-resolve"), "{shown}");
    assert_eq!(cluster.operator().post("/pipeline/reload", &json!({})).await.granted(), shown);
}
