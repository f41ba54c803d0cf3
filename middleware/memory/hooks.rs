//! Hooks in memory. They hear nothing.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::Memory;
use crate::cluster::{Frontend, FrontendId, Hook, HookMade, NewHook};
use crate::fault::Fault;
use crate::ports::Hooks;

/// The hooks, each with its frontend.
#[derive(Debug, Default)]
pub(super) struct HookBook(Vec<(FrontendId, Hook)>);

impl HookBook {
    /// Adds a permanent hook of all events.
    pub(super) fn add_permanent(&mut self, frontend: FrontendId, id: &str, url: &str) {
        let (id, url) = (id.to_owned(), url.to_owned());
        let hook = Hook { id, url, meeting_id: None, events: Vec::new(), permanent: true, raw: false };
        self.0.push((frontend, hook));
    }

    fn of(&self, frontend: FrontendId) -> impl Iterator<Item = &Hook> {
        self.0.iter().filter(move |(owner, _)| *owner == frontend).map(|(_, hook)| hook)
    }

    fn make(&mut self, frontend: &Frontend, new: NewHook) -> HookMade {
        let NewHook { url, meeting_id, events, raw } = new;
        if let Some(known) = self.of(frontend.id).find(|hook| hook.url == url && hook.meeting_id == meeting_id) {
            return HookMade::Known(known.clone());
        }
        let settings = frontend.settings.webhooks();
        let count = self.of(frontend.id).filter(|hook| !hook.permanent).count();
        match () {
            () if !url.starts_with("http") => HookMade::Unusable,
            () if url.starts_with("http://127.") => HookMade::Inward,
            () if raw && !settings.raw => HookMade::RawRefused,
            () if i64::try_from(count).is_ok_and(|count| count >= settings.most()) => HookMade::TooMany,
            () => {
                let id = format!("hook-{}", self.0.len() + 1);
                let hook = Hook { id, url, meeting_id, events, permanent: false, raw };
                self.0.push((frontend.id, hook.clone()));
                HookMade::New(hook)
            }
        }
    }

    fn destroy(&mut self, frontend: FrontendId, id: &str) -> bool {
        let place = self.0.iter().position(|(owner, hook)| *owner == frontend && hook.id == id && !hook.permanent);
        place.map(|place| self.0.remove(place)).is_some()
    }
}

impl Hooks for Memory {
    fn create<'a>(&'a self, frontend: &'a Frontend, new: NewHook) -> BoxFuture<'a, Result<HookMade, Fault>> {
        ready(Ok(self.state().hooks.make(frontend, new))).boxed()
    }

    fn list<'a>(&'a self, frontend: FrontendId, meeting: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Hook>, Fault>> {
        let others =
            |hook: &&Hook| meeting.is_some() && hook.meeting_id.as_deref().is_some_and(|id| Some(id) != meeting);
        ready(Ok(self.state().hooks.of(frontend).filter(|hook| !others(hook)).cloned().collect())).boxed()
    }

    fn destroy<'a>(&'a self, frontend: FrontendId, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(self.state().hooks.destroy(frontend, id))).boxed()
    }
}
