//! The page `/metrics`: counters, and the state at this moment.
//!
//! Events increment counters of the process's recorder. States are read from memory at each scrape:
//! series of a removed backend vanish without any clean-up.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use metrics_exporter_prometheus::BuildError;
use tokio::time::interval;

use super::counts::Counts;
use super::figures::Figures;
use super::process;
use super::sheet::Sheet;

/// Between two upkeeps of the recorder.
const UPKEEP: Duration = Duration::from_secs(5);

/// Prometheus's text format.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Why metrics cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The buckets of the histograms cannot be used.
    #[error("{0}")]
    Buckets(#[from] BuildError),
    /// Something else counts in this process.
    #[error("this process has a recorder already")]
    Taken,
}

/// The page, and who may see it.
#[derive(Clone)]
pub struct MetricsPage {
    /// The counters.
    pub counted: Counts,
    /// The sources of states.
    pub figures: Arc<dyn Figures>,
    /// The bearer token that is asked for, if any.
    pub token: Option<String>,
}

impl MetricsPage {
    /// Writes the page, with the figures of `more` after all others.
    pub fn render(&self, more: impl FnOnce(&mut Sheet)) -> String {
        self.counted.retain(&*self.figures);
        let mut sheet = Sheet::default();
        self.figures.write(&mut sheet);
        process::write(&mut sheet);
        more(&mut sheet);
        let mut text = self.counted.render();
        text.push_str(&sheet.text());
        text
    }
}

/// Starts the metrics, and the task that keeps their histograms small.
///
/// # Errors
/// Another recorder has been installed in this process.
pub fn start_metrics() -> Result<Counts, MetricsError> {
    let counts = Counts::new()?;
    metrics::set_global_recorder(counts.clone()).map_err(|_| MetricsError::Taken)?;
    let upkeep = counts.clone();
    tokio::spawn(async move {
        let mut every = interval(UPKEEP);
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(counts)
}

/// Ends the series of things that are gone, for as long as `figures` is in use.
pub fn end_series(counts: Counts, figures: &Arc<dyn Figures>) {
    let figures = Arc::downgrade(figures);
    tokio::spawn(async move {
        let mut every = interval(UPKEEP);
        loop {
            every.tick().await;
            let Some(figures) = figures.upgrade() else { return };
            counts.retain(&*figures);
        }
    });
}
