//! The way of messages out to the URLs of tenants.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use tokio::time::timeout;

use super::address::{address, host, is_usable};
use super::redirect;
use crate::net::egress::{Egress, EgressError, EgressSettings};
use crate::net::tls::CaFileError;

/// How long a receiver may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// 5 seconds.
    Quick,
    /// 30 seconds: a receiver may call back before it answers.
    Patient,
}

impl Patience {
    const fn limit(self) -> Duration {
        match self {
            Self::Quick => Duration::from_secs(5),
            Self::Patient => Duration::from_secs(30),
        }
    }
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
    #[error("the URL is no http or https URL without a user")]
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
        Self::by(settings, Egress::new)
    }

    fn by(
        settings: &EgressSettings,
        client: impl Fn(EgressSettings) -> Result<Egress, CaFileError>,
    ) -> Result<Self, CaFileError> {
        let egress =
            |patience: Patience| client(EgressSettings { answer: patience.limit(), redirects: 0, ..settings.clone() });
        Ok(Self { quick: egress(Patience::Quick)?, patient: egress(Patience::Patient)? })
    }

    /// Sends a message and waits for the head of the answer, of any status. A few redirects to the same host are followed.
    ///
    /// # Errors
    /// There is no answer, and why.
    pub async fn send(&self, parcel: &Parcel) -> Result<Answered, Unsent> {
        timeout(parcel.patience.limit(), self.follow(parcel)).await.unwrap_or(Err(Unsent::TooSlow))
    }

    async fn follow(&self, parcel: &Parcel) -> Result<Answered, Unsent> {
        let mut to = address(&parcel.url).ok_or(Unsent::Unusable)?;
        let mut hops = 0..redirect::MOST;
        loop {
            let answer = self.send_to(&to, parcel).await?;
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
        is_usable(url)
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
