//! The request of an event, as BBB would send it to the receiver, with signatures of Standard Webhooks.

use std::time::SystemTime;

use b3scale_middleware::bbb::Algorithm;
use b3scale_middleware::cluster::Secrets;
use http::header::{CONTENT_TYPE, InvalidHeaderValue, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};

use super::sign;
use crate::outbox::{OURS, Parcel, Patience, WEBHOOK_ID};

const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const SEQUENCE: HeaderName = HeaderName::from_static("x-b3scale-sequence");

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded;charset=UTF-8");

/// An event for a receiver.
pub(super) struct Post<'a> {
    /// The id of the hook.
    pub(super) hook: &'a str,
    /// Its URL, as it was given.
    pub(super) url: &'a str,
    /// The algorithm of the checksum.
    pub(super) algorithm: Algorithm,
    /// The secrets of its frontend.
    pub(super) secrets: &'a Secrets,
    /// The number of the event.
    pub(super) seq: i64,
    /// The same in all tries.
    pub(super) body: String,
}

impl Post<'_> {
    /// The request of that try, from 1.
    ///
    /// # Errors
    /// An id that no header can have.
    pub(super) fn parcel(&self, number: u32, now: SystemTime) -> Result<Parcel, InvalidHeaderValue> {
        let Self { hook, url, algorithm, secrets, seq, body } = self;
        let id = format!("{hook}.{seq}");
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let signatures = sign::signatures(secrets, &id, seconds, body);
        let headers = vec![
            (CONTENT_TYPE, FORM),
            (USER_AGENT, OURS),
            (WEBHOOK_ID, HeaderValue::try_from(id)?),
            (TIMESTAMP, HeaderValue::from(seconds)),
            (SIGNATURE, HeaderValue::try_from(signatures)?),
            (SEQUENCE, HeaderValue::from(*seq)),
        ];
        let url = sign::address(*algorithm, url, body, sign::of_try(secrets, number));
        let (body, patience) = (body.clone().into(), Patience::Quick);
        Ok(Parcel { method: Method::POST, url, headers, body, patience })
    }
}
