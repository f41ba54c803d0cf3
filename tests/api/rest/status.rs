//! Who answers, who asks, and the schema.

use b3scale_support::TestCluster;
use serde_json::json;

use super::has_keys;

#[tokio::test]
async fn the_status_says_who_asks_and_how_the_schema_stands() {
    let cluster = TestCluster::start().await;
    for path in ["", "/status"] {
        let status = cluster.operator().fetch(path).await.granted();
        has_keys(&status, &["version", "build", "api", "account_ref", "is_admin", "database"]);
        assert_eq!(
            (&status["api"], &status["account_ref"], &status["is_admin"]),
            (&json!("v1"), &json!("operator"), &json!(true))
        );
        let database = &status["database"];
        has_keys(database, &["available", "database", "migrated", "migration", "pending_migrations", "error"]);
        assert_eq!(
            (&database["available"], &database["migrated"], &database["pending_migrations"]),
            (&json!(true), &json!(true), &json!(0))
        );
        has_keys(&database["migration"], &["applied_at", "description", "version"]);
        assert!(database["migration"]["applied_at"].as_str().unwrap().ends_with('Z'), "{database}");
    }
    let status = cluster.tool("customer-7", "b3scale").fetch("").await.granted();
    assert_eq!((&status["account_ref"], &status["is_admin"]), (&json!("customer-7"), &json!(false)));
}

#[tokio::test]
async fn migrations_may_be_asked_for_again() {
    let cluster = TestCluster::start().await;
    let first = cluster.operator().post("/ctrl/migrate", &json!({})).await.granted();
    assert_eq!(first, cluster.operator().post("/ctrl/migrate", &json!({})).await.granted());
    assert_eq!(first["pending_migrations"], 0);
}

/// Defect 37 of the original: each status took a connection of its own and left it.
#[tokio::test]
async fn a_status_takes_no_connection_of_its_own() {
    let cluster = TestCluster::start().await;
    for _ in 0..50 {
        cluster.operator().fetch("/status").await.granted();
    }
    let connections = cluster.database.connections().await;
    assert!(connections <= 20, "{connections}");
}
