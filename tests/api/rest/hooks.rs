//! Hooks by the REST API.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{PermanentHook, WebhookSettings};
use b3scale_support::{TestCluster, eventually};
use http::StatusCode;
use serde_json::{Value, json};

use super::has_keys;

const KNOWN: [&str; 16] = [
    "id",
    "frontend",
    "state",
    "host",
    "meeting_id",
    "events",
    "raw",
    "permanent",
    "behind",
    "delivered",
    "lost",
    "status",
    "problem",
    "created_at",
    "delivered_at",
    "paused_at",
];

#[tokio::test]
async fn a_paused_hook_is_shown_resumed_and_removed() {
    let cluster = TestCluster::start().await;
    let operator = cluster.operator();
    let query = "callbackURL=https%3A%2F%2Fcb.example%2Fhook%3Ftoken%3Dhidden&meetingID=m1&eventID=user-left";
    let id = cluster.call(CallKind::HooksCreate, query).await.success().field("hookID");
    let broken = "UPDATE hooks SET paused_at = now(), tries = 13, status = 500, problem = 'the receiver answers 500'";
    cluster.database.execute(broken).await;
    let hook = operator.fetch(&format!("/hooks/{id}")).await.granted();
    has_keys(&hook, &KNOWN);
    let said = |hook: &Value, keys: [&str; 4]| keys.map(|key| hook[key].clone());
    assert_eq!(
        said(&hook, ["frontend", "state", "host", "meeting_id"]),
        [json!("school"), json!("paused"), json!("cb.example"), json!("m1")]
    );
    assert_eq!(
        said(&hook, ["events", "behind", "status", "problem"]),
        [json!(["user-left"]), json!(0), json!(500), json!("the receiver answers 500")]
    );
    for (query, count) in [("", 1), ("?frontend=school", 1), ("?frontend=x", 0), ("?meeting=m1", 1), ("?meeting=m2", 0)]
    {
        let list = operator.fetch(&format!("/hooks{query}")).await;
        assert!(!list.text.contains("hidden"), "the URL is a secret of the frontend");
        assert_eq!(list.granted().as_array().map(Vec::len), Some(count), "{query}");
    }
    let resumed = operator.post(&format!("/hooks/{id}/resume"), &json!({})).await.granted();
    assert_eq!((&resumed["state"], &resumed["paused_at"]), (&json!("active"), &Value::Null));
    let removed = operator.delete(&format!("/hooks/{id}")).await.granted();
    assert_eq!(removed["id"], json!(id));
    for path in [format!("/hooks/{id}"), "/hooks/00000000-0000-0000-0000-000000000000".to_owned()] {
        assert_eq!(operator.fetch(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_permanent_hook_is_removed_by_the_settings_alone() {
    let cluster = TestCluster::start().await;
    let hook = PermanentHook { url: "https://cb.example/hook".to_owned(), ..PermanentHook::default() };
    let settings = WebhookSettings { permanent: vec![hook], ..WebhookSettings::default() };
    cluster.frontend("school", |school| school.webhooks = Some(settings)).await;
    let list = async || cluster.operator().fetch("/hooks").await.granted();
    eventually("the hook is there", async || list().await[0]["permanent"] == true).await;
    let id = list().await[0]["id"].as_str().expect("an id").to_owned();
    let refused = cluster.operator().delete(&format!("/hooks/{id}")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("take it out of `webhooks.permanent` of `school`"), "{refused:?}");
}
