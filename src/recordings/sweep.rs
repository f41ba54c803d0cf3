//! Remains of work on shelves that was cut off.

use std::time::{Duration, SystemTime};

use super::shelves::Shelves;
use crate::work::{Duty, Failure};

/// Remains of this age belong to no work any more.
const OLDEST: Duration = Duration::from_secs(24 * 3600);

/// Removes remains from the shelves.
pub struct SweepShelves(pub Shelves);

impl Duty for SweepShelves {
    const NAME: &'static str = "sweep-shelves";
    const EVERY: Duration = Duration::from_secs(6 * 3600);

    async fn run(&self) -> Result<(), Failure> {
        let before = SystemTime::now().checked_sub(OLDEST).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut swept = Ok(());
        for shelf in self.0.all() {
            // A shelf that is away holds up no other.
            let outcome = shelf.sweep(before).await.inspect(|count| {
                if *count > 0 {
                    tracing::info!(shelf = shelf.name(), count, "Removed remains of cut-off work");
                }
            });
            swept = swept.and(outcome.map(drop));
        }
        Ok(swept?)
    }
}
