//! A backend: our record of a node as a target for calls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Tags, load};
use crate::bbb::Secret;

/// The identity of a [`Backend`] in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackendId(pub Uuid);

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Our record of a node: where it is, how to sign for it, what it is meant to do, and how it fares.
#[derive(Debug)]
pub struct Backend {
    /// Identity in the store.
    pub id: BackendId,
    /// The API's base URL, ending in a slash: `https://node.example/bigbluebutton/api/`.
    pub url: String,
    /// What the node's checksums are made with.
    pub secret: Secret,
    /// What a frontend may ask for.
    pub tags: Tags,
    /// How much a unit of load counts here: 2.0 is a node half as strong as one at 1.0.
    pub load_factor: f64,
    /// What the operator wants of it.
    pub admin_state: AdminState,
    /// How it fares, shared by every snapshot of this backend.
    pub vitals: Arc<Vitals>,
    /// The row's version; memory only ever takes a newer one.
    pub version: i64,
}

impl Backend {
    /// Whether new meetings may be placed here.
    pub fn takes_meetings(&self) -> bool {
        self.admin_state == AdminState::Ready && self.is_up()
    }

    /// Whether the node answers.
    pub fn is_up(&self) -> bool {
        self.vitals.node_state() == NodeState::Ready
    }

    /// What new meetings are placed by: the lower, the sooner. See [`load()`].
    pub fn load(&self) -> f64 {
        load(self.load_factor, self.vitals.meetings(), self.vitals.attendees())
    }
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// Registered and not yet enabled.
    Init,
    /// Takes new meetings.
    Ready,
    /// Keeps its meetings and takes no new ones.
    Stopped,
    /// To be removed once its last meeting has ended.
    Decommissioned,
}

/// What we have seen of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum NodeState {
    /// Not asked yet.
    Init = 0,
    /// It answers.
    Ready = 1,
    /// It does not, or not as a BBB node would.
    Error = 2,
}

/// The moving figures of a backend. They belong to the backend, not to a snapshot of its settings, and change without a lock.
#[derive(Debug, Default)]
pub struct Vitals {
    node_state: AtomicU8,
    missed: AtomicU32,
    meetings: AtomicU32,
    expected: AtomicU32,
    attendees: AtomicU32,
}

impl Vitals {
    /// What we have seen of the node.
    pub fn node_state(&self) -> NodeState {
        match self.node_state.load(Relaxed) {
            0 => NodeState::Init,
            1 => NodeState::Ready,
            _ => NodeState::Error,
        }
    }

    /// The node answered. Returns its state, which is ready.
    pub fn answered(&self) -> NodeState {
        self.missed.store(0, Relaxed);
        self.node_state.store(NodeState::Ready as u8, Relaxed);
        NodeState::Ready
    }

    /// The node did not answer. One that was up is down once `limit` answers in a row are missing. Returns its state.
    pub fn missed(&self, limit: u32) -> NodeState {
        let missed = self.missed.fetch_add(1, Relaxed).saturating_add(1);
        if missed >= limit || self.node_state() == NodeState::Init {
            self.node_state.store(NodeState::Error as u8, Relaxed);
        }
        self.node_state()
    }

    /// How many answers in a row are missing.
    pub fn missing(&self) -> u32 {
        self.missed.load(Relaxed)
    }

    /// Meetings known to be here, and those about to be.
    pub fn meetings(&self) -> u32 {
        self.meetings.load(Relaxed) + self.expected.load(Relaxed)
    }

    /// A meeting was placed here.
    pub fn meeting_added(&self) {
        self.meetings.fetch_add(1, Relaxed);
    }

    /// A meeting left.
    pub fn meeting_removed(&self) {
        // Never below zero: a wrapped counter would bar the node for good.
        let _ = self.meetings.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
    }

    /// So many meetings are known to be here.
    pub fn count_meetings(&self, count: u32) {
        self.meetings.store(count, Relaxed);
    }

    /// People in the meetings here, as last reported.
    pub fn attendees(&self) -> u32 {
        self.attendees.load(Relaxed)
    }

    /// Notes how many people the node reported.
    pub fn report_attendees(&self, count: u32) {
        self.attendees.store(count, Relaxed);
    }

    /// Counts a meeting that is about to be placed here until the returned [`Reservation`] is dropped.
    pub fn reserve(self: &Arc<Self>) -> Reservation {
        self.expected.fetch_add(1, Relaxed);
        Reservation(Arc::clone(self))
    }
}

/// A place held on a backend between the choice and the moment the meeting itself is counted.
#[derive(Debug)]
pub struct Reservation(Arc<Vitals>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.expected.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_counts_until_it_is_dropped() {
        let vitals = Arc::new(Vitals::default());
        let held = vitals.reserve();
        assert_eq!(vitals.meetings(), 1);
        vitals.meeting_added();
        drop(held);
        assert_eq!(vitals.meetings(), 1);
    }

    #[test]
    fn a_single_slow_answer_never_takes_a_node_out() {
        let vitals = Vitals::default();
        vitals.answered();
        assert_eq!(vitals.missed(3), NodeState::Ready);
        vitals.answered();
        assert_eq!(
            [vitals.missed(3), vitals.missed(3), vitals.missed(3)],
            [NodeState::Ready, NodeState::Ready, NodeState::Error]
        );
        assert_eq!(vitals.answered(), NodeState::Ready);
    }

    #[test]
    fn a_node_that_never_answered_is_down_at_once() {
        assert_eq!(Vitals::default().missed(3), NodeState::Error);
    }

    #[test]
    fn the_count_of_meetings_never_wraps() {
        let vitals = Vitals::default();
        vitals.meeting_removed();
        assert_eq!(vitals.meetings(), 0);
    }
}
