//! The waiting page: a join whose meeting is not ready yet, tried again until it is or the time is over.
//!
//! The page carries the join in a signed token, so that it leads to nothing but the join it was made for: without the
//! cluster's secret nobody can make one. It points to itself and to that join's path on this server, never elsewhere.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use b3scale_middleware::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::calls::{Head, Visit};
use super::target::Target;
use super::ticket::{Client, Ticket};
use super::{Answer, Shared, render};

/// Where the page is.
pub(super) const PATH: &str = "/b3s/retry-join/";

/// What the token is for, so that no other token of the cluster fits.
const AUDIENCE: &str = "b3s-retry-join";

/// How long the page waits before it tries again, in seconds.
const PAUSE: HeaderValue = HeaderValue::from_static("2");

/// The longest address a waiting page is made for. Above this the token would not fit into a request line.
const LONGEST_ADDRESS: usize = 40_000;

/// Makes the tokens and reads them.
pub(super) struct Tokens {
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

impl Tokens {
    pub(super) fn new(secret: &[u8], lifetime: Duration) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        // A token whose time is over is still ours, and its page says so.
        validation.validate_exp = false;
        Self {
            signing: EncodingKey::from_secret(secret),
            reading: DecodingKey::from_secret(secret),
            validation,
            lifetime,
        }
    }

    /// Where a join goes to wait. `None`: its address is too long to be carried along.
    pub(super) fn page_for(&self, address: &str) -> Option<HeaderValue> {
        if address.len() > LONGEST_ADDRESS {
            return None;
        }
        let claims = Claims {
            aud: AUDIENCE.to_owned(),
            exp: seconds_since_1970() + self.lifetime.as_secs(),
            url: address.to_owned(),
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing).ok()?;
        HeaderValue::try_from(format!("{PATH}{token}")).ok()
    }

    fn read(&self, token: &str) -> Option<(PathAndQuery, bool)> {
        let claims: Claims = decode(token, &self.reading, &self.validation).ok()?.claims;
        Some((claims.url.parse().ok()?, claims.exp <= seconds_since_1970()))
    }
}

/// Answers the page.
pub(super) async fn visit(shared: &Arc<Shared>, token: &str, headers: &HeaderMap, client: &Client) -> Answer {
    let join = shared.tokens.read(token);
    let join = join.and_then(|(address, over)| Some((Target::of(address.path())?, address, over)));
    let Some((target, address, over)) = join else {
        return render::page(
            StatusCode::NOT_FOUND,
            "This page does not exist",
            "<p>Please go back to the page you came from and join the meeting from there.</p>",
        );
    };
    if over {
        return time_is_over(&address);
    }
    let ticket = Ticket::new(shared, client, headers, &target.frontend_key);
    let head = Head { method: &Method::GET, address: &address, headers, peer: client.peer, ticket, watched: false };
    let (visit, call) = Visit::decode(&head, target, Body::None);
    let result = visit.run(shared, call).await;
    match &result {
        Err(fault) if visit.may_wait(fault) => visit.named(not_yet()),
        _ => visit.answer(result),
    }
}

fn not_yet() -> Answer {
    let text = "<p>The meeting is being prepared. This page tries again by itself every few seconds.</p>\n\
                <p>If nothing happens, <a href=\"\">try again</a>.</p>";
    let mut page = render::page(StatusCode::OK, "One moment, please", text);
    page.headers_mut().insert(header::REFRESH, PAUSE);
    page
}

fn time_is_over(address: &PathAndQuery) -> Answer {
    let address = render::local(address);
    let text = format!(
        "<p>The meeting has not become ready in time. Its server may be down.</p>\n\
         <p><a href=\"{address}\">Try again</a>, or go back to the page you came from.</p>"
    );
    render::page(StatusCode::OK, "The meeting is not ready", &text)
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
