//! Putting the webhooks of a server together: the port of stages, their posts, and what keeps hooks in order.

use std::sync::Arc;

use b3scale_middleware::ports;
use rustix::system::uname;

use super::outbox::Outbox;
use crate::config::Config;
use crate::hooks::{
    CountHooks, ExpiredHooks, MendHooks, PermanentHooks, PostHooks, PostHooksParts, Registry, SweepHookEvents,
};
use crate::recordings::Links;
use crate::store::Store;
use crate::work::Bench;

/// Begins to keep the hooks of frontends, and to post events to them.
pub(super) fn open(
    config: &Config,
    store: &Store,
    bench: &Bench,
    outbox: &Outbox,
    links: Links,
) -> Arc<dyn ports::Hooks> {
    bench.duty(PermanentHooks(store.clone()));
    bench.duty(ExpiredHooks(store.clone()));
    bench.duty(MendHooks { store: store.clone(), waker: bench.waker() });
    bench.duty(SweepHookEvents(store.clone()));
    bench.round(CountHooks(store.clone()));
    let Outbox { courier, drain } = outbox.clone();
    bench.job(PostHooks::new(PostHooksParts { store: store.clone(), courier, drain, links, domain: domain(config) }));
    Arc::new(Registry::new(store.clone(), config.egress.clone(), bench.waker()))
}

/// The name of this service in posts.
fn domain(config: &Config) -> String {
    let host = config.recordings.api_url.as_ref().and_then(|url| url.host_str());
    host.map_or_else(|| uname().nodename().to_string_lossy().into_owned(), str::to_owned)
}
