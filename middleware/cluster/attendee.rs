//! Attendees and the meetings they are in, as a node reports them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Someone in a meeting, as its node knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NodeAttendee))]
pub struct Attendee {
    /// The node's id.
    pub internal_id: String,
    /// The frontend's id.
    #[serde(default)]
    pub user_id: String,
    /// The name.
    #[serde(default)]
    pub full_name: String,
    /// Whether they moderate.
    #[serde(default)]
    pub moderator: bool,
    /// Whether they present.
    #[serde(default)]
    pub presenter: bool,
    /// Whether they listen only.
    #[serde(default)]
    pub listening_only: bool,
    /// Whether they may speak.
    #[serde(default)]
    pub joined_voice: bool,
    /// Whether a camera of theirs is on.
    #[serde(default)]
    pub has_video: bool,
    /// `HTML5` and others.
    #[serde(default)]
    pub client_type: String,
}

/// Changed fields of an attendee. Missing fields are unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AttendeeChange {
    /// Whether they moderate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moderator: Option<bool>,
    /// Whether they present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presenter: Option<bool>,
    /// Whether they listen only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listening_only: Option<bool>,
    /// Whether they may speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_voice: Option<bool>,
    /// Whether a camera of theirs is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_video: Option<bool>,
}

impl AttendeeChange {
    /// Changes an attendee.
    pub fn apply(self, attendee: &mut Attendee) {
        let Self { moderator, presenter, listening_only, joined_voice, has_video } = self;
        attendee.moderator = moderator.unwrap_or(attendee.moderator);
        attendee.presenter = presenter.unwrap_or(attendee.presenter);
        attendee.listening_only = listening_only.unwrap_or(attendee.listening_only);
        attendee.joined_voice = joined_voice.unwrap_or(attendee.joined_voice);
        attendee.has_video = has_video.unwrap_or(attendee.has_video);
    }

    /// Adds a later change of the same attendee.
    pub fn extend(&mut self, later: Self) {
        self.moderator = later.moderator.or(self.moderator);
        self.presenter = later.presenter.or(self.presenter);
        self.listening_only = later.listening_only.or(self.listening_only);
        self.joined_voice = later.joined_voice.or(self.joined_voice);
        self.has_video = later.has_video.or(self.has_video);
    }
}

/// A meeting as its node knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeMeeting {
    /// The node's own id of it.
    pub internal_id: String,
    /// The id it was created with.
    pub id: String,
    /// Milliseconds since 1970, by the node's clock.
    #[serde(default)]
    pub create_time: i64,
    /// Whether it is a breakout. Its attendees are in its parent, too.
    #[serde(default)]
    pub breakout: bool,
    /// Whether it is being recorded right now.
    #[serde(default)]
    pub recording: bool,
}

/// A meeting and who is in it, by the word of its node's agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PresentMeeting {
    /// The meeting.
    pub meeting: NodeMeeting,
    /// By the node's own ids.
    pub attendees: BTreeMap<String, Attendee>,
}

/// Changes on a node, by the word of its agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presence {
    /// By the node's own ids. `None`: it has ended.
    pub meetings: BTreeMap<String, Option<NodeMeeting>>,
    /// By the meeting's and the attendee's ids of the node. `None`: they have left.
    pub attendees: BTreeMap<(String, String), Option<Attendee>>,
}
