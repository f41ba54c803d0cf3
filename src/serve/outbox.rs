//! Putting the outbox of a server together: its courier, its jobs and its figures.

use crate::config::Config;
use crate::net::tls::CaFileError;
use crate::outbox::{CountDeliveries, Courier, Deliver, Drain};
use crate::store::Store;
use crate::work::Bench;

/// The way of messages out, and its end.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) courier: Courier,
    pub(super) drain: Drain,
}

/// Begins to make deliveries. They end with the bench, and before that once the drain is closed.
pub(super) fn open(config: &Config, store: &Store, bench: &Bench) -> Result<Outbox, CaFileError> {
    let (courier, drain) = (Courier::new(&config.egress)?, Drain::default());
    bench.job(Deliver::new(store.clone(), courier.clone(), drain.clone()));
    bench.round(CountDeliveries(store.clone()));
    Ok(Outbox { courier, drain })
}
