//! Signatures of events: the checksum of bbb-webhooks 3.4, and those of Standard Webhooks.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use b3scale_middleware::bbb::{Algorithm, Secret, sign};
use b3scale_middleware::cluster::Secrets;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use crate::outbox::appended;

/// The body of a post: one event, and the time of the first try in milliseconds since 1970.
pub(super) fn body(domain: &str, event: &str, first_try: i64) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("domain", domain)
        .append_pair("event", &format!("[{event}]"))
        .append_pair("timestamp", &first_try.to_string())
        .finish()
}

/// The URL of a hook with the checksum of a body.
pub(super) fn address(algorithm: Algorithm, url: &str, body: &str, secret: &Secret) -> String {
    appended(url, &format!("checksum={}", sign(algorithm, url, body, secret)))
}

/// The secret of that try, from 1. A receiver knows one of two while they are changed, and a checksum can only be of one.
pub(super) fn of_try(secrets: &Secrets, number: u32) -> &Secret {
    secrets.next().filter(|_| number % 2 == 1).unwrap_or(secrets.current())
}

/// The signatures of Standard Webhooks of a message, the next secret's first. `timestamp`: of this try, in seconds since 1970.
pub(super) fn signatures(secrets: &Secrets, id: &str, timestamp: u64, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let signature = |secret: &Secret| {
        let key = Key::new(HMAC_SHA256, secret.expose().as_bytes());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())))
    };
    let both: Vec<_> = secrets.next().into_iter().chain([secrets.current()]).map(signature).collect();
    both.join(" ")
}

#[cfg(test)]
mod tests;
