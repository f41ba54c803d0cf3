//! Polls without the database: each server asks for itself.

use std::time::Duration;

use b3scale_middleware::cluster::BackendId;
use dashmap::DashMap;
use tokio::time::Instant;

/// When this server last asked each node. In the future: it is being asked.
#[derive(Default)]
pub(super) struct SoloPolls(DashMap<BackendId, Instant>);

impl SoloPolls {
    /// Takes a poll of a node that is not being polled and was not for that long. From now on it is, until
    /// [`finish`](Self::finish), or for `lease`.
    pub(super) fn take(&self, backend: BackendId, pause: Duration, lease: Duration) -> bool {
        let now = Instant::now();
        let before = self.0.get(&backend).map(|asked| *asked);
        let is_due = before.is_none_or(|before| now.saturating_duration_since(before) >= pause);
        if is_due {
            self.0.insert(backend, now + lease);
        }
        is_due
    }

    /// A node has answered.
    pub(super) fn finish(&self, backend: BackendId) {
        self.0.insert(backend, Instant::now());
    }

    /// Drops all that is kept of other backends.
    pub(super) fn retain(&self, is_there: impl Fn(BackendId) -> bool) {
        self.0.retain(|id, _| is_there(*id));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const LEASE: Duration = Duration::from_secs(40);

    #[test]
    fn a_node_is_not_asked_again_while_it_is_being_asked() {
        let (polls, node, pause) = (SoloPolls::default(), BackendId(Uuid::nil()), Duration::from_secs(1));
        let asked = |polls: &SoloPolls| *polls.0.get(&node).expect("it was asked");
        assert!(polls.take(node, pause, LEASE), "it was never asked");
        assert!(
            !polls.take(node, pause, LEASE) && asked(&polls) > Instant::now() + LEASE / 2,
            "it has not answered yet"
        );
        assert!(polls.take(BackendId(Uuid::max()), pause, LEASE), "which holds up no other");
        polls.finish(node);
        assert!(!polls.take(node, pause, LEASE) && asked(&polls) <= Instant::now(), "it has just answered");
        polls.0.alter(&node, |_, asked| asked.checked_sub(pause).expect("this machine has run for longer"));
        assert!(polls.take(node, pause, LEASE));
    }
}
