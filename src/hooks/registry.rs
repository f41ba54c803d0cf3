//! The calls of frontends about their hooks.

use b3scale_middleware::Fault;
use b3scale_middleware::cluster::{Frontend, FrontendId, Hook, HookMade, NewHook};
use b3scale_middleware::ports::Hooks;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::net::egress::EgressSettings;
use crate::outbox::Courier;
use crate::store::{HookCreated, POST_HOOKS_JOB, Store, StoreError};
use crate::work::Waker;

/// The hooks as stages ask for them.
pub struct Registry {
    store: Store,
    egress: EgressSettings,
    waker: Waker,
}

impl Registry {
    /// The hooks of that store, which are posted to by those rules.
    pub fn new(store: Store, egress: EgressSettings, waker: Waker) -> Self {
        Self { store, egress, waker }
    }

    async fn make(&self, frontend: &Frontend, new: NewHook) -> Result<HookMade, Fault> {
        let settings = frontend.settings.webhooks();
        // The names of hosts are judged when they are called, since they change.
        match () {
            () if !Courier::usable(&new.url) => return Ok(HookMade::Unusable),
            () if self.egress.refuses(&new.url) => return Ok(HookMade::Inward),
            () if new.raw && !settings.raw => return Ok(HookMade::RawRefused),
            () => {}
        }
        Ok(
            match self.store.hooks().create(frontend.id, &new, settings.most()).await.map_err(|error| fault(&error))? {
                HookCreated::New(hook) => HookMade::New(hook),
                HookCreated::Known(hook) => {
                    // It may have been paused.
                    self.waker.wake(POST_HOOKS_JOB);
                    HookMade::Known(hook)
                }
                HookCreated::TooMany => HookMade::TooMany,
            },
        )
    }
}

impl Hooks for Registry {
    fn create<'a>(&'a self, frontend: &'a Frontend, new: NewHook) -> BoxFuture<'a, Result<HookMade, Fault>> {
        self.make(frontend, new).boxed()
    }

    fn list<'a>(&'a self, frontend: FrontendId, meeting: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Hook>, Fault>> {
        async move { self.store.hooks().of_frontend(frontend, meeting).await.map_err(|error| fault(&error)) }.boxed()
    }

    fn destroy<'a>(&'a self, frontend: FrontendId, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        async move { self.store.hooks().destroy(frontend, id).await.map_err(|error| fault(&error)) }.boxed()
    }
}

fn fault(error: &StoreError) -> Fault {
    if error.is_away() { Fault::StoreAway(error.to_string()) } else { Fault::Internal(error.to_string()) }
}
