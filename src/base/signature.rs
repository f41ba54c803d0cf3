//! Signatures of nodes under the uploads of recordings.
//!
//! A request carries a JWT by HS256 with the secret of the node, which the header `kid` names by its URL. It covers method, path and the
//! SHA-256 of the body, and is valid for some minutes.

use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How far the clocks of node and server may differ, in seconds.
pub const LEEWAY: u64 = 300;

/// How long a signature is valid, in seconds.
const LIFETIME: u64 = 300;

/// The signed parts of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    method: String,
    path: String,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub sha256: String,
    iat: u64,
    exp: u64,
}

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is none, or of another secret.
    Signature,
    /// The clocks differ by so many seconds more than they may. Positive: that of the node is ahead.
    Clock(i64),
}

impl Signed {
    /// A request at a time. `path` has no query.
    pub fn new(method: &str, path: &str, body: &[u8], now: SystemTime) -> Self {
        let iat = seconds(now);
        Self { method: method.to_owned(), path: path.to_owned(), sha256: sha256(body), iat, exp: iat + LIFETIME }
    }

    /// The token of a node for this request.
    ///
    /// # Errors
    /// The secret cannot be used as a key.
    pub fn token(&self, node: &str, secret: &str) -> Result<String, Error> {
        let header = Header { kid: Some(node.to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, self, &EncodingKey::from_secret(secret.as_bytes()))
    }

    /// Reads a token that was signed with that secret.
    ///
    /// # Errors
    /// The signature does not hold now.
    pub fn read(token: &str, secret: &str, now: SystemTime) -> Result<Self, Refusal> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are compared below, for a refusal with the difference.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(secret.as_bytes());
        let signed: Self = jsonwebtoken::decode(token, &key, &validation).map_err(|_| Refusal::Signature)?.claims;
        let now = seconds(now);
        if signed.exp > signed.iat.saturating_add(LIFETIME) {
            return Err(Refusal::Signature);
        }
        match (signed.iat.checked_sub(now), now.checked_sub(signed.exp)) {
            (Some(ahead), _) if ahead > LEEWAY => Err(Refusal::Clock(difference(ahead))),
            (_, Some(behind)) if behind > LEEWAY => Err(Refusal::Clock(-difference(behind))),
            _ => Ok(signed),
        }
    }

    /// Whether it covers a request.
    pub fn is_of(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }
}

/// The URL of the node that claims to have signed a token. `None`: no node signed it.
pub fn node_of(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    header.kid.filter(|_| header.alg == Algorithm::HS256)
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal digits in lower case.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn difference(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "https://n.example/bigbluebutton/api/";

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn token() -> String {
        Signed::new("PUT", "/a/0", b"chunk", at(1_000_000)).token(NODE, "secret").unwrap()
    }

    #[test]
    fn a_signature_covers_method_path_and_body() {
        let signed = Signed::read(&token(), "secret", at(1_000_100)).unwrap();
        assert_eq!(node_of(&token()).as_deref(), Some(NODE));
        assert_eq!(signed.sha256, sha256(b"chunk"));
        assert!(signed.is_of("PUT", "/a/0"));
        assert!(!signed.is_of("POST", "/a/0") && !signed.is_of("PUT", "/a/1"));
    }

    #[test]
    fn another_secret_or_algorithm_does_not_hold() {
        assert_eq!(Signed::read(&token(), "other", at(1_000_000)), Err(Refusal::Signature));
        assert_eq!(Signed::read("a.b.c", "secret", at(1_000_000)), Err(Refusal::Signature));
        let admin = crate::token::sign("secret", "operator", "b3scale:admin", 1_000_000).unwrap();
        assert_eq!((node_of(&admin), node_of("nonsense")), (None, None));
        let mut endless = Signed::new("PUT", "/a/0", b"", at(1_000_000));
        endless.exp += 1;
        let endless = endless.token(NODE, "secret").unwrap();
        assert_eq!(Signed::read(&endless, "secret", at(1_000_000)), Err(Refusal::Signature));
    }

    #[test]
    fn clocks_may_differ_by_some_minutes_and_more_is_told() {
        for (now, outcome) in [
            (1_000_000 - LEEWAY, None),
            (1_000_000 - LEEWAY - 1, Some(Refusal::Clock(301))),
            (1_000_000 + LIFETIME + LEEWAY, None),
            (1_000_000 + LIFETIME + LEEWAY + 60, Some(Refusal::Clock(-360))),
        ] {
            assert_eq!(Signed::read(&token(), "secret", at(now)).err(), outcome, "{now}");
        }
    }

    #[test]
    fn digits_are_those_of_other_tools() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
