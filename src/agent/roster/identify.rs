//! Identities of attendees in a node's list, which names them by their frontend's ids.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::message::{About, Heard};
use super::Recent;
use super::room::Room;

/// The node's ids of people in a meeting, by those of their frontends. One person may be there several times.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    known: BTreeMap<String, VecDeque<(String, bool)>>,
    taken: BTreeSet<String>,
}

impl Candidates {
    /// The attendees that a list of this meeting may name: present ones, the surest first, then recent joins, then recent leaves.
    pub(super) fn of(meeting: &str, room: Option<&Room>, recent: &VecDeque<Recent>) -> Self {
        let lately = || {
            recent.iter().filter_map(|one| match &one.heard {
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
        let mut candidates = Self::default();
        let mut add = |user_id: &String, id: &String, guessed| {
            candidates.known.entry(user_id.clone()).or_default().push_back((id.clone(), guessed));
        };
        people.iter().for_each(|(id, person)| add(&person.attendee.user_id, id, person.stranger));
        came.iter().for_each(|(id, user_id)| add(user_id, id, false));
        lately().for_each(|(id, _, left)| left.iter().for_each(|user_id| add(user_id, id, false)));
        candidates
    }

    /// The node's id of the next one with this id of their frontend, and whether it is a guess.
    ///
    /// An unidentified attendee gets the frontend's id, which is the node's own where the frontend gave none.
    pub(super) fn take(&mut self, user_id: &str) -> (String, bool) {
        while let Some((id, guessed)) = self.known.get_mut(user_id).and_then(VecDeque::pop_front) {
            if self.taken.insert(id.clone()) {
                let guessed = guessed && !is_the_nodes_own(&id, user_id);
                return (id, guessed);
            }
        }
        let mut names =
            (1..).map(|number| if number == 1 { user_id.to_owned() } else { format!("{user_id}#{number}") });
        let id = names.find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(id.clone());
        let guessed = !is_the_nodes_own(&id, user_id);
        (id, guessed)
    }
}

/// Whether someone has no id of a frontend, and is listed by the node's own.
fn is_the_nodes_own(id: &str, user_id: &str) -> bool {
    id == user_id && (id.starts_with("w_") || id.starts_with("v_"))
}
