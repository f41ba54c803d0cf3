//! Counters of a test's thread, on which its server runs, too.

use b3scale::telemetry::Counts;
use metrics::LocalRecorderGuard;

/// Counts until it is dropped.
pub struct Counted {
    /// The counters.
    pub handle: Counts,
    _guard: LocalRecorderGuard<'static>,
}

impl Counted {
    /// Counts events on this thread from here on.
    pub fn here() -> Self {
        // Small, and as old as the test's process.
        let recorder = Box::leak(Box::new(Counts::new().unwrap()));
        Self { handle: recorder.clone(), _guard: metrics::set_default_local_recorder(recorder) }
    }

    /// All of it, as `/metrics` writes it.
    pub fn text(&self) -> String {
        self.handle.render()
    }

    /// The value of one series, which is named with its labels.
    pub fn value(&self, series: &str) -> Option<u64> {
        let text = self.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }
}
