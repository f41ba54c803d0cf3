//! Identities of attendees in a node's list, which names them by their frontend's ids.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The node's ids of people in a meeting, by those of their frontends. One person may be there several times.
#[derive(Debug, Default)]
pub(super) struct Identities {
    known: BTreeMap<String, VecDeque<(String, bool)>>,
    taken: BTreeSet<String>,
}

impl Identities {
    /// Attendees in the order in which they are tried: the node's id, the frontend's, and whether that is a guess.
    pub(super) fn of<'a>(people: impl IntoIterator<Item = (&'a String, &'a String, bool)>) -> Self {
        let mut identities = Self::default();
        for (id, user_id, guessed) in people {
            identities.known.entry(user_id.clone()).or_default().push_back((id.clone(), guessed));
        }
        identities
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
