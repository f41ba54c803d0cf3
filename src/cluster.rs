//! The living cluster: how this server's view follows the database, and how it polls the nodes.
//!
//! PostgreSQL is the truth; calls read the view. [`Cluster`] implements the ports that stages ask. Work that one server
//! has to do, and not every one (polling a node, ending copies, a command), is taken through PostgreSQL: the server that takes
//! it has it until its lease ends, and then any other may.
//!
//! Each part is a struct over the `Replica` (the view, and the database behind it) and the parts that it needs:
//!
//! | part | does |
//! |---|---|
//! | `Follower` | loads the view, and reads announced changes |
//! | `Poller` | asks nodes for their health and their meetings |
//! | `Reconciler` | brings database and view in line with a node's meetings |
//! | `Statuses` | takes in the polls of all servers |
//! | `Circuits`, `Guard` | calls to nodes that may be missing |
//! | `Claims`, `Waiting`, `Endings` | how a meeting gets its place, and how it ends |
//! | `Finder`, `Lists` | meetings that are asked for |
//! | `Copies`, `Orphans` | remains of failed creates and lost nodes |
//! | `Seats` | how many people may come in |
//! | `Agents`, `Introduction`, `ClusterFigures` | agents' reports, the other servers, `/metrics` |

mod agents;
mod circuits;
mod claims;
mod commands;
mod copies;
mod endings;
mod figures;
mod finder;
mod first_round;
mod follow;
mod guard;
mod insight;
mod introduction;
mod listing;
mod lists;
mod orphans;
mod poll;
mod ports;
mod reconcile;
mod replica;
mod seats;
mod solo;
mod statuses;
mod trust;
mod upkeep;
mod waiting;

use std::sync::Arc;

use b3scale_middleware::Ports;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::RecordId;
use b3scale_middleware::ports::{Callbacks, Hooks, Nodes, Recordings};
use tokio::sync::{Notify, broadcast};

use crate::clock::RuntimeClock;
use crate::ledger::Storage;
use crate::net::nodes::Patience;
use crate::offload;
use crate::store::StoreError;
use crate::view::View;
pub use crate::view::{Stray, Unshown};
use crate::work::Bench;
use agents::Agents;
use circuits::Circuits;
use claims::Claims;
use copies::Copies;
use endings::Endings;
pub use figures::ClusterFigures;
use finder::Finder;
use follow::Follower;
use guard::Guard;
use introduction::Introduction;
use listing::Asker;
use lists::Lists;
use orphans::Orphans;
use poll::Poller;
use reconcile::Reconciler;
use replica::Replica;
use seats::Seats;
use statuses::Statuses;
pub use trust::Lack;
use waiting::Waiting;

/// The ports of stages that are no matter of the cluster.
pub struct PortParts {
    /// The recordings.
    pub recordings: Arc<dyn Recordings>,
    /// The callbacks of meetings.
    pub callbacks: Arc<dyn Callbacks>,
    /// The hooks of frontends.
    pub hooks: Arc<dyn Hooks>,
}

/// This server's view of the cluster, and the tasks that keep it true. They end with its last clone.
#[derive(Clone)]
pub struct Cluster(Arc<Parts>);

struct Parts {
    replica: Arc<Replica>,
    introduction: Arc<Introduction>,
    finder: Arc<Finder>,
    lists: Arc<Lists>,
    claims: Arc<Claims>,
    endings: Arc<Endings>,
    waiting: Waiting,
    seats: Seats,
    circuits: Arc<Circuits>,
    poller: Poller,
    copies: Arc<Copies>,
    orphans: Arc<Orphans>,
    agents: Agents,
    figures: ClusterFigures,
    reloads: Arc<Notify>,
    recordings: broadcast::Sender<Option<RecordId>>,
    asker: Asker,
    bench: Bench,
}

impl Cluster {
    /// Loads everything, starts following, and polls every node without a recent status.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn start(
        store: impl Storage + 'static,
        nodes: Arc<dyn Nodes>,
        patience: Patience,
        bench: Bench,
        chance: Chance,
    ) -> Result<Self, StoreError> {
        let (parts, follower) = Parts::assemble(Arc::new(store), nodes, patience, bench, chance);
        follower.load_all().await?;
        let cluster = Self(Arc::new(parts));
        upkeep::register(&cluster.0, follower);
        first_round::first_round(&cluster.0.replica.view, &cluster.0.poller).await;
        Ok(cluster)
    }

    /// The ports that stages ask.
    pub fn ports(&self, parts: PortParts) -> Ports {
        let PortParts { recordings, callbacks, hooks } = parts;
        let cluster = Arc::new(self.clone());
        Ports {
            directory: Arc::<Cluster>::clone(&cluster),
            meetings: cluster,
            recordings,
            callbacks,
            hooks,
            nodes: Arc::new(Guard(Arc::clone(&self.0.circuits))),
            clock: Arc::new(RuntimeClock),
            chance: self.0.replica.chance.clone(),
            policy: self.0.replica.view.roster().policy().clone(),
            workers: Arc::new(&offload::CALLS),
            unproved: Arc::new(&offload::UNPROVED),
        }
    }

    /// Tells the other servers where this one listens and which pipeline it runs.
    pub async fn introduce(&self, address: String, pipeline_hash: String) {
        self.0.introduction.change(address, pipeline_hash).await;
    }

    /// Polls every node now, and runs the clean-ups. Waits until that is done.
    pub async fn catch_up(&self) {
        self.0.poller.ask_all().await;
        let cleared = async {
            self.0.orphans.settle_all().await?;
            self.0.copies.end_all().await?;
            self.0.claims.reap().await
        };
        if let Err(error) = self.0.replica.observe(cleared.await) {
            tracing::debug!(%error, "Cleanup failed");
        }
    }

    /// Tells which recordings change from now on: who may play them, or in which state they are. `None` stands for any.
    pub fn recording_changes(&self) -> broadcast::Receiver<Option<RecordId>> {
        self.0.recordings.subscribe()
    }

    /// Waits until the view is as wanted. Looks again with each change.
    pub async fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        self.0.replica.view.until(|| holds().then_some(())).await;
    }

    /// Ends the tasks. The view stays as it is.
    pub fn stop(&self) {
        self.0.bench.stop();
    }

    /// Takes leave of the other servers, once nothing is under way here any more. They run the jobs that were cut off.
    pub async fn leave(&self) {
        self.0.bench.leave().await;
        self.0.introduction.leave().await;
    }
}

impl Parts {
    fn assemble(
        store: Arc<dyn Storage>,
        nodes: Arc<dyn Nodes>,
        patience: Patience,
        bench: Bench,
        chance: Chance,
    ) -> (Self, Arc<Follower>) {
        let spawner = bench.spawner();
        let asker = Asker(Arc::clone(&nodes), chance.clone());
        let view = Arc::<View>::default();
        let replica = Arc::new(Replica::new(bench.server(), store, Arc::clone(&view), chance));
        let circuits = Arc::new(Circuits::new(Arc::clone(&replica), nodes, patience, spawner.clone()));
        let statuses = Arc::new(Statuses::new(Arc::clone(&view), Arc::clone(&circuits)));
        let introduction = Arc::new(Introduction::new(Arc::clone(&replica)));
        let finder = Arc::new(Finder::new(Arc::clone(&replica)));
        let claims = Arc::new(Claims::new(Arc::clone(&replica)));
        let endings = Arc::new(Endings(Arc::clone(&replica)));
        let reconciler = Arc::new(Reconciler { replica: Arc::clone(&replica), endings: Arc::clone(&endings) });
        let poller = Poller {
            replica: Arc::clone(&replica),
            asker: asker.clone(),
            statuses: Arc::clone(&statuses),
            reconciler: Arc::clone(&reconciler),
            spawner,
            solo: Arc::default(),
        };
        let reloads = Arc::<Notify>::default();
        let follower = Follower::new(
            Arc::clone(&replica),
            Arc::clone(&introduction),
            statuses,
            poller.clone(),
            Arc::clone(&reloads),
            bench.waker(),
        );
        let parts = Self {
            lists: Arc::new(Lists::new(Arc::clone(&replica), asker.clone())),
            waiting: Waiting { view, finder: Arc::clone(&finder), claims: Arc::clone(&claims), reconciler },
            seats: Seats::new(Arc::clone(&replica)),
            copies: Arc::new(Copies { replica: Arc::clone(&replica), asker: asker.clone() }),
            orphans: Arc::new(Orphans {
                replica: Arc::clone(&replica),
                asker: asker.clone(),
                claims: Arc::clone(&claims),
            }),
            agents: Agents {
                replica: Arc::clone(&replica),
                asker: asker.clone(),
                finder: Arc::clone(&finder),
                endings: Arc::clone(&endings),
            },
            figures: ClusterFigures { replica: Arc::clone(&replica), bench: bench.clone() },
            replica,
            introduction,
            finder,
            claims,
            endings,
            circuits,
            poller,
            reloads,
            recordings: follower.recordings(),
            asker,
            bench,
        };
        (parts, Arc::new(follower))
    }
}
