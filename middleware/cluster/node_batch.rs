//! Batches: reports of a node's agent.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Attendee, AttendeeChange, NodeMeeting, RawJson};

/// Events on a node since the last batch.
#[derive(Clone, Debug)]
pub struct NodeBatch<'a> {
    /// New at each start of the agent.
    pub boot: Uuid,
    /// Counts the batches of this start, from 1.
    pub seq: u64,
    /// Everything that runs on the node. It replaces earlier snapshots and events, and the events of this batch follow it.
    pub snapshot: Option<Vec<(&'a NodeMeeting, &'a [Attendee])>>,
    /// Whether the agent is connected to the node's Redis. If not, its attendees may be outdated.
    pub redis_connected: bool,
    /// In the order in which they happened. None: the agent is there.
    pub events: &'a [NodeEvent],
    /// What webhooks get. `None`: what the events hold.
    pub mapped: Option<&'a [MappedEvent]>,
    /// Figures of the machine.
    pub node: &'a NodeFigures,
}

/// The outcome of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The last batch of this start of the agent that counts; 0: none does.
    pub seq: u64,
    /// Whether the next batch must carry a snapshot, since the node's state is incomplete. Its number is free to choose above
    /// `seq`.
    pub snapshot: bool,
    /// What the next batches should hold for webhooks.
    #[serde(default, skip_serializing_if = "Wants::is_nothing")]
    pub wants: Wants,
}

impl Receipt {
    /// The outcome where no webhook wants anything.
    pub fn new(seq: u64, snapshot: bool) -> Self {
        Self { seq, snapshot, wants: Wants::default() }
    }
}

/// What webhooks want of the agents. Missing: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Wants {
    /// Events as bbb-webhooks maps them.
    pub told: bool,
    /// BBB's own messages in them.
    pub raw: bool,
}

impl Wants {
    /// Whether no webhook wants anything.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// An event on a node. A server skips unknown ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Event))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NodeEvent {
    /// A meeting was created.
    MeetingCreated {
        /// Which.
        meeting: NodeMeeting,
    },
    /// The meeting ended, or its node has dropped it. It has no attendees any more.
    MeetingEnded {
        /// The node's own id of it.
        meeting: String,
    },
    /// A recording was started or paused.
    RecordingChanged {
        /// The node's own id of the meeting.
        meeting: String,
        /// Whether it is being recorded now.
        recording: bool,
    },
    /// Someone has joined.
    AttendeeJoined {
        /// The node's own id of the meeting.
        meeting: String,
        /// Who.
        attendee: Attendee,
    },
    /// Someone has left.
    AttendeeLeft {
        /// The node's own id of the meeting.
        meeting: String,
        /// The node's id of the attendee.
        attendee: String,
    },
    /// An attendee has changed.
    AttendeeChanged {
        /// The node's own id of the meeting.
        meeting: String,
        /// The node's id of the attendee.
        attendee: String,
        /// What.
        #[serde(flatten)]
        change: AttendeeChange,
    },
    /// An event of a newer agent.
    #[serde(other)]
    Unknown,
}

/// An event for webhooks, as bbb-webhooks maps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MappedEvent {
    /// The node's own id of the meeting.
    pub meeting: String,
    /// The name in bbb-webhooks, such as `user-joined`.
    pub name: String,
    /// Milliseconds since 1970; of a recording's progress seconds.
    pub ts: i64,
    /// The attributes, with the ids of the node.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub attributes: RawJson,
    /// BBB's message, where it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub raw: Option<RawJson>,
}

/// Figures of a node's machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct NodeFigures {
    /// How busy the processors are, from 0 to 1.
    pub cpu: f32,
    /// How full the memory is, from 0 to 1.
    pub memory: f32,
    /// The load average of the last minute, per processor.
    pub load_average: f32,
    /// Bytes a second that come in.
    pub network_in: f64,
    /// Bytes a second that go out.
    pub network_out: f64,
    /// The release of BBB. Empty: it is not known.
    pub bbb_version: String,
    /// Meetings that run, as the agent counts them.
    pub meetings: u32,
    /// People in them, as the agent counts them.
    pub attendees: u32,
}
