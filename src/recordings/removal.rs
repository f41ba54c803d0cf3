//! Removing files that no row names any more.

use std::time::Duration;

use b3scale_middleware::cluster::RecordId;
use serde::{Deserialize, Serialize};

use super::shelf::{FormatKey, Stored};
use super::shelves::Shelves;
use crate::store::{REMOVAL, Spot, Store};
use crate::work::{Attempt, Job, JobError, Terms};

/// Removes files, as the tables ask for it.
pub struct Remover {
    store: Store,
    shelves: Shelves,
}

/// Files to remove.
#[derive(Serialize, Deserialize)]
pub struct Removal {
    record_id: String,
    format: String,
    shelf: String,
    place: String,
    /// The content to remove. Any other one in that place stays. `None`: whatever lies there.
    #[serde(default)]
    stamp: Option<String>,
}

impl Remover {
    /// A remover on these shelves.
    pub fn new(store: Store, shelves: Shelves) -> Self {
        Self { store, shelves }
    }
}

impl Job for Remover {
    const KIND: &'static str = REMOVAL;
    /// A bucket may be away for days.
    const TERMS: Terms = Terms {
        at_once: 4,
        lease: Duration::from_secs(60),
        limit: Duration::from_secs(1800),
        attempts: 200,
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_secs(3600),
    };
    type Payload = Removal;

    async fn run(&self, removal: Removal, _: Attempt) -> Result<(), JobError> {
        let Removal { record_id, format, shelf, place, stamp } = removal;
        let key = RecordId::new(&record_id).and_then(|record| FormatKey::new(&record, &format));
        let key = key.ok_or_else(|| JobError::Poison(format!("`{format}` of `{record_id}` is no format")))?;
        let spot = Spot { shelf, place };
        if self.store.holdings().names(key.record(), key.format(), &spot).await? {
            tracing::info!(recording = %key, "Keeping files that a row names again");
            return Ok(());
        }
        let shelf = self.shelves.named(&spot.shelf);
        let shelf = shelf.ok_or_else(|| JobError::Retry(format!("this server has no shelf `{}`", spot.shelf)))?;
        match stamp {
            Some(stamp) => shelf.remove_content(&key, &Stored { place: spot.place, stamp }).await?,
            None => shelf.remove(&key, &spot.place).await?,
        }
        Ok(())
    }
}
