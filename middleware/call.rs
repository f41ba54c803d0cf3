//! A call in flight, and its reply.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use http::{HeaderValue, StatusCode};

use crate::bbb::xml::{self, Answer, MeetingFields};
use crate::bbb::{CallKind, Content, Media, Outcome, Params};
use crate::cluster::{Backend, BackendId, Callback, Frontend, Placement};
use crate::facts::Facts;
use crate::fault::{Blame, Fault, NodeFailure};
use crate::trace::Trace;

/// The first bytes of a document, enough to recognise it.
const LONGEST_HEAD: usize = 1024;

/// BBB's key of a refused checksum.
const CHECKSUM_ERROR: &str = "checksumError";

/// One BBB API call on its way through the pipeline.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which call it is.
    pub kind: CallKind,
    /// Its parameters, and the query as it came.
    pub params: Params,
    /// Its body.
    pub body: Body,
    /// How it came in. Shared with the way out.
    pub door: Arc<Door>,
    /// Results of the stages.
    pub facts: Facts,
}

impl Call {
    /// A call as it comes in, with nothing established but the right to change its parameters.
    pub fn new(kind: CallKind, params: Params, body: Body, door: Arc<Door>) -> Self {
        Self { kind, params, body, door, facts: Facts::default() }
    }

    /// Settles where the call goes.
    pub fn choose(&mut self, backend: Arc<Backend>) {
        self.door.trail.note_backend(backend.id);
        self.facts.set_backend(backend);
    }
}

/// The body of a call.
#[derive(Clone, Debug)]
pub enum Body {
    /// There is none.
    None,
    /// There is one where none counts, as behind a GET. It is never read.
    Ignored(Media),
    /// Nothing has been taken from the peer: that waits until the checksum of the query holds.
    Unread(Arc<dyn BodySource>),
    /// Read whole.
    Read(Content),
}

/// A body that waits at the peer.
pub trait BodySource: fmt::Debug + Send + Sync {
    /// Its type, as the peer names it.
    fn media(&self) -> Media;

    /// Takes it in, once, bounded in size and time.
    fn read(&self) -> BoxFuture<'_, Result<Content, Fault>>;
}

/// How a call came in.
#[derive(Debug)]
pub struct Door {
    /// Names the call in logs, here and on the node. Taken from `X-Request-Id` or made at the door.
    pub request_id: HeaderValue,
    /// Who sent it, as far as the socket tells.
    pub peer: SocketAddr,
    /// When its head had been read.
    pub arrival: Instant,
    /// The frontend's key in the path. Nothing has proved it yet.
    pub frontend_key: Box<str>,
    /// Records of the stages for the way out.
    pub trail: Trail,
    /// The trace of the client's that the call belongs to, if it says so.
    pub trace: Option<Trace>,
    /// Whether an operator follows the call through its stages in the log.
    pub watched: bool,
    /// Whether the client only looks, by a HEAD. The call takes no seat, notes no arrival and is made at no node.
    pub looks: bool,
    /// Set for a create that is only rehearsed: the stages run as ever, and nothing is placed.
    pub rehearsal: Option<Rehearsal>,
    /// Admits the call once its frontend is proved. `None`: without a limit.
    pub gate: Option<Arc<dyn Gate>>,
}

/// Gives a call its place among the calls in flight.
pub trait Gate: fmt::Debug + Send + Sync {
    /// Takes the place. A call that has one keeps it.
    ///
    /// # Errors
    /// There is none.
    fn admit(&self) -> Result<(), Fault>;
}

impl Door {
    /// Admits the call after its checksum was verified.
    ///
    /// # Errors
    /// The server has as many calls as it takes.
    pub fn admit(&self) -> Result<(), Fault> {
        self.trail.note_verified();
        self.gate.as_ref().map_or(Ok(()), |gate| gate.admit())
    }

    /// The name of the call in logs.
    pub fn name(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// A call of the frontend of that key, which comes in now.
    pub fn new(request_id: HeaderValue, peer: SocketAddr, arrival: Instant, frontend_key: &str) -> Self {
        Self {
            request_id,
            peer,
            arrival,
            frontend_key: frontend_key.into(),
            trail: Trail::default(),
            trace: None,
            watched: false,
            looks: false,
            rehearsal: None,
            gate: None,
        }
    }
}

/// The result of a rehearsed create.
#[derive(Debug, Default)]
pub struct Rehearsal(Mutex<Option<Placement>>);

impl Rehearsal {
    /// Notes what would become of each backend. The call is at its end.
    pub fn note(&self, placement: Placement) -> Reply {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(placement);
        Reply::xml(Bytes::new())
    }

    /// What would become of each backend, once the call has come to its end.
    pub fn placement(&self) -> Option<Placement> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Records about a call, read when it leaves.
#[derive(Debug, Default)]
pub struct Trail {
    frontend: OnceLock<Arc<Frontend>>,
    verified: AtomicBool,
    backend: Mutex<Option<BackendId>>,
    raised_by: Mutex<Option<Arc<str>>>,
    /// Nanoseconds of the stages that ended since the running one began.
    behind: AtomicU64,
}

impl Trail {
    /// The frontend of the key that the path names, if there is one.
    pub fn frontend(&self) -> Option<&Frontend> {
        self.frontend.get().map(|frontend| &**frontend)
    }

    /// Whether the checksum held, so that addresses in the parameters may be trusted.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Relaxed)
    }

    /// The blame for a fault of the call. The server is not to blame for shedding a call without a verified checksum.
    pub fn blame(&self, fault: &Fault) -> Blame {
        match fault {
            Fault::Overloaded if !self.is_verified() => Blame::Frontend,
            fault => fault.blame(),
        }
    }

    /// The backend last chosen for the call.
    pub fn backend(&self) -> Option<BackendId> {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stage that raised the fault, once one has.
    pub fn raised_by(&self) -> Option<Arc<str>> {
        self.raised_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A stage begins: a fault of an earlier attempt is past. Returns the value for [`Self::end`].
    pub fn begin(&self) -> u64 {
        *self.raised_by.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.behind.swap(0, Relaxed)
    }

    /// A stage ends after `whole`, with the stages after it. Returns its own time.
    pub fn end(&self, before: u64, whole: Duration) -> Duration {
        let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
        let behind = self.behind.swap(before.saturating_add(nanos), Relaxed);
        whole.saturating_sub(Duration::from_nanos(behind))
    }

    /// A stage ends with a fault. Returns whether it raised it: the first such stage did.
    pub fn raise(&self, stage: &Arc<str>) -> bool {
        let mut raised_by = self.raised_by.lock().unwrap_or_else(PoisonError::into_inner);
        let first = raised_by.is_none();
        raised_by.get_or_insert_with(|| Arc::clone(stage));
        first
    }

    pub(crate) fn note_frontend(&self, frontend: &Arc<Frontend>) {
        self.frontend.get_or_init(|| Arc::clone(frontend));
    }

    fn note_verified(&self) {
        self.verified.store(true, Relaxed);
    }

    fn note_backend(&self, id: BackendId) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 for any document of BBB, 302 for a redirect.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: HeaderValue,
    /// Where a redirect leads.
    pub location: Option<HeaderValue>,
    /// A node's `Set-Cookie` lines, for a join that does not redirect.
    pub cookies: Vec<HeaderValue>,
    /// The document's outcome, if an endpoint has read it.
    pub outcome: Option<Outcome>,
    /// The meeting that the document is about, if an endpoint has read it.
    pub meeting: Option<MeetingFields>,
    /// The callbacks that were pointed at us in the create that this answers.
    pub registered: Vec<Callback>,
    /// The document.
    pub body: Bytes,
    /// The rest of it, in the pieces in which it lies in memory. A list of thousands of meetings is never joined.
    pub rest: Vec<Bytes>,
    /// The end of it, if that is made while the rest is sent.
    pub tail: Tail,
    /// The memory that is set aside for it, but for the tail.
    pub room: Room,
}

/// Something that is given back once a reply has been sent: the memory that is set aside for it.
#[derive(Clone, Default)]
pub struct Room(Option<Arc<dyn Any + Send + Sync>>);

impl Room {
    /// Keeps that until the reply has been sent.
    pub fn of(kept: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(kept)))
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Room").field(&self.0.is_some()).finish()
    }
}

/// The room is no part of a reply's content.
impl PartialEq for Room {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Room {}

/// The end of a long document, made piece by piece while the beginning is sent. A fault cuts the connection, so that no client takes
/// a part for the whole.
#[derive(Clone, Default)]
pub struct Tail(Option<Arc<Mutex<Option<Pieces>>>>);

/// The pieces of a [`Tail`].
pub type Pieces = BoxStream<'static, Result<Bytes, Fault>>;

impl Tail {
    /// The end in these pieces.
    pub fn of(pieces: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Self {
        Self(Some(Arc::new(Mutex::new(Some(pieces.boxed())))))
    }

    /// Its pieces, for the first who asks. `None`: the document ends without them.
    pub fn take(&self) -> Option<Pieces> {
        self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tail").field(&self.0.is_some()).finish()
    }
}

/// No one can look into a tail, so it equals its clones alone.
impl PartialEq for Tail {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().map(Arc::as_ptr) == other.0.as_ref().map(Arc::as_ptr)
    }
}

impl Eq for Tail {}

impl Reply {
    /// A BBB document.
    pub fn xml(body: Bytes) -> Self {
        Self::new(StatusCode::OK, HeaderValue::from_static("text/xml;charset=utf-8"), body)
    }

    /// The answer to a call that BBB answers in JSON.
    pub fn json(response: &serde_json::Value) -> Self {
        let document = serde_json::json!({ "response": response }).to_string();
        Self::new(StatusCode::OK, HeaderValue::from_static("application/json;charset=utf-8"), document.into())
    }

    /// The answer to a call that is answered in plain text.
    pub fn text(text: &'static str) -> Self {
        Self::new(
            StatusCode::OK,
            HeaderValue::from_static("text/plain;charset=utf-8"),
            Bytes::from_static(text.as_bytes()),
        )
    }

    /// A redirect, with nothing in its body.
    pub fn redirect(location: HeaderValue) -> Self {
        let html = HeaderValue::from_static("text/html;charset=utf-8");
        Self { location: Some(location), ..Self::new(StatusCode::FOUND, html, Bytes::new()) }
    }

    /// A body of some media type.
    pub fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Self {
        Self {
            status,
            content_type,
            location: None,
            cookies: Vec::new(),
            outcome: None,
            meeting: None,
            registered: Vec::new(),
            body,
            rest: Vec::new(),
            tail: Tail::default(),
            room: Room::default(),
        }
    }

    /// Reads a node's answer as a BBB document. A read answer is not read again.
    ///
    /// Nodes repeat characters that XML forbids, such as a name may have. They are dropped, or no client could read the rest.
    pub fn read(mut self, backend: BackendId) -> Result<Self, Fault> {
        if self.outcome.is_none() {
            self.body = xml::printable(&self.body);
            let answer = xml::answer(&self.body).map_err(|error| Fault::garbled(backend, error))?;
            self = self.with(answer);
        }
        if self.failed_with(CHECKSUM_ERROR) {
            return Err(Fault::Node { backend, failure: NodeFailure::SecretRefused });
        }
        Ok(self)
    }

    /// The reply with the parsed parts of its document.
    pub(crate) fn with(self, answer: Answer) -> Self {
        Self { outcome: Some(answer.outcome), meeting: answer.meeting, ..self }
    }

    /// Whether a node refuses our checksum with it.
    pub(crate) fn refuses_checksum(&self) -> bool {
        match &self.outcome {
            Some(_) => self.failed_with(CHECKSUM_ERROR),
            None => xml::outcome(&xml::printable(&self.body)).is_ok_and(|outcome| outcome.failed_with(CHECKSUM_ERROR)),
        }
    }

    /// Whether it begins as BBB's documents do.
    pub fn is_of_bbb(&self) -> bool {
        self.first_code().is_some()
    }

    /// Whether it begins as a success of BBB does. The rest may be unreadable.
    pub fn begins_well(&self) -> bool {
        self.first_code().is_some_and(|code| code.trim() == "SUCCESS")
    }

    fn first_code(&self) -> Option<String> {
        let head = &self.body[..self.body.len().min(LONGEST_HEAD)];
        let [returncode] = xml::legible(head, ["returncode"]);
        returncode
    }

    /// Whether the document says SUCCESS.
    pub fn is_success(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::is_success)
    }

    /// BBB's key of the message, or nothing.
    pub fn message_key(&self) -> &str {
        self.outcome.as_ref().and_then(|outcome| outcome.message_key.as_deref()).unwrap_or_default()
    }

    /// Whether the document says FAILED with this key.
    pub fn failed_with(&self, key: &str) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.failed_with(key))
    }
}
