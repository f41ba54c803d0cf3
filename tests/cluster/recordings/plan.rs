//! The plan of a list: an index, and nothing that grows with the table.

use b3scale::store::{PAGE, whole_list};
use b3scale_support::MANY_RECORDINGS;
use serde_json::Value;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_page_of_a_large_frontend_is_read_from_an_index() {
    let cluster = Fixture::new().await;
    cluster.other_frontend().await;
    cluster.database.execute(MANY_RECORDINGS).await;
    cluster.database.execute("VACUUM ANALYZE recordings, recording_formats").await;
    let (client, connection) = tokio_postgres::connect(cluster.database.url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    // Both as the values are known, and as a statement that is prepared once for all values.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.unwrap();
        let states: Vec<&str> = vec!["published", "unpublished"];
        let (none, limit, offset): (Vec<&str>, Option<i64>, i64) = (Vec::new(), Some(PAGE as i64), 0);
        let sql = format!("EXPLAIN (FORMAT JSON) {}", whole_list());
        let (frontend, start): (Option<Uuid>, i64) = (Some(cluster.frontend.0), i64::MAX);
        let row = client.query_one(&sql, &[&frontend, &states, &none, &start, &"", &limit, &offset]).await.unwrap();
        let plan: Value = row.get(0);
        let nodes = nodes(&plan[0]["Plan"]);
        assert!(nodes.contains(&("Index Only Scan", "recordings_newest")), "{mode}: {plan:#}");
        assert!(!nodes.iter().any(|(kind, _)| kind.contains("Sort") || *kind == "Seq Scan"), "{mode}: {plan:#}");
    }
    driver.abort();
}

/// The nodes of a plan, each with its index.
fn nodes(plan: &Value) -> Vec<(&str, &str)> {
    let text = |name: &str| plan[name].as_str().unwrap_or_default();
    let below = plan["Plans"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once((text("Node Type"), text("Index Name"))).chain(below).collect()
}
