//! Jobs by the REST API.

use std::time::Duration;

use b3scale::ledger::{NewJob, Queue};
use b3scale_support::TestCluster;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{has_keys, message};

/// Queues a job of a kind that no server runs, and gives it up.
async fn give_up(cluster: &TestCluster) -> Uuid {
    let store = cluster.database.store();
    let job = NewJob { kind: "test", lane: None, payload: json!({"to": "hook"}), delay: Duration::ZERO };
    store.enqueue(&[job]).await.expect("it is queued");
    let taken =
        store.take_jobs("test", 1, Duration::from_secs(60), Uuid::nil()).await.expect("the queue answers").pop();
    let taken = taken.expect("it waits");
    assert!(store.poison_job(&taken, "410 Gone").await.expect("the queue answers"));
    taken.id
}

#[tokio::test]
async fn a_job_that_was_given_up_is_shown_retried_and_discarded() {
    let cluster = TestCluster::start().await;
    let (operator, id) = (cluster.operator(), give_up(&cluster).await);
    let list = operator.fetch("/jobs").await.granted();
    let known = [
        "id",
        "kind",
        "lane",
        "payload",
        "state",
        "attempts",
        "run_after",
        "run_by",
        "last_error",
        "poisoned_at",
        "created_at",
    ];
    has_keys(&list[0], &known);
    let said = |job: &Value| [job["state"].clone(), job["attempts"].clone(), job["last_error"].clone()];
    assert_eq!(said(&list[0]), [json!("poisoned"), json!(1), json!("410 Gone")]);
    assert_eq!(list[0]["payload"], json!({"to": "hook"}));
    assert_eq!(operator.fetch(&format!("/jobs/{id}")).await.granted(), list[0]);

    let retried = operator.post(&format!("/jobs/{id}/retry"), &json!({})).await.granted();
    assert_eq!(said(&retried), [json!("waiting"), json!(0), json!("410 Gone")]);
    let store = cluster.database.store();
    let taken = store.take_jobs("test", 1, Duration::from_secs(60), Uuid::nil()).await.unwrap().pop().unwrap();
    assert_eq!(operator.fetch(&format!("/jobs/{id}")).await.granted()["state"], "running");
    store.poison_job(&taken, "410 Gone").await.unwrap();
    assert_eq!(operator.delete(&format!("/jobs/{id}")).await.granted()["id"], json!(id));
    assert_eq!(operator.fetch("/jobs").await.granted(), json!([]));
}

#[tokio::test]
async fn a_job_that_is_not_given_up_is_neither_retried_nor_discarded() {
    let cluster = TestCluster::start().await;
    let id = give_up(&cluster).await;
    let (operator, stranger) = (cluster.operator(), cluster.tool("x", "b3scale:recordings"));
    assert_eq!(stranger.fetch("/jobs").await.status, 403);
    operator.post(&format!("/jobs/{id}/retry"), &json!({})).await.granted();
    let (unknown, missing) = (Uuid::nil(), message("Not Found"));
    for id in [id, unknown] {
        assert_eq!(operator.post(&format!("/jobs/{id}/retry"), &json!({})).await.refused(), (404, &*missing));
        assert_eq!(operator.delete(&format!("/jobs/{id}")).await.refused(), (404, &*missing));
    }
    assert_eq!(operator.fetch(&format!("/jobs/{unknown}")).await.refused(), (404, &*missing));
}
