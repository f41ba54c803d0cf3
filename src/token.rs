//! Access tokens for the REST API: JWT HS384, as the original's tools make and take them.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// What a token says of whoever has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it is for: words with spaces in between.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub scope: String,
    /// Whose it is.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub sub: String,
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<serde_json::Number>,
    /// Its own name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub jti: String,
}

fn null_is_empty<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text: String = Option::deserialize(value)?.unwrap_or_default();
    // No database has that character, and no name.
    if text.contains('\0') { Err(D::Error::custom("a claim has the character U+0000")) } else { Ok(text) }
}

/// Signs a token that does not expire. `now` is in seconds since 1970.
///
/// # Errors
/// The secret cannot be used as a key.
pub fn sign(secret: &str, sub: &str, scope: &str, now: u64) -> Result<String, Error> {
    let jti = Uuid::new_v4().to_string();
    let claims = Claims { scope: scope.to_owned(), sub: sub.to_owned(), iat: Some(now.into()), jti };
    jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims, &EncodingKey::from_secret(secret.as_bytes()))
}

/// The token of a request, whose scheme may be written in any case.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION).map(HeaderValue::to_str)?.ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
}

/// Reads tokens that were signed with one secret.
pub struct Tokens {
    key: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Those that were signed with that secret.
    pub fn of(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS384);
        // The tools of the original make tokens that never expire. One that says when, does.
        validation.required_spec_claims.clear();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.leeway = 0;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// What a token says.
    ///
    /// # Errors
    /// It was not signed with our secret by HS384, has expired, is not valid yet, or is none.
    pub fn read(&self, token: &str) -> Result<Claims, Error> {
        Ok(jsonwebtoken::decode(token, &self.key, &self.validation)?.claims)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn encoded(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    #[test]
    fn a_token_carries_scope_and_subject_and_the_header_of_the_original() {
        let token = sign("secret", "admin", "b3scale b3scale:admin", 1_700_000_000).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().alg, Algorithm::HS384);
        let claims = Tokens::of("secret").read(&token).unwrap();
        assert_eq!((&*claims.sub, &*claims.scope), ("admin", "b3scale b3scale:admin"));
        assert!(!claims.jti.is_empty());
    }

    #[test]
    fn a_token_without_an_end_holds_and_one_past_its_end_does_not() {
        let read = |claims: Value| Tokens::of("secret").read(&encoded(Algorithm::HS384, &claims, "secret"));
        assert_eq!(read(json!({"sub": "x", "scope": "b3scale"})).unwrap().sub, "x");
        assert_eq!(read(json!({"sub": null, "jti": null})).unwrap().sub, "");
        assert!(read(json!({"sub": "x", "iat": 32_503_680_000_u64})).is_ok(), "it was made in the future");
        assert!(read(json!({"sub": "x", "exp": 1_700_000_000})).is_err());
        assert!(read(json!({"sub": "x", "nbf": 32_503_680_000_u64})).is_err());
    }

    /// Defect 3 of the original: tokens of every algorithm were taken somewhere.
    #[test]
    fn other_algorithms_and_secrets_do_not_hold() {
        let claims = json!({"sub": "x", "scope": "b3scale:admin"});
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            assert!(Tokens::of("secret").read(&encoded(algorithm, &claims, "secret")).is_err());
        }
        assert!(Tokens::of("secret").read(&encoded(Algorithm::HS384, &claims, "other")).is_err());
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ4In0.";
        let odd = encoded(Algorithm::HS384, &json!({"sub": "a\u{0}b"}), "secret");
        assert!(Tokens::of("secret").read(&odd).is_err());
        assert!(Tokens::of("secret").read(unsigned).is_err() && Tokens::of("secret").read("nonsense").is_err());
    }
}
