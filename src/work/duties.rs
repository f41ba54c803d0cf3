//! Duties: periodic work of one server at a time.
//!
//! Each server asks PostgreSQL again and again whether a duty is due. The server that gets it does it, and puts the
//! next time off for as long as it is at work. So a duty that takes long is not begun a second time, and that of a lost server is due again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::{Duty, Failure, Round};
use crate::ledger::Queue;
use crate::store::StoreError;
use crate::telemetry::catalog::DUTIES;

/// The shortest and the longest pause between two looks whether a duty is due, in seconds.
const LOOKS: [u64; 2] = [2, 60];

/// A server's share of a duty.
pub(super) struct Share<D> {
    pub(super) duty: D,
    pub(super) ledger: Arc<dyn Queue>,
    pub(super) server: Uuid,
}

impl<D: Duty> Round for Share<D> {
    const NAME: &'static str = D::NAME;
    const PAUSE: Duration = look_pause(D::EVERY);

    async fn run(&self) {
        let outcome = match self.run_if_due().await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(failure) => {
                // Other parts of the server report that the database is away.
                match failure.downcast_ref::<StoreError>() {
                    Some(error) => tracing::debug!(%error, duty = D::NAME, "Duty failed"),
                    None => tracing::warn!(error = %failure, duty = D::NAME, "Duty failed"),
                }
                "failed"
            }
        };
        DUTIES.with([D::NAME, outcome]).increment(1);
    }
}

impl<D: Duty> Share<D> {
    /// `None`: it is not due, or another server does it.
    async fn run_if_due(&self) -> Result<Option<&'static str>, Failure> {
        if !self.ledger.take_duty(D::NAME, D::EVERY, self.server).await? {
            return Ok(None);
        }
        tokio::select! {
            done = self.duty.run() => done.map(|()| Some("done")),
            () = self.lose() => Ok(Some("lost")),
        }
    }

    /// Renews the duty until another server has it. A renewal that fails is followed by another.
    async fn lose(&self) {
        loop {
            sleep(D::EVERY / 2).await;
            if let Ok(false) = self.ledger.renew_duty(D::NAME, D::EVERY, self.server).await {
                return;
            }
        }
    }
}

/// Between two looks: a tenth of the time in which the duty is done once.
const fn look_pause(every: Duration) -> Duration {
    let [shortest, longest] = LOOKS;
    let seconds = every.as_secs() / 10;
    Duration::from_secs(if seconds < shortest {
        shortest
    } else if seconds > longest {
        longest
    } else {
        seconds
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_duty_is_looked_for_less_often() {
        let pauses = [2, 60, 600, 86400].map(|every| look_pause(Duration::from_secs(every)).as_secs());
        assert_eq!(pauses, [2, 6, 60, 60]);
    }
}
