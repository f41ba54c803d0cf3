//! A node's report of a meeting, from its XML into the spelling of the original.

use std::collections::BTreeMap;

use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::Meeting;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::admin::body::Shaped;
use crate::admin::problem::Problem;
use crate::cluster::{Cluster, Stray, Unshown};
use crate::rest::shape::Shape;
use crate::rest::{Attendee, Breakout, MeetingInfo};

static ATTENDEE: Shape = Shape::Object(&[
    ("UserID", Shape::Text),
    ("InternalUserID", Shape::Text),
    ("FullName", Shape::Text),
    ("Role", Shape::Text),
    ("IsPresenter", Shape::Flag),
    ("IsListeningOnly", Shape::Flag),
    ("HasJoinedVoice", Shape::Flag),
    ("HasVideo", Shape::Flag),
    ("ClientType", Shape::Text),
]);

static BREAKOUT: Shape =
    Shape::Object(&[("ParentMeetingID", Shape::Text), ("Sequence", Shape::Whole), ("FreeJoin", Shape::Flag)]);

/// The fields of a meeting. Its ids are its own.
static INFO: Shape = Shape::Object(&[
    ("MeetingName", Shape::Text),
    ("CreateTime", Shape::Whole),
    ("CreateDate", Shape::Text),
    ("VoiceBridge", Shape::Text),
    ("DialNumber", Shape::Text),
    ("AttendeePW", Shape::Text),
    ("ModeratorPW", Shape::Text),
    ("Running", Shape::Flag),
    ("Duration", Shape::Whole),
    ("Recording", Shape::Flag),
    ("HasBeenForciblyEnded", Shape::Flag),
    ("StartTime", Shape::Whole),
    ("EndTime", Shape::Whole),
    ("ParticipantCount", Shape::Whole),
    ("ListenerCount", Shape::Whole),
    ("VoiceParticipantCount", Shape::Whole),
    ("VideoCount", Shape::Whole),
    ("MaxUsers", Shape::Whole),
    ("ModeratorCount", Shape::Whole),
    ("IsBreakout", Shape::Flag),
    ("Metadata", Shape::Texts),
    ("Attendees", Shape::List(&ATTENDEE)),
    ("BreakoutRooms", Shape::List(&Shape::Text)),
    ("Breakout", Shape::Optional(&BREAKOUT)),
]);

/// The body of a change.
pub(in crate::admin) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[("meeting", Shape::Optional(&INFO))]);
}

/// A meeting's fields, with the change merged over them.
pub(super) fn changed(there: &MeetingInfo, said: Value) -> Result<Value, Problem> {
    let mut changed = serde_json::to_value(there).map_err(|_| Problem::Internal)?;
    INFO.merge(&mut changed, said);
    // What cannot be read back is not kept.
    MeetingInfo::deserialize(&changed).map_err(|error| Problem::Body(error.to_string()))?;
    Ok(changed)
}

/// A meeting's fields: from its node's report or, if that is younger, from a change.
pub(super) fn read(meeting: &Meeting, cluster: &Cluster, patch: Option<&Value>) -> MeetingInfo {
    let set = patch.and_then(|patch| MeetingInfo::deserialize(patch).ok());
    let reported = || Some(of_entry(&cluster.reported(meeting)?, cluster.unshown(meeting)));
    MeetingInfo {
        meeting_id: meeting.id.to_string(),
        internal_meeting_id: meeting.internal_id.clone().unwrap_or_default(),
        ..set.or_else(reported).unwrap_or_default()
    }
}

/// A node's report of a stray.
pub(super) fn of_stray(stray: &Stray) -> MeetingInfo {
    MeetingInfo {
        meeting_id: stray.id.to_string(),
        internal_meeting_id: stray.internal_id.clone(),
        ..stray.entry.as_ref().map(|entry| of_entry(entry, stray.unshown.clone())).unwrap_or_default()
    }
}

/// The fields of an entry of a list, with the parts hidden from its tenant. It has been read before, so unreadable parts are empty.
fn of_entry(entry: &Bytes, unshown: Unshown) -> MeetingInfo {
    let said = Said::of(entry, &["meeting"]);
    MeetingInfo {
        meeting_name: said.text("meetingName"),
        create_time: said.number("createTime"),
        create_date: said.text("createDate"),
        voice_bridge: said.text("voiceBridge"),
        dial_number: said.text("dialNumber"),
        attendee_pw: said.text("attendeePW"),
        moderator_pw: said.text("moderatorPW"),
        running: said.flag("running"),
        duration: said.number("duration"),
        recording: said.flag("recording"),
        has_been_forcibly_ended: said.flag("hasBeenForciblyEnded"),
        start_time: said.number("startTime"),
        end_time: said.number("endTime"),
        participant_count: said.number("participantCount"),
        listener_count: said.number("listenerCount"),
        voice_participant_count: said.number("voiceParticipantCount"),
        video_count: said.number("videoCount"),
        max_users: said.number("maxUsers"),
        moderator_count: said.number("moderatorCount"),
        is_breakout: said.flag("isBreakout"),
        metadata: Some(Said::of(entry, &["meeting", "metadata"]).0.into_iter().chain(unshown.metadata).collect()),
        attendees: some(inner(entry, &["meeting", "attendees", "attendee"]).iter().map(attendee).collect()),
        breakout_rooms: some(unshown.breakout_rooms),
        breakout: said.flag("isBreakout").then(|| Breakout {
            parent_meeting_id: said.text("parentMeetingID"),
            sequence: said.number("sequence"),
            free_join: said.flag("freeJoin"),
        }),
        ..MeetingInfo::default()
    }
}

/// Lists that nodes leave empty are `null` in the original.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

fn attendee(entry: &Bytes) -> Attendee {
    let said = Said::of(entry, &["attendee"]);
    Attendee {
        user_id: said.text("userID"),
        internal_user_id: said.text("internalUserID"),
        full_name: said.text("fullName"),
        role: said.text("role"),
        is_presenter: said.flag("isPresenter"),
        is_listening_only: said.flag("isListeningOnly"),
        has_joined_voice: said.flag("hasJoinedVoice"),
        has_video: said.flag("hasVideo"),
        client_type: said.text("clientType"),
    }
}

fn inner(entry: &Bytes, path: &[&str]) -> Vec<Bytes> {
    xml::elements(entry, path).unwrap_or_default()
}

/// The children of an element and their texts.
struct Said(BTreeMap<String, String>);

impl Said {
    fn of(entry: &Bytes, path: &[&str]) -> Self {
        Self(xml::children(entry, path).unwrap_or_default().into_iter().collect())
    }

    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|text| text.trim() == "true")
    }

    fn number(&self, name: &str) -> i64 {
        self.0.get(name).and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }
}
