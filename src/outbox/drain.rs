//! The end of a server: tries under way get to their end, and no other begins, so that only a kill sends twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::timeout;

/// How long tries under way may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The door of the outbox. Clones are the same door.
#[derive(Clone, Default)]
pub struct Drain(Arc<RwLock<()>>);

/// A try that is under way.
pub(crate) type UnderWay = OwnedRwLockReadGuard<()>;

impl Drain {
    /// Begins a try. Waits for ever once the door is closed.
    pub(crate) async fn enter(&self) -> UnderWay {
        Arc::clone(&self.0).read_owned().await
    }

    /// Closes the door for good, and waits a little until no try is under way.
    pub async fn close(&self) {
        match timeout(LIMIT, Arc::clone(&self.0).write_owned()).await {
            Ok(closed) => std::mem::forget(closed),
            Err(_) => tracing::warn!("Deliveries under way were cut off, and will be repeated"),
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
        let under_way = drain.enter().await;
        let mut closing = Box::pin(drain.close());
        assert!(closing.as_mut().now_or_never().is_none());
        assert!(drain.enter().now_or_never().is_none());
        drop(under_way);
        closing.await;
        assert!(drain.enter().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_hangs_does_not_hold_up_the_end() {
        let drain = Drain::default();
        let _under_way = drain.enter().await;
        drain.close().await;
    }
}
