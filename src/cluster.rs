//! The living cluster: what this server knows in memory, how it keeps that true, and what it does in the background.
//!
//! PostgreSQL is the truth; memory is what calls read. [`Cluster`] implements the ports that stages ask.

mod follow;
mod health;
mod meetings;
mod roster;
mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::Ports;
use b3scale_middleware::ports::Nodes;
use tokio::sync::watch;

use crate::store::{Store, StoreError};
use view::View;

/// How long a create may take, its node's answer included. A claim twice as old has been given up by whoever made it.
pub const CREATE_LIMIT: Duration = Duration::from_secs(90);

/// How long memory is trusted while the database is away.
const TRUST: Duration = Duration::from_secs(600);

/// What this server knows of the cluster, and the tasks that keep it true. Dropping it ends the tasks.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    store: Store,
    view: Arc<View>,
    nodes: Arc<dyn Nodes>,
    /// When the database was last known to be there, and how often the backends have been gone through.
    pulse: watch::Sender<Pulse>,
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
        let inner = Inner { store, view: Arc::new(View::default()), nodes, pulse: watch::Sender::new(pulse) };
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

    /// Why this server should not be given calls, if there is a reason.
    pub fn distrust(&self) -> Option<String> {
        let pulse = *self.0.pulse.borrow();
        let age = pulse.database_seen.elapsed();
        let stale = pulse.database_away && age > TRUST;
        stale.then(|| format!("the database has been away for {} s", age.as_secs()))
    }

    fn note_database(&self, there: bool) {
        self.0.pulse.send_modify(|pulse| {
            pulse.database_away = !there;
            if there {
                pulse.database_seen = Instant::now();
            }
        });
    }
}
