//! A body that waits at the client until a stage asks for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use b3scale_middleware::bbb::Media;
use b3scale_middleware::call::BodySource;
use b3scale_middleware::{Body, Fault};
use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use url::form_urlencoded;

use super::ServerSettings;

/// Room that is made for a body before any of it has come, in bytes at most.
const FIRST_CAPACITY: usize = 64 << 10;

/// What bodies of this server may take up.
#[derive(Clone)]
pub(super) struct Budget {
    kib: Arc<Semaphore>,
    /// What forms may take up. They may be read before anybody has proved anything, so they never take from the others.
    forms_kib: Arc<Semaphore>,
    settings: ServerSettings,
}

impl Budget {
    pub(super) fn new(settings: ServerSettings) -> Self {
        let kib = |kib: u32| Arc::new(Semaphore::new(kib as usize));
        Self { kib: kib(settings.bodies_kib), forms_kib: kib(settings.forms_kib), settings }
    }

    /// The body of a request, none of it read. BBB looks at the headers alone to see whether there is one.
    pub(super) fn body(&self, headers: &HeaderMap, incoming: Incoming) -> Body {
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
            budget: self.clone(),
        }))
    }
}

struct HttpBody {
    media: Media,
    content_type: String,
    length: Option<usize>,
    incoming: Mutex<Option<Incoming>>,
    budget: Budget,
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody").field("media", &self.media).finish_non_exhaustive()
    }
}

impl BodySource for HttpBody {
    /// Parts are handed out as a form, so that nobody behind has to know of them.
    fn media(&self) -> Media {
        if self.media == Media::Multipart { Media::Form } else { self.media }
    }

    fn read(&self) -> BoxFuture<'_, Result<Bytes, Fault>> {
        Box::pin(async {
            let bytes = self.take().await?;
            if self.media == Media::Multipart { form_of_parts(&self.content_type, bytes).await } else { Ok(bytes) }
        })
    }
}

impl HttpBody {
    async fn take(&self) -> Result<Bytes, Fault> {
        let settings = &self.budget.settings;
        let (limit, patience, budget) = match self.media() {
            Media::Form => (settings.largest_form, settings.form, &self.budget.forms_kib),
            Media::Xml | Media::Multipart | Media::Other => (settings.largest_body, settings.body, &self.budget.kib),
        };
        if self.length.is_some_and(|length| length > limit) {
            return Err(Fault::BodyTooLarge { limit });
        }
        let incoming = self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut incoming = incoming.ok_or_else(|| Fault::Internal("a body was read twice".to_owned()))?;
        let mut taken =
            Taken { bytes: Vec::with_capacity(self.length.unwrap_or_default().min(FIRST_CAPACITY)), space: None };
        let end = Instant::now() + patience;
        while let Some(data) = next_data(&mut incoming, settings.body_pause, end).await? {
            if taken.bytes.len() + data.len() > limit {
                return Err(Fault::BodyTooLarge { limit });
            }
            taken.push(&data, budget)?;
        }
        Ok(Bytes::from_owner(taken))
    }
}

async fn next_data(incoming: &mut Incoming, pause: Duration, end: Instant) -> Result<Option<Bytes>, Fault> {
    loop {
        let patience = pause.min(end.saturating_duration_since(Instant::now()));
        let frame = timeout(patience, incoming.frame()).await.map_err(|_| unreadable("it came too slowly"))?;
        match frame.transpose().map_err(|_| unreadable("it ended too early"))?.map(hyper::body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(_trailers)) => {}
        }
    }
}

/// Bytes and the part of the budget they take up, given back with the last reference to them.
struct Taken {
    bytes: Vec<u8>,
    space: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Takes up as much as has really come, so that a sender who only announces much holds nothing.
    fn push(&mut self, data: &[u8], budget: &Arc<Semaphore>) -> Result<(), Fault> {
        self.bytes.extend_from_slice(data);
        let held = self.space.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.bytes.len().div_ceil(1024).saturating_sub(held);
        let more = u32::try_from(more).map_err(|_| Fault::Overloaded)?;
        let more = Arc::clone(budget).try_acquire_many_owned(more).map_err(|_| Fault::Overloaded)?;
        match &mut self.space {
            Some(space) => space.merge(more),
            None => self.space = Some(more),
        }
        Ok(())
    }
}

impl AsRef<[u8]> for Taken {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Writes `multipart/form-data` as the form it stands for. Files are no parameters and are left out.
async fn form_of_parts(content_type: &str, bytes: Bytes) -> Result<Bytes, Fault> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| unreadable("the parts have no boundary"))?;
    let whole = stream::once(ready(Ok::<_, std::convert::Infallible>(bytes)));
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| unreadable("the parts are broken"))? {
        let name = part.name().filter(|_| part.file_name().is_none()).map(str::to_owned);
        let bytes = part.bytes().await.map_err(|_| unreadable("the parts are broken"))?;
        if let Some(name) = name {
            let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("a part is not UTF-8"))?;
            pairs.push((name, text.to_owned()));
        }
    }
    Ok(form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into())
}

fn unreadable(why: &str) -> Fault {
    Fault::UnreadableBody(why.to_owned())
}
