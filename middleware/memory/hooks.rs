//! Hooks in memory. They hear nothing.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::Memory;
use crate::cluster::{Frontend, FrontendId, Hook, HookMade, NewHook};
use crate::fault::Fault;
use crate::ports::Hooks;

impl Memory {
    /// Adds a permanent hook of all events.
    pub fn permanent_hook(self, key: &str, id: &str, url: &str) -> Self {
        let frontend = self.frontend_named(key).id;
        let (id, url) = (id.to_owned(), url.to_owned());
        let hook = Hook { id, url, meeting_id: None, events: Vec::new(), permanent: true, raw: false };
        self.state().hooks.push((frontend, hook));
        self
    }

    fn make(&self, frontend: &Frontend, new: NewHook) -> HookMade {
        let NewHook { url, meeting_id, events, raw } = new;
        let mut state = self.state();
        let theirs = || state.hooks.iter().filter(|(owner, _)| *owner == frontend.id).map(|(_, hook)| hook);
        if let Some(known) = theirs().find(|hook| hook.url == url && hook.meeting_id == meeting_id) {
            return HookMade::Known(known.clone());
        }
        let settings = frontend.settings.webhooks();
        let count = theirs().filter(|hook| !hook.permanent).count();
        match () {
            () if !url.starts_with("http") => HookMade::Unusable,
            () if url.starts_with("http://127.") => HookMade::Inward,
            () if raw && !settings.raw => HookMade::RawRefused,
            () if i64::try_from(count).is_ok_and(|count| count >= settings.most()) => HookMade::TooMany,
            () => {
                let id = format!("hook-{}", state.hooks.len() + 1);
                let hook = Hook { id, url, meeting_id, events, permanent: false, raw };
                state.hooks.push((frontend.id, hook.clone()));
                HookMade::New(hook)
            }
        }
    }
}

impl Hooks for Memory {
    fn create<'a>(&'a self, frontend: &'a Frontend, new: NewHook) -> BoxFuture<'a, Result<HookMade, Fault>> {
        ready(Ok(self.make(frontend, new))).boxed()
    }

    fn list<'a>(&'a self, frontend: FrontendId, meeting: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Hook>, Fault>> {
        let wanted =
            |hook: &Hook| meeting.is_none() || hook.meeting_id.is_none() || hook.meeting_id.as_deref() == meeting;
        let state = self.state();
        let theirs = state.hooks.iter().filter(|(owner, hook)| *owner == frontend && wanted(hook));
        ready(Ok(theirs.map(|(_, hook)| hook.clone()).collect())).boxed()
    }

    fn destroy<'a>(&'a self, frontend: FrontendId, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        let hooks = &mut self.state().hooks;
        let place = hooks.iter().position(|(owner, hook)| *owner == frontend && hook.id == id && !hook.permanent);
        ready(Ok(place.map(|place| hooks.remove(place)).is_some())).boxed()
    }
}
