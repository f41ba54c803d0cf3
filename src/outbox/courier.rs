//! The way of messages out to the URLs of tenants.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::redirect;
use crate::net::egress::{Egress, EgressError, EgressSettings};
use crate::net::tls::CaFileError;

/// The longest URL that is called, in bytes.
const LONGEST_URL: usize = 8192;

/// Characters without a place in a request. All others stay as they are, since tenants sign and hash their URLs.
const UNFIT: &AsciiSet = &CONTROLS.add(b' ').add(b'<').add(b'>').add(b'`');

/// How long a receiver may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// 5 seconds.
    Quick,
    /// 30 seconds: a receiver may call back before it answers.
    Patient,
}

/// A message to a tenant.
pub struct Parcel {
    /// How it is sent.
    pub method: Method,
    /// Where to.
    pub url: String,
    /// Its headers, in their order.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
    /// How long the receiver may take.
    pub patience: Patience,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// How long the receiver wants to be left alone, if it says so.
    pub retry_after: Option<Duration>,
}

/// Why a message has no answer. No text holds more of the URL than its host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The URL cannot be called.
    #[error("the URL is no http or https URL of at most {LONGEST_URL} bytes without a user")]
    Unusable,
    /// The host is inside, and not in a network that is open.
    #[error("`{0}` is inside this network; B3SCALE_EGRESS_ALLOW would open it")]
    Inward(String),
    /// No connection, or a broken one.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer did not come in time.
    #[error("no answer in time")]
    TooSlow,
}

/// Takes messages out. Clones share their connections.
#[derive(Clone)]
pub struct Courier {
    quick: Egress,
    patient: Egress,
}

impl Courier {
    /// A courier that may go where `settings` let it.
    ///
    /// # Errors
    /// The TLS library refuses its own settings.
    pub fn new(settings: &EgressSettings) -> Result<Self, CaFileError> {
        let egress = |seconds| {
            let answer = Duration::from_secs(seconds);
            Egress::new(EgressSettings { answer, redirects: 0, ..settings.clone() })
        };
        Ok(Self { quick: egress(5)?, patient: egress(30)? })
    }

    /// Sends a message and waits for the head of the answer, of any status. A few redirects to the same host are followed.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub async fn send(&self, parcel: Parcel) -> Result<Answered, Unsent> {
        let mut to = address(&parcel.url).ok_or(Unsent::Unusable)?;
        let mut hops = 0..redirect::MOST;
        loop {
            let answer = self.send_to(&to, &parcel).await?;
            let next = location(&answer).and_then(|location| {
                redirect::target(&parcel.method, answer.status(), &to, location).filter(|_| hops.next().is_some())
            });
            match next {
                Some(next) => to = next,
                None => return Ok(Answered { status: answer.status(), retry_after: retry_after(answer.headers()) }),
            }
        }
    }

    /// Whether a URL can be called at all.
    pub fn usable(url: &str) -> bool {
        address(url).is_some()
    }

    async fn send_to(&self, to: &Uri, parcel: &Parcel) -> Result<Response<()>, Unsent> {
        let mut request = Request::new(Full::new(parcel.body.clone()));
        *request.method_mut() = parcel.method.clone();
        *request.uri_mut() = to.clone();
        request.headers_mut().extend(parcel.headers.iter().cloned());
        let egress = match parcel.patience {
            Patience::Quick => &self.quick,
            Patience::Patient => &self.patient,
        };
        egress.send_for_head(request).await.map_err(|error| match error {
            EgressError::Inward(host) => Unsent::Inward(host),
            EgressError::Unreachable(why) => Unsent::Unreachable(why),
            EgressError::TooSlow(_) => Unsent::TooSlow,
            large @ EgressError::TooLarge(_) => Unsent::Unreachable(large.to_string()),
        })
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}

/// The path of a URL is often the receiver's only secret.
impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").field("method", &self.method).field("host", &host(&self.url)).finish_non_exhaustive()
    }
}

/// The host of a URL, for logs and operators.
pub fn host(url: &str) -> Option<String> {
    Some(address(url)?.host()?.to_owned())
}

/// A URL as it is called: without its fragment, and as it was given but for characters that have no place in a request.
pub(super) fn address(url: &str) -> Option<Uri> {
    if url.len() > LONGEST_URL {
        return None;
    }
    let uri: Uri = utf8_percent_encode(&with_plain_host(url)?, UNFIT).to_string().parse().ok()?;
    let is_web = uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    let authority = uri.authority()?.as_str();
    (is_web && !authority.contains('@') && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

/// A URL with the name of its host in ASCII, as DNS has it.
fn with_plain_host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_ascii() {
        return Some(url.to_owned());
    }
    let plain = Url::parse(&format!("{scheme}://{authority}")).ok()?;
    Some(format!("{}{path}", plain.as_str().trim_end_matches('/')))
}

fn location(answer: &Response<()>) -> Option<&str> {
    answer.headers().get(LOCATION)?.to_str().ok()
}

/// Reads `Retry-After`: seconds, or a time.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let time = || httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok();
    seconds().or_else(time)
}

#[cfg(test)]
mod tests;
