//! Figures of deliveries, for metrics.

use std::time::Duration;

use b3scale_middleware::cluster::CallbackKind;

use crate::store::Store;
use crate::telemetry::catalog::{DELIVERIES, DELIVERIES_WAITING, DELIVERY_AGE};
use crate::work::Round;

/// Counts the deliveries that wait.
pub struct CountDeliveries(pub Store);

impl Round for CountDeliveries {
    const NAME: &'static str = "count-deliveries";
    const PAUSE: Duration = Duration::from_secs(5);

    async fn run(&self) {
        let waiting = match self.0.deliveries().waiting().await {
            Ok(waiting) => waiting,
            Err(error) => return tracing::debug!(%error, "Counting deliveries failed"),
        };
        for kind in CallbackKind::ALL.map(CallbackKind::word) {
            let count: i64 = waiting.iter().filter(|waiting| waiting.kind == kind).map(|waiting| waiting.count).sum();
            DELIVERIES_WAITING.with([kind]).set(count as f64);
        }
        for (receiver, unwanted) in [("away", false), ("unwilling", true)] {
            let ages = waiting.iter().filter(|waiting| waiting.unwanted == unwanted).map(|waiting| waiting.age);
            DELIVERY_AGE.with([receiver]).set(ages.max().unwrap_or_default().as_secs_f64());
        }
    }
}

/// Counts a try that ended.
pub fn tried(kind: CallbackKind, outcome: &'static str) {
    DELIVERIES.with([kind.word(), outcome]).increment(1);
}

/// Shows all series from the start, so that the first event is an increase.
pub(super) fn announce() {
    for kind in CallbackKind::ALL.map(CallbackKind::word) {
        for outcome in ["delivered", "retried", "refused", "dead", "dropped"] {
            DELIVERIES.with([kind, outcome]).increment(0);
        }
    }
}
