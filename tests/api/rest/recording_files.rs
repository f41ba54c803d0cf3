//! Files of recordings: lists, moves, verification, retention.

use b3scale_middleware::ports::Directory;
use b3scale_support::{ClusterOptions, RULES, Recorded, RecordingFolders, TestCluster, new_format, publish, record_id};
use http::Method;
use serde_json::{Value, json};

use super::{has_keys, message, validation};

/// A cluster with folders of recordings.
async fn with_folders() -> (TestCluster, RecordingFolders) {
    let folders = RecordingFolders::new();
    let options = ClusterOptions { environment: folders.environment(), ..ClusterOptions::default() };
    (TestCluster::with(options).await, folders)
}

/// A recording of the school, with the given place of its files.
async fn add(cluster: &TestCluster, number: u32, kind: &str, place: Option<&str>) {
    let school = cluster.cluster.frontend("school").expect("it is there").id;
    let mut new = new_format(number, Some(school), "lesson", kind);
    new.stored.place = place.map(str::to_owned);
    new.stored.shelf = place.map(|_| "local".to_owned());
    cluster.database.store().recordings().add_format(&new, &RULES).await.expect("it is added");
}

fn named(list: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
    list.as_array().expect("a list").iter().map(|one| (text(one, "record_id"), text(one, "format"))).collect()
}

fn pair(number: u32, format: &str) -> (String, String) {
    (record_id(number).to_string(), format.to_owned())
}

#[tokio::test]
async fn files_are_listed_by_shelf_and_frontend_and_recording_by_recording() {
    let cluster = TestCluster::start().await;
    add(&cluster, 1, "video", Some("published")).await;
    add(&cluster, 1, "presentation", None).await;
    add(&cluster, 2, "video", Some("published")).await;
    let operator = cluster.operator();
    let all = operator.fetch("/recordings-files").await.granted();
    has_keys(&all[0], &["record_id", "format", "shelf", "place", "files", "bytes"]);
    assert_eq!(named(&all), [pair(1, "presentation"), pair(1, "video"), pair(2, "video")]);
    assert_eq!((&all[0]["shelf"], &all[1]["place"]), (&Value::Null, &json!("published")));
    let local = operator.fetch("/recordings-files?shelf=local&frontend_key=school").await.granted();
    assert_eq!(named(&local), [pair(1, "video"), pair(2, "video")]);
    let after = format!("/recordings-files?after={}", record_id(1));
    assert_eq!(named(&operator.fetch(&after).await.granted()), [pair(2, "video")]);
    assert_eq!(operator.fetch("/recordings-files?shelf=s3").await.granted(), json!([]));
    let unknown = operator.fetch("/recordings-files?frontend_key=nobody").await;
    assert_eq!(unknown.refused(), (404, &*message("Not Found")));
    assert_eq!(cluster.tool("x", "b3scale").fetch("/recordings-files").await.status, 403);
}

#[tokio::test]
async fn a_move_that_cannot_be_made_is_refused_at_once() {
    let (cluster, _folders) = with_folders().await;
    add(&cluster, 1, "video", Some("published")).await;
    let operator = cluster.operator();
    let path = |number| format!("/recordings/{}/move", record_id(number));
    let unknown = operator.post(&path(9), &json!({"to": "s3"})).await;
    assert_eq!(unknown.refused(), (404, &*message("Not Found")));
    let wrong = operator.post(&path(1), &json!({"to": "tape"})).await;
    assert_eq!(wrong.refused(), (400, &*validation(&json!({"to": ["should be `local` or `s3`"]}))));
    for (to, why) in [("s3", "this server has no shelf `s3`"), ("local", "all files of the recording are on `local`")] {
        let refused = operator.post(&path(1), &json!({ "to": to })).await;
        let (status, body) = refused.refused();
        assert!(status == 409 && body.contains(why), "{body}");
    }
    let off = TestCluster::start().await;
    add(&off, 1, "video", Some("published")).await;
    let refused = off.operator().post(&path(1), &json!({"to": "s3"})).await;
    assert!(refused.refused().1.contains("recordings are off on this server"));
}

#[tokio::test]
async fn a_verification_sends_its_findings_line_by_line() {
    let (cluster, folders) = with_folders().await;
    let unlisted = Recorded::new(7, "lesson");
    publish(&folders.path("published"), &unlisted, "video");
    let token = format!("Bearer {}", b3scale_support::token("operator", "b3scale:admin"));
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    let verify = async |query: &str| {
        let answer = cluster.request(Method::POST, &format!("/api/v1/recordings-verify{query}"), &headers, "").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["content-type"]),
            (200, &"application/x-ndjson".parse().unwrap())
        );
        let lines = answer.text.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).expect("each line is JSON")).collect::<Vec<Value>>()
    };
    let found = verify("").await;
    assert_eq!(found[0]["problem"]["problem"], "unlisted");
    assert_eq!(found[0]["problem"]["record_id"], *unlisted.id);
    let done = |repaired| json!({"done": {"formats": 0, "on_shelves": 1, "problems": 1, "repaired": repaired}});
    assert_eq!(found[1..], [done(0)]);
    assert_eq!(verify("?fix=true").await[1..], [done(1)]);
    let shown = cluster.operator().fetch(&format!("/recordings/{}", unlisted.id)).await.granted();
    assert_eq!(shown["recording"]["Formats"][0]["Type"], "video");
    assert_eq!(cluster.tool("x", "b3scale").post("/recordings-verify", &json!({})).await.status, 403);
}

#[tokio::test]
async fn retention_shows_what_it_takes_and_takes_it() {
    let cluster = TestCluster::start().await;
    add(&cluster, 1, "video", None).await;
    cluster
        .frontend("school", |settings| {
            let rules = json!({"keep_days": 30});
            settings.recordings = serde_json::from_value(rules).expect("they are settings");
        })
        .await;
    let operator = cluster.operator();
    let shown = operator.fetch("/recordings-retention").await.granted();
    assert_eq!((&shown["total"], &shown["bytes"]), (&json!(1), &json!(0)));
    let one = &shown["recordings"][0];
    has_keys(one, &["record_id", "frontend_key", "name", "since", "bytes", "reason"]);
    assert_eq!((&one["frontend_key"], &one["reason"]), (&json!("school"), &json!("age")));
    let taken = |dropped, purged| json!({"dropped": dropped, "purged": purged});
    assert_eq!(operator.post("/recordings-retention", &json!({})).await.granted(), taken(1, 0));
    assert_eq!(operator.post("/recordings-retention", &json!({})).await.granted(), taken(0, 0));
    assert_eq!(operator.fetch("/recordings-retention").await.granted()["total"], 0);
    assert_eq!(cluster.tool("x", "b3scale").fetch("/recordings-retention").await.status, 403);
}
