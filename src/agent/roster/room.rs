//! One meeting, and who is in it.

use std::collections::{BTreeMap, BTreeSet};

use b3scale_base::rest::{AttendeeChange, Event, NodeAttendee, NodeMeeting, SnapshotMeeting};

use super::super::message::About;
use super::identify::Identities;

/// Who only telephones has an id that begins like this.
const TELEPHONE: &str = "v_";

/// A meeting, and who is in it.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) meeting: NodeMeeting,
    /// By the node's id.
    pub(super) people: BTreeMap<String, Person>,
    /// Something was heard that fits nothing.
    pub(super) puzzled: bool,
}

/// Someone in it.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) attendee: NodeAttendee,
    /// That they are here under this id is a guess.
    pub(super) stranger: bool,
    /// The cameras that are on, as far as they are known by name.
    cameras: BTreeSet<String>,
}

impl Room {
    pub(super) fn new(meeting: NodeMeeting) -> Self {
        Self { meeting, people: BTreeMap::new(), puzzled: false }
    }

    /// As the node lists it. A list says whether a meeting may be recorded, not whether it is being recorded.
    pub(super) fn listed(
        meeting: NodeMeeting,
        attendees: Vec<NodeAttendee>,
        mut identities: Identities,
        before: Option<Room>,
    ) -> Self {
        let (recording, mut known) = before.map(|room| (room.meeting.recording, room.people)).unwrap_or_default();
        let mut room = Self::new(NodeMeeting { recording, ..meeting });
        for listed in attendees {
            let (internal_id, stranger) = identities.take(&listed.user_id);
            // Cameras that are on are remembered by name, for as long as any is.
            let cameras = known.remove(&internal_id).map(|person| person.cameras).unwrap_or_default();
            let cameras = if listed.has_video { cameras } else { BTreeSet::new() };
            let attendee = NodeAttendee { internal_id: internal_id.clone(), ..listed };
            room.people.insert(internal_id, Person { attendee, stranger, cameras });
        }
        room
    }

    pub(super) fn doubt(&mut self) {
        self.people.values_mut().for_each(|person| person.stranger = true);
    }

    pub(super) fn has_strangers(&self) -> bool {
        self.people.values().any(|person| person.stranger)
    }

    pub(super) fn picture(&self) -> SnapshotMeeting {
        let attendees = self.people.values().map(|person| person.attendee.clone()).collect();
        SnapshotMeeting { meeting: self.meeting.clone(), attendees }
    }

    /// Applies a message about an attendee. Returns the change.
    pub(super) fn hear(&mut self, id: &str, what: &About) -> Option<Event> {
        let telephones = id.starts_with(TELEPHONE);
        if let Some(person) = self.people.get_mut(id) {
            // Who does something is there, and under this id.
            person.stranger = false;
        }
        match what {
            About::Joined(attendee) => self.join(attendee),
            About::InVoice { name, listens } if telephones && !self.people.contains_key(id) => {
                self.join(&NodeAttendee {
                    internal_id: id.to_owned(),
                    user_id: id.to_owned(),
                    full_name: name.clone(),
                    joined_voice: !listens,
                    listening_only: *listens,
                    client_type: "DIAL-IN".to_owned(),
                    ..NodeAttendee::default()
                })
            }
            About::Left => self.leave(id),
            About::OutOfVoice if telephones => self.leave(id),
            About::Is(change) => self.change(id, *change),
            About::InVoice { listens, .. } => self.change(id, voice(!listens, *listens)),
            About::OutOfVoice => self.change(id, voice(false, false)),
            About::Camera { stream, on } => self.camera(id, stream, *on),
        }
    }

    fn join(&mut self, attendee: &NodeAttendee) -> Option<Event> {
        let id = &attendee.internal_id;
        let person = Person { attendee: attendee.clone(), stranger: false, cameras: BTreeSet::new() };
        let before = self.people.insert(id.clone(), person);
        let is_news = before.is_none_or(|before| before.attendee != *attendee);
        is_news.then(|| Event::AttendeeJoined { meeting: self.id(), attendee: attendee.clone() })
    }

    fn leave(&mut self, id: &str) -> Option<Event> {
        // Who is unknown may be one of the strangers, and the node is asked again because of these.
        let person = self.people.remove(id)?;
        Some(Event::AttendeeLeft { meeting: self.id(), attendee: person.attendee.internal_id })
    }

    fn camera(&mut self, id: &str, stream: &str, on: bool) -> Option<Event> {
        let person = self.people.get_mut(id)?;
        if on {
            person.cameras.insert(stream.to_owned());
        } else if !person.cameras.remove(stream) {
            // It was on before anybody listened, and there may be another.
            self.puzzled |= person.attendee.has_video;
        }
        let has_video = Some(!person.cameras.is_empty());
        self.change(id, AttendeeChange { has_video, ..AttendeeChange::default() })
    }

    /// Holds only changed fields.
    fn change(&mut self, id: &str, wanted: AttendeeChange) -> Option<Event> {
        let attendee = &mut self.people.get_mut(id)?.attendee;
        let change = AttendeeChange {
            moderator: changed(&mut attendee.moderator, wanted.moderator),
            presenter: changed(&mut attendee.presenter, wanted.presenter),
            listening_only: changed(&mut attendee.listening_only, wanted.listening_only),
            joined_voice: changed(&mut attendee.joined_voice, wanted.joined_voice),
            has_video: changed(&mut attendee.has_video, wanted.has_video),
        };
        let is_news = change != AttendeeChange::default();
        is_news.then(|| Event::AttendeeChanged { meeting: self.id(), attendee: id.to_owned(), change })
    }

    fn id(&self) -> String {
        self.meeting.internal_id.clone()
    }
}

fn voice(joined: bool, listens: bool) -> AttendeeChange {
    AttendeeChange { joined_voice: Some(joined), listening_only: Some(listens), ..AttendeeChange::default() }
}

fn changed(is: &mut bool, wanted: Option<bool>) -> Option<bool> {
    let wanted = wanted?;
    (std::mem::replace(is, wanted) != wanted).then_some(wanted)
}
