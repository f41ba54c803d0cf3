//! The port of `callback-rewrite`: addresses of ours for the callbacks of a create.

use std::sync::OnceLock;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{BackendId, CALLBACK_PATH, Callback, GivenCallback};
use b3scale_middleware::ports::Callbacks;

use super::token::CallbackTokens;
use crate::outbox::Courier;

/// Gives out addresses.
pub struct Registrar {
    tokens: CallbackTokens,
    chance: Chance,
    /// The addresses without their tokens. A server learns its own address after its pipeline was made.
    base: OnceLock<String>,
}

impl Registrar {
    /// Addresses with tokens signed for the cluster's secret.
    pub fn new(secret: &str, chance: Chance) -> Self {
        Self { tokens: CallbackTokens::new(secret.as_bytes()), chance, base: OnceLock::new() }
    }

    /// Settles the URL at which nodes reach this cluster. Until then every callback is left out.
    pub fn settle(&self, url: &str) {
        self.base.get_or_init(|| format!("{}{CALLBACK_PATH}", url.trim_end_matches('/')));
    }
}

impl Callbacks for Registrar {
    fn register(&self, meeting: &ScopedId, backend: BackendId, given: Vec<GivenCallback>) -> Vec<Callback> {
        let Some(base) = self.base.get() else { return Vec::new() };
        let usable = given.into_iter().filter(|given| Courier::usable(&given.url));
        let registered = usable.map(|GivenCallback { name, kind, url }| {
            let mut nonce = [0; 12];
            nonce.copy_from_slice(&self.chance.id().as_bytes()[..12]);
            let token = self.tokens.issue(kind, meeting.as_ref(), backend, nonce);
            let address = format!("{base}{token}");
            Callback { name, kind, url, token, address }
        });
        registered.collect()
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;
    use b3scale_middleware::cluster::{CallbackKind, restored};
    use uuid::Uuid;

    use super::*;

    fn given(url: &str) -> GivenCallback {
        GivenCallback { name: "meta_endcallbackurl".to_owned(), kind: CallbackKind::End, url: url.to_owned() }
    }

    #[test]
    fn an_address_is_restored_to_the_bytes_that_it_stands_for() {
        let registrar = Registrar::new("secret", Chance::seeded(1));
        registrar.settle("https://b3scale.example/");
        let meeting = ScopedId::new("school", &MeetingId::new("m1"));
        let url = "https://school.example/end?salt=%242y%2410%24a%2Fb.&x=a b";
        let unusable = [
            "nonsense".to_owned(),
            "ftp://school.example/".to_owned(),
            "https://".to_owned(),
            "https://name:word@school.example/".to_owned(),
            format!("https://school.example/{}", "x".repeat(8192)),
        ];
        let all = unusable.iter().map(|url| given(url)).chain([given(url), given(url)]).collect();
        let registered = registrar.register(&meeting, BackendId(Uuid::nil()), all);
        assert_eq!(registered.len(), 2, "the others cannot be called");
        assert_ne!(registered[0].token, registered[1].token);
        for callback in &registered {
            assert!(callback.address.starts_with("https://b3scale.example/api/v1/callbacks/proxy/"));
            assert_eq!(restored(&callback.address, &registered).as_deref(), Some(url));
        }
    }
}
