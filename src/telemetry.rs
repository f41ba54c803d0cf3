//! Logs and metrics of a program.

pub mod catalog;
pub mod metric;
mod page;
mod process;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub use page::{CONTENT_TYPE, Figures, MetricsPage, of_frontend, snapshot, start_metrics};

use crate::config::{LogFormat, LogSettings};

/// The longest text of a fault that is logged, in characters.
const LONGEST_FAULT: usize = 4000;

/// A text that stays on its line, whatever a client or a node has put into it.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().take(LONGEST_FAULT).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_FAULT);
    }
}
