//! What the agent on a node says of it: batches of events, and whole pictures.
//!
//! Not known to the original. Batches of one start of an agent are numbered from 1 without gaps, and each counts once, however often
//! and to whichever server it is sent. BBB's events have no numbers and are not repeated, so a batch may carry a whole picture
//! instead: at the start, after anything was missed, and when the server asks for it.

use std::fmt;
use std::marker::PhantomData;

use b3scale_middleware::bbb::MeetingId;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What has happened on a node since the last batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Made anew with each start of the agent.
    pub boot: Uuid,
    /// Counts the batches of this start, from 1.
    pub seq: u64,
    /// Everything that runs on the node, in place of what was said before. The events come after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Whether nothing is heard of the node's events right now. What is known of the node may be old then, as if no agent were there.
    #[serde(default)]
    pub deaf: bool,
    /// In the order in which they happened. None: the agent is there.
    #[serde(default, deserialize_with = "list::<_, _, { Batch::MOST_EVENTS }>")]
    pub events: Vec<Event>,
    /// How the machine fares.
    #[serde(default)]
    pub node: NodeFigures,
}

/// The most characters of an id by which something is found. BBB refuses longer ones, and PostgreSQL could not keep them in an index.
const LONGEST_ID: usize = MeetingId::MAX_CHARS;

/// The most characters of any other text.
const LONGEST_TEXT: usize = 1000;

impl Batch {
    /// The most events of a batch.
    pub const MOST_EVENTS: usize = 10_000;
    /// The most meetings of a picture.
    pub const MOST_MEETINGS: usize = 10_000;
    /// The most people of a meeting in it.
    pub const MOST_ATTENDEES: usize = 10_000;

    /// Whether one of its lists is longer than it may be. Of such a list no more than one entry beyond has been read.
    pub fn is_too_long(&self) -> bool {
        let meetings = self.snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.meetings);
        self.events.len() > Self::MOST_EVENTS
            || meetings.len() > Self::MOST_MEETINGS
            || meetings.iter().any(|meeting| meeting.attendees.len() > Self::MOST_ATTENDEES)
    }

    /// The same with texts that can be kept: bounded, and without the one character that no database has. What a user calls
    /// themselves must not keep an agent from being heard.
    pub fn tidy(&mut self) {
        for there in self.snapshot.iter_mut().flat_map(|snapshot| &mut snapshot.meetings) {
            there.meeting.tidy();
            there.attendees.iter_mut().for_each(NodeAttendee::tidy);
        }
        for event in &mut self.events {
            match event {
                Event::MeetingCreated { meeting } => meeting.tidy(),
                Event::AttendeeJoined { meeting, attendee } => {
                    tidy(meeting, LONGEST_ID);
                    attendee.tidy();
                }
                Event::MeetingEnded { meeting } | Event::RecordingChanged { meeting, .. } => tidy(meeting, LONGEST_ID),
                Event::AttendeeLeft { meeting, attendee } | Event::AttendeeChanged { meeting, attendee, .. } => {
                    tidy(meeting, LONGEST_ID);
                    tidy(attendee, LONGEST_ID);
                }
                Event::Unknown => {}
            }
        }
        tidy(&mut self.node.bbb_version, LONGEST_TEXT);
    }
}

impl NodeMeeting {
    fn tidy(&mut self) {
        tidy(&mut self.internal_id, LONGEST_ID);
        tidy(&mut self.id, LONGEST_ID);
    }
}

impl NodeAttendee {
    fn tidy(&mut self) {
        tidy(&mut self.internal_id, LONGEST_ID);
        tidy(&mut self.user_id, LONGEST_TEXT);
        tidy(&mut self.full_name, LONGEST_TEXT);
        tidy(&mut self.client_type, LONGEST_TEXT);
    }
}

/// Reads a list up to one entry beyond what it may have, and passes over the rest.
fn list<'de, D, T, const MOST: usize>(json: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while list.len() <= MOST {
                let Some(entry) = entries.next_element()? else { return Ok(list) };
                list.push(entry);
            }
            while entries.next_element::<IgnoredAny>()?.is_some() {}
            Ok(list)
        }
    }

    json.deserialize_seq(List::<T, MOST>(PhantomData))
}

fn tidy(text: &mut String, longest: usize) {
    if text.contains('\0') {
        text.retain(|char| char != '\0');
    }
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
    }
}

/// Everything that runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snapshot {
    /// The meetings, with who is in them.
    #[serde(deserialize_with = "list::<_, _, { Batch::MOST_MEETINGS }>")]
    pub meetings: Vec<SnapshotMeeting>,
}

/// A meeting of a [`Snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotMeeting {
    /// The meeting itself.
    #[serde(flatten)]
    pub meeting: NodeMeeting,
    /// Who is in it.
    #[serde(default, deserialize_with = "list::<_, _, { Batch::MOST_ATTENDEES }>")]
    pub attendees: Vec<NodeAttendee>,
}

/// A meeting as its node knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeMeeting {
    /// The node's own id of it.
    pub internal_id: String,
    /// The id it was created with.
    pub id: String,
    /// Milliseconds since 1970, by the node's clock.
    #[serde(default)]
    pub create_time: i64,
    /// Whether it is a breakout, whose people are in its parent, too.
    #[serde(default)]
    pub breakout: bool,
    /// Whether it is being recorded right now.
    #[serde(default)]
    pub recording: bool,
}

/// Someone in a meeting, as its node knows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeAttendee {
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

/// Something that happened on a node. What is unknown to a server is passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
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
        attendee: NodeAttendee,
    },
    /// Someone has left.
    AttendeeLeft {
        /// The node's own id of the meeting.
        meeting: String,
        /// The node's id of the attendee.
        attendee: String,
    },
    /// Something about an attendee is another now.
    AttendeeChanged {
        /// The node's own id of the meeting.
        meeting: String,
        /// The node's id of the attendee.
        attendee: String,
        /// What.
        #[serde(flatten)]
        change: AttendeeChange,
    },
    /// What a newer agent may say.
    #[serde(other)]
    Unknown,
}

/// What is another about an attendee. What is not said is as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    pub fn apply(self, attendee: &mut NodeAttendee) {
        let Self { moderator, presenter, listening_only, joined_voice, has_video } = self;
        attendee.moderator = moderator.unwrap_or(attendee.moderator);
        attendee.presenter = presenter.unwrap_or(attendee.presenter);
        attendee.listening_only = listening_only.unwrap_or(attendee.listening_only);
        attendee.joined_voice = joined_voice.unwrap_or(attendee.joined_voice);
        attendee.has_video = has_video.unwrap_or(attendee.has_video);
    }

    /// Takes in a later change of the same attendee.
    pub fn follow(&mut self, later: Self) {
        self.moderator = later.moderator.or(self.moderator);
        self.presenter = later.presenter.or(self.presenter);
        self.listening_only = later.listening_only.or(self.listening_only);
        self.joined_voice = later.joined_voice.or(self.joined_voice);
        self.has_video = later.has_video.or(self.has_video);
    }
}

/// How the machine of a node fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
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

/// What became of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The last batch of this start of the agent that counts; 0: none does.
    pub seq: u64,
    /// Whether the next batch must carry a snapshot: what is known of the node is not whole. Its number is free to choose above
    /// `seq`.
    pub snapshot: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(events: usize) -> Batch {
        let events = vec![r#"{"type":"meeting_ended","meeting":"m"}"#; events].join(",");
        serde_json::from_str(&format!(r#"{{"boot":"{}","seq":1,"events":[{events}]}}"#, Uuid::nil())).unwrap()
    }

    #[test]
    fn of_a_list_that_is_too_long_no_more_is_read_than_shows_that() {
        let longest = batch(Batch::MOST_EVENTS);
        assert!(longest.events.len() == Batch::MOST_EVENTS && !longest.is_too_long());
        let longer = batch(3 * Batch::MOST_EVENTS);
        assert!(longer.events.len() == Batch::MOST_EVENTS + 1 && longer.is_too_long());
    }
}
