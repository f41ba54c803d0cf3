//! The living cluster: what this server knows in memory, how it keeps that true, and what it does in the background.
//!
//! PostgreSQL is the truth; memory is what calls read. [`Cluster`] implements the ports that stages ask.

mod copies;
mod follow;
mod health;
mod meetings;
mod pulse;
mod roster;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use b3scale_middleware::Ports;
use b3scale_middleware::ports::Nodes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::store::{Store, StoreError};
use pulse::Pulse;
use view::View;

/// How long one attempt of a create may take: 60 s for its node's answer, and our own steps. The next attempt moves the claim
/// and has as long again. A claim twice as old has been given up by whoever made it.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(90);

/// How long a start waits for the first round over the nodes.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// What this server knows of the cluster, and the tasks that keep it true.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    store: Store,
    view: View,
    nodes: Arc<dyn Nodes>,
    pulse: watch::Sender<Pulse>,
    tasks: Mutex<JoinSet<()>>,
}

impl Cluster {
    /// Loads everything, starts following, and asks every node once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(store: Store, nodes: Arc<dyn Nodes>) -> Result<Self, StoreError> {
        let (view, pulse) = (View::default(), watch::Sender::new(Pulse::default()));
        let inner = Inner { store, view, nodes, pulse, tasks: Mutex::default() };
        let cluster = Self(Arc::new(inner));
        cluster.load_all().await?;
        cluster.spawn_follower();
        let mut rounds = cluster.0.pulse.subscribe();
        cluster.spawn_health();
        // Nodes that are well answer at once. One that stalls must not hold up the start: it is down until it answers.
        let _ = timeout(FIRST_ROUND, rounds.wait_for(|pulse| pulse.rounds > 0)).await;
        Ok(cluster)
    }

    /// The ports that stages ask.
    pub fn ports(&self) -> Ports {
        let cluster = Arc::new(self.clone());
        Ports { directory: Arc::<Cluster>::clone(&cluster), meetings: cluster, nodes: Arc::clone(&self.0.nodes) }
    }

    /// Ends the tasks. What is known stays as it is.
    pub fn stop(&self) {
        self.tasks().abort_all();
    }

    /// Waits until what is known is as wanted. Looks again whenever something changes.
    pub async fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        self.0.view.until(|| holds().then_some(())).await;
    }

    /// Why this server should not be given calls, if there is a reason.
    pub fn distrust(&self) -> Option<String> {
        self.0.pulse.borrow().distrust(Instant::now())
    }

    /// Starts a task that ends with the cluster.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks().spawn(task);
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the database was there for what it was asked.
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.0.pulse.send_if_modified(|pulse| pulse.note(&outcome, Instant::now()));
        outcome
    }
}
