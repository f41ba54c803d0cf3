//! Tokens of the original: JWTs with the frontend as their subject and its URL as their audience, without an expiry.
//!
//! A node keeps them until its meetings have ended and their recordings are published, so they arrive for days after a move.

use b3scale_middleware::cluster::FrontendId;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use uuid::Uuid;

use crate::signature::sha256;

/// The scope of such a token.
const SCOPE: &str = "b3scale:callback";

/// Reads the tokens of the server that this one replaces.
pub(super) struct LegacyTokens {
    key: DecodingKey,
    validation: Validation,
}

/// A token of the original.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LegacyToken {
    /// The frontend.
    pub(super) frontend: FrontendId,
    /// The frontend's own URL.
    pub(super) url: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    scope: String,
    sub: String,
    aud: Audience,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl LegacyTokens {
    /// Reads tokens that were signed with that secret.
    pub(super) fn of(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS384);
        // The original takes any of them in an address.
        validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        validation.required_spec_claims.clear();
        validation.validate_aud = false;
        validation.validate_exp = false;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// The frontend and the URL in a token. `None`: it is none, or not signed with our secret.
    pub(super) fn read(&self, token: &str) -> Option<LegacyToken> {
        let claims: Claims = jsonwebtoken::decode(token, &self.key, &self.validation).ok()?.claims;
        let url = match claims.aud {
            Audience::One(url) => Some(url),
            Audience::List(urls) => urls.into_iter().next(),
        };
        let is_callback = claims.scope.split(' ').any(|word| word == SCOPE);
        let frontend = claims.sub.parse::<Uuid>().ok().filter(|_| is_callback)?;
        Some(LegacyToken { frontend: FrontendId(frontend), url: url? })
    }
}

/// Under which token the callback of such a token is kept, together with its session: its digest, since it is long.
pub(super) fn kept_as(token: &str) -> String {
    sha256(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://school.example/end?salt=%242y%24";

    fn token(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    fn claims(scope: &str, aud: &Value) -> Value {
        json!({"scope": scope, "sub": Uuid::from_u128(7).to_string(), "aud": aud})
    }

    #[test]
    fn a_token_of_the_original_names_its_frontend_and_its_url() {
        let tokens = LegacyTokens::of("secret");
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            for aud in [json!([URL]), json!(URL)] {
                let read = tokens.read(&token(algorithm, &claims(SCOPE, &aud), "secret")).unwrap();
                assert_eq!((read.frontend.0, read.url.as_str()), (Uuid::from_u128(7), URL));
            }
        }
    }

    #[test]
    fn other_tokens_are_none() {
        let tokens = LegacyTokens::of("secret");
        let signed = |claims: &Value| token(Algorithm::HS384, claims, "secret");
        for text in [
            token(Algorithm::HS384, &claims(SCOPE, &json!([URL])), "other"),
            signed(&claims("b3scale:admin", &json!([URL]))),
            signed(&claims("", &json!([URL]))),
            signed(&claims(SCOPE, &json!([]))),
            signed(&json!({"scope": SCOPE, "sub": "no uuid", "aud": [URL]})),
            signed(&json!({"scope": SCOPE, "sub": Uuid::from_u128(7).to_string()})),
            "nonsense".to_owned(),
            String::new(),
        ] {
            assert!(tokens.read(&text).is_none(), "{text}");
        }
        assert_eq!(kept_as("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
