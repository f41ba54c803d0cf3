//! Recordings: their formats arrive, frontends list and change them.

mod lists;
mod plan;

use b3scale::store::{Added, ChangeError, NewFormat, Rules, Spot, StoredFormat, StoredTrack};
use b3scale_middleware::cluster::{FrontendId, RecordingChange, RecordingState, TrackKind, Visibility};
use b3scale_support::{RULES, new_format, record_id};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, new_frontend};

impl Fixture {
    async fn add(&self, new: &NewFormat) -> Added {
        self.store.recordings().add_format(new, &RULES).await.expect("it is added")
    }

    async fn ready(&self) -> i64 {
        self.database.count("SELECT count(*) FROM recordings_ready").await
    }

    /// Records that the files of all formats have moved on the local shelf.
    async fn place(&self, place: &str) {
        for id in [1, 2].map(record_id) {
            for row in self.store.holdings().of(&id).await.expect("the rows are read") {
                let spot = Spot { shelf: "local".to_owned(), place: place.to_owned() };
                let moved = row.spot.is_none() || self.store.holdings().relocate(&row, &spot).await.expect("it moves");
                assert!(moved, "nothing has changed since");
            }
        }
    }

    async fn other_frontend(&self) -> FrontendId {
        self.store.frontends().record(&new_frontend("academy")).await.expect("a frontend").id
    }
}

fn at(mut new: NewFormat, place: &str) -> NewFormat {
    let (shelf, place, digest) = (Some("local".to_owned()), Some(place.to_owned()), Some(format!("digest of {place}")));
    new.stored = StoredFormat { shelf, place, digest, files: 7, ..new.stored };
    new
}

#[tokio::test]
async fn the_first_format_makes_the_recording_and_a_later_one_keeps_what_was_changed() {
    let cluster = Fixture::new().await;
    let (id, school) = (record_id(1), Some(cluster.frontend));
    let first = cluster.add(&new_format(1, school, "lesson", "presentation")).await;
    assert!(first.is_new && !first.tombstone && first.replaced.is_none());
    assert_eq!(first.recording.visibility(), Visibility::Published);
    let renamed =
        RecordingChange::Update { metadata: vec![("name".to_owned(), "Plants".to_owned())], protect: Some(true) };
    let changed =
        cluster.store.recordings().change(cluster.frontend, std::slice::from_ref(&id), &renamed).await.unwrap();
    assert_eq!(changed, std::slice::from_ref(&id));

    let mut video = new_format(1, school, "another", "video");
    (video.recording.participants, video.recording.raw_size) = (0, 5_000);
    video.recording.metadata.insert("name".to_owned(), "as it was".to_owned());
    let second = cluster.add(&video).await;
    assert!(!second.is_new);
    let recording = second.recording;
    assert_eq!(recording.formats.iter().map(|format| &*format.kind).collect::<Vec<_>>(), ["presentation", "video"]);
    assert_eq!((&*recording.meeting_id, recording.visibility()), ("lesson", Visibility::Protected));
    assert_eq!((recording.metadata["name"].as_str(), recording.participants, recording.raw_size), ("Plants", 3, 5_000));
    assert_eq!(cluster.store.recordings().find(&id).await.unwrap(), Some(recording));
}

#[tokio::test]
async fn a_rebuilt_format_takes_the_place_of_the_earlier_one_and_names_its_files() {
    let cluster = Fixture::new().await;
    let new = new_format(1, Some(cluster.frontend), "lesson", "presentation");
    cluster.add(&at(new.clone(), "one")).await;
    let same = cluster.add(&at(new.clone(), "one")).await;
    assert_eq!(same.replaced, None, "the files were replaced where they are");
    let rebuilt = cluster.add(&at(new.clone(), "two")).await;
    assert_eq!(rebuilt.replaced.and_then(|files| files.place), Some("one".to_owned()));
    let without = cluster.add(&new).await;
    assert_eq!(without.replaced, None);
    let [stored] = &*cluster.store.recordings().stored(&record_id(1)).await.unwrap() else { panic!("one format") };
    assert_eq!((stored.place.as_deref(), stored.files), (Some("two"), 7), "files stay when a format comes without");
    cluster.place("three").await;
    let stored = cluster.store.recordings().stored(&record_id(1)).await.unwrap();
    assert_eq!(stored[0].place.as_deref(), Some("three"));
    let read = cluster.store.holdings().of(&record_id(1)).await.unwrap().remove(0);
    cluster.add(&at(new, "four")).await;
    let late = Spot { shelf: "local".to_owned(), place: "five".to_owned() };
    assert!(!cluster.store.holdings().relocate(&read, &late).await.unwrap(), "an import came in between");
}

#[tokio::test]
async fn a_deleted_recording_takes_no_format_and_stays_deleted() {
    let cluster = Fixture::new().await;
    let new = new_format(1, Some(cluster.frontend), "lesson", "presentation");
    cluster.add(&new).await;
    let ids = [record_id(1)];
    cluster.store.recordings().change(cluster.frontend, &ids, &RecordingChange::Delete).await.unwrap();
    let late = cluster.add(&at(new_format(1, Some(cluster.frontend), "lesson", "video"), "one")).await;
    assert!(late.tombstone && !late.is_new);
    assert_eq!((late.recording.state, late.recording.formats.len()), (RecordingState::Deleted, 1));
    let table = cluster.store.recordings();
    for change in [RecordingChange::Publish(true), RecordingChange::Delete] {
        assert_eq!(table.change(cluster.frontend, &ids, &change).await.unwrap(), [], "it is not found");
    }
    let back =
        table.set_visibility(&record_id(1), Visibility::Public).await.unwrap().expect("an operator brings it back");
    assert_eq!(back.visibility(), Visibility::Public);
    assert!(table.remove(&record_id(1)).await.unwrap() && !table.remove(&record_id(1)).await.unwrap());
    assert!(cluster.add(&new).await.is_new, "no tombstone is left");
}

#[tokio::test]
async fn many_formats_at_once_make_one_recording() {
    let cluster = Fixture::new().await;
    let mut adding = JoinSet::new();
    for number in 0..8 {
        let (store, school) = (cluster.store.clone(), Some(cluster.frontend));
        let format = new_format(1, school, "lesson", &format!("format{number}"));
        adding.spawn(async move { store.recordings().add_format(&format, &RULES).await.expect("it is added").is_new });
    }
    let new = adding.join_all().await.into_iter().filter(|is_new| *is_new).count();
    let found = cluster.store.recordings().find(&record_id(1)).await.unwrap().expect("it is there");
    assert_eq!((new, found.formats.len(), cluster.ready().await), (1, 8, 1));
}

#[tokio::test]
async fn a_recording_is_announced_once_or_once_for_each_format() {
    let cluster = Fixture::new().await;
    let school = Some(cluster.frontend);
    for kind in ["presentation", "video", "presentation"] {
        cluster.add(&new_format(1, school, "lesson", kind)).await;
    }
    assert_eq!(cluster.ready().await, 1);
    let each = Rules { ready_per_format: true, ..RULES };
    for kind in ["presentation", "video", "presentation"] {
        cluster.store.recordings().add_format(&new_format(2, school, "lesson", kind), &each).await.unwrap();
    }
    assert_eq!(cluster.ready().await, 3);
    let last = "SELECT max(seq) FROM recordings_ready";
    let before = cluster.database.count(last).await;
    assert!(cluster.store.recordings().announce(&record_id(1)).await.unwrap());
    assert!(cluster.database.count(last).await > before, "it is announced again");
    assert_eq!(cluster.ready().await, 3);
    assert!(!cluster.store.recordings().announce(&record_id(3)).await.unwrap());
}

#[tokio::test]
async fn a_recording_of_an_unknown_meeting_waits_for_its_frontend() {
    let cluster = Fixture::new().await;
    let table = cluster.store.recordings();
    for number in [1, 2] {
        let unknown = cluster.add(&new_format(number, None, "internal", "presentation")).await;
        assert_eq!((unknown.recording.frontend, cluster.ready().await), (None, 0));
    }
    let assigned = table.assign(&record_id(1), cluster.frontend, "lesson", false).await.unwrap().expect("it is there");
    assert_eq!((assigned.frontend, &*assigned.meeting_id, assigned.epoch), (Some(cluster.frontend), "lesson", 1));
    let adopted = cluster.add(&new_format(2, Some(cluster.frontend), "other", "video")).await.recording;
    assert_eq!((adopted.frontend, &*adopted.meeting_id), (Some(cluster.frontend), "other"));
    assert_eq!(cluster.ready().await, 2);
    assert!(table.assign(&record_id(3), cluster.frontend, "lesson", false).await.unwrap().is_none());
    assert!(table.assign(&record_id(1), FrontendId(uuid::Uuid::nil()), "lesson", false).await.unwrap().is_none());
}

#[tokio::test]
async fn the_owner_of_a_meeting_is_found_as_long_as_it_exists() {
    let cluster = Fixture::new().await;
    cluster.live("lesson").await;
    let table = cluster.store.recordings();
    let owner = Some((cluster.frontend, "lesson".to_owned()));
    assert_eq!(table.owner_of("internal-lesson").await.unwrap(), owner);
    assert_eq!(table.owner_of("internal-other").await.unwrap(), None);
    cluster
        .database
        .execute(
            "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id)
        SELECT 'moved', '', frontend_id, 'moved' FROM meeting_history",
        )
        .await;
    assert_eq!(table.owner_of("").await.unwrap(), None, "a meeting of another system may have no id");
    cluster.store.frontends().remove(cluster.frontend).await.unwrap();
    assert_eq!(table.owner_of("internal-lesson").await.unwrap(), None);
}

#[tokio::test]
async fn recordings_of_a_removed_frontend_stay_and_their_tickets_end() {
    let cluster = Fixture::new().await;
    cluster.add(&new_format(1, Some(cluster.frontend), "lesson", "presentation")).await;
    cluster.store.frontends().remove(cluster.frontend).await.unwrap();
    let found = cluster.store.recordings().find(&record_id(1)).await.unwrap().expect("it stays");
    assert_eq!((found.frontend, found.epoch, &*found.meeting_id), (None, 1, "lesson"));
    // The frontend of a meeting may be gone before its recording arrives.
    let late = cluster.add(&new_format(2, Some(cluster.frontend), "lesson", "presentation")).await;
    assert_eq!(late.recording.frontend, None);
}

#[tokio::test]
async fn only_changes_that_take_a_permission_away_end_tickets() {
    let cluster = Fixture::new().await;
    let (table, ids) = (cluster.store.recordings(), [record_id(1)]);
    cluster.add(&new_format(1, Some(cluster.frontend), "lesson", "presentation")).await;
    let protect = |protect| RecordingChange::Update { metadata: Vec::new(), protect };
    for (change, epoch) in [
        (RecordingChange::Publish(true), 0),
        (protect(Some(true)), 1),
        (protect(Some(true)), 1),
        (protect(None), 1),
        (protect(Some(false)), 1),
        (RecordingChange::Publish(false), 2),
        (RecordingChange::Publish(false), 2),
        (RecordingChange::Publish(true), 2),
        (RecordingChange::Delete, 3),
    ] {
        assert_eq!(table.change(cluster.frontend, &ids, &change).await.unwrap(), ids, "{change:?}");
        assert_eq!(table.find(&ids[0]).await.unwrap().map(|found| found.epoch), Some(epoch), "{change:?}");
    }
}

#[tokio::test]
async fn a_change_touches_all_recordings_or_none() {
    let cluster = Fixture::new().await;
    let academy = cluster.other_frontend().await;
    for (number, frontend) in [(1, cluster.frontend), (2, cluster.frontend), (3, academy)] {
        cluster.add(&new_format(number, Some(frontend), "lesson", "presentation")).await;
    }
    let (table, ids) = (cluster.store.recordings(), [3, 2, 1].map(record_id));
    let set = |name: &str, value: &str| RecordingChange::Update {
        metadata: vec![(name.to_owned(), value.to_owned())],
        protect: None,
    };
    let large = "x".repeat(40_000);
    table.change(cluster.frontend, &ids[1..2], &set("a", &large)).await.unwrap();
    let refused = table.change(cluster.frontend, &ids, &set("b", &large)).await;
    assert!(matches!(refused, Err(ChangeError::TooMuchMetadata(id)) if id == ids[1]));
    let named = table.find(&ids[2]).await.unwrap().expect("it is there");
    assert_eq!(named.metadata.get("b"), None, "the other one was not changed, either");
    let changed = table.change(cluster.frontend, &ids, &set("meetingName", "")).await.unwrap();
    assert_eq!(changed, [record_id(1), record_id(2)], "in the order of the ids, without another frontend's");
    let metadata = |found: Option<b3scale_middleware::cluster::Recording>| found.expect("it is there").metadata;
    assert_eq!(metadata(table.find(&ids[2]).await.unwrap()).get("meetingName"), None);
    assert!(metadata(table.find(&ids[0]).await.unwrap()).contains_key("meetingName"));
}

#[tokio::test]
async fn much_metadata_of_a_node_may_shrink_and_not_grow() {
    let cluster = Fixture::new().await;
    let mut new = new_format(1, Some(cluster.frontend), "lesson", "presentation");
    new.recording.metadata.insert("notes".to_owned(), "x".repeat(90_000));
    cluster.add(&new).await;
    let change = async |metadata: &[(&str, &str)]| {
        let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let change = RecordingChange::Update { metadata, protect: Some(true) };
        cluster.store.recordings().change(cluster.frontend, &[record_id(1)], &change).await
    };
    assert!(change(&[]).await.is_ok(), "it may be protected");
    assert!(change(&[("notes", &"x".repeat(80_000))]).await.is_ok());
    assert!(matches!(change(&[("more", "x")]).await, Err(ChangeError::TooMuchMetadata(_))));
    assert!(change(&[("notes", ""), ("more", "x")]).await.is_ok());
}

#[tokio::test]
async fn changes_in_any_order_never_wait_for_each_other_in_a_circle() {
    let cluster = Fixture::new().await;
    for number in 1..=20 {
        cluster.add(&new_format(number, Some(cluster.frontend), "lesson", "presentation")).await;
    }
    let mut changes = JoinSet::new();
    for round in 0..16_u32 {
        let (store, frontend) = (cluster.store.clone(), cluster.frontend);
        changes.spawn(async move {
            let mut ids: Vec<_> = (1..=20).map(record_id).collect();
            ids.rotate_left(round as usize);
            store.recordings().change(frontend, &ids, &RecordingChange::Publish(round % 2 == 0)).await.unwrap().len()
        });
    }
    assert_eq!(changes.join_all().await, [20; 16]);
    let states = "SELECT count(DISTINCT state) FROM recordings";
    assert_eq!(cluster.database.count(states).await, 1, "the last call decided about all of them");
}

#[tokio::test]
async fn files_that_must_move_have_a_job_and_others_none() {
    let cluster = Fixture::new().await;
    let (table, jobs) = (cluster.store.recordings(), "SELECT count(*) FROM jobs WHERE kind = 'settle_recording'");
    cluster.add(&new_format(1, Some(cluster.frontend), "lesson", "presentation")).await;
    table.change(cluster.frontend, &[record_id(1)], &RecordingChange::Publish(false)).await.unwrap();
    assert_eq!(cluster.database.count(jobs).await, 0, "there are no files");
    cluster.add(&at(new_format(2, Some(cluster.frontend), "lesson", "presentation"), "one")).await;
    assert_eq!(cluster.database.count(jobs).await, 1, "the state may have changed while the files came");
    table.change(cluster.frontend, &[record_id(2)], &RecordingChange::Publish(false)).await.unwrap();
    table.change(cluster.frontend, &[record_id(2)], &RecordingChange::Publish(false)).await.unwrap();
    cluster.place("two").await;
    assert_eq!(cluster.database.count(jobs).await, 2, "one for the change");
}

#[tokio::test]
async fn an_uploaded_text_track_stays_when_the_node_sends_its_own_again() {
    let cluster = Fixture::new().await;
    let (table, id) = (cluster.store.recordings(), record_id(1));
    let track = |source: &str, content: &str| StoredTrack {
        kind: TrackKind::Captions,
        lang: "en-US".to_owned(),
        label: "English".to_owned(),
        source: source.to_owned(),
        content: content.to_owned(),
    };
    assert!(!table.put_track(&id, &track("upload", "WEBVTT")).await.unwrap(), "there is no such recording");
    cluster.add(&new_format(1, Some(cluster.frontend), "lesson", "presentation")).await;
    for (source, content, kept) in
        [("live", "1", "1"), ("live", "2", "2"), ("upload", "3", "3"), ("live", "4", "3"), ("upload", "5", "5")]
    {
        assert!(table.put_track(&id, &track(source, content)).await.unwrap());
        let tracks = table.tracks(&id).await.unwrap();
        assert_eq!(tracks.iter().map(|track| &*track.content).collect::<Vec<_>>(), [kept]);
    }
    let one = table.track(&id, TrackKind::Captions, "en-US").await.unwrap().expect("it is there");
    assert_eq!((one.source.as_str(), table.track(&id, TrackKind::Subtitles, "en-US").await.unwrap()), ("upload", None));
    table.delete(&id).await.unwrap().expect("it is there");
    assert!(!table.put_track(&id, &track("upload", "6")).await.unwrap());
}
