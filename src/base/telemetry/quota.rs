//! Bounds of the log: one place in the code writes only so many lines in an interval.
//!
//! Strangers, tenants and nodes decide how often something goes wrong, so each line that tells of it has its quota. The first
//! lines of an interval are written, the rest are counted, and at its end one line says how many more there were. Two kinds
//! have no quota: debug lines, and events named [`ACCOUNT`]. Each verified call that was done and each change has one such event.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use b3scale_middleware::bbb::cut;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::catalog::LOG_LINES_WITHHELD;

/// The name of an event that accounts for one verified call that was done or one change: all of them are written.
pub const ACCOUNT: &str = "account";

/// The name of an event about a verified call that failed and changed nothing. Its place has a quota for each `frontend.key`: the
/// holder of one link decides how often it is opened.
pub const IN_VAIN: &str = "in vain";

/// Lines of one place within [`INTERVAL`].
const MOST: u64 = 100;

/// After it, a place has its whole quota again.
const INTERVAL: Duration = Duration::from_secs(10);

/// A format that writes only lines within their quota.
#[derive(Debug)]
pub struct Bounded<F> {
    format: F,
    quota: Quota,
}

impl<F> Bounded<F> {
    /// Writes lines in that format.
    pub fn new(format: F) -> Self {
        Self { format, quota: Quota::default() }
    }
}

// A filter of the layer would fit better, but a filter that decides by more than the call site silences its layer:
// tracing-subscriber keeps the refusal for the next event.
impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let has_quota = metadata.name() != ACCOUNT && *metadata.level() <= Level::INFO;
        if has_quota && !self.quota.admits(event) {
            return Ok(());
        }
        self.format.format_event(context, writer, event)
    }
}

/// How many lines each place has written. There are as many places as the program has lines that write.
#[derive(Clone, Debug, Default)]
struct Quota(Arc<Mutex<HashMap<Place, Tally>>>);

/// A line of the program that writes, and for calls [`IN_VAIN`] the key of the frontend.
type Place = (Identifier, String);

/// The lines of one place in one interval.
#[derive(Clone, Copy, Debug)]
struct Tally {
    since: Instant,
    lines: u64,
}

impl Tally {
    fn begin() -> Self {
        Self { since: Instant::now(), lines: 0 }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= INTERVAL
    }
}

impl Quota {
    /// Counts a line, and says whether it is written.
    fn admits(&self, event: &Event<'_>) -> bool {
        // Without a runtime there is no server that could be flooded, and nothing that would say how many more there were.
        let Ok(runtime) = Handle::try_current() else { return true };
        let metadata = event.metadata();
        let frontend = if metadata.name() == IN_VAIN { Text::of(event, "frontend.key") } else { String::new() };
        let place = (metadata.callsite(), frontend);
        let tally = {
            let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let tally = tallies.entry(place.clone()).or_insert_with(Tally::begin);
            // A window with withheld lines is closed by its last line.
            if tally.is_over() && tally.lines <= MOST {
                *tally = Tally::begin();
            }
            tally.lines += 1;
            *tally
        };
        if tally.lines == MOST + 1 {
            let (quota, message) = (self.clone(), cut(&Text::of(event, "message")).into_owned());
            runtime.spawn(async move {
                sleep_until(tally.since + INTERVAL).await;
                quota.close(&place, &message);
            });
        }
        tally.lines <= MOST
    }

    /// Ends the interval of a place, and says how many lines it has not written.
    fn close(&self, place: &Place, line: &str) {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
        let more = ended.map_or(0, |tally| tally.lines.saturating_sub(MOST));
        LOG_LINES_WITHHELD.with([]).increment(more);
        warn!(name: ACCOUNT, { line, more, seconds = INTERVAL.as_secs() }, "… {more} more were not logged");
    }
}

/// The text of one field of an event.
struct Text {
    field: &'static str,
    text: String,
}

impl Text {
    fn of(event: &Event<'_>, field: &'static str) -> String {
        let mut found = Self { field, text: String::new() };
        event.record(&mut found);
        found.text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == self.field {
            self.text = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use tokio::task::yield_now;
    use tokio::time::advance;
    use tracing::info;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<String>>);

    impl Page {
        fn count(&self, words: &str) -> usize {
            self.0.lock().unwrap().lines().filter(|line| line.contains(words)).count()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(page: &Page) -> tracing::subscriber::DefaultGuard {
        let page = page.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).map_event_format(Bounded::new);
        tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.with_writer(move || page.clone())))
    }

    /// Lets the other tasks do all they can at this moment.
    async fn settle() {
        for _ in 0..10 {
            yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_bounded_number_of_lines_and_one_that_counts_the_rest() {
        let page = Page::default();
        let _log = log(&page);
        for flood in 1..=3 {
            for number in 0..72_000 {
                warn!(number, "Refused call");
            }
            assert_eq!(page.count("Refused call number="), flood * 100);
            settle().await;
            advance(INTERVAL + Duration::from_millis(1)).await;
            settle().await;
            assert_eq!(page.count("… 71900 more were not logged"), flood);
        }
        warn!(number = 0, "Refused call");
        assert_eq!(page.count("Refused call number="), 3 * 100 + 1, "that is another place");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_takes_no_line_from_another_place() {
        let page = Page::default();
        let _log = log(&page);
        for _ in 0..1_000 {
            info!("Flood");
            info!(name: ACCOUNT, "Account");
        }
        info!("Start");
        assert_eq!(["Flood", "Account", "Start"].map(|words| page.count(words)), [100, 1_000, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_vain_of_one_frontend_take_no_line_from_another() {
        let page = Page::default();
        let _log = log(&page);
        for (frontend, calls) in [("school", 1_000), ("college", 1)] {
            for _ in 0..calls {
                info!(name: IN_VAIN, { frontend.key = frontend }, "Call failed");
            }
        }
        let lines = |frontend: &str| page.count(&format!("Call failed frontend.key=\"{frontend}\""));
        assert_eq!((lines("school"), lines("college")), (100, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_writes_slowly_is_always_heard() {
        let page = Page::default();
        let _log = log(&page);
        for _ in 0..500 {
            info!("Now and then");
            advance(Duration::from_millis(200)).await;
        }
        assert_eq!((page.count("Now and then"), page.count("not logged")), (500, 0));
    }
}
