//! The text tracks of recordings, at BBB's path: `/textTrack/<ticket>/<record id>/<kind>_<language>.vtt`.

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::cluster::{RecordId, RecordingState, TrackKind};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, StatusCode, header};

use super::settings::RecordingsConfig;
use super::tickets::{Purpose, Subject, Tickets};
use crate::site::{self, Answer, Body, Claim, Site, Visitor};
use crate::store::{Store, StoreError};

const VTT: HeaderValue = HeaderValue::from_static("text/vtt;charset=utf-8");

/// Answers with the text of a track, if its ticket holds.
pub struct TextTracks {
    store: Store,
    tickets: Arc<Tickets>,
    /// The host that shows recordings and nothing else.
    host: Option<String>,
}

impl TextTracks {
    /// The tracks of these tables.
    pub fn new(store: Store, tickets: Arc<Tickets>, config: &RecordingsConfig) -> Self {
        Self { store, tickets, host: config.own_host().map(str::to_owned) }
    }

    /// The text at a path. `None`: there is none, or its ticket does not hold.
    async fn text(&self, path: &str) -> Result<Option<String>, StoreError> {
        let Some((ticket, id, name)) = parse(path) else { return Ok(None) };
        let Some((kind, lang)) = kind_and_language(name) else { return Ok(None) };
        let table = self.store.recordings();
        let found = table.find(&id).await?.filter(|found| found.state != RecordingState::Deleted);
        let Some((frontend, epoch)) = found.and_then(|found| Some((found.frontend?, found.epoch))) else {
            return Ok(None);
        };
        let subject = Subject { frontend, record: &id, epoch, format: name };
        if !self.tickets.admits(ticket, Purpose::Track, subject, SystemTime::now()) {
            return Ok(None);
        }
        Ok(table.track(&id, kind, lang).await?.map(|track| track.content))
    }
}

impl Site for TextTracks {
    fn claims(&self) -> Vec<Claim> {
        let claim = Claim::below("/textTrack");
        vec![self.host.as_deref().map_or_else(|| claim.clone(), |host| claim.clone().on(host))]
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        async move {
            match self.text(request.uri().path()).await {
                Ok(Some(text)) => {
                    let mut answer = site::answer(StatusCode::OK, VTT, Bytes::from(text));
                    let anyone = HeaderValue::from_static("*");
                    // Players on any host may show it: the ticket is the permission.
                    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, anyone);
                    answer
                }
                Ok(None) => {
                    site::text(StatusCode::NOT_FOUND, "There is no such text track, or its link has expired.\n")
                }
                Err(error) => {
                    tracing::error!(%error, "Reading a text track failed");
                    site::text(StatusCode::SERVICE_UNAVAILABLE, "The text track cannot be read at the moment.\n")
                }
            }
        }
        .boxed()
    }
}

/// The ticket, the recording and the name of a track.
fn parse(path: &str) -> Option<(&str, RecordId, &str)> {
    let mut segments = path.strip_prefix("/textTrack/")?.split('/');
    let (ticket, id, file) = (segments.next()?, segments.next()?, segments.next()?);
    let name = file.strip_suffix(".vtt").filter(|_| segments.next().is_none())?;
    Some((ticket, RecordId::new(id)?, name))
}

fn kind_and_language(name: &str) -> Option<(TrackKind, &str)> {
    let (kind, lang) = name.split_once('_')?;
    Some((TrackKind::from_name(kind)?, lang))
}
