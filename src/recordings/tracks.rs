//! The text tracks of recordings, at BBB's path: `/textTrack/<ticket>/<record id>/<kind>_<language>.vtt`.

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::cluster::{RecordId, TrackKind};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, StatusCode, header};

use super::playback::{Access, Gate};
use super::settings::RecordingsConfig;
use crate::site::{self, Answer, Body, Claim, Site, Visitor};
use crate::store::Store;

const VTT: HeaderValue = HeaderValue::from_static("text/vtt;charset=utf-8");

/// Answers with the text of a track, if its ticket holds.
pub struct TextTracks {
    store: Store,
    gate: Arc<Gate>,
    /// The host that shows recordings and nothing else.
    host: Option<String>,
}

impl TextTracks {
    /// The tracks of these tables.
    pub fn new(store: Store, gate: Arc<Gate>, config: &RecordingsConfig) -> Self {
        Self { store, gate, host: config.own_host().map(str::to_owned) }
    }

    async fn look(&self, path: &str) -> Answer {
        let Some(Wanted { ticket, record, name, kind, language }) = Wanted::at(path) else { return nothing() };
        match self.gate.track(&record, name, ticket, SystemTime::now()).await {
            Access::Admitted(_) => self.text(&record, kind, language).await,
            Access::Open(_) | Access::Locked(_) | Access::Unknown => nothing(),
            Access::Away => away(),
        }
    }

    async fn text(&self, record: &RecordId, kind: TrackKind, language: &str) -> Answer {
        match self.store.recordings().track(record, kind, language).await {
            Ok(Some(track)) => {
                let mut answer = site::answer(StatusCode::OK, VTT, Bytes::from(track.content));
                let anyone = HeaderValue::from_static("*");
                // Players on any host may show it: the ticket is the permission.
                answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
                answer
            }
            Ok(None) => nothing(),
            Err(error) => {
                tracing::error!(%error, "Reading a text track failed");
                away()
            }
        }
    }
}

impl Site for TextTracks {
    fn claims(&self) -> Vec<Claim> {
        let claim = Claim::below("/textTrack");
        vec![self.host.as_deref().map_or_else(|| claim.clone(), |host| claim.clone().on(host))]
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        async move { self.look(request.uri().path()).await }.boxed()
    }
}

/// A track as a path names it.
struct Wanted<'p> {
    ticket: &'p str,
    record: RecordId,
    /// Its kind and its language, as the ticket has them.
    name: &'p str,
    kind: TrackKind,
    language: &'p str,
}

impl<'p> Wanted<'p> {
    fn at(path: &'p str) -> Option<Self> {
        let mut segments = path.strip_prefix("/textTrack/")?.split('/');
        let (ticket, record, file) = (segments.next()?, RecordId::new(segments.next()?)?, segments.next()?);
        let name = file.strip_suffix(".vtt").filter(|_| segments.next().is_none())?;
        let (kind, language) = name.split_once('_')?;
        Some(Self { ticket, record, name, kind: TrackKind::from_name(kind)?, language })
    }
}

fn nothing() -> Answer {
    site::text(StatusCode::NOT_FOUND, "There is no such text track, or its link has expired.\n")
}

fn away() -> Answer {
    site::text(StatusCode::SERVICE_UNAVAILABLE, "The text track cannot be read at the moment.\n")
}
