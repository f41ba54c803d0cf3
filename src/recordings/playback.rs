//! Playback: a site that serves the files of recordings, the player, and pages of our own.
//!
//! A path decides once what it asks for (`route`), and the right to it is decided once (`access`). Files of a recording answer `404`
//! and `403`, never a redirect or a page: players take any page for a file. Recordings hold documents of strangers, so answers
//! say what may run in a browser (`policy`), and playback has a host name of its own if one is set.

mod access;
mod file;
mod gzip;
mod metadata;
mod page;
mod player;
mod policy;
mod range;
pub(super) mod route;

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::{FrontendId, RecordId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use url::form_urlencoded;

use super::figures::label;
use super::media::{content_type, is_media};
use super::settings::{Delivery, Protection, RecordingsConfig};
use super::shelf::{FilePath, FormatKey, Shelf};
use super::shelves::Shelves;
use super::tickets::{Purpose, Tickets};
use crate::budget::{Budget, Owner, Room};
use crate::site::{Answer, Body, Claim, Intake, Site, Visitor};
use crate::telemetry::catalog::PLAYBACK_REQUESTS;
pub use access::{Access, Gate, Known, Proof, Records};
pub(super) use access::{cookie, cookie_name};
use file::{Keep, Sending, Unserved};
use page::Page;
use player::Player;
pub(super) use policy::redirect;
use route::{Route, Target};

/// A body is never read.
const NO_BODY: Intake = Intake { largest: 0, pause: Duration::from_secs(5), whole: Duration::from_secs(5) };

/// The parts that playback needs.
pub struct PlaybackParts {
    /// Decides who may play.
    pub gate: Arc<Gate>,
    /// Where files are. `None`: there are none.
    pub shelves: Option<Shelves>,
    /// For bytes in flight.
    pub budget: Budget,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The site.
pub struct Playback {
    parts: PlaybackParts,
    player: Option<Player>,
    /// The host that shows recordings and nothing else.
    host: Option<String>,
    delivery: Delivery,
    protection: Protection,
    /// Another source of media for pages: the bucket.
    media: Option<String>,
}

impl Playback {
    /// Playback with these settings.
    pub fn new(config: &RecordingsConfig, parts: PlaybackParts) -> Self {
        let bucket = config.s3.as_ref().filter(|_| config.delivery == Delivery::Redirect);
        let origin = bucket.map(|bucket| {
            bucket.endpoint.as_ref().map_or_else(|| "https:".to_owned(), |url| url.origin().ascii_serialization())
        });
        Self {
            parts,
            player: config.player.clone().and_then(Player::new),
            host: config.own_host().map(str::to_owned),
            delivery: config.delivery,
            protection: config.protection,
            media: origin,
        }
    }

    async fn look(&self, request: &Parts, visitor: &Visitor) -> Answer {
        let route = Route::of(request.uri.path());
        let format = match &route {
            Some(Route::File(Target { key, .. }) | Route::Link(key, _)) => label(key.format()),
            Some(Route::Player(_) | Route::PlayerFile(_) | Route::OldPlayer) => "player",
            None => label(""),
        };
        let answer = self.answer_to(route, request, visitor).await;
        PLAYBACK_REQUESTS.with([format, class(answer.status())]).increment(1);
        answer
    }

    async fn answer_to(&self, route: Option<Route>, request: &Parts, visitor: &Visitor) -> Answer {
        let answered = match route {
            None => Ok(policy::words(StatusCode::NOT_FOUND, "There is nothing here.\n")),
            Some(Route::OldPlayer) => Ok(old_player(request)),
            Some(Route::Link(key, ticket)) => Ok(self.link(&key, &ticket).await),
            Some(Route::Player(record)) => self.player(&record, request, visitor).await,
            Some(Route::PlayerFile(path)) => match &self.player {
                Some(player) => player.file(&path, self.strangers(visitor), request).await,
                None => Ok(policy::words(StatusCode::NOT_FOUND, "There is no player here.\n")),
            },
            Some(Route::File(target)) => self.file(target, request, visitor).await,
        };
        answered.unwrap_or_else(|error| {
            if let Unserved::Shelf(error) = error {
                tracing::warn!(%error, "Serving a file of a recording failed");
            }
            policy::overloaded()
        })
    }

    /// The right of a request to a file of a format, or to its page.
    async fn access(
        &self,
        key: &FormatKey,
        path: Option<&FilePath>,
        ticket: Option<&str>,
        request: &Parts,
        visitor: &Visitor,
    ) -> Access {
        let now = self.parts.clock.time();
        let proof = match (ticket, self.protection) {
            (Some(ticket), _) => Proof::Ticket(ticket, Purpose::Play),
            (None, Protection::Cookie) => cookie(&request.headers, key.record()).map_or(Proof::None, Proof::Cookie),
            (None, Protection::Ticket) => Proof::None,
        };
        let access = match path {
            Some(path) => self.parts.gate.file(key, path, proof, now).await,
            None => self.parts.gate.access(key, proof, now).await,
        };
        if matches!(access, Access::Admitted(_)) {
            visitor.admit();
        }
        access
    }

    /// A link of a list leads to the player with a ticket for the files.
    async fn link(&self, key: &FormatKey, ticket: &str) -> Answer {
        let (now, proof) = (self.parts.clock.time(), Proof::Ticket(ticket, Purpose::Link));
        let (known, is_protected) = match self.parts.gate.access(key, proof, now).await {
            Access::Open(known) => (known, false),
            Access::Admitted(known) => (known, true),
            Access::Locked(_) => return expired(),
            Access::Unknown => return unavailable(),
            Access::Away => return away(),
        };
        let Some(format) = known.recording.formats.iter().find(|format| format.kind == key.format()) else {
            return unavailable();
        };
        if !is_protected {
            return redirect(&route::served(&format.link));
        }
        let Some(ticket) = self.parts.gate.issue(Purpose::Play, &known, key.format(), now) else {
            return unavailable();
        };
        redirect(&match key.format() {
            "presentation" => format!("{}?p={ticket}", route::player(key.record())),
            _ => route::with_ticket(&format.link, key, &ticket),
        })
    }

    /// The page that plays a presentation.
    async fn player(&self, record: &RecordId, request: &Parts, visitor: &Visitor) -> Result<Answer, Unserved> {
        let Some(key) = FormatKey::new(record, "presentation") else { return Ok(unavailable()) };
        let prefix = parameter(request, "p");
        // The player would put anything into its paths.
        if prefix.as_deref().is_some_and(|prefix| !Tickets::is_like(prefix)) {
            return Ok(unavailable());
        }
        let (known, keep) = match self.access(&key, None, prefix.as_deref(), request, visitor).await {
            Access::Open(known) => (known, Keep::Asking),
            Access::Admitted(known) => (known, Keep::Never),
            Access::Locked(_) => return Ok(expired()),
            Access::Unknown => return Ok(unavailable()),
            Access::Away => return Ok(away()),
        };
        if self.place(&known, &key).is_none() {
            return Ok(unavailable());
        }
        match self.player.as_ref().filter(|_| Player::takes(record)) {
            Some(player) => player.page(keep, self.room(&known), request).await,
            None => self.own_page(&key, prefix.as_deref(), &known, keep).await,
        }
    }

    async fn file(&self, target: Target, request: &Parts, visitor: &Visitor) -> Result<Answer, Unserved> {
        let Target { key, ticket, path, is_folder } = target;
        let access = self.access(&key, path.as_ref(), ticket.as_deref(), request, visitor).await;
        match path {
            Some(path) => self.inner_file(&key, &path, access, request).await,
            None => self.entry(&key, ticket.as_deref(), is_folder, access, request).await,
        }
    }

    /// A file that a player or a page asks for.
    async fn inner_file(
        &self,
        key: &FormatKey,
        path: &FilePath,
        access: Access,
        request: &Parts,
    ) -> Result<Answer, Unserved> {
        let is_metadata = path.as_str() == "metadata.xml";
        let (known, keep) = match access {
            Access::Open(known) => (known, Keep::Asking),
            Access::Admitted(known) => (known, if is_metadata { Keep::Never } else { Keep::Private }),
            Access::Locked(_) => return Ok(policy::words(StatusCode::FORBIDDEN, "This recording is protected.\n")),
            Access::Unknown => return Ok(policy::words(StatusCode::NOT_FOUND, "There is no such recording.\n")),
            Access::Away => return Ok(policy::overloaded()),
        };
        let Some((shelf, place)) = self.place(&known, key) else { return Ok(no_file()) };
        let mut room = self.room(&known);
        let opened = match shelf.open(key, place, path).await? {
            file if is_metadata => metadata::document(file, &known.recording, key.format(), &mut room).await?,
            Some(file) => file,
            None => return Ok(no_file()),
        };
        let is_by_link = self.delivery == Delivery::Redirect
            && request.method == Method::GET
            && is_media(content_type(path.as_str()));
        if is_by_link && let Some(link) = shelf.link(key, place, path, Purpose::Play.lifetime()).await? {
            return Ok(redirect(&link));
        }
        let policy = policy::of_file(key, path);
        Sending { opened, path: path.as_str(), keep, policy, room }.answer(request).await
    }

    /// The page of a recording in a format: its own one, or ours.
    async fn entry(
        &self,
        key: &FormatKey,
        ticket: Option<&str>,
        is_folder: bool,
        access: Access,
        request: &Parts,
    ) -> Result<Answer, Unserved> {
        let (known, keep) = match access {
            Access::Open(known) => (known, Keep::Asking),
            Access::Admitted(known) => (known, Keep::Never),
            Access::Locked(_) => return Ok(expired()),
            Access::Unknown => return Ok(unavailable()),
            Access::Away => return Ok(away()),
        };
        if key.format() == "presentation" {
            let ticket = ticket.map(|ticket| format!("?p={ticket}")).unwrap_or_default();
            return Ok(redirect(&format!("{}{ticket}", route::player(key.record()))));
        }
        let Some((shelf, place)) = self.place(&known, key) else { return Ok(unavailable()) };
        if !is_folder {
            return Ok(redirect(&format!("{}/", request.uri.path())));
        }
        let Some(index) = FilePath::new("index.html") else { return Ok(no_file()) };
        match shelf.open(key, place, &index).await? {
            Some(opened) => {
                let policy = policy::of_file(key, &index);
                Sending { opened, path: index.as_str(), keep, policy, room: self.room(&known) }.answer(request).await
            }
            None => self.own_page(key, ticket, &known, keep).await,
        }
    }

    async fn own_page(
        &self,
        key: &FormatKey,
        ticket: Option<&str>,
        known: &Known,
        keep: Keep,
    ) -> Result<Answer, Unserved> {
        let Some((shelf, place)) = self.place(known, key) else { return Ok(unavailable()) };
        let page = Page {
            name: &known.recording.name,
            start_time: known.recording.start_time,
            base: route::folder(key, ticket),
            media: self.media.as_deref(),
            keep,
        };
        page.answer(&*shelf, key, place, self.room(known)).await
    }

    /// Where the files of a format are. `None`: they are not here.
    fn place<'k>(&self, known: &'k Known, key: &FormatKey) -> Option<(Arc<dyn Shelf>, &'k str)> {
        let stored = known.stored.iter().find(|stored| stored.format == key.format())?;
        let shelf = self.parts.shelves.as_ref()?.named(stored.shelf.as_deref()?)?;
        Some((shelf, stored.place.as_deref()?))
    }

    /// Memory for the files of a recording. Its tenant owns it, whom many browsers read.
    fn room(&self, known: &Known) -> Room {
        let name = known.recording.frontend.map_or_else(String::new, |FrontendId(id)| id.to_string());
        self.parts.budget.room(Owner::Frontend(name.into()))
    }

    fn strangers(&self, visitor: &Visitor) -> Room {
        self.parts.budget.room(Owner::stranger(visitor.peer.ip()))
    }
}

impl Site for Playback {
    fn claims(&self) -> Vec<Claim> {
        match &self.host {
            Some(host) => vec![Claim::below("/").on(host)],
            None => route::SHARED.iter().chain(&route::KNOWN).map(|first| Claim::below(&format!("/{first}"))).collect(),
        }
    }

    fn intake(&self) -> Option<Intake> {
        Some(NO_BODY)
    }

    fn answer(&self, request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        let (head, _) = request.into_parts();
        async move {
            match head.method {
                Method::GET | Method::HEAD => self.look(&head, &visitor).await,
                Method::OPTIONS => policy::preflight(),
                _ => {
                    let mut answer = policy::words(StatusCode::METHOD_NOT_ALLOWED, "Recordings are read here.\n");
                    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
                    answer
                }
            }
        }
        .boxed()
    }
}

/// A player of an earlier version played the recording in its query.
fn old_player(request: &Parts) -> Answer {
    let record = parameter(request, "meetingId").and_then(|id| RecordId::new(&id));
    let Some(record) = record else { return unavailable() };
    let rest: Vec<_> = pairs(request).filter(|(name, _)| name != "meetingId").collect();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
    let separator = if query.is_empty() { "" } else { "?" };
    redirect(&format!("{}{separator}{query}", route::player(&record)))
}

fn parameter(request: &Parts, wanted: &str) -> Option<String> {
    pairs(request).find(|(name, _)| name == wanted).map(|(_, value)| value)
}

fn pairs(request: &Parts) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()).into_owned()
}

/// The class of a status, as metrics name it.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

fn no_file() -> Answer {
    policy::words(StatusCode::NOT_FOUND, "The recording has no such file.\n")
}

pub(super) fn unavailable() -> Answer {
    let text = "It may have been removed, or it is not published. Please ask the person who gave you its link.";
    policy::page(StatusCode::NOT_FOUND, "This recording is not available", text)
}

pub(super) fn expired() -> Answer {
    let text = "Its links are valid for a while only. Please open it once more from the page where you found it.";
    policy::page(StatusCode::FORBIDDEN, "This recording is protected", text)
}

fn away() -> Answer {
    let text = "Please try again in a moment.";
    policy::page(StatusCode::SERVICE_UNAVAILABLE, "This recording cannot be played now", text)
}
