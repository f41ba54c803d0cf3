//! Logs and metrics of a program.

pub mod catalog;
mod counts;
mod figures;
pub mod metric;
#[cfg(feature = "otel")]
mod otel;
mod page;
mod process;
mod quota;
mod sheet;

use std::io::IsTerminal;

use b3scale_middleware::Trace;
use b3scale_middleware::bbb::cut_at;
use http::{HeaderMap, HeaderValue};
use tracing::Span;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub use counts::Counts;
pub use figures::{Figures, Thing};
pub use page::{CONTENT_TYPE, MetricsError, MetricsPage, end_series, start_metrics};
pub use quota::{ACCOUNT, Bounded, IN_VAIN};
pub use sheet::Sheet;

/// The longest text of a fault that is logged, in characters.
const LONGEST_FAULT: usize = 4000;

/// A text of a client or a node on a single line.
pub fn one_line(text: &str) -> String {
    cut_at(text, LONGEST_FAULT).into_owned()
}

/// How a program is to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The lowest level that is logged.
    pub level: LevelFilter,
    /// How a line looks. `None`: plain on a terminal, structured elsewhere.
    pub format: Option<LogFormat>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Structured,
    /// For people.
    Plain,
}

/// Keeps the log open.
#[must_use]
pub struct Log {
    #[cfg(feature = "otel")]
    _exporter: Option<otel::Exporter>,
}

/// The span of a call. Below it are those of its stages.
pub fn span_of(request_id: &HeaderValue, call: &str) -> Span {
    let request_id = request_id.to_str().unwrap_or_default();
    tracing::debug_span!(
        "call",
        otel.name = call,
        otel.kind = "server",
        otel.status_code = Empty,
        request.id = request_id,
        outcome = Empty,
    )
}

/// A call's place in a trace: that of its span where traces are exported, else the client's.
#[cfg_attr(not(feature = "otel"), expect(unused_variables, reason = "spans go nowhere then"))]
pub fn trace_of(span: &Span, headers: &HeaderMap) -> Option<Trace> {
    let client = Trace::read(headers);
    #[cfg(feature = "otel")]
    if let Some(exported) = otel::place(span, client.as_ref()) {
        return Some(exported);
    }
    client
}

/// Starts the log, on standard error. A program goes on without a reader of its log.
pub fn start_log(settings: LogSettings) -> Log {
    // At these levels libraries log about themselves.
    let ours = Targets::new().with_target("b3scale", settings.level).with_target("b3scale_middleware", settings.level);
    let filter = ours.with_default(settings.level.min(LevelFilter::WARN));
    let on_terminal = || if std::io::stderr().is_terminal() { LogFormat::Plain } else { LogFormat::Structured };
    let colours = std::io::stderr().is_terminal();
    let layer = match settings.format.unwrap_or_else(on_terminal) {
        LogFormat::Plain => {
            let plain = fmt::layer().with_ansi(colours).with_writer(std::io::stderr).with_target(false);
            plain.map_event_format(Bounded::new).log_internal_errors(false).boxed()
        }
        LogFormat::Structured => {
            let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(std::io::stderr);
            lines.map_event_format(Bounded::new).log_internal_errors(false).boxed()
        }
    };
    let log = tracing_subscriber::registry().with(layer.with_filter(filter));
    // A second start in one process, as tests make it, keeps the first log.
    #[cfg(not(feature = "otel"))]
    {
        let _ = log.try_init();
        Log {}
    }
    #[cfg(feature = "otel")]
    {
        let exported = otel::layer();
        let (traces, failure) = exported.map_or_else(|error| (None, Some(error)), |exported| (exported, None));
        let (traces, exporter) = traces.unzip();
        let _ = log.with(traces).try_init();
        if let Some(error) = failure {
            tracing::warn!(%error, "Exporting traces failed");
        }
        Log { _exporter: exporter }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(one_line(&"x".repeat(10_000)).chars().count(), LONGEST_FAULT + 1);
    }
}
