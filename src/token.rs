//! Access tokens for the REST API: JWT HS384, as the original's tools make and take them.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
struct Claims<'a> {
    scope: &'a str,
    sub: &'a str,
    iat: u64,
    jti: Uuid,
}

/// Signs a token that does not expire. `now` is in seconds since 1970.
///
/// # Errors
/// The secret cannot be used as a key.
pub fn sign(secret: &str, sub: &str, scope: &str, now: u64) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims { scope, sub, iat: now, jti: Uuid::new_v4() };
    jsonwebtoken::encode(&Header::new(Algorithm::HS384), &claims, &EncodingKey::from_secret(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_scope_and_subject_and_the_header_of_the_original() {
        let token = sign("secret", "admin", "b3scale b3scale:admin", 1_700_000_000).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().alg, Algorithm::HS384);
        let mut validation = jsonwebtoken::Validation::new(Algorithm::HS384);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let key = jsonwebtoken::DecodingKey::from_secret(b"secret");
        let read = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap().claims;
        assert_eq!((read["sub"].as_str(), read["scope"].as_str()), (Some("admin"), Some("b3scale b3scale:admin")));
    }
}
