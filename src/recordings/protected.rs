//! Protected recordings in the original's way: a link with a token, a cookie, and a web server that asks about each file.
//!
//! The token of a link is a ticket, and so is the cookie. Each has its own use and is bound to one recording, so neither stands in for
//! the other. The cookie belongs to the host of playback alone: a link on another host leads there first.
//!
//! The web server asks about the path that it got. A path that b3scale and the web server could read in two ways is refused.

use std::sync::Arc;

use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::RecordId;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use url::Url;

use super::playback::route::{self, Route, Target};
use super::playback::{Access, Gate, Proof, cookie, cookie_name, expired, unavailable};
use super::settings::RecordingsConfig;
use super::shelf::FormatKey;
use super::tickets::Purpose;
use crate::site::{self, Answer, Body, Claim, Site, Visitor};

/// Where the links are.
const PATH: &str = "/api/v1/protected/recordings/";

/// The word in place of a token with which a web server asks.
const AUTH: &str = "auth";

/// The header with the path that the web server got.
const RESOURCE: &str = "x-resource-path";

/// Says that a link was led to the host of playback already. A proxy may name another host to us.
const LED: &str = "here";

/// Between the parts of a token.
const SEPARATOR: char = '~';

/// The path of a link with a ticket for a format.
pub fn path(key: &FormatKey, ticket: &str) -> String {
    format!("{PATH}{}{SEPARATOR}{}{SEPARATOR}{ticket}", key.format(), key.record())
}

/// The site.
pub struct Protected {
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
    playback: Option<Url>,
    host: Option<String>,
}

impl Protected {
    /// The site over the gate of playback.
    pub fn new(config: &RecordingsConfig, gate: Arc<Gate>, clock: Arc<dyn Clock>) -> Self {
        Self { gate, clock, playback: config.playback_host.clone(), host: config.own_host().map(str::to_owned) }
    }

    /// Leads to a format, with a cookie for its files.
    async fn link(&self, token: &str, request: &Parts) -> Answer {
        let Some((key, ticket)) = parse(token) else { return expired() };
        if let Some(elsewhere) = self.elsewhere(request) {
            return to(&elsewhere, None);
        }
        let (now, proof) = (self.clock.time(), Proof::Ticket(ticket, Purpose::Link));
        let known = match self.gate.access(&key, proof, now).await {
            Access::Open(known) | Access::Admitted(known) => known,
            Access::Locked(_) => return expired(),
            Access::Unknown => return unavailable(),
            Access::Away => return site::text(StatusCode::SERVICE_UNAVAILABLE, "Please try again in a moment.\n"),
        };
        let format = known.recording.formats.iter().find(|format| format.kind == key.format());
        let cookie = self.gate.issue(Purpose::Cookie, &known, "", now);
        let (Some(format), Some(cookie)) = (format, cookie) else { return unavailable() };
        let host = self.playback.as_ref().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        to(&format!("{host}{}", route::served(&format.link)), Some(&self.set_cookie(key.record(), &cookie)))
    }

    /// The same link on the host of playback, unless the request came there.
    fn elsewhere(&self, request: &Parts) -> Option<String> {
        let (playback, host) = (self.playback.as_ref()?, self.host.as_deref()?);
        let named = request.headers.get(header::HOST).and_then(|named| named.to_str().ok()).unwrap_or_default();
        let named = named.rsplit_once(':').map_or(named, |(name, _)| name);
        let is_there = named.eq_ignore_ascii_case(host) || request.uri.query() == Some(LED);
        (!is_there).then(|| format!("{}{}?{LED}", playback.origin().ascii_serialization(), request.uri.path()))
    }

    fn set_cookie(&self, record: &RecordId, ticket: &str) -> String {
        let seconds = Purpose::Cookie.lifetime().as_secs();
        // Browsers send a cookie in a frame of another site only if it is secure.
        let is_secure = self.playback.as_ref().is_none_or(|url| url.scheme() == "https");
        let site = if is_secure { "Secure; SameSite=None" } else { "SameSite=Lax" };
        format!("{}={ticket}; Path=/; Max-Age={seconds}; HttpOnly; {site}", cookie_name(record))
    }

    /// Answers a web server. Its module knows yes, no and failure, and takes over who may keep the file.
    async fn auth(&self, request: &Parts) -> Answer {
        let keep = match self.allowed(request).await {
            Allowed::Shared => "no-cache",
            Allowed::Private => "private, no-cache",
            Allowed::No => {
                let json = HeaderValue::from_static("application/json");
                return site::answer(StatusCode::FORBIDDEN, json, Bytes::from_static(b"{\"message\":\"Forbidden\"}\n"));
            }
            Allowed::Unknown => return site::text(StatusCode::SERVICE_UNAVAILABLE, ""),
        };
        let mut answer = site::text(StatusCode::OK, "");
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        answer
    }

    /// Whether a file may be served.
    async fn allowed(&self, request: &Parts) -> Allowed {
        let mut resources = request.headers.get_all(RESOURCE).iter();
        let (Some(resource), None) = (resources.next(), resources.next()) else { return Allowed::No };
        let path = resource.to_str().unwrap_or_default().split('?').next().unwrap_or_default();
        let Target { key, ticket, path, .. } = match Route::of(path) {
            Some(Route::File(target)) => target,
            Some(Route::Player(_) | Route::PlayerFile(_) | Route::OldPlayer) => return Allowed::Shared,
            Some(Route::Link(..)) | None => return Allowed::No,
        };
        let cookie = || cookie(&request.headers, key.record()).map_or(Proof::None, Proof::Cookie);
        let proof = ticket.as_deref().map_or_else(cookie, |ticket| Proof::Ticket(ticket, Purpose::Play));
        let access = match path {
            Some(path) => self.gate.file(&key, &path, proof, self.clock.time()).await,
            None => self.gate.access(&key, proof, self.clock.time()).await,
        };
        match access {
            Access::Open(_) => Allowed::Shared,
            Access::Admitted(_) => Allowed::Private,
            Access::Locked(_) | Access::Unknown => Allowed::No,
            Access::Away => Allowed::Unknown,
        }
    }
}

impl Site for Protected {
    fn claims(&self) -> Vec<Claim> {
        let own = self.host.as_deref().map(|host| Claim::below(PATH).on(host));
        [Claim::below(PATH)].into_iter().chain(own).collect()
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        let (head, _) = request.into_parts();
        async move {
            match head.uri.path().strip_prefix(PATH).unwrap_or_default() {
                AUTH => self.auth(&head).await,
                token => self.link(token, &head).await,
            }
        }
        .boxed()
    }
}

/// Whether a file may be served.
enum Allowed {
    /// To anyone.
    Shared,
    /// To this browser.
    Private,
    No,
    /// The database is away.
    Unknown,
}

/// The format and the ticket in a token.
fn parse(token: &str) -> Option<(FormatKey, &str)> {
    let (format, rest) = token.split_once(SEPARATOR)?;
    let (record, ticket) = rest.split_once(SEPARATOR)?;
    Some((FormatKey::new(&RecordId::new(record)?, format)?, ticket))
}

fn to(location: &str, cookie: Option<&str>) -> Answer {
    let mut answer = super::playback::redirect(location);
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}
