//! Access tokens for the REST API: JWT HS384, as the original's tools make and take them.

use std::fmt;
use std::str::FromStr;

use b3scale_middleware::bbb::cut;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::names::suggestion;

/// The claims of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Its scopes, separated by spaces.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub scope: String,
    /// Its subject.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub sub: String,
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<serde_json::Number>,
    /// Its own name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub jti: String,
}

impl Claims {
    /// Whether it is for that.
    pub fn has(&self, scope: Scope) -> bool {
        self.scope.split_whitespace().any(|word| word == scope.name())
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text: String = Option::deserialize(value)?.unwrap_or_default();
    // No database has that character, and no name.
    if text.contains('\0') { Err(D::Error::custom("a claim has the character U+0000")) } else { Ok(text) }
}

/// A scope of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A customer, who sees the frontends with its account reference.
    User,
    /// Operators.
    Admin,
    /// The agent on a node.
    Node,
    /// A monitoring system that reads a frontend's figures.
    Metrics,
    /// The import of recordings, as the original's tools do it.
    Recordings,
    /// The callbacks that the original gives to nodes.
    Callback,
}

/// A scope that there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoScope {
    /// It is misspelt, or of another system.
    #[error("there is no scope `{}`{}", cut(.0), suggestion(.0, Scope::ALL.map(Scope::name)))]
    Unknown(String),
    /// None is given.
    #[error("a scope is wanted{}", suggestion("", Scope::ALL.map(Scope::name)))]
    None,
}

impl Scope {
    const ALL: [Self; 6] = [Self::User, Self::Admin, Self::Node, Self::Metrics, Self::Recordings, Self::Callback];

    /// The word for it in a token.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "b3scale",
            Self::Admin => "b3scale:admin",
            Self::Node => "b3scale:node",
            Self::Metrics => "b3scale:metrics",
            Self::Recordings => "b3scale:recordings",
            Self::Callback => "b3scale:callback",
        }
    }
}

/// The scopes of a new token, as it lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(String);

impl FromStr for Scopes {
    type Err = NoScope;

    /// Reads scopes with commas or spaces in between.
    fn from_str(list: &str) -> Result<Self, NoScope> {
        let words: Vec<&str> = list.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        let unknown = words.iter().find(|word| Scope::ALL.iter().all(|scope| scope.name() != **word));
        match unknown {
            Some(word) => Err(NoScope::Unknown((*word).to_owned())),
            None if words.is_empty() => Err(NoScope::None),
            None => Ok(Self(words.join(" "))),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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

/// The bearer token of a request. The scheme may be in any case.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
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
    /// Reads tokens signed with that secret.
    pub fn of(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS384);
        // The original's tools make tokens that never expire. An expiry in a token holds.
        validation.required_spec_claims.clear();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        validation.leeway = 0;
        Self { key: DecodingKey::from_secret(secret.as_bytes()), validation }
    }

    /// The claims of a token.
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
    fn an_unknown_scope_is_refused_with_the_nearest_or_with_all() {
        let read = |list: &str| list.parse::<Scopes>().map(|scopes| scopes.to_string());
        assert_eq!(read("b3scale,b3scale:admin").unwrap(), "b3scale b3scale:admin");
        assert_eq!(read(" b3scale:node ").unwrap(), "b3scale:node");
        let said = |list: &str| read(list).unwrap_err().to_string();
        let all = "here are `b3scale`, `b3scale:admin`, `b3scale:node`, `b3scale:metrics`, `b3scale:recordings`, \
                   `b3scale:callback`";
        let nearest = "there is no scope `b3scale:amdin`; did you mean `b3scale:admin`? T";
        assert_eq!(said("b3scale,b3scale:amdin"), format!("{nearest}{all}"));
        assert_eq!(said("everything"), format!("there is no scope `everything`; t{all}"));
        assert_eq!(said(", "), format!("a scope is wanted; t{all}"));
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
