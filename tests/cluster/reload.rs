//! One pipeline for all servers, changed at one of them.

use std::fs;

use b3scale_support::{Servers, ServersOptions, TestFolder, eventually};
use http::{Method, StatusCode};
use serde_json::Value;

const SHIPPED: &str = include_str!("../../pipeline.toml");

#[tokio::test]
async fn a_reload_at_one_server_reaches_all_and_a_wrong_file_reaches_none() {
    let folder = TestFolder::new();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, SHIPPED).unwrap();
    let options = ServersOptions { servers: 2, nodes: 1, pipeline: Some(file.clone()), ..ServersOptions::default() };
    let servers = Servers::start(env!("CARGO_BIN_EXE_b3scaled"), options).await;
    let hash = async |server| servers.operate(server, Method::GET, "/pipeline").await.granted()["hash"].clone();
    let before = hash(0).await;

    fs::write(&file, SHIPPED.replace("\"tag-filter\"", "\"tag-filtre\"")).unwrap();
    let refused = servers.operate(0, Method::POST, "/pipeline/reload").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let said = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("tag-filtre") && said.contains("`tag-filter`"), "{said}");
    assert_eq!((hash(0).await, hash(1).await), (before.clone(), before.clone()));

    fs::write(&file, format!("{SHIPPED}\n# another one\n")).unwrap();
    let after = servers.operate(0, Method::POST, "/pipeline/reload").await.granted()["hash"].clone();
    assert_ne!(after, before);
    eventually("the other server runs it, too", async || hash(1).await == after).await;
    let told = async || {
        let report = servers.operate(1, Method::GET, "/cluster").await.granted();
        report["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|server| &server["pipeline_hash"])
            .all(|hash: &Value| *hash == after)
    };
    eventually("each says so to all", told).await;
}
