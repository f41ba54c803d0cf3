//! Hooks that stand in the settings of their frontends.

use std::collections::BTreeSet;
use std::time::Duration;

use b3scale_middleware::cluster::{FrontendId, Hook, PermanentHook, WebhookSettings};
use uuid::Uuid;

use crate::store::{Store, WantedHook};
use crate::work::{Duty, Failure};

/// Brings the permanent hooks in line with the settings.
pub struct PermanentHooks(pub Store);

impl Duty for PermanentHooks {
    const NAME: &'static str = "permanent-hooks";
    const EVERY: Duration = Duration::from_secs(5);

    async fn run(&self) -> Result<(), Failure> {
        let hooks = self.0.hooks();
        for (frontend, found) in hooks.permanent().await? {
            let wanted = wanted(frontend, &found.settings);
            if !are_there(&wanted, &found.there) {
                // One frontend's trouble is not the others'.
                if let Err(error) = hooks.set_permanent(frontend, &wanted).await {
                    tracing::error!(frontend.id = %frontend.0, %error, "Setting permanent hooks failed");
                }
            }
        }
        Ok(())
    }
}

/// The permanent hooks of those settings, each URL once. An id is that of its frontend and URL for ever.
fn wanted(frontend: FrontendId, settings: &WebhookSettings) -> Vec<WantedHook> {
    let mut urls = BTreeSet::new();
    let first = settings.permanent.iter().filter(|hook| urls.insert(&*hook.url));
    let wanted = first.map(|PermanentHook { url, events, raw }| WantedHook {
        id: Uuid::new_v5(&frontend.0, url.as_bytes()).to_string(),
        url: url.clone(),
        events: events.iter().map(|event| event.trim().to_lowercase()).collect(),
        raw: *raw && settings.raw,
    });
    wanted.collect()
}

fn are_there(wanted: &[WantedHook], there: &[Hook]) -> bool {
    let same = |wanted: &WantedHook, hook: &Hook| {
        hook.url == wanted.url && hook.meeting_id.is_none() && hook.events == wanted.events && hook.raw == wanted.raw
    };
    wanted.len() == there.len() && wanted.iter().all(|wanted| there.iter().any(|hook| same(wanted, hook)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_has_one_id_of_each_frontend_and_stands_for_its_url() {
        let hook = |url: &str| PermanentHook { url: url.to_owned(), events: vec![" User-Left".to_owned()], raw: true };
        let permanent = vec![hook("https://a.example"), hook("https://a.example"), hook("https://b.example")];
        let settings = WebhookSettings { permanent, ..WebhookSettings::default() };
        let [one, other] = [1, 2].map(|id| wanted(FrontendId(Uuid::from_u128(id)), &settings));
        assert_eq!(one.len(), 2, "each URL counts once");
        assert!(one[0].id != other[0].id && one[0].id != one[1].id);
        assert_eq!(one[0].events, ["user-left"]);
        assert!(!one[0].raw, "the settings do not allow it");
        let there = |wanted: &WantedHook| {
            let WantedHook { id, url, events, raw } = wanted.clone();
            Hook { id, url, meeting_id: None, events, permanent: true, raw }
        };
        let all: Vec<Hook> = one.iter().map(there).collect();
        assert!(are_there(&one, &all) && !are_there(&one, &all[1..]) && !are_there(&one[1..], &all));
    }
}
