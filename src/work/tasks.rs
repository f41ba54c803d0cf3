//! The tasks of a bench. They end with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinSet;

/// All tasks that run now. Dropped, it ends them.
#[derive(Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

/// The right to start tasks, which a task may hold itself.
#[derive(Clone)]
pub struct Spawner(Weak<Tasks>);

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
    /// Starts a task that ends with the bench.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Some(tasks) = self.0.upgrade() else { return };
        let mut set = tasks.set();
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }
}
