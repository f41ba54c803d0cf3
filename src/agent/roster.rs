//! The attendees of this node, from events and from the node's own lists.
//!
//! A list of the node's meetings names people by the ids of their frontends; events name them by the node's own. An attendee from
//! before this agent listened is unidentified: known by the first id and not by the second. While there are such, the node is asked
//! again from time to time, so that their leaving is noticed.

mod identify;
mod room;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use b3scale_base::rest::{Event, NodeAttendee, NodeMeeting, Snapshot, SnapshotMeeting};
use tokio::time::Instant;

use super::message::{About, Heard};

use identify::Identities;
use room::Room;

/// How far a node's own list may lag behind its events: bbb-web learns of them by the same way as we do.
const LAG: Duration = Duration::from_secs(5);
/// The most events that are kept for a list that is still to come.
const MOST_RECENT: usize = 10_000;
/// The most remembered ends of meetings. They keep a late list from bringing a meeting back.
const MOST_ENDED: usize = 1000;

/// Who is on this node.
#[derive(Debug, Default)]
pub(super) struct Roster {
    rooms: BTreeMap<String, Room>,
    recent: VecDeque<Recent>,
    ended: VecDeque<String>,
    /// When the node was asked for the list that is still to come.
    asked: Option<Instant>,
    /// When the latest was heard that should have been kept and was not.
    lost: Option<Instant>,
    /// An event fitted nothing: the node must be asked again.
    puzzled: bool,
}

/// Something that was heard lately.
#[derive(Debug)]
struct Recent {
    at: Instant,
    heard: Heard,
    /// The frontend's id of the one who left by it.
    left: Option<String>,
}

/// The list of a node came when more had happened than could be kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Roster {
    /// Applies a message. Returns the change.
    pub(super) fn hear(&mut self, heard: Heard, at: Instant) -> Option<Event> {
        self.forget_before(self.asked.unwrap_or(at).min(at), LAG);
        let left = self.leaving(&heard);
        let event = self.apply(&heard);
        if self.recent.len() >= MOST_RECENT {
            self.lost = self.recent.pop_front().map(|one| one.at);
        }
        self.recent.push_back(Recent { at, heard, left });
        event
    }

    /// The node is being asked for its list, which [`Roster::told`] takes.
    pub(super) fn asking(&mut self, at: Instant) {
        self.forget_before(at, LAG);
        (self.asked, self.puzzled) = (Some(at), false);
    }

    /// Replaces the roster by the node's own list, then replays events from shortly before the request and since.
    ///
    /// # Errors
    /// More was heard around the question than could be kept.
    pub(super) fn told(&mut self, listed: Vec<SnapshotMeeting>) -> Result<(), Overrun> {
        let asked = self.asked.take();
        if self.lost.is_some_and(|lost| asked.is_some_and(|asked| lost + LAG >= asked)) {
            return Err(Overrun);
        }
        let mut known = std::mem::take(&mut self.rooms);
        for SnapshotMeeting { meeting, attendees } in listed {
            if self.ended.contains(&meeting.internal_id) {
                continue;
            }
            let id = meeting.internal_id.clone();
            let before = known.remove(&id);
            let identities = self.identities(&id, before.as_ref());
            self.rooms.insert(id, Room::listed(meeting, attendees, identities, before));
        }
        // Taken out and put back, since they change the rest.
        let recent = std::mem::take(&mut self.recent);
        for one in &recent {
            self.apply(&one.heard);
        }
        self.recent = recent;
        Ok(())
    }

    /// Redis was away for a while: known attendees may have left.
    pub(super) fn doubt(&mut self) {
        self.rooms.values_mut().for_each(Room::doubt);
        self.recent.clear();
    }

    /// Whether something was heard that fits nothing.
    pub(super) fn is_puzzled(&self) -> bool {
        self.puzzled
    }

    /// Whether the node should be asked again soon.
    pub(super) fn is_unsure(&self) -> bool {
        self.puzzled || self.rooms.values().any(Room::has_strangers)
    }

    /// Everything that runs.
    pub(super) fn picture(&self) -> Snapshot {
        Snapshot { meetings: self.rooms.values().map(Room::picture).collect() }
    }

    /// The meetings, and who is surely in them.
    pub(super) fn known(&self) -> impl Iterator<Item = (&NodeMeeting, impl Iterator<Item = &NodeAttendee>)> {
        self.rooms.values().map(|room| {
            let known = room.people.values().filter(|person| !person.stranger);
            (&room.meeting, known.map(|person| &person.attendee))
        })
    }

    /// How many meetings run.
    pub(super) fn meetings(&self) -> usize {
        self.rooms.len()
    }

    /// The number of attendees. Those in a breakout are in its parent, too.
    pub(super) fn attendees(&self) -> usize {
        self.rooms.values().filter(|room| !room.meeting.breakout).map(|room| room.people.len()).sum()
    }

    /// The attendees that a list of this meeting may name: present ones, the surest first, then recent joins, then recent leaves.
    fn identities(&self, meeting: &str, room: Option<&Room>) -> Identities {
        let lately = || {
            self.recent.iter().filter_map(|one| match &one.heard {
                Heard::Attendee { meeting: of, id, what } if of == meeting => Some((id, what, one.left.as_ref())),
                _ => None,
            })
        };
        let came: BTreeMap<&String, &String> = lately()
            .filter_map(|(id, what, _)| match what {
                About::Joined(attendee) => Some((id, &attendee.user_id)),
                _ => None,
            })
            .collect();
        let mut people: Vec<_> = room.into_iter().flat_map(|room| &room.people).collect();
        people.sort_by_key(|(id, person)| (person.stranger, came.contains_key(id)));
        let people = people.into_iter().map(|(id, person)| (id, &person.attendee.user_id, person.stranger));
        let gone = lately().filter_map(|(id, _, left)| Some((id, left?, false)));
        Identities::of(people.chain(came.iter().map(|(id, user_id)| (*id, *user_id, false))).chain(gone))
    }

    fn forget_before(&mut self, moment: Instant, lag: Duration) {
        let is_old = |one: &Recent| one.at + lag < moment;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }

    /// The frontend's id of the one who leaves by this.
    fn leaving(&self, heard: &Heard) -> Option<String> {
        let Heard::Attendee { meeting, id, what: About::Left | About::OutOfVoice } = heard else { return None };
        Some(self.rooms.get(meeting)?.people.get(id)?.attendee.user_id.clone())
    }

    fn apply(&mut self, heard: &Heard) -> Option<Event> {
        match heard {
            Heard::Created(meeting) => self.create(meeting),
            Heard::Ended { meeting } => self.end(meeting),
            Heard::Recording { meeting, on } => {
                let room = self.rooms.get_mut(meeting)?;
                let changes = std::mem::replace(&mut room.meeting.recording, *on) != *on;
                changes.then(|| Event::RecordingChanged { meeting: meeting.clone(), recording: *on })
            }
            Heard::Attendee { meeting, id, what } => {
                let Some(room) = self.rooms.get_mut(meeting) else {
                    // Of a meeting that has ended, some words come late.
                    self.puzzled |= matches!(what, About::Joined(_)) && !self.ended.contains(meeting);
                    return None;
                };
                let event = room.hear(id, what);
                self.puzzled |= std::mem::take(&mut room.puzzled);
                event
            }
        }
    }

    fn create(&mut self, meeting: &NodeMeeting) -> Option<Event> {
        if self.ended.contains(&meeting.internal_id) {
            return None;
        }
        match self.rooms.get_mut(&meeting.internal_id) {
            Some(room) => {
                let meeting = NodeMeeting { recording: room.meeting.recording, ..meeting.clone() };
                let changes = room.meeting != meeting;
                room.meeting = meeting.clone();
                changes.then_some(Event::MeetingCreated { meeting })
            }
            None => {
                self.rooms.insert(meeting.internal_id.clone(), Room::new(meeting.clone()));
                Some(Event::MeetingCreated { meeting: meeting.clone() })
            }
        }
    }

    fn end(&mut self, meeting: &str) -> Option<Event> {
        if !self.ended.iter().any(|ended| ended == meeting) {
            self.ended.push_back(meeting.to_owned());
        }
        if self.ended.len() > MOST_ENDED {
            self.ended.pop_front();
        }
        self.rooms.remove(meeting).map(|room| Event::MeetingEnded { meeting: room.meeting.internal_id })
    }
}

#[cfg(test)]
mod tests;
