//! The events of a batch, folded: their final state, to be written.

use std::collections::{BTreeMap, BTreeSet};

use b3scale_middleware::cluster::{Attendee, AttendeeChange, NodeBatch, NodeEvent, NodeMeeting};

/// Who in which meeting, by the node's own ids.
pub(crate) type Who<'a> = (&'a str, &'a str);

/// The result of a batch. Events of an ended meeting, or of an attendee after their leaving, come too late.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Folded<'a> {
    /// Whether it is the snapshot.
    pub(crate) whole: bool,
    /// Meetings that are there.
    pub(crate) meetings: BTreeMap<&'a str, NodeMeeting>,
    /// Meetings that have ended.
    pub(crate) ended: BTreeSet<&'a str>,
    /// Recordings started or paused, in meetings without other events.
    pub(crate) recordings: BTreeMap<&'a str, bool>,
    /// Attendees who are there.
    pub(crate) there: BTreeMap<Who<'a>, Attendee>,
    /// Attendees who have left.
    pub(crate) left: BTreeSet<Who<'a>>,
    /// Changed fields of attendees without other events.
    pub(crate) changed: BTreeMap<Who<'a>, AttendeeChange>,
}

impl<'a> Folded<'a> {
    pub(crate) fn of(batch: &NodeBatch<'a>) -> Self {
        let mut folded = Self { whole: batch.snapshot.is_some(), ..Self::default() };
        for (meeting, attendees) in batch.snapshot.iter().flatten() {
            folded.create(meeting);
            attendees.iter().for_each(|attendee| folded.join(&meeting.internal_id, attendee));
        }
        batch.events.iter().for_each(|event| folded.happen(event));
        folded
    }

    fn happen(&mut self, event: &'a NodeEvent) {
        match event {
            NodeEvent::MeetingCreated { meeting } => self.create(meeting),
            NodeEvent::MeetingEnded { meeting } => self.end(meeting),
            NodeEvent::RecordingChanged { meeting, recording } => self.record(meeting, *recording),
            NodeEvent::AttendeeJoined { meeting, attendee } => self.join(meeting, attendee),
            NodeEvent::AttendeeLeft { meeting, attendee } => self.leave((meeting, attendee)),
            NodeEvent::AttendeeChanged { meeting, attendee, change } => self.change((meeting, attendee), *change),
            NodeEvent::Unknown => {}
        }
    }

    fn create(&mut self, meeting: &'a NodeMeeting) {
        if !self.ended.contains(&*meeting.internal_id) {
            self.meetings.insert(&meeting.internal_id, meeting.clone());
        }
    }

    fn end(&mut self, meeting: &'a str) {
        if !self.ended.insert(meeting) {
            return;
        }
        self.meetings.remove(meeting);
        self.recordings.remove(meeting);
        self.there.retain(|who, _| who.0 != meeting);
        self.left.retain(|who| who.0 != meeting);
        self.changed.retain(|who, _| who.0 != meeting);
    }

    fn record(&mut self, meeting: &'a str, recording: bool) {
        match self.meetings.get_mut(meeting) {
            Some(there) => there.recording = recording,
            None if self.ended.contains(meeting) => {}
            None => {
                self.recordings.insert(meeting, recording);
            }
        }
    }

    fn join(&mut self, meeting: &'a str, attendee: &'a Attendee) {
        let who = (meeting, &*attendee.internal_id);
        if !self.ended.contains(meeting) {
            self.left.remove(&who);
            self.changed.remove(&who);
            self.there.insert(who, attendee.clone());
        }
    }

    fn leave(&mut self, who: Who<'a>) {
        if !self.ended.contains(who.0) {
            self.there.remove(&who);
            self.changed.remove(&who);
            self.left.insert(who);
        }
    }

    fn change(&mut self, who: Who<'a>, change: AttendeeChange) {
        match self.there.get_mut(&who) {
            Some(there) => change.apply(there),
            None if self.left.contains(&who) || self.ended.contains(who.0) => {}
            None => self.changed.entry(who).or_default().extend(change),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use b3scale_middleware::cluster::NodeFigures;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    static NODE: LazyLock<NodeFigures> = LazyLock::new(NodeFigures::default);

    fn events(json: serde_json::Value) -> Vec<NodeEvent> {
        serde_json::from_value(json).expect("these are events")
    }

    fn folded(events: &[NodeEvent]) -> Folded<'_> {
        let boot = Uuid::from_u128(1);
        Folded::of(&NodeBatch {
            boot,
            seq: 1,
            snapshot: None,
            redis_connected: true,
            events,
            mapped: None,
            node: &NODE,
        })
    }

    #[test]
    fn of_several_events_the_last_word_counts() {
        let events = events(json!([
            {"type": "attendee_joined", "meeting": "m", "attendee": {"internal_id": "a", "full_name": "Ada"}},
            {"type": "attendee_changed", "meeting": "m", "attendee": "a", "presenter": true},
            {"type": "attendee_joined", "meeting": "m", "attendee": {"internal_id": "b"}},
            {"type": "attendee_left", "meeting": "m", "attendee": "b"},
            {"type": "attendee_changed", "meeting": "m", "attendee": "b", "has_video": true},
            {"type": "attendee_changed", "meeting": "m", "attendee": "c", "has_video": true},
            {"type": "attendee_changed", "meeting": "m", "attendee": "c", "moderator": false},
            {"type": "raised_hand", "meeting": "m"},
        ]));
        let folded = folded(&events);
        assert_eq!(folded.there.keys().collect::<Vec<_>>(), [&("m", "a")]);
        assert!(folded.there[&("m", "a")].presenter);
        assert_eq!(folded.left.iter().collect::<Vec<_>>(), [&("m", "b")]);
        let changed = AttendeeChange { has_video: Some(true), moderator: Some(false), ..AttendeeChange::default() };
        assert_eq!(folded.changed.into_iter().collect::<Vec<_>>(), [(("m", "c"), changed)]);
    }

    #[test]
    fn nobody_is_in_a_meeting_that_has_ended_whatever_is_said_late() {
        let events = events(json!([
            {"type": "meeting_created", "meeting": {"internal_id": "m", "id": "x"}},
            {"type": "attendee_joined", "meeting": "m", "attendee": {"internal_id": "a"}},
            {"type": "meeting_ended", "meeting": "m"},
            {"type": "attendee_joined", "meeting": "m", "attendee": {"internal_id": "b"}},
            {"type": "recording_changed", "meeting": "m", "recording": true},
            {"type": "meeting_created", "meeting": {"internal_id": "m", "id": "x"}},
        ]));
        let folded = folded(&events);
        assert_eq!(folded, Folded { ended: BTreeSet::from(["m"]), ..Folded::default() });
    }
}
