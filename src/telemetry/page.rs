//! What `/metrics` shows: what has been counted, and how things are at this moment.
//!
//! What happens is counted where it happens, in the recorder of the process. How things are is looked up in memory when somebody asks:
//! a backend that is removed is not there any more, and nobody has to clear up after it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;
use metrics::Recorder;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;

use super::metric::Metric;
use super::sheet::Sheet;
use super::{catalog, process};

/// What a stage, a statement or a call takes, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The same of what takes as long as its way over the network, of which there are many series.
const CALL_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// How long what was written for one frontend does for others.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// Prometheus's text format.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Whatever knows how things are.
pub trait Figures: Send + Sync {
    /// Writes down the figures of the whole server. Asks nobody.
    fn write(&self, sheet: &mut Sheet);
}

/// The page, and who may see it.
#[derive(Clone)]
pub struct MetricsPage {
    /// What has been counted.
    pub counted: PrometheusHandle,
    /// How things are.
    pub figures: Arc<dyn Figures>,
    /// The bearer token that is asked for, if any.
    pub token: Option<String>,
}

impl MetricsPage {
    /// Writes the page, with what `more` writes beside the figures of everything.
    pub fn render(&self, more: impl FnOnce(&mut Sheet)) -> String {
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
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let of_calls = [catalog::CALL_SECONDS.name, catalog::BACKEND_CALL_SECONDS.name];
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let builder = of_calls.into_iter().try_fold(builder, |builder, name| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &CALL_BUCKETS)
    })?;
    let handle = builder.install_recorder()?;
    metrics::with_recorder(begin);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut every = interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn begin(recorder: &dyn Recorder) {
    each(|metric| metric.declare(recorder));
    each(|metric| metric.begin(recorder));
}

fn each(act: impl FnMut(&Metric)) {
    catalog::ALL.iter().flat_map(|(_, metrics)| *metrics).for_each(act);
}

/// What has been counted, as frontends are told of it: each its own.
pub struct Shares {
    counted: PrometheusHandle,
    /// The whole page, and when it was written. Many frontends ask, and all at once.
    written: Mutex<Option<(Instant, Arc<str>)>>,
}

impl Shares {
    /// Those of what has been counted there.
    pub fn of(counted: PrometheusHandle) -> Self {
        Self { counted, written: Mutex::default() }
    }

    /// What has been counted of one frontend's calls, each series with the id of the server that tells it: another one that is
    /// asked next has counted others.
    pub fn of_frontend(&self, key: &str, server: &str) -> String {
        // Keys with these are not unmistakable once they are written. None can be given to a frontend any more.
        if key.contains(['\\', '"', '\n']) {
            return String::new();
        }
        let label = format!("frontend=\"{key}\"");
        // A quote within a value is escaped, so that a label begins behind a brace or a comma and nowhere else.
        let is_its = |line: &str| {
            let before = |at: usize| line.as_bytes().get(at.wrapping_sub(1));
            line.match_indices(&label).any(|(at, _)| matches!(before(at), Some(b'{' | b',')))
        };
        let mut text = String::new();
        // Of the family that is being read: what stands before its first series.
        let mut head = String::new();
        for line in self.page().lines() {
            if line.is_empty() {
                head.clear();
            } else if line.starts_with('#') {
                head.extend([line, "\n"]);
            } else if is_told_to_frontends(line) && is_its(line) {
                text.push_str(&head);
                head.clear();
                text.push_str(&line.replacen('{', &format!("{{server=\"{server}\","), 1));
                text.push('\n');
            }
        }
        text
    }

    fn page(&self) -> Arc<str> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match &*written {
            Some((at, page)) if at.elapsed() < SHARED_FOR => Arc::clone(page),
            Some(_) | None => {
                let page: Arc<str> = self.counted.render().into();
                *written = Some((Instant::now(), Arc::clone(&page)));
                page
            }
        }
    }
}

/// What says nothing of nodes.
fn is_told_to_frontends(line: &str) -> bool {
    // A histogram's series are called after it, and after what they are of it.
    let is_of = |name, next| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(next));
    is_of(catalog::CALLS.name, '{') || is_of(catalog::CALL_SECONDS.name, '_')
}
