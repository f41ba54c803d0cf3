//! Batches of the agent on a node: events, and snapshots.
//!
//! Not known to the original. Batches of one start of an agent are numbered from 1 without gaps, and each counts once, however often
//! and to any server. BBB's events have no numbers and are not repeated, so a batch may carry a snapshot
//! instead: at the start, after anything was missed, and when the server asks for it.

use std::fmt;
use std::marker::PhantomData;

use b3scale_middleware::bbb::MeetingId;
use b3scale_middleware::cluster::{Attendee, NodeBatch, NodeEvent, NodeFigures, NodeMeeting};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Events on a node since the last batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// New at each start of the agent.
    pub boot: Uuid,
    /// Counts the batches of this start, from 1.
    pub seq: u64,
    /// Everything that runs on the node, in place of what was said before. The events come after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
    /// Whether the agent is connected to the node's Redis, from which it reads events. While it is not, knowledge of the node
    /// may be old, as if no agent were there.
    #[serde(default = "yes")]
    pub redis_connected: bool,
    /// In the order in which they happened. None: the agent is there.
    #[serde(default, deserialize_with = "list::<_, _, { Batch::MOST_EVENTS }>")]
    pub events: Vec<NodeEvent>,
    /// Figures of the machine.
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
    /// The most meetings of a snapshot.
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

    /// The batch as the store takes it in.
    pub fn report(&self) -> NodeBatch<'_> {
        let Self { boot, seq, snapshot, redis_connected, events, node } = self;
        let snapshot = snapshot
            .as_ref()
            .map(|snapshot| snapshot.meetings.iter().map(|there| (&there.meeting, &*there.attendees)).collect());
        NodeBatch { boot: *boot, seq: *seq, snapshot, redis_connected: *redis_connected, events, node }
    }

    /// The same with storable texts: bounded, and without U+0000. A user's choice of
    /// themselves must not keep an agent from being heard.
    pub fn tidy(&mut self) {
        for there in self.snapshot.iter_mut().flat_map(|snapshot| &mut snapshot.meetings) {
            tidy_meeting(&mut there.meeting);
            there.attendees.iter_mut().for_each(tidy_attendee);
        }
        for event in &mut self.events {
            match event {
                NodeEvent::MeetingCreated { meeting } => tidy_meeting(meeting),
                NodeEvent::AttendeeJoined { meeting, attendee } => {
                    tidy(meeting, LONGEST_ID);
                    tidy_attendee(attendee);
                }
                NodeEvent::MeetingEnded { meeting } | NodeEvent::RecordingChanged { meeting, .. } => {
                    tidy(meeting, LONGEST_ID);
                }
                NodeEvent::AttendeeLeft { meeting, attendee }
                | NodeEvent::AttendeeChanged { meeting, attendee, .. } => {
                    tidy(meeting, LONGEST_ID);
                    tidy(attendee, LONGEST_ID);
                }
                NodeEvent::Unknown => {}
            }
        }
        tidy(&mut self.node.bbb_version, LONGEST_TEXT);
    }
}

fn tidy_meeting(meeting: &mut NodeMeeting) {
    tidy(&mut meeting.internal_id, LONGEST_ID);
    tidy(&mut meeting.id, LONGEST_ID);
}

fn tidy_attendee(attendee: &mut Attendee) {
    tidy(&mut attendee.internal_id, LONGEST_ID);
    tidy(&mut attendee.user_id, LONGEST_TEXT);
    tidy(&mut attendee.full_name, LONGEST_TEXT);
    tidy(&mut attendee.client_type, LONGEST_TEXT);
}

fn yes() -> bool {
    true
}

/// Reads a list up to one entry beyond its bound, and skips the rest.
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
    pub attendees: Vec<Attendee>,
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
