//! Events of recordings.

use b3scale_middleware::cluster::{RecordingChange, RecordingState};
use b3scale_support::{RULES, new_format, record_id};

use super::rig::{Hooks, event};

#[tokio::test]
async fn a_recording_is_told_once_a_change_with_our_links() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "").await;
    let (recordings, school) = (hooks.fixture.store.recordings(), hooks.fixture.frontend);
    for kind in ["presentation", "video"] {
        recordings.add_format(&new_format(1, Some(school), "a", kind), &RULES).await.expect("it is added");
    }
    let publish = async |publish: bool| {
        let change = RecordingChange::Publish(publish);
        recordings.change(school, &[record_id(1)], &change).await.expect("it is changed");
    };
    publish(true).await;
    publish(false).await;
    publish(true).await;
    recordings.change(school, &[record_id(1)], &RecordingChange::Delete).await.expect("it is deleted");
    hooks.wake();
    hooks.done().await;
    let events: Vec<_> = hooks.receiver.heard().iter().map(event).collect();
    let names: Vec<_> = events.iter().map(|one| one["data"]["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["rap-published", "rap-unpublished", "rap-published", "rap-deleted"]);
    let attributes = &events[0]["data"]["attributes"];
    assert_eq!(attributes["record-id"], record_id(1).as_str());
    assert_eq!(attributes["meeting"]["external-meeting-id"], "a");
    let link = format!("https://play.example/playback/presentation/2.3/{}", record_id(1));
    assert_eq!(attributes["recording"]["playback"]["link"], link);
    let seconds: Vec<_> = events.iter().map(|one| one["event"]["ts"].as_i64().unwrap_or_default()).collect();
    assert!(seconds[0] < 100_000_000_000, "of an import in seconds: {seconds:?}");
    assert!(seconds[1..].iter().all(|ts| *ts > 100_000_000_000), "of calls in milliseconds: {seconds:?}");
    assert!(events[3]["data"]["attributes"].get("recording").is_none());
}

#[tokio::test]
async fn an_unpublished_recording_is_told_when_it_is_published() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "").await;
    let (recordings, school) = (hooks.fixture.store.recordings(), hooks.fixture.frontend);
    let mut new = new_format(1, Some(school), "a", "presentation");
    new.recording.state = RecordingState::Unpublished;
    let rules = b3scale::store::Rules { visibility: new.recording.visibility(), ..RULES };
    recordings.add_format(&new, &rules).await.expect("it is added");
    assert_eq!(hooks.count("SELECT count(*) FROM hook_events").await, 0);
    recordings.change(school, &[record_id(1)], &RecordingChange::Publish(true)).await.expect("it is changed");
    hooks.wake();
    hooks.done().await;
    assert_eq!(hooks.receiver.heard().len(), 1);
}
