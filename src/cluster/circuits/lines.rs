//! The calls that wait for each node, and how they are cut.
//!
//! A slow answer cuts no call: a create may fetch slides for a minute. Only the absence of its node cuts a call. So a call
//! that waits for long has the node asked for its version, by one probe at a time for all that wait. A probe without an answer
//! cuts them all, and so does the news that the node is lost.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use b3scale_middleware::cluster::BackendId;
use b3scale_middleware::{Fault, NodeFailure, Reply};
use dashmap::DashMap;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The lines to all nodes for which calls wait. Clones are the same lines.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<DashMap<BackendId, Arc<Line>>>);

/// The line to one node.
#[derive(Default)]
pub(super) struct Line {
    cuts: watch::Sender<()>,
    probing: AtomicBool,
}

impl Lines {
    /// Cuts every call that waits for the node.
    pub(super) fn cut(&self, id: BackendId) {
        if let Some(line) = self.0.get(&id) {
            line.cuts.send_replace(());
        }
    }

    /// Takes the right to probe a node. `None`: another probe is under way.
    pub(super) fn probe(&self, id: BackendId) -> Option<Probe> {
        Probe::of(self.take(id))
    }

    /// Takes a place on the line to a node.
    pub(super) fn take(&self, id: BackendId) -> Held {
        let entry = self.0.entry(id).or_default();
        // While the entry is locked it is not removed as unused.
        let (line, cut) = (Arc::clone(&entry), entry.cuts.subscribe());
        drop(entry);
        Held { id, line, cut, lines: self.clone() }
    }
}

/// The place of one call on a line. The line is gone with the last of them.
pub(in crate::cluster) struct Held {
    id: BackendId,
    line: Arc<Line>,
    cut: watch::Receiver<()>,
    lines: Lines,
}

impl Held {
    /// Waits for an answer until the line is cut. `probe` is called after each `pause`.
    pub(in crate::cluster) async fn wait(
        &mut self,
        answer: impl Future<Output = Result<Reply, Fault>>,
        pause: Duration,
        probe: impl Fn(Probe),
    ) -> Result<Reply, Fault> {
        let mut answer = pin!(answer);
        let mut pauses = interval_at(Instant::now() + pause, pause);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                _ = self.cut.changed() => return Err(Fault::Node { backend: self.id, failure: NodeFailure::Lost }),
                _ = pauses.tick() => self.lines.probe(self.id).into_iter().for_each(&probe),
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let is_last = |line: &Arc<Line>| Arc::ptr_eq(line, &self.line) && line.cuts.receiver_count() <= 1;
        self.lines.0.remove_if(&self.id, |_, line| is_last(line));
    }
}

/// The right to probe a node. Each node has one at a time. Its place keeps the line while no call waits.
pub(in crate::cluster) struct Probe(Held);

impl Probe {
    fn of(place: Held) -> Option<Self> {
        let is_free = !place.line.probing.swap(true, Ordering::AcqRel);
        is_free.then(|| Self(place))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.line.probing.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_node_for_which_no_call_waits_is_probed_once_at_a_time() {
        let (lines, id) = (Lines::default(), BackendId(Uuid::nil()));
        let first = lines.probe(id).expect("no probe is under way");
        assert!(lines.probe(id).is_none(), "the first is");
        assert!(lines.probe(id).is_none(), "an attempt does not end it");
        drop(first);
        assert!(lines.0.is_empty(), "the line is gone with its last place");
        assert!(lines.probe(id).is_some());
    }
}
