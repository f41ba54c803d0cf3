//! Wakes the queues of a server, each of one kind of job.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The right to wake the queues of a bench. Cheap to clone.
#[derive(Clone, Default)]
pub struct Waker(Arc<Mutex<BTreeMap<&'static str, Arc<Notify>>>>);

impl Waker {
    /// Lets this server look at once for jobs of a kind. The others look every two seconds.
    pub fn wake(&self, kind: &str) {
        if let Some(bell) = self.lock().get(kind) {
            bell.notify_one();
        }
    }

    /// The bell of a kind.
    pub(super) fn bell(&self, kind: &'static str) -> Arc<Notify> {
        Arc::clone(self.lock().entry(kind).or_default())
    }

    /// The kinds of jobs that this server runs.
    pub(super) fn kinds(&self) -> Vec<&'static str> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
