//! The living cluster: what this server knows in memory, how it keeps that true, and what it does in the background.
//!
//! PostgreSQL is the truth; memory is what calls read. [`Cluster`] implements the ports that stages ask.

mod follow;
mod health;
mod meetings;
mod roster;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use b3scale_middleware::Ports;
use b3scale_middleware::ports::Nodes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::store::{Store, StoreError};
use view::View;

/// How long one attempt of a create may take: 60 s for its node's answer, and our own steps. The next attempt moves the claim
/// and has as long again. A claim twice as old has been given up by whoever made it.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(90);

/// How long memory is trusted while the database is away.
const TRUST: Duration = Duration::from_secs(600);

/// What this server knows of the cluster, and the tasks that keep it true.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    store: Store,
    view: Arc<View>,
    nodes: Arc<dyn Nodes>,
    /// When the database was last known to be there, and how often the backends have been gone through.
    pulse: watch::Sender<Pulse>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Clone, Copy, Debug)]
struct Pulse {
    database_seen: Instant,
    database_away: bool,
    rounds: u64,
}

impl Cluster {
    /// Loads everything, starts following, and asks every node once.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(store: Store, nodes: Arc<dyn Nodes>) -> Result<Self, StoreError> {
        let pulse = Pulse { database_seen: Instant::now(), database_away: false, rounds: 0 };
        let (view, pulse) = (Arc::new(View::default()), watch::Sender::new(pulse));
        let inner = Inner { store, view, nodes, pulse, tasks: Mutex::default() };
        let cluster = Self(Arc::new(inner));
        cluster.load_all().await?;
        cluster.spawn_follower();
        let mut rounds = cluster.0.pulse.subscribe();
        cluster.spawn_health();
        // The sender lives as long as the cluster, so this ends with the first round.
        let _ = rounds.wait_for(|pulse| pulse.rounds > 0).await;
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
        let pulse = *self.0.pulse.borrow();
        let age = pulse.database_seen.elapsed();
        let stale = pulse.database_away && age > TRUST;
        stale.then(|| format!("the database has been away for {} s", age.as_secs()))
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
        let away = outcome.as_ref().is_err_and(StoreError::is_away);
        self.0.pulse.send_modify(|pulse| {
            pulse.database_away = away;
            if !away {
                pulse.database_seen = Instant::now();
            }
        });
        outcome
    }
}
