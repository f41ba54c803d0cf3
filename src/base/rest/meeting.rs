//! Meetings. Fields inside `meeting` are spelt as the original's structs are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A meeting and where it lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Meeting {
    /// The id its node knows it by.
    pub id: String,
    /// The node's own id of it; empty until the node has made it.
    pub internal_id: String,
    /// Its node's report.
    pub meeting: MeetingInfo,
    /// Its frontend. `null`: none. Its node runs it, and no tenant can reach it.
    pub frontend_id: Option<Uuid>,
    /// Where it lives.
    pub backend_id: Option<Uuid>,
    /// When it was given its place.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its row last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When its node last answered.
    #[serde(with = "time::serde::rfc3339")]
    pub synced_at: OffsetDateTime,
    /// How far it has come. Not known to the original.
    pub state: MeetingStage,
    /// The id its frontend knows it by. Not known to the original.
    pub frontend_meeting_id: String,
}

/// How far a meeting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MeetingStage {
    /// It has a place; its node has not answered yet.
    Claimed,
    /// Its node runs it.
    Live,
    /// Its end was accepted and not seen yet.
    Ending,
    /// Its node is lost.
    Detached,
}

/// A node's report of a meeting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct MeetingInfo {
    /// Its name.
    pub meeting_name: String,
    /// The id its node knows it by.
    #[serde(rename = "MeetingID")]
    pub meeting_id: String,
    /// The node's own id of it.
    #[serde(rename = "InternalMeetingID")]
    pub internal_meeting_id: String,
    /// Milliseconds since 1970.
    pub create_time: i64,
    /// The same for people, as the node writes it.
    pub create_date: String,
    /// For telephones.
    pub voice_bridge: String,
    /// For telephones.
    pub dial_number: String,
    /// What attendees join with.
    #[serde(rename = "AttendeePW")]
    pub attendee_pw: String,
    /// What moderators join with.
    #[serde(rename = "ModeratorPW")]
    pub moderator_pw: String,
    /// Whether anybody has joined.
    pub running: bool,
    /// Minutes; 0: no limit.
    pub duration: i64,
    /// Whether it is recorded.
    pub recording: bool,
    /// Whether it was ended by a call.
    pub has_been_forcibly_ended: bool,
    /// Milliseconds since 1970.
    pub start_time: i64,
    /// Milliseconds since 1970; 0: it runs.
    pub end_time: i64,
    /// People in it.
    pub participant_count: i64,
    /// Listen-only attendees.
    pub listener_count: i64,
    /// Attendees in voice.
    pub voice_participant_count: i64,
    /// Cameras that are on.
    pub video_count: i64,
    /// People that it takes; 0: any number.
    pub max_users: i64,
    /// Moderators in it.
    pub moderator_count: i64,
    /// Whether it is a breakout.
    pub is_breakout: bool,
    /// Metadata of its create.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Who is in it.
    pub attendees: Option<Vec<Attendee>>,
    /// The ids of its breakouts.
    pub breakout_rooms: Option<Vec<String>>,
    /// Its parent, if it is a breakout.
    pub breakout: Option<Breakout>,
}

/// Someone in a meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Attendee {
    /// The frontend's id.
    #[serde(rename = "UserID")]
    pub user_id: String,
    /// The node's id.
    #[serde(rename = "InternalUserID")]
    pub internal_user_id: String,
    /// The name.
    pub full_name: String,
    /// `MODERATOR` or `VIEWER`.
    pub role: String,
    /// Whether they present.
    pub is_presenter: bool,
    /// Whether they listen only.
    pub is_listening_only: bool,
    /// Whether they may speak.
    pub has_joined_voice: bool,
    /// Whether their camera is on.
    pub has_video: bool,
    /// `HTML5` and others.
    pub client_type: String,
}

/// The parent of a breakout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Breakout {
    /// The internal id of the meeting it belongs to.
    #[serde(rename = "ParentMeetingID")]
    pub parent_meeting_id: String,
    /// Its number.
    pub sequence: i64,
    /// Whether people choose it themselves.
    pub free_join: bool,
}

/// Changes of a meeting until its node's next report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeetingChange {
    /// Merged; missing fields stay.
    #[serde(default)]
    pub meeting: Option<MeetingInfo>,
}
