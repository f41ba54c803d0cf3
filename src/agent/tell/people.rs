//! Who is in which meeting, for webhooks: bounded, and forgotten with the meeting.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::roster::Roster;

/// The most meetings and users that are remembered. Further ones have no external ids in their events.
const MOST_MEETINGS: usize = 2_000;
const MOST_USERS: usize = 20_000;

/// Who is where, by the node's ids.
#[derive(Debug, Default)]
pub(super) struct People {
    rooms: BTreeMap<String, Room>,
}

/// A meeting.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The id that it was created with.
    pub(super) external: String,
    /// The users as their joins were told.
    pub(super) users: BTreeMap<String, Value>,
    pub(super) presenter: Option<String>,
    /// The one who shares a screen.
    pub(super) sharer: Option<String>,
}

impl People {
    /// Adds all who are known for sure, and forgets meetings that are over.
    pub(super) fn meet(&mut self, roster: &Roster) {
        let running: BTreeSet<&str> = roster.known().map(|(meeting, _)| &*meeting.internal_id).collect();
        self.rooms.retain(|id, _| running.contains(&**id));
        for (meeting, people) in roster.known() {
            if let Some(room) = self.room_mut(&meeting.internal_id) {
                room.external.clone_from(&meeting.id);
            }
            for person in people {
                let user = json!({
                    "internal-user-id": person.internal_id, "external-user-id": person.user_id, "name": person.full_name,
                    "role": if person.moderator { "MODERATOR" } else { "VIEWER" }, "presenter": person.presenter,
                });
                if self.room(&meeting.internal_id).is_some_and(|room| !room.users.contains_key(&person.internal_id)) {
                    self.join(&meeting.internal_id, &person.internal_id, &user);
                }
                if person.presenter {
                    self.present(&meeting.internal_id, &person.internal_id, true);
                }
            }
        }
    }

    pub(super) fn room(&self, meeting: &str) -> Option<&Room> {
        self.rooms.get(meeting)
    }

    /// The meeting, remembered from now on. `None`: there are too many.
    pub(super) fn room_mut(&mut self, meeting: &str) -> Option<&mut Room> {
        if self.rooms.len() >= MOST_MEETINGS && !self.rooms.contains_key(meeting) {
            return None;
        }
        Some(self.rooms.entry(meeting.to_owned()).or_default())
    }

    pub(super) fn forget(&mut self, meeting: &str) {
        self.rooms.remove(meeting);
    }

    pub(super) fn join(&mut self, meeting: &str, id: &str, user: &Value) {
        if self.rooms.values().map(|room| room.users.len()).sum::<usize>() < MOST_USERS
            && let Some(room) = self.room_mut(meeting)
        {
            room.users.insert(id.to_owned(), user.clone());
        }
    }

    pub(super) fn leave(&mut self, meeting: &str, id: &str) {
        self.present(meeting, id, false);
        if let Some(room) = self.rooms.get_mut(meeting) {
            room.users.remove(id);
        }
    }

    pub(super) fn present(&mut self, meeting: &str, id: &str, on: bool) {
        let Some(room) = self.room_mut(meeting) else { return };
        if on {
            room.presenter = Some(id.to_owned());
        } else if room.presenter.as_deref() == Some(id) {
            room.presenter = None;
        }
    }
}

impl Room {
    /// Everyone leaves.
    pub(super) fn take_users(&mut self) -> BTreeMap<String, Value> {
        std::mem::take(&mut self.users)
    }
}
