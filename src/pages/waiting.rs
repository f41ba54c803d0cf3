//! The waiting page: it retries a join until its meeting is ready or the time is over.
//!
//! The page carries the join in a signed token, so that it leads to nothing but the join it was made for: without the
//! cluster's secret no one can forge it. It points to itself and to that join's path on this server, never elsewhere.

mod original;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::server::{Calls, Lobby, Target};
use crate::site::{self, Answer, Body, Claim, Site, Visitor};

/// How long a page tries again.
pub const WAIT: Duration = Duration::from_secs(120);

/// Where the page is, before its token.
const PATH: &str = "/b3s/retry-join/";

/// The token's purpose, so that no other token of the cluster fits.
const AUDIENCE: &str = "b3s-retry-join";

/// How long the page waits before it tries again, in seconds.
const PAUSE: HeaderValue = HeaderValue::from_static("2");

/// The longest address a waiting page is made for. Above this the token would not fit into a request line.
const LONGEST_ADDRESS: usize = 40_000;

/// Makes the tokens of waiting pages and reads them.
pub struct WaitingRoom {
    signing: EncodingKey,
    reading: DecodingKey,
    validation: Validation,
    lifetime: Duration,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// When the time is over, in seconds since 1970.
    exp: u64,
    /// Path and query of the join.
    url: String,
}

impl WaitingRoom {
    /// Pages that try again for so long. All servers of a cluster have the same secret.
    pub fn new(secret: &[u8], lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // An expired token is still ours, and its page says so.
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            reading: DecodingKey::from_secret(secret),
            validation,
            lifetime,
        }
    }

    fn read(&self, token: &str) -> Option<(PathAndQuery, bool)> {
        let claims: Claims = decode(token, &self.reading, &self.validation).ok()?.claims;
        Some((claims.url.parse().ok()?, claims.exp <= seconds_since_1970()))
    }
}

impl Lobby for WaitingRoom {
    fn page_for(&self, join: &PathAndQuery) -> Option<HeaderValue> {
        if join.as_str().len() > LONGEST_ADDRESS {
            return None;
        }
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            exp: seconds_since_1970() + self.lifetime.as_secs(),
            url: join.as_str().to_owned(),
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()?;
        HeaderValue::try_from(format!("{PATH}{token}")).ok()
    }
}

/// The page.
pub struct WaitingPage {
    /// What made its token.
    pub room: Arc<WaitingRoom>,
    /// Where it makes its join.
    pub calls: Calls,
}

impl Site for WaitingPage {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::below(PATH)]
    }

    fn answer(&self, request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        let (head, _) = request.into_parts();
        async move {
            let token = head.uri.path().strip_prefix(PATH).unwrap_or_default();
            match (original::join_of(token), self.room.read(token)) {
                (Some(join), _) => site::redirect(join),
                (None, Some((join, is_over))) if is_over => time_is_over(&join),
                (None, Some((join, _))) => self.join(join, head, &visitor).await,
                (None, None) => no_page(),
            }
        }
        .boxed()
    }
}

impl WaitingPage {
    /// Makes the join again.
    async fn join(&self, join: PathAndQuery, mut head: Parts, visitor: &Visitor) -> Answer {
        let Some(target) = Target::of(join.path()) else { return no_page() };
        (head.method, head.uri) = (Method::GET, join.into());
        self.calls.answer(target, &head, None, visitor, |_| Some(not_yet())).await
    }
}

fn no_page() -> Answer {
    let text = "<p>Please go back to the page you came from and join the meeting from there.</p>";
    site::page(StatusCode::NOT_FOUND, "This page does not exist", text)
}

fn not_yet() -> Answer {
    let text = "<p>The meeting is being prepared. This page tries again by itself every few seconds.</p>\n\
                <p>If nothing happens, <a href=\"\">try again</a>.</p>";
    let mut page = site::page(StatusCode::OK, "One moment, please", text);
    page.headers_mut().insert(header::REFRESH, PAUSE);
    page
}

fn time_is_over(address: &PathAndQuery) -> Answer {
    let address = site::local(address);
    let text = format!(
        "<p>The meeting has not become ready in time. Its server may be down.</p>\n\
         <p><a href=\"{address}\">Try again</a>, or go back to the page you came from.</p>"
    );
    site::page(StatusCode::OK, "The meeting is not ready", &text)
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
