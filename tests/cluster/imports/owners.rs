//! The frontend of a recording: by the history of meetings, by the id of the meeting, later, or never.

use b3scale::recordings::Adopt;
use b3scale::work::Duty;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{FrontendSettings, RecordingSettings, RecordingState, Visibility};
use b3scale_support::{Recorded, new_frontend};

use super::Rig;

async fn adopt(rig: &Rig) {
    Adopt(rig.importer.clone()).run().await.expect("the duty is done");
}

#[tokio::test]
async fn a_recording_of_an_unknown_meeting_waits_unpublished_and_is_adopted_later() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, recording.state), (None, RecordingState::Unpublished));
    rig.is_placed("unpublished", &recorded, "podcast");
    assert_eq!(rig.announced().await, 0);
    adopt(&rig).await;
    assert_eq!(rig.found(&recorded).await.frontend, None, "its meeting is still unknown");

    rig.know(&recorded).await;
    adopt(&rig).await;
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "lesson"));
    assert_eq!(recording.state, RecordingState::Published);
    assert_eq!(rig.announced().await, 1);
}

#[tokio::test]
async fn an_adopted_recording_keeps_the_wish_of_its_meeting_and_every_format_is_announced() {
    let rig = Rig::with(|settings| settings.ready_per_format = true).await;
    let recorded = Recorded { meta: "<gl-listed>true</gl-listed>", ..Recorded::new(1, "lesson") };
    rig.import(&recorded, &["podcast", "video"]).await.expect("it is imported");
    assert_eq!(rig.found(&recorded).await.visibility(), Visibility::Unpublished);
    rig.know(&recorded).await;
    adopt(&rig).await;
    assert_eq!(rig.found(&recorded).await.visibility(), Visibility::Public);
    assert_eq!(rig.announced().await, 2);
    rig.import(&recorded, &["notes"]).await.expect("it is imported");
    assert_eq!(rig.announced().await, 3);
}

#[tokio::test]
async fn a_recording_that_its_node_does_not_publish_stays_unpublished() {
    let rig = Rig::new().await;
    let unknown = Recorded { published: false, ..Recorded::new(1, "one") };
    rig.import(&unknown, &["podcast"]).await.expect("it is imported");
    rig.know(&unknown).await;
    adopt(&rig).await;
    let known = Recorded { published: false, ..rig.recorded(2, "two").await };
    rig.import(&known, &["podcast"]).await.expect("it is imported");
    for recorded in [&unknown, &known] {
        let recording = rig.found(recorded).await;
        assert_eq!((recording.frontend, recording.state), (Some(rig.cluster.frontend), RecordingState::Unpublished));
        rig.is_placed("unpublished", recorded, "podcast");
    }
}

#[tokio::test]
async fn a_later_format_adopts_as_well() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    rig.know(&recorded).await;
    rig.import(&recorded, &["video"]).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, recording.state), (Some(rig.cluster.frontend), RecordingState::Published));
}

/// As after a move from the original: the history begins later, and meeting ids are the original's.
#[tokio::test]
async fn a_scoped_id_names_the_frontend_of_an_unknown_meeting() {
    let rig = Rig::new().await;
    let scoped = ScopedId::new("school", &MeetingId::new("old lesson"));
    let recorded = Recorded::new(1, scoped.as_ref());
    rig.import(&recorded, &["presentation"]).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "old lesson"));
    assert_eq!(recording.metadata["meetingId"], "old lesson", "the frontend reads its own id");
    let foreign = Recorded::new(2, ScopedId::new("gone", &MeetingId::new("m")).as_ref());
    rig.import(&foreign, &["presentation"]).await.expect("it is imported");
    assert_eq!(rig.found(&foreign).await.frontend, None);

    let gone = rig.cluster.store.frontends().record(&new_frontend("gone")).await.expect("it works here").id;
    adopt(&rig).await;
    let recording = rig.found(&foreign).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(gone), "m"), "a frontend may come later");
    assert_eq!((recording.state, &*recording.metadata["meetingId"]), (RecordingState::Published, "m"));
}

#[tokio::test]
async fn a_chapter_belongs_to_the_meeting_that_was_cut() {
    let rig = Rig::new().await;
    let whole = Recorded::new(1, "lesson");
    let chapter = Recorded { id: format!("{}-60000", whole.id), ..whole.clone() };
    rig.import(&chapter, &["podcast"]).await.expect("it is imported");
    adopt(&rig).await;
    assert_eq!(rig.found(&chapter).await.frontend, None);
    rig.know(&whole).await;
    adopt(&rig).await;
    let recording = rig.found(&chapter).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "lesson"));
}

#[tokio::test]
async fn a_breakout_belongs_to_the_frontend_of_its_parent() {
    let rig = Rig::new().await;
    let parent = rig.recorded(1, "lesson").await;
    let breakout = Recorded { parent: Some(parent.id.clone()), ..Recorded::new(2, "3c5d-room-1") };
    rig.import(&breakout, &["presentation"]).await.expect("it is imported");
    let recording = rig.found(&breakout).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "3c5d-room-1"));
    assert!(recording.is_breakout);
    assert_eq!(recording.breakout.expect("it has a parent").parent_id, parent.id);

    let orphan = Recorded { parent: Some(Recorded::new(3, "late").id), ..Recorded::new(4, "3c5d-room-2") };
    rig.import(&orphan, &["presentation"]).await.expect("it is imported");
    assert_eq!(rig.found(&orphan).await.frontend, None);
    rig.know(&Recorded::new(3, "late")).await;
    adopt(&rig).await;
    let recording = rig.found(&orphan).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "3c5d-room-2"));
}

#[tokio::test]
async fn the_recording_of_a_removed_frontend_is_kept_without_one() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    rig.cluster.store.frontends().remove(rig.cluster.frontend).await.unwrap();
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, recording.state), (None, RecordingState::Unpublished));
    adopt(&rig).await;
    assert_eq!(rig.found(&recorded).await.frontend, None);
}

#[tokio::test]
async fn a_frontends_override_comes_before_the_meetings_wish_and_that_before_the_default() {
    let rig = Rig::with(|settings| settings.default_visibility = Visibility::Protected).await;
    let plain = rig.recorded(1, "plain").await;
    rig.import(&plain, &["podcast"]).await.expect("it is imported");
    assert_eq!(rig.found(&plain).await.visibility(), Visibility::Protected);

    let public = FrontendSettings {
        recordings: Some(RecordingSettings { visibility_override: Some(Visibility::Public), ..Default::default() }),
        ..FrontendSettings::default()
    };
    let change = |there: &b3scale_middleware::cluster::Frontend, _| {
        let mut changed = there.clone();
        changed.settings = public.clone();
        Ok::<_, b3scale::store::StoreError>(changed)
    };
    rig.cluster.store.frontends().change(rig.cluster.frontend, change).await.unwrap();
    let forced = rig.recorded(2, "forced").await;
    rig.import(&forced, &["podcast"]).await.expect("it is imported");
    assert_eq!(rig.found(&forced).await.visibility(), Visibility::Public);
}
