//! Recordings of several tenants in a real database: each frontend finds and changes its own.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Recording, RecordingState};
use b3scale_middleware::ports::Directory as _;
use b3scale_support::{Answer, ClusterOptions, RULES, TestCluster, new_format, record_id};
use http::Method;

use super::parts;

/// Recordings 1 and 2 of the school's meetings `m1` and `m2`, and 3 of another frontend's `m1`.
async fn cluster() -> TestCluster {
    let cluster = TestCluster::with(ClusterOptions { nodes: 0, ..ClusterOptions::default() }).await;
    cluster.frontend("other", |_| {}).await;
    for (number, key, meeting) in [(1, "school", "m1"), (2, "school", "m2"), (3, "other", "m1")] {
        let frontend = cluster.cluster.frontend(key).expect("it is there").id;
        let new = new_format(number, Some(frontend), meeting, "presentation");
        cluster.database.store().recordings().add_format(&new, &RULES).await.expect("it is added");
    }
    cluster
}

async fn found(cluster: &TestCluster, number: u32) -> Recording {
    cluster.database.store().recordings().find(&record_id(number)).await.unwrap().expect("it is there")
}

async fn put(cluster: &TestCluster, key: &str, query: &str) -> Answer {
    let file = parts(&[], "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n");
    let path = cluster.signed(key, CallKind::PutRecordingTextTrack, query);
    cluster.request(Method::POST, &path, &[("content-type", "multipart/form-data; boundary=x")], &file).await
}

async fn ids(cluster: &TestCluster, query: &str) -> Vec<u32> {
    let list = cluster.call(CallKind::GetRecordings, query).await.success().text;
    (1..=3).rev().filter(|number| list.contains(&format!("<recordID>{}<", record_id(*number)))).collect()
}

/// Defect 1 of the original: any frontend could publish, unpublish and edit the recordings of another.
#[tokio::test]
async fn a_recording_of_another_frontend_is_as_unknown_as_one_that_is_not_there() {
    let cluster = cluster().await;
    let before = [found(&cluster, 1).await, found(&cluster, 2).await, found(&cluster, 3).await];
    let calls = [
        (CallKind::GetRecordings, "&state=any"),
        (CallKind::GetRecordings, "&limit=5&meta_meetingName=%25"),
        (CallKind::PublishRecordings, "&publish=false"),
        (CallKind::PublishRecordings, "&publish=true"),
        (CallKind::UpdateRecordings, "&meta_name=Mine&meta_gl-listed=true&protect=true"),
        (CallKind::DeleteRecordings, ""),
        (CallKind::GetRecordingTextTracks, ""),
        (CallKind::PutRecordingTextTrack, "&kind=captions&lang=en"),
    ];
    for (kind, rest) in calls {
        let mut answers = Vec::new();
        for number in [3, 9] {
            let query = format!("recordID={}{rest}", record_id(number));
            let answer = match kind {
                CallKind::PutRecordingTextTrack => put(&cluster, "school", &query).await,
                kind => cluster.call(kind, &query).await,
            };
            answers.push((answer.status, answer.text.replace(record_id(number).as_str(), "ID")));
        }
        assert_eq!(answers[0], answers[1], "{kind}{rest}");
    }
    assert_eq!(before, [found(&cluster, 1).await, found(&cluster, 2).await, found(&cluster, 3).await]);
    assert!(
        cluster.call(CallKind::GetRecordings, "meetingID=m1").await.success().text.matches("<recordID>").count() == 1
    );
}

#[tokio::test]
async fn a_call_changes_its_own_among_the_recordings_of_others() {
    let cluster = cluster().await;
    let all = [1, 2, 3, 9].map(|number| record_id(number).to_string()).join("%2C");
    let unpublish = format!("recordID={all}&publish=false");
    cluster.call(CallKind::PublishRecordings, &unpublish).await.success();
    cluster.call(CallKind::UpdateRecordings, &format!("recordID={all}&meta_Name=Better&protect=true")).await.success();
    let of_number = async |number| {
        let found = found(&cluster, number).await;
        (found.state, found.protected, found.metadata.get("name").map(String::len))
    };
    for number in [1, 2] {
        assert_eq!(of_number(number).await, (RecordingState::Unpublished, true, Some(6)), "{number}");
    }
    assert_eq!(of_number(3).await, (RecordingState::Published, false, None));
    assert_eq!(ids(&cluster, "protect=true&meta_name=%25etter&state=unpublished").await, [2, 1]);
    assert_eq!(ids(&cluster, "meetingID=m2").await, [2]);
    assert_eq!(ids(&cluster, "limit=1&offset=1").await, [1]);
    cluster.call(CallKind::DeleteRecordings, &format!("recordID={}", record_id(2))).await.success();
    assert_eq!((ids(&cluster, "").await, ids(&cluster, "state=any").await), (vec![1], vec![2, 1]));
    assert_eq!(
        cluster.call(CallKind::PublishRecordings, &format!("recordID={}&publish=true", record_id(2))).await.failed(),
        "notFound"
    );
}

#[tokio::test]
async fn a_text_track_is_kept_and_its_link_shows_it() {
    let cluster = cluster().await;
    let id = record_id(1);
    let done = put(&cluster, "school", &format!("recordID={id}&kind=captions&lang=en")).await;
    assert!(done.text.contains("upload_text_track_success"), "{done:?}");
    let listed = cluster.call(CallKind::GetRecordingTextTracks, &format!("recordID={id}")).await;
    let tracks: serde_json::Value = serde_json::from_str(&listed.text).unwrap();
    let track = &tracks["response"]["tracks"][0];
    assert_eq!((&track["label"], &track["source"]), (&"English".into(), &"upload".into()));
    let link = track["href"].as_str().unwrap();
    let path = &link[link.find("/textTrack/").expect("it is at BBB's path")..];
    assert!(cluster.get(path, &[]).await.text.contains("00:00:01.000 --> 00:00:02.000"));
}

#[tokio::test]
async fn a_list_of_many_is_one_whole_document() {
    let cluster = cluster().await;
    let sql = "INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, state, start_time, end_time)
        SELECT 'many-' || number, frontends.id, 'many', 'many-' || number, 'Lesson', 'published', number / 2, number
        FROM frontends, generate_series(1, 1050) AS number WHERE key = 'school'";
    cluster.database.execute(sql).await;
    // A row that cannot be read ends no list, wherever it stands in its page.
    let spoil = "UPDATE recordings SET metadata = '{\"a\": 1}' WHERE record_id LIKE 'many-%00'";
    cluster.database.execute(spoil).await;
    let list = cluster.call(CallKind::GetRecordings, "meetingID=many&offset=50").await.success().text;
    assert!(list.ends_with("</recordings></response>"), "{}", &list[list.len() - 100..]);
    let ids: std::collections::BTreeSet<&str> =
        list.split("<recordID>").skip(1).filter_map(|entry| entry.split('<').next()).collect();
    assert_eq!((ids.len(), list.matches("<recordID>").count()), (990, 990));
}
