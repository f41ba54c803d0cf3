//! All ways in, put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Limits;
use super::arrivals::Arrivals;
use super::import::{Adopt, ImportSettings, Importer, SharedInbox, Sweep};
use super::settings::RecordingsConfig;
use super::shelf::ShelfError;
use super::shelves::{Inbox, Shelves};
use super::spool::Spool;
use super::upload::{UploadParts, Uploads};
use crate::budget::Budget;
use crate::proxies::Proxies;
use crate::store::Store;
use crate::work::Bench;

/// The folder of work in the folder of the settings, or in a shared inbox. No format has such a name, and all in it is ours.
const WORK: &str = ".b3scale-work";

/// The most files of an archive.
const MOST_FILES: u64 = 200_000;

/// The ways in.
pub struct Arriving {
    /// Takes in recordings, for the REST API.
    pub importer: Importer,
    /// Takes uploads, a site.
    pub uploads: Arc<Uploads>,
    /// The folder for archives while they are unpacked.
    pub work: PathBuf,
}

/// The parts of a server that the ways in use.
pub struct ArrivingParts<'s> {
    /// The settings.
    pub config: &'s RecordingsConfig,
    /// The database.
    pub store: Store,
    /// The shelves.
    pub shelves: Shelves,
    /// The bench, which gets the job, the duties and the round.
    pub bench: &'s Bench,
    /// The secret of operators' tokens.
    pub secret: String,
    /// The proxies trusted to name the client, in addition to this machine.
    pub proxies: Proxies,
    /// What chunks may take up in memory.
    pub budget: Budget,
}

impl Arriving {
    /// Opens all ways in, and begins to work.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn open(parts: ArrivingParts<'_>) -> Result<Self, ShelfError> {
        let ArrivingParts { config, store, shelves, bench, secret, proxies, budget } = parts;
        let arrivals = Arrivals::open(&shelves.inbox, config.keep_free)?;
        let settings = settings(config, &shelves.inbox);
        let unusable = |error: std::io::Error| ShelfError::Away {
            place: settings.work.display().to_string(),
            reason: error.into(),
        };
        std::fs::create_dir_all(&settings.work).map_err(unusable)?;
        let work = settings.work.clone();
        let importer = Importer::new(store.clone(), shelves, arrivals.clone(), settings, bench.waker());
        bench.job(importer.clone());
        bench.duty(Adopt(importer.clone()));
        bench.duty(Sweep(importer.clone()));
        let waker = bench.waker();
        if let Some(folder) = config.spool.clone() {
            bench.round(Spool::new(folder, store.clone(), arrivals.clone(), waker.clone()));
        }
        let largest = config.largest;
        let parts =
            UploadParts { store, arrivals, importer: importer.clone(), waker, secret, proxies, budget, largest };
        let uploads = Uploads::new(parts);
        Ok(Self { importer, uploads: Arc::new(uploads), work })
    }
}

fn settings(config: &RecordingsConfig, inbox: &Inbox) -> ImportSettings {
    let shared = match inbox {
        Inbox::Folder(folder) => Some(SharedInbox { folder: folder.clone(), place: place(folder, config) }),
        // Nodes may share a folder all the same.
        Inbox::Bucket(_) => config.inbox.clone().map(|folder| SharedInbox { place: place(&folder, config), folder }),
    };
    let default = || match inbox {
        Inbox::Folder(folder) => folder.clone(),
        Inbox::Bucket(_) => std::env::temp_dir(),
    };
    ImportSettings {
        work: config.work.clone().unwrap_or_else(default).join(WORK),
        inbox: shared,
        spool: config.spool.clone(),
        limits: Limits { bytes: config.largest, files: MOST_FILES, keep_free: config.keep_free },
        default_visibility: config.default_visibility,
        ready_per_format: config.ready_per_format,
    }
}

/// The place on the local shelf that a folder is, if it is one of the trees.
fn place(folder: &Path, config: &RecordingsConfig) -> Option<&'static str> {
    let folder = folder.canonicalize().ok()?;
    let is = |tree: &Option<PathBuf>| {
        tree.as_ref().and_then(|tree| tree.canonicalize().ok()).is_some_and(|tree| tree == folder)
    };
    match () {
        () if is(&config.published) => Some("published"),
        () if is(&config.unpublished) => Some("unpublished"),
        () => None,
    }
}
