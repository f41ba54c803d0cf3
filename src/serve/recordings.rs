//! Putting the recordings of a server together: their shelves, their ways in and out, and their background work.

use std::sync::Arc;

use b3scale_middleware::chance::Clock;
use url::Url;

use crate::clock::RuntimeClock;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::proxies::Proxies;
use crate::recordings::playback::{Gate, Playback, PlaybackParts, Records};
use crate::recordings::protected::Protected;
use crate::recordings::shelf::ShelfError;
use crate::recordings::{
    Arriving, ArrivingParts, CountRecordings, Library, Links, Mover, Remover, Retention, Settle, Shelves, SweepShelves,
    TextTracks, Tickets, Verifier,
};
use crate::site::Site;
use crate::store::Store;
use crate::work::{Bench, Waker};

/// The recordings of a server.
pub(super) struct Recordings {
    /// Their records.
    pub(super) library: Arc<Library>,
    /// Their links.
    pub(super) links: Links,
    /// Their ways in. `None`: this server takes none in.
    pub(super) arriving: Option<Arriving>,
    /// Compares their files with their records. `None`: there are no files here.
    pub(super) verifier: Option<Verifier>,
    /// The right to wake the queues of their background work.
    pub(super) waker: Waker,
    /// The sites that play them and take them in.
    pub(super) sites: Vec<Arc<dyn Site>>,
}

impl Recordings {
    /// Opens the shelves, and begins the background work. With a wrong setting there are no shelves, and all else works.
    pub(super) async fn open(config: &Config, store: &Store, cluster: &Cluster, bench: &Bench, secret: &str) -> Self {
        let tickets = Arc::new(Tickets::new(secret.as_bytes()));
        let links = Links::new(&playback_host(config), config.recordings.protection, Arc::clone(&tickets));
        let library = Arc::new(Library::new(store.clone(), links.clone(), bench.waker(), &config.recordings));
        bench.round(CountRecordings::new(store.clone()));
        bench.duty(Retention::new(store.clone(), bench.waker()));
        let shelves = shelves(config).await;
        let arriving = shelves.clone().and_then(|shelves| arriving(config, store, shelves, bench, secret));
        let verifier = shelves.clone().zip(arriving.as_ref()).map(|(shelves, arriving)| {
            bench.job(Mover::new(store.clone(), shelves.clone(), arriving.work.clone(), bench.waker()));
            Verifier::new(store.clone(), shelves, arriving.importer.clone())
        });
        if let Some(shelves) = &shelves {
            bench.job(Settle::new(store.clone(), shelves.clone()));
            bench.job(Remover::new(store.clone(), shelves.clone()));
            bench.duty(SweepShelves(shelves.clone()));
        }
        let mut sites = playback(config, store, cluster, tickets, shelves);
        sites.extend(arriving.iter().map(|arriving| Arc::<_>::clone(&arriving.uploads) as Arc<dyn Site>));
        Self { library, links, arriving, verifier, waker: bench.waker(), sites }
    }
}

async fn shelves(config: &Config) -> Option<Shelves> {
    let opened = Shelves::open(&config.recordings).await;
    opened.unwrap_or_else(|error| {
        tracing::error!(%error, "Opening the shelves of recordings failed, recordings are off");
        None
    })
}

/// The ways in. Without them, the recordings that are here are played all the same.
fn arriving(config: &Config, store: &Store, shelves: Shelves, bench: &Bench, secret: &str) -> Option<Arriving> {
    let parts = ArrivingParts {
        config: &config.recordings,
        store: store.clone(),
        shelves,
        bench,
        secret: secret.to_owned(),
        proxies: Proxies::at(config.trusted_proxies.clone()),
        budget: config.upstream.budget.clone(),
    };
    let log = |error: &ShelfError| tracing::error!(%error, "Opening the inbox of recordings failed, imports are off");
    Arriving::open(parts).inspect_err(log).ok()
}

fn playback(
    config: &Config,
    store: &Store,
    cluster: &Cluster,
    tickets: Arc<Tickets>,
    shelves: Option<Shelves>,
) -> Vec<Arc<dyn Site>> {
    let (records, clock): (Arc<dyn Records>, Arc<dyn Clock>) = (Arc::new(store.clone()), Arc::new(RuntimeClock));
    let gate = Arc::new(Gate::new(records, tickets));
    tokio::spawn(Arc::clone(&gate).follow(cluster.recording_changes()));
    let budget = config.upstream.budget.clone();
    let tracks = TextTracks::new(store.clone(), Arc::clone(&gate), &config.recordings);
    let protected = Protected::new(&config.recordings, Arc::clone(&gate), Arc::clone(&clock));
    let parts = PlaybackParts { gate, shelves, budget, clock };
    vec![Arc::new(Playback::new(&config.recordings, parts)), Arc::new(protected), Arc::new(tracks)]
}

/// Where browsers play recordings.
fn playback_host(config: &Config) -> String {
    let host = config.recordings.playback_host.as_ref().or(config.recordings.api_url.as_ref());
    host.map_or_else(|| format!("http://{}", config.listen), Url::to_string)
}
