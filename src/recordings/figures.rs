//! Figures of recordings for metrics: imports that wait, uploads, formats and bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::playback::route::KNOWN;
use crate::store::{Store, StoreError};
use crate::telemetry::catalog::{
    RECORDING_BYTES, RECORDING_FORMATS, RECORDING_IMPORT_AGE, RECORDING_IMPORTS_WAITING, RECORDING_UPLOADS,
};
use crate::work::Round;

/// Formats and bytes by shelf and format.
type Stock = BTreeMap<(String, &'static str), (i64, i64)>;

/// Counts recordings in the database.
pub struct CountRecordings {
    store: Store,
    /// The series so far. A shelf that is empty by now has none, and its series go to zero.
    told: Mutex<Stock>,
}

impl CountRecordings {
    /// A count of the recordings in these tables.
    pub fn new(store: Store) -> Self {
        Self { store, told: Mutex::default() }
    }

    async fn count(&self) -> Result<(), StoreError> {
        let backlog = self.store.imports().backlog().await?;
        RECORDING_IMPORTS_WAITING.with([]).set(backlog.waiting as f64);
        RECORDING_IMPORT_AGE.with([]).set(backlog.oldest.as_secs_f64());
        RECORDING_UPLOADS.with([]).set(backlog.uploads as f64);
        let mut stock = Stock::new();
        for one in self.store.holdings().stock().await? {
            let (formats, bytes) = stock.entry((one.shelf, label(&one.format))).or_default();
            *formats += one.formats;
            *bytes += one.bytes;
        }
        self.tell(stock);
        Ok(())
    }

    fn tell(&self, stock: Stock) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = told.keys().filter(|key| !stock.contains_key(*key)).map(|key| (key, &(0, 0)));
        for ((shelf, format), (formats, bytes)) in gone.chain(&stock) {
            RECORDING_FORMATS.with([shelf, format]).set(*formats as f64);
            RECORDING_BYTES.with([shelf, format]).set(*bytes as f64);
        }
        *told = stock;
    }
}

impl Round for CountRecordings {
    const NAME: &'static str = "count-recordings";
    const PAUSE: Duration = Duration::from_secs(15);

    async fn run(&self) {
        if let Err(error) = self.count().await {
            tracing::debug!(%error, "Counting recordings failed");
        }
    }
}

/// A format as a label. Nodes name further ones, in any number.
pub(super) fn label(format: &str) -> &'static str {
    KNOWN.into_iter().find(|known| *known == format).unwrap_or("other")
}
