//! Batches of the agent on a node: events, and snapshots.
//!
//! Not known to the original. Batches of one start of an agent are numbered from 1 without gaps, and each counts once, however often
//! and to any server. BBB's events have no numbers and are not repeated, so a batch may carry a snapshot
//! instead: at the start, after anything was missed, and when the server asks for it.

mod bounded;

use std::fmt;
use std::marker::PhantomData;

use b3scale_middleware::bbb::MeetingId;
use b3scale_middleware::cluster::{Attendee, MappedEvent, NodeBatch, NodeEvent, NodeFigures, NodeMeeting};
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
    /// Events for webhooks, in their order. Missing: webhooks get what the other events hold.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "some_list::<_, _, { Batch::MOST_EVENTS }>"
    )]
    pub mapped: Option<Vec<MappedEvent>>,
    /// Figures of the machine.
    #[serde(default)]
    pub node: NodeFigures,
}

/// The most characters of an id by which something is found. BBB refuses longer ones, and PostgreSQL could not keep them in an index.
const LONGEST_ID: usize = MeetingId::MAX_CHARS;

/// The most characters of any other text.
const LONGEST_TEXT: usize = 1000;

/// The most characters of an event's name.
const LONGEST_NAME: usize = 100;

impl Batch {
    /// The most events of a batch.
    pub const MOST_EVENTS: usize = 10_000;
    /// The most meetings of a snapshot.
    pub const MOST_MEETINGS: usize = 10_000;
    /// The most people of a meeting in it.
    pub const MOST_ATTENDEES: usize = 10_000;
    /// The most bytes of the attributes of an event for webhooks. A longer event is dropped.
    pub const LARGEST_ATTRIBUTES: usize = 16 << 10;
    /// The most bytes of BBB's message in it. A longer message is dropped.
    pub const LARGEST_RAW: usize = 64 << 10;

    /// Whether one of its lists is longer than it may be. Of such a list no more than one entry beyond has been read.
    pub fn is_too_long(&self) -> bool {
        let meetings = self.snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.meetings);
        self.events.len().max(self.mapped.as_ref().map_or(0, Vec::len)) > Self::MOST_EVENTS
            || meetings.len() > Self::MOST_MEETINGS
            || meetings.iter().any(|meeting| meeting.attendees.len() > Self::MOST_ATTENDEES)
    }

    /// The batch as the store takes it in.
    pub fn report(&self) -> NodeBatch<'_> {
        let Self { boot, seq, snapshot, redis_connected, events, mapped, node } = self;
        let snapshot = snapshot
            .as_ref()
            .map(|snapshot| snapshot.meetings.iter().map(|there| (&there.meeting, &*there.attendees)).collect());
        let (redis_connected, mapped) = (*redis_connected, mapped.as_deref());
        NodeBatch { boot: *boot, seq: *seq, snapshot, redis_connected, events, mapped, node }
    }

    /// The same with storable texts: bounded, and without U+0000. Names that users choose must not keep a batch from counting.
    pub fn tidy(&mut self) {
        for there in self.snapshot.iter_mut().flat_map(|snapshot| &mut snapshot.meetings) {
            tidy_meeting(&mut there.meeting);
            there.attendees.iter_mut().for_each(tidy_attendee);
        }
        self.events.iter_mut().for_each(tidy_event);
        self.mapped.iter_mut().for_each(|mapped| mapped.retain_mut(tidy_mapped));
        tidy(&mut self.node.bbb_version, LONGEST_TEXT);
    }
}

fn tidy_event(event: &mut NodeEvent) {
    match event {
        NodeEvent::MeetingCreated { meeting } => tidy_meeting(meeting),
        NodeEvent::AttendeeJoined { meeting, attendee } => {
            tidy(meeting, LONGEST_ID);
            tidy_attendee(attendee);
        }
        NodeEvent::MeetingEnded { meeting } | NodeEvent::RecordingChanged { meeting, .. } => {
            tidy(meeting, LONGEST_ID);
        }
        NodeEvent::AttendeeLeft { meeting, attendee } | NodeEvent::AttendeeChanged { meeting, attendee, .. } => {
            tidy(meeting, LONGEST_ID);
            tidy(attendee, LONGEST_ID);
        }
        NodeEvent::Unknown => {}
    }
}

/// False: it cannot be stored.
fn tidy_mapped(event: &mut MappedEvent) -> bool {
    tidy(&mut event.meeting, LONGEST_ID);
    tidy(&mut event.name, LONGEST_NAME);
    event.raw.take_if(|raw| !bounded::tidy_object(raw, Batch::LARGEST_RAW));
    bounded::tidy_object(&mut event.attributes, Batch::LARGEST_ATTRIBUTES)
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

fn some_list<'de, D, T, const MOST: usize>(json: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    list::<D, T, MOST>(json).map(Some)
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
    use b3scale_middleware::cluster::{Receipt, Wants};

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

    #[test]
    fn events_of_webhooks_are_bounded() {
        let told = |size: usize, raw: usize| {
            serde_json::json!({"meeting": "m\0", "name": "user-joined", "ts": 1,
                "attributes": {"name": "x\0".repeat(size)}, "raw": {"core": "y".repeat(raw)}})
        };
        let events = [told(10, 10), told(10, Batch::LARGEST_RAW), told(Batch::LARGEST_ATTRIBUTES, 10)];
        let batch = serde_json::json!({"boot": Uuid::nil(), "seq": 1, "events": [], "mapped": events});
        let mut batch: Batch = serde_json::from_value(batch).unwrap();
        batch.tidy();
        let kept = batch.mapped.iter().flatten().map(|event| (&*event.meeting, event.raw.is_some()));
        assert_eq!(kept.collect::<Vec<_>>(), [("m", true), ("m", false)]);
    }

    #[test]
    fn agents_and_servers_of_before_webhooks_are_understood() {
        let old =
            r#"{"boot":"00000000-0000-0000-0000-000000000000","seq":1,"redis_connected":true,"events":[],"node":{}}"#;
        assert_eq!(serde_json::from_str::<Batch>(old).unwrap().mapped, None);
        assert_eq!(serde_json::from_str::<Receipt>(r#"{"seq":1,"snapshot":false}"#).unwrap().wants, Wants::default());
        let (silent, receipt) = (batch(0), Receipt { seq: 1, ..Receipt::default() });
        assert!(!serde_json::to_string(&silent).unwrap().contains("mapped"));
        assert_eq!(serde_json::to_string(&receipt).unwrap(), r#"{"seq":1,"snapshot":false}"#);
        let wants = Receipt { wants: Wants { told: true, raw: false }, ..receipt };
        assert_eq!(
            serde_json::to_string(&wants).unwrap(),
            r#"{"seq":1,"snapshot":false,"wants":{"told":true,"raw":false}}"#
        );
    }
}
