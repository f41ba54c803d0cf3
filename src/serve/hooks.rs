//! Putting the webhooks of a server together: the port of stages, and what keeps hooks in order.

use std::sync::Arc;

use b3scale_middleware::ports;

use crate::config::Config;
use crate::hooks::{ExpiredHooks, PermanentHooks, Registry};
use crate::store::Store;
use crate::work::Bench;

/// Begins to keep the hooks of frontends.
pub(super) fn open(config: &Config, store: &Store, bench: &Bench) -> Arc<dyn ports::Hooks> {
    bench.duty(PermanentHooks(store.clone()));
    bench.duty(ExpiredHooks(store.clone()));
    Arc::new(Registry::new(store.clone(), config.egress.clone(), bench.waker()))
}
