//! The request of a delivery, as BBB would send it to the frontend.

use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::{Secret, java_encode};
use b3scale_middleware::cluster::CallbackKind;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue, USER_AGENT};
use http::{HeaderName, HeaderValue, Method};
use jsonwebtoken::Algorithm;

use super::courier::{Parcel, Patience};
use super::sign;
use crate::store::Delivery;

/// The name of a delivery, the same in each try, by which a receiver may recognise a repeated one.
pub(crate) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// Our name.
pub(crate) const OURS: HeaderValue = HeaderValue::from_static(concat!("b3scale/", env!("CARGO_PKG_VERSION")));
/// BBB's for analytics.
const OF_ANALYTICS: HeaderValue = HeaderValue::from_static("BigBlueButton Analytics Callback");

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long a bearer token is valid.
const LIFETIME: Duration = Duration::from_hours(24);

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The secret cannot be used as a key.
    #[error("signing failed: {0}")]
    Key(#[from] jsonwebtoken::errors::Error),
    /// A token or an id that no header can have.
    #[error("{0}")]
    Header(#[from] InvalidHeaderValue),
}

/// Whether a receiver checks a signature of the delivery.
pub(super) fn is_signed(delivery: &Delivery) -> bool {
    match delivery.kind {
        CallbackKind::End | CallbackKind::Ended => false,
        CallbackKind::Ready | CallbackKind::Analytics => true,
        CallbackKind::Other => delivery.bearer.is_some(),
    }
}

/// The request of a delivery, signed with one of the frontend's secrets.
///
/// # Errors
/// The secret cannot be used as a key.
pub(super) fn parcel(delivery: &Delivery, secret: &Secret) -> Result<Parcel, RequestError> {
    let agent = if delivery.kind == CallbackKind::Analytics { OF_ANALYTICS } else { OURS };
    let mut headers = vec![(WEBHOOK_ID, HeaderValue::try_from(delivery.id.to_string())?), (USER_AGENT, agent)];
    let (method, url, body) = match delivery.kind {
        CallbackKind::End => {
            let marks = delivery.marks.unwrap_or_default();
            let query = format!("recordingmarks={marks}&meetingID={}", java_encode(&delivery.meeting_id));
            (Method::GET, appended(&delivery.url, &query), Bytes::new())
        }
        CallbackKind::Ended => (Method::GET, delivery.url.clone(), Bytes::new()),
        CallbackKind::Ready => {
            headers.push((CONTENT_TYPE, FORM));
            let record = delivery.record.as_deref().unwrap_or_default();
            let signed = sign::ready(&delivery.meeting_id, record, secret)?;
            (Method::POST, delivery.url.clone(), format!("signed_parameters={signed}").into())
        }
        CallbackKind::Analytics => {
            headers.push((CONTENT_TYPE, JSON));
            headers.push((AUTHORIZATION, bearer(Algorithm::HS512, secret)?));
            (Method::POST, delivery.url.clone(), delivery.body.clone())
        }
        CallbackKind::Other => {
            let media = delivery.media.as_deref().and_then(|media| media.parse().ok());
            headers.extend(media.map(|media| (CONTENT_TYPE, media)));
            if let Some(algorithm) = delivery.bearer.as_deref().and_then(algorithm) {
                headers.push((AUTHORIZATION, bearer(algorithm, secret)?));
            }
            let url = delivery.query.as_deref().map(|query| appended(&delivery.url, query));
            let method = if delivery.method == Method::GET.as_str() { Method::GET } else { Method::POST };
            (method, url.unwrap_or_else(|| delivery.url.clone()), delivery.body.clone())
        }
    };
    Ok(Parcel { method, url, headers, body, patience: Patience::Patient })
}

/// A URL with a query behind its own, as BBB appends it: even if the URL has such a parameter already.
pub(crate) fn appended(url: &str, query: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{query}")
}

fn bearer(algorithm: Algorithm, secret: &Secret) -> Result<HeaderValue, RequestError> {
    let expiry = (SystemTime::now() + LIFETIME).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let token = sign::bearer(algorithm, expiry.as_secs(), secret)?;
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
        .into_iter()
        .find(|algorithm| format!("{algorithm:?}") == name)
}

#[cfg(test)]
mod tests;
