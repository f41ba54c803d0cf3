//! Waiting for the effects of a test.

use std::time::Duration;

/// Nothing a test waits for takes this long unless it never comes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Fails a test that would hang.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("never came to pass: {what}"))
}

/// Asks for something, by calls that are made as fast as they are answered, until it is so.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    within(what, asking).await;
}
