//! Signatures of messages to tenants, as each frontend wants them: other algorithms are refused.

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::Secrets;
use jsonwebtoken::errors::Error;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

/// The claims of a recording that is ready, in BBB's order.
#[derive(Serialize)]
struct Ready<'a> {
    meeting_id: &'a str,
    record_id: &'a str,
}

/// The claims of a bearer token.
#[derive(Serialize)]
struct Bearer {
    exp: u64,
}

/// The signed parameters of a recording that is ready.
pub(super) fn ready(meeting_id: &str, record_id: &str, secret: &Secret) -> Result<String, Error> {
    signed(Algorithm::HS256, &Ready { meeting_id, record_id }, secret)
}

/// A bearer token that is valid until `exp`, in seconds since 1970.
pub(super) fn bearer(algorithm: Algorithm, exp: u64, secret: &Secret) -> Result<String, Error> {
    signed(algorithm, &Bearer { exp }, secret)
}

/// The secrets of a frontend in the order in which they sign. While a secret is changed, the receiver may know either.
pub(super) fn order(secrets: &Secrets) -> impl Iterator<Item = &Secret> {
    secrets.next().into_iter().chain([secrets.current()])
}

fn signed(algorithm: Algorithm, claims: &impl Serialize, secret: &Secret) -> Result<String, Error> {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new(&"0123456789abcdef".repeat(4)).expect("it is not empty")
    }

    #[test]
    fn a_ready_recording_is_signed_as_bbb_signs_it() {
        let record = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";
        let signed = ready("abc123", record, &secret()).expect("it is signed");
        let expected = concat!(
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJtZWV0aW5nX2lkIjoiYWJjMTIzIiwicmVjb3JkX2lkIjoiNjM2N2M0OGRkMTkzZDU2Z",
            "WE3YjBiYWFkMjViMTk0NTVlNTI5ZjVlZS0xNzAwMDAwMDAwMDAwIn0.solwFOMB68Su3lAbiTj-KHP0o2-Wwk90Xp_Fl1X2L1I",
        );
        assert_eq!(signed, expected);
    }

    #[test]
    fn a_bearer_token_is_signed_as_bbb_signs_it() {
        let signed = bearer(Algorithm::HS512, 1_700_086_400, &secret()).expect("it is signed");
        let expected = concat!(
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.eyJleHAiOjE3MDAwODY0MDB9.",
            "ZQSFeJOvLkyjJfLPLQhYLt9GdMtQtr-lVwAUy1OLnQwdgrAbXfeHKQN4u1cFwY2QMQFaEKiLOK0GY1o48qgH_A",
        );
        assert_eq!(signed, expected);
    }

    #[test]
    fn the_next_secret_signs_before_the_current_one() {
        let next = Secret::new("next").expect("it is not empty");
        let changing = Secrets::new(secret(), Some(next));
        let words: Vec<_> = order(&changing).map(Secret::expose).collect();
        assert_eq!(words, ["next", secret().expose()]);
        assert_eq!(order(&Secrets::new(secret(), None)).count(), 1);
    }
}
