//! Logs and metrics of a program.

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{LogFormat, LogSettings};

/// What a stage or a call takes, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// Starts the log, on standard error.
pub fn start_log(settings: LogSettings) {
    // What the libraries say at these levels is about themselves.
    let ours = Targets::new().with_target("b3scale", settings.level).with_target("b3scale_middleware", settings.level);
    let filter = ours.with_default(settings.level.min(LevelFilter::WARN));
    let on_terminal = || if std::io::stderr().is_terminal() { LogFormat::Plain } else { LogFormat::Structured };
    let colours = std::io::stderr().is_terminal();
    let layer = match settings.format.unwrap_or_else(on_terminal) {
        LogFormat::Plain => fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_target(false).boxed(),
        LogFormat::Structured => {
            fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(std::io::stderr).boxed()
        }
    };
    // A second start in one process, as tests make it, keeps the first log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// Starts the metrics, and the task that keeps their histograms small.
///
/// # Errors
/// Another recorder has been installed in this process.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
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
