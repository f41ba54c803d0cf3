//! A body that waits at the client until a stage asks for it.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use b3scale_middleware::bbb::{FilePart, Media};
use b3scale_middleware::call::BodySource;
use b3scale_middleware::{Body, Content, Fault};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use url::form_urlencoded;

use super::places::Places;
use super::settings::ServerSettings;
use super::ticket::Ticket;
use crate::budget::{Budget, Full};
use crate::offload;
use crate::site::{Intake, IntakeError};
use crate::telemetry::catalog::PUSHED_OUT;

/// Bounds of the bodies of calls.
pub(super) struct Bodies {
    budget: Budget,
    /// Places for bodies that must be read before anything is proved.
    strangers: Arc<Places>,
    settings: ServerSettings,
}

impl Bodies {
    pub(super) fn new(budget: Budget, settings: ServerSettings) -> Arc<Self> {
        let strangers = Places::new(settings.strangers, settings.strangers_of_one);
        Arc::new(Self { budget, strangers, settings })
    }

    /// The body of a request, none of it read. BBB looks at the headers alone to see whether there is one.
    pub(super) fn body(self: &Arc<Self>, headers: &HeaderMap, incoming: Incoming, ticket: &Arc<Ticket>) -> Body {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let announced = length.is_some_and(|length: usize| length > 0);
        if !announced && !headers.contains_key(header::TRANSFER_ENCODING) {
            return Body::None;
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Body::Unread(Arc::new(HttpBody {
            media: Media::of(content_type),
            content_type: content_type.to_owned(),
            length,
            incoming: Mutex::new(Some(incoming)),
            bodies: Arc::clone(self),
            ticket: Arc::clone(ticket),
        }))
    }
}

struct HttpBody {
    media: Media,
    content_type: String,
    length: Option<usize>,
    incoming: Mutex<Option<Incoming>>,
    bodies: Arc<Bodies>,
    ticket: Arc<Ticket>,
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").field("media", &self.media).finish_non_exhaustive()
    }
}

impl BodySource for HttpBody {
    /// Parts become a form and files, so that no stage needs to know them.
    fn media(&self) -> Media {
        if self.media == Media::Multipart { Media::Form } else { self.media }
    }

    fn read(&self) -> BoxFuture<'_, Result<Content, Fault>> {
        Box::pin(async {
            let bytes = self.take().await?;
            if self.media == Media::Multipart { self.form(bytes).await } else { Ok(Content::new(self.media, bytes)) }
        })
    }
}

impl HttpBody {
    async fn take(&self) -> Result<Bytes, Fault> {
        let settings = &self.bodies.settings;
        if self.ticket.is_admitted() {
            return match self.media() {
                Media::Form => self.gather(settings.largest_form, settings.form).await,
                Media::Xml | Media::Multipart | Media::Other => self.gather(settings.largest_body, settings.body).await,
            };
        }
        // Only an address is known, and the body cannot be checked before it is there. The server waits for it while no
        // newcomer needs the place.
        let place = self.bodies.strangers.take(self.ticket.own_address).ok_or(Fault::Overloaded)?;
        let read = tokio::select! {
            read = self.gather(settings.largest_unproved, settings.unproved) => read.map_err(hint)?,
            () = place.lost() => {
                PUSHED_OUT.with(["body"]).increment(1);
                return Err(Fault::Overloaded);
            }
        };
        place.keep();
        self.ticket.await_proof(place);
        Ok(read)
    }

    /// Writes parts as the form they stand for, and keeps their files.
    async fn form(&self, parts: Bytes) -> Result<Content, Fault> {
        // In a form, a byte of a part takes up three at most, and in a file one.
        self.ticket.grow(parts.len() * 3).map_err(|Full| Fault::Overloaded)?;
        let content_type = self.content_type.clone();
        let form = offload::CALLS.work(parts.len(), move || form_of_parts(&content_type, parts)).await?;
        self.ticket.shrink_to(form.bytes.len() + form.files.iter().map(|file| file.bytes.len()).sum::<usize>());
        Ok(form)
    }

    async fn gather(&self, limit: usize, patience: Duration) -> Result<Bytes, Fault> {
        if self.length.is_some_and(|length| length > limit) {
            return Err(Fault::BodyTooLarge { limit });
        }
        let incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        let incoming = incoming.ok_or_else(|| Fault::Internal("a body was read twice".to_owned()))?;
        let mut buffer = self.bodies.budget.buffer(self.ticket.owner());
        let most = self.length.unwrap_or(limit);
        let intake = Intake { largest: limit, pause: self.bodies.settings.body_pause, whole: patience };
        let mut body = pin!(intake.bound(incoming));
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(cut_off)?.into_data() else { continue };
            buffer.push(&piece, most).map_err(|Full| Fault::Overloaded)?;
        }
        let (bytes, room) = buffer.finish();
        self.ticket.keep(room);
        Ok(bytes)
    }
}

/// A form with its checksum in the query may be larger.
fn hint(fault: Fault) -> Fault {
    match fault {
        Fault::BodyTooLarge { limit } => Fault::UnprovedTooLarge { limit },
        fault => fault,
    }
}

fn cut_off(error: IntakeError) -> Fault {
    match error {
        IntakeError::TooLarge(limit) => Fault::BodyTooLarge { limit },
        IntakeError::TooSlow => unreadable("it came too slowly"),
        IntakeError::Broken => unreadable("it ended too early"),
    }
}

/// Writes `multipart/form-data` as the form it stands for. Files are no parameters and stand by themselves.
fn form_of_parts(content_type: &str, bytes: Bytes) -> Result<Content, Fault> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| unreadable("the parts have no boundary"))?;
    let whole = stream::once(ready(Ok::<_, std::convert::Infallible>(bytes)));
    // All bytes are there, so nothing is waited for.
    let form = form_of(multer::Multipart::new(whole, boundary)).now_or_never();
    form.unwrap_or_else(|| Err(Fault::Internal("parts in memory were waited for".to_owned())))
}

async fn form_of(mut parts: multer::Multipart<'_>) -> Result<Content, Fault> {
    let (mut pairs, mut files) = (Vec::new(), Vec::new());
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable("the parts are broken"))? {
        let (name, is_file) = (part.name().map(str::to_owned), part.file_name().is_some());
        let bytes = part.bytes().await.map_err(|_| unreadable("the parts are broken"))?;
        match name {
            Some(name) if is_file => files.push(FilePart { name, bytes }),
            // Invalid UTF-8 is replaced, as in a query.
            Some(name) => pairs.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            None => {}
        }
    }
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(Content { files, ..Content::new(Media::Form, form) })
}

fn unreadable(why: &str) -> Fault {
    Fault::UnreadableBody(why.to_owned())
}
