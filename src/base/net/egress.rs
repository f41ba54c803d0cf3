//! Requests to addresses that tenants name, such as callbacks. They reach the public Internet and nothing inside.
//!
//! A connection is checked where it is made, so that redirects and names that change meanwhile lead nowhere else:
//!
//! 1. An address in the URL is judged as it is.
//! 2. A name is resolved once, and only its outward addresses are kept.
//! 3. The connection goes to one of these; the name is not resolved again.
//!
//! An answer is bounded in time and size. No error holds more of the URL than its host.

mod gate;
mod walls;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};
use tower_http::follow_redirect::policy::{self, CloneBodyFn, FilterCredentials, PolicyExt};
use tower_http::follow_redirect::{FollowRedirect, FollowRedirectLayer};
use url::{Host, Url};

use super::causes;
use super::tls::{self, CaFileError, Connector};
pub use gate::Resolve;
use gate::{Gate, Inward};
use walls::Walls;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Bounds of a request, and the networks that are open.
#[derive(Clone, Debug)]
pub struct EgressSettings {
    /// Inward networks that may be reached all the same.
    pub allow: Vec<IpNet>,
    /// The longest time for a connection, name look-up and TLS included.
    pub connect: Duration,
    /// The longest time for a whole answer, redirects included.
    pub answer: Duration,
    /// The most bytes of an answer's body.
    pub largest: usize,
    /// The most redirects that are followed. The next one is the answer.
    pub redirects: usize,
}

impl Default for EgressSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { allow: Vec::new(), connect: seconds(5), answer: seconds(10), largest: 64 << 10, redirects: 3 }
    }
}

impl EgressSettings {
    /// Whether a URL names an inward address, in any form of writing. Names of hosts are judged when they are called.
    pub fn refuses(&self, url: &str) -> bool {
        let address = match Url::parse(url).ok().as_ref().and_then(Url::host) {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return false,
        };
        !Walls::open_to(self.allow.clone()).let_out(address)
    }
}

/// A request that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The host is inside, and not in a network that is open.
    #[error("`{0}` is inside this network; B3SCALE_EGRESS_ALLOW would open it")]
    Inward(String),
    /// No connection, or a broken one.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer did not come in time.
    #[error("no whole answer within {0} s")]
    TooSlow(u64),
    /// The answer has more bytes than the bound.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

type Policy = policy::And<policy::Limited, policy::And<FilterCredentials, CloneBodyFn<CloneBody>>>;
type CloneBody = fn(&Full<Bytes>) -> Option<Full<Bytes>>;

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Egress {
    client: FollowRedirect<Client<Connector, Full<Bytes>>, Policy>,
    settings: EgressSettings,
}

impl Egress {
    /// A client that has connected to no address yet.
    ///
    /// # Errors
    /// The TLS library refuses its own settings.
    pub fn new(settings: EgressSettings) -> Result<Self, CaFileError> {
        Self::resolving_by(GaiResolver::new(), settings)
    }

    /// The same with another resolver of names.
    ///
    /// # Errors
    /// The TLS library refuses its own settings.
    pub fn resolving_by(resolver: impl Resolve, settings: EgressSettings) -> Result<Self, CaFileError> {
        let gate = Gate::new(resolver, Walls::open_to(settings.allow.clone()));
        let connector = tls::secured(gate, None, settings.connect)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            // PHP and others look for `Authorization`, as it is written. HTTP/2 would lower it, and is never offered.
            .http1_title_case_headers(true)
            .build(connector);
        let clone: CloneBody = |body| Some(body.clone());
        let filters = FilterCredentials::new().and::<_, Full<Bytes>, Error>(policy::clone_body_fn(clone));
        let policy = policy::Limited::new(settings.redirects).and::<_, Full<Bytes>, Error>(filters);
        Ok(Self { client: FollowRedirectLayer::with_policy(policy).layer(client), settings })
    }

    /// Sends a request and reads the whole answer, of any status.
    ///
    /// # Errors
    /// There is none, or none that may be taken in.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, EgressError> {
        self.in_time(async { self.take(self.begin(request).await?).await }).await
    }

    /// Sends a request and reads the head of the answer, of any status. The body stays with the sender.
    ///
    /// # Errors
    /// There is none, or none that may be taken in.
    pub async fn send_for_head(&self, request: Request<Full<Bytes>>) -> Result<Response<()>, EgressError> {
        let answer = self.in_time(self.begin(request)).await?;
        Ok(answer.map(drop))
    }

    /// Boxed, since the compiler does not see otherwise that it may move between threads.
    fn begin(&self, request: Request<Full<Bytes>>) -> BoxFuture<'static, Result<Response<Incoming>, EgressError>> {
        self.client.clone().oneshot(request).map_err(|error| failure(&error)).boxed()
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, EgressError>>) -> Result<T, EgressError> {
        let late = |_| EgressError::TooSlow(self.settings.answer.as_secs().max(1));
        timeout(self.settings.answer, answer).await.map_err(late)?
    }

    async fn take(&self, answer: Response<Incoming>) -> Result<Response<Bytes>, EgressError> {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.settings.largest).collect().await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => EgressError::TooLarge(self.settings.largest),
            None => EgressError::Unreachable(causes::causes(&*error)),
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

fn failure(error: &(dyn std::error::Error + 'static)) -> EgressError {
    match causes::find::<Inward>(error) {
        Some(Inward(host)) => EgressError::Inward(host.clone()),
        None => EgressError::Unreachable(causes::causes(error)),
    }
}

#[cfg(test)]
mod tests;
