//! The end of a server: tries under way get to their end, and no other begins, so that only a kill sends twice.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::{Instant, timeout_at};

/// How long tries under way may take once the door is closed: the longest answer, and its record.
const LIMIT: Duration = Duration::from_secs(35);

/// The door of the outbox. Clones are the same door.
#[derive(Clone, Default)]
pub struct Drain(Arc<Door>);

#[derive(Default)]
struct Door {
    tries: Arc<RwLock<()>>,
    closed: OnceLock<Instant>,
}

/// A try that is under way.
pub(crate) type UnderWay = OwnedRwLockReadGuard<()>;

impl Drain {
    /// Begins a try. `None`: the door is closed.
    pub(crate) fn enter(&self) -> Option<UnderWay> {
        let under_way = Arc::clone(&self.0.tries).try_read_owned().ok()?;
        self.is_open().then_some(under_way)
    }

    /// Whether tries may begin.
    pub(crate) fn is_open(&self) -> bool {
        self.0.closed.get().is_none()
    }

    /// Closes the door for good.
    pub fn close(&self) {
        self.0.closed.get_or_init(Instant::now);
    }

    /// Closes the door, and waits until no try is under way, at most 35 s from the time it was closed.
    pub async fn end(&self) {
        let closed = *self.0.closed.get_or_init(Instant::now);
        if timeout_at(closed + LIMIT, self.0.tries.write()).await.is_err() {
            tracing::warn!("Deliveries under way were cut off, and will be repeated");
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_door_lets_tries_out_and_none_in() {
        let drain = Drain::default();
        let under_way = drain.enter().expect("it is open");
        drain.clone().close();
        assert!(drain.enter().is_none());
        let mut end = Box::pin(drain.end());
        assert!(end.as_mut().now_or_never().is_none());
        drop(under_way);
        end.await;
        assert!(drain.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_hangs_holds_up_the_end_for_a_while_and_opens_no_door() {
        let drain = Drain::default();
        let _under_way = drain.enter().expect("it is open");
        let closed = Instant::now();
        drain.close();
        tokio::time::advance(Duration::from_secs(20)).await;
        drain.end().await;
        assert!(closed.elapsed() >= LIMIT);
        assert!(drain.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_without_tries_takes_no_time() {
        assert!(Drain::default().end().now_or_never().is_some());
    }
}
