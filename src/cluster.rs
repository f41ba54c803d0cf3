//! The living cluster: what this server knows in memory, how it keeps that true, and what it does in the background.
//!
//! PostgreSQL is the truth; memory is what calls read. [`Cluster`] implements the ports that stages ask. Work that some server
//! has to do, and not every one (asking a node, ending copies, a command), is taken through PostgreSQL: whoever takes it has it
//! until its lease ends, and then anybody may.

mod background;
mod commands;
mod copies;
mod figures;
mod first_round;
mod firsthand;
mod follow;
mod guard;
mod health;
mod insight;
mod listing;
mod look_ups;
mod orphans;
mod ports;
mod reconcile;
mod seats;
mod trust;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use b3scale_middleware::Ports;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::BackendId;
use b3scale_middleware::ports::Nodes;
use rustix::system::uname;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::ledger::{NewServer, Servers};
use crate::net::nodes::Patience;
use crate::offload;
use crate::store::{Store, StoreError, Trouble};
use crate::view::View;
pub use crate::view::{Stray, Unshown};
use firsthand::YoungMeetings;
use guard::{Guard, Lines};
use listing::Asker;
use look_ups::LookUps;
use seats::Gates;
pub use trust::Lack;
use trust::Pulse;

/// How long one attempt of a create may take: 60 s for its node's answer, and our own steps. The next attempt moves the claim
/// and has as long again. A claim twice as old has been given up by whoever made it.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(90);

/// What this server knows of the cluster, and the tasks that keep it true.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    /// This server, as it introduces itself. The id is made anew with each start.
    id: Uuid,
    introduction: Mutex<NewServer>,
    /// Held by a beat, so that no older introduction is written over a newer one.
    beating: tokio::sync::Mutex<()>,
    store: Store,
    view: Arc<View>,
    young: YoungMeetings,
    chance: Chance,
    nodes: Arc<dyn Nodes>,
    /// The calls that wait for nodes.
    lines: Lines,
    patience: Patience,
    pulse: watch::Sender<Pulse>,
    /// How much is known of what was seen of each node. Held while that is taken in, so that nothing older comes after it.
    seqs: Mutex<HashMap<BackendId, Seq>>,
    look_ups: LookUps,
    /// Those by the ids of nodes.
    internal_look_ups: LookUps,
    doubtful: Mutex<Vec<Doubt>>,
    /// Where joins wait for seats of frontends that have only so many.
    gates: Gates,
    /// When the echoes were announced that have not come back.
    echoes: Mutex<VecDeque<Instant>>,
    /// Held while what is not announced is followed, so that nothing is followed in the middle of a full load.
    following: tokio::sync::Mutex<()>,
    /// A command has been announced.
    commands: Notify,
    /// A reload of the pipeline has been announced.
    reloads: Notify,
    tasks: Mutex<JoinSet<()>>,
}

/// Up to which number a backend's status is known.
#[derive(Clone, Copy, Default)]
struct Seq {
    /// All of it.
    whole: i64,
    /// How its node fares, which whoever asked it knows at once.
    health: i64,
}

/// A claim that nobody of this server works on, or will once it is made: a statement about it came to no answer.
struct Doubt {
    claim: i64,
    /// Whether its node may have got the create.
    sent: bool,
    since: Instant,
}

impl Cluster {
    /// Loads everything, starts following, and asks every node that has not been asked of late.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(store: Store, nodes: Arc<dyn Nodes>, patience: Patience) -> Result<Self, StoreError> {
        let chance = Chance::of_system();
        let introduction = NewServer {
            id: chance.id(),
            host: uname().nodename().to_string_lossy().into_owned(),
            address: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline_hash: String::new(),
        };
        let view = Arc::<View>::default();
        let cluster = Self(Arc::new(Inner {
            id: introduction.id,
            introduction: Mutex::new(introduction),
            beating: tokio::sync::Mutex::default(),
            store,
            young: YoungMeetings::new(Arc::clone(&view), Asker(Arc::clone(&nodes))),
            view,
            chance,
            nodes,
            lines: Lines::default(),
            patience,
            pulse: watch::Sender::new(Pulse::default()),
            seqs: Mutex::default(),
            look_ups: LookUps::default(),
            internal_look_ups: LookUps::default(),
            doubtful: Mutex::default(),
            gates: Gates::default(),
            echoes: Mutex::default(),
            following: tokio::sync::Mutex::default(),
            commands: Notify::new(),
            reloads: Notify::new(),
            tasks: Mutex::default(),
        }));
        cluster.load_all().await?;
        cluster.spawn_follower();
        cluster.spawn_background();
        first_round::first_round(&cluster).await;
        Ok(cluster)
    }

    /// The ports that stages ask.
    pub fn ports(&self) -> Ports {
        let cluster = Arc::new(self.clone());
        Ports {
            directory: Arc::<Cluster>::clone(&cluster),
            meetings: cluster,
            nodes: Arc::new(Guard::of(&self.0)),
            policy: self.0.view.roster().policy().clone(),
            workers: Arc::new(&offload::CALLS),
            unproved: Arc::new(&offload::UNPROVED),
        }
    }

    /// Tells the other servers where this one listens and which pipeline it runs.
    pub async fn introduce(&self, address: String, pipeline_hash: String) {
        {
            let mut introduction = self.0.introduction.lock().unwrap_or_else(PoisonError::into_inner);
            (introduction.address, introduction.pipeline_hash) = (address, pipeline_hash);
        }
        // Should this one fail, the next says it.
        let _ = self.beat().await;
    }

    /// Ends the tasks. What is known stays as it is.
    pub fn stop(&self) {
        self.tasks().abort_all();
    }

    /// Takes leave of the other servers, once nothing is under way here any more.
    pub async fn leave(&self) {
        if let Err(error) = self.0.store.leave(self.0.id).await {
            tracing::debug!(%error, "Removing this server's record failed");
        }
    }

    /// Waits until what is known is as wanted. Looks again whenever something changes.
    pub async fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        self.0.view.until(|| holds().then_some(())).await;
    }

    /// What is wrong with the database, if anything is.
    pub fn absence(&self) -> Option<Lack> {
        self.0.pulse.borrow().absence(Instant::now())
    }

    /// Why a database that answers cannot work, as far as that is known.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.pulse.borrow().trouble()
    }

    /// Why what is in memory is not to be trusted any more, if there is a reason.
    pub fn distrust(&self) -> Option<String> {
        self.0.pulse.borrow().distrust(Instant::now())
    }

    /// This server, as it introduces itself to the others.
    pub fn introduction(&self) -> NewServer {
        self.0.introduction.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seqs(&self) -> MutexGuard<'_, HashMap<BackendId, Seq>> {
        self.0.seqs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn echoes(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.0.echoes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the database was there for what it was asked.
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let is_news = self.0.pulse.send_if_modified(|pulse| pulse.note(&outcome, Instant::now()));
        if let (true, Err(error)) = (is_news && self.0.pulse.borrow().absence(Instant::now()).is_some(), &outcome) {
            tracing::error!(%error, "Database in trouble: no meeting can be created");
        }
        outcome
    }
}
