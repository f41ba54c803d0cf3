//! The tasks of the cluster. They end with it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// All tasks that run now. Dropped, it ends them.
#[derive(Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

/// The right to start tasks, which a task may hold itself.
#[derive(Clone)]
pub(super) struct Spawner(Weak<Tasks>);

impl Tasks {
    pub(super) fn spawner(self: &Arc<Self>) -> Spawner {
        Spawner(Arc::downgrade(self))
    }

    pub(super) fn count(&self) -> usize {
        self.set().len()
    }

    pub(super) fn stop(&self) {
        self.set().abort_all();
    }

    fn set(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawner {
    /// Starts a task that ends with the cluster.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut set = tasks.set();
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }

    /// Does `work` again and again, with pauses in between.
    pub(super) fn every<F>(&self, pause: Duration, work: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        self.spawn(async move {
            let mut rounds = interval(pause);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                // One round that panics must not be the last.
                if AssertUnwindSafe(work()).catch_unwind().await.is_err() {
                    tracing::error!("Background work panicked; this is a defect of b3scale");
                }
            }
        });
    }
}
