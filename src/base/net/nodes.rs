//! The way to the nodes: one pooled HTTP client for all of them.
//!
//! Only the headers named here go to a node, and only those a client needs come back. Every answer is
//! bounded in time and size, and takes up memory only as its bytes come. No error text ever holds the query, which is signed.

mod failure;
mod pace;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, Media};
use b3scale_middleware::call::Room;
use b3scale_middleware::ports::Nodes;
use b3scale_middleware::{Fault, NodeFailure, NodeRequest, Reply, Trace};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use tower::util::MapRequest;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::decompression::{Decompression, DecompressionBody};

use crate::budget::{self, Budget, Owner};
use crate::net::tls::{self, Connector};
use crate::telemetry::catalog::BACKEND_RETRIES;
use pace::Paced;

pub use crate::net::tls::CaFileError;

const ACCEPT: HeaderValue = HeaderValue::from_static("application/xml, text/xml;q=0.9, */*;q=0.1");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("b3scaled/", env!("CARGO_PKG_VERSION")));
const XML: HeaderValue = HeaderValue::from_static("application/xml");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A BBB node's nginx closes a connection that has been idle for 65 s. Ours are given up well before.
const IDLE: Duration = Duration::from_secs(30);

/// The largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 << 10;

/// The largest answer about one meeting, in bytes: thousands of people.
const LARGEST_MEETING: usize = 8 << 20;

/// The largest answer that only says how a call went, in bytes.
const LARGEST_WORD: usize = 256 << 10;

/// How long a call waits for its node before the node is asked whether it is there, and how long it may take to say so.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Between two probes of a node that a call waits for.
    pub first_byte: Duration,
    /// How long the answer to a probe may take.
    pub probe: Duration,
}

impl Default for Patience {
    /// However many nodes hang, a create takes less than ten seconds: the first is given up after both times, and all others after
    /// another probe.
    fn default() -> Self {
        Self { first_byte: Duration::from_secs(2), probe: Duration::from_millis(2500) }
    }
}

/// Limits of the client, and its trusted authorities.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// How long a connection may take, name look-up and TLS included.
    pub connect: Duration,
    /// How long the whole answer to a call may take, the connection included.
    pub answer: Duration,
    /// The same for a create, in which a node fetches slides and plugins.
    pub create: Duration,
    /// How long an answer that has begun may stall.
    pub stall: Duration,
    /// When a node that calls wait for is probed.
    pub patience: Patience,
    /// The most bytes a list may have, after decompression. Other answers are smaller.
    pub largest_answer: usize,
    /// The memory that all answers share with everything else that waits there.
    pub budget: Budget,
    /// A PEM file of certificate authorities, trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(15),
            create: Duration::from_secs(60),
            stall: Duration::from_secs(4),
            patience: Patience::default(),
            largest_answer: 32 << 20,
            budget: Budget::default(),
            ca_file: None,
        }
    }
}

impl UpstreamSettings {
    /// The most bytes that an answer to this call may have.
    fn largest(&self, kind: CallKind) -> usize {
        let usual = match kind {
            CallKind::GetMeetings | CallKind::GetSessions | CallKind::GetRecordings => usize::MAX,
            CallKind::GetMeetingInfo | CallKind::GetRecordingTextTracks => LARGEST_MEETING,
            CallKind::Index
            | CallKind::Create
            | CallKind::Join
            | CallKind::IsMeetingRunning
            | CallKind::End
            | CallKind::InsertDocument
            | CallKind::SendChatMessage
            | CallKind::PublishRecordings
            | CallKind::DeleteRecordings
            | CallKind::UpdateRecordings
            | CallKind::PutRecordingTextTrack
            | CallKind::HooksCreate
            | CallKind::HooksList
            | CallKind::HooksDestroy
            | CallKind::HooksPing => LARGEST_WORD,
        };
        usual.min(self.largest_answer)
    }
}

type Plain = fn(Request<Full<Bytes>>) -> Request<Full<Bytes>>;
type Pooled = Decompression<MapRequest<Client<Connector, Full<Bytes>>, Plain>>;
type Answer = Response<DecompressionBody<Incoming>>;

/// The nodes, asked over HTTP. Clones share one pool of connections.
#[derive(Clone)]
pub struct HttpNodes {
    client: Pooled,
    settings: Arc<UpstreamSettings>,
}

impl HttpNodes {
    /// Makes the client. It opens no connection yet.
    ///
    /// # Errors
    ///
    /// [`CaFileError`] when the file of certificate authorities cannot be used.
    pub fn new(settings: UpstreamSettings) -> Result<Self, CaFileError> {
        let connector = tls::connector(settings.ca_file.as_deref(), settings.connect)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(LARGEST_HEAD)
            .build(connector);
        let plain: Plain = without_accept_encoding;
        let client = ServiceBuilder::new().map_request(plain).service(client);
        Ok(Self { client: Decompression::new(client), settings: Arc::new(settings) })
    }

    /// Sends a request and takes the whole answer in.
    async fn exchange(&self, request: &NodeRequest) -> Result<Reply, NodeFailure> {
        let limit = match request.kind {
            CallKind::Create => self.settings.create,
            _ => self.settings.answer,
        };
        let left = request.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now().into_std()));
        let limit = left.map_or(limit, |left| left.min(limit));
        let seconds = (limit.as_secs_f64().round() as u64).max(1);
        let mut connection = None;
        let answer = self.answer(request, &mut connection);
        match tokio::time::timeout(limit, answer).await {
            Ok(reply) => reply,
            Err(_) if connection.as_ref().is_some_and(is_open) => Err(NodeFailure::Silent { seconds }),
            Err(_) => Err(NodeFailure::Unreachable(format!("none within {seconds} s"))),
        }
    }

    /// `connection` tells from outside how far the request has come.
    async fn answer(
        &self,
        request: &NodeRequest,
        connection: &mut Option<CaptureConnection>,
    ) -> Result<Reply, NodeFailure> {
        // A join that comes twice makes two sessions.
        let mut again = !request.kind.changes_something() && request.kind != CallKind::Join;
        loop {
            let mut message = message(request)?;
            *connection = Some(capture_connection(&mut message));
            // Boxed, as below: the client's futures are large, and one of them stands in every call in flight.
            match self.client.clone().oneshot(message).boxed().await {
                Ok(answer) => return self.reply(request, answer).await,
                // The node may have closed a pooled connection at the moment it was used.
                Err(error) if again && failure::is_closed(&error) => {
                    again = false;
                    BACKEND_RETRIES.with([]).increment(1);
                }
                Err(error) => return Err(failure::of_client(&error)),
            }
        }
    }

    async fn reply(&self, request: &NodeRequest, answer: Answer) -> Result<Reply, NodeFailure> {
        let (head, body) = answer.into_parts();
        let is_join = request.kind == CallKind::Join;
        if head.status != StatusCode::OK && !(is_join && head.status == StatusCode::FOUND) {
            return Err(NodeFailure::Status(head.status.as_u16()));
        }
        let (bytes, room) = self.take(request, body).await?;
        let content_type = head.headers.get(header::CONTENT_TYPE).cloned();
        let content_type = content_type.unwrap_or(HeaderValue::from_static("text/xml;charset=utf-8"));
        let mut reply = Reply { room, ..Reply::new(head.status, content_type, bytes) };
        if is_join {
            reply.location = head.headers.get(header::LOCATION).cloned();
            reply.cookies = head.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        }
        Ok(reply)
    }

    /// Takes the body of an answer in, piece by piece, as far as there is room for it.
    async fn take(
        &self,
        request: &NodeRequest,
        body: DecompressionBody<Incoming>,
    ) -> Result<(Bytes, Room), NodeFailure> {
        let limit = self.settings.largest(request.kind);
        let id = request.backend.id;
        let owner = if request.is_poll { Owner::Poll(id) } else { Owner::Backend(id) };
        let mut buffer = self.settings.budget.buffer(owner);
        let mut body = Box::pin(Paced::new(body, self.settings.stall));
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|error| failure::of_body(&*error))?.into_data() else { continue };
            if buffer.len() + piece.len() > limit {
                return Err(NodeFailure::TooLarge { limit });
            }
            buffer.push(&piece, limit).map_err(|budget::Full| NodeFailure::NoRoom)?;
        }
        let (bytes, room) = buffer.finish();
        Ok((bytes, Room::of(room)))
    }
}

impl Nodes for HttpNodes {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let nodes = self.clone();
        Box::pin(async move {
            let backend = request.backend.id;
            nodes.exchange(&request).await.map_err(|failure| Fault::Node { backend, failure })
        })
    }
}

/// Writes the request. It holds only the signed query and the call's name.
fn message(request: &NodeRequest) -> Result<Request<Full<Bytes>>, NodeFailure> {
    // The backend's own part has been called before: what cannot be called is a query too long for any request line.
    let uri = Uri::try_from(request.url()).map_err(|_| NodeFailure::Status(StatusCode::URI_TOO_LONG.as_u16()))?;
    let mut message = Request::new(Full::default());
    *message.uri_mut() = uri;
    let headers = message.headers_mut();
    headers.insert(header::ACCEPT, ACCEPT);
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert("x-request-id", request.request_id.clone());
    for (name, value) in request.trace.iter().flat_map(Trace::headers) {
        headers.insert(name, value);
    }
    if let Some(content) = &request.content {
        headers.insert(header::CONTENT_TYPE, if content.media == Media::Xml { XML } else { FORM });
        *message.method_mut() = Method::POST;
        *message.body_mut() = Full::new(content.bytes.clone());
    }
    Ok(message)
}

/// Compressed answers are read, but not asked for: on the way to a node they cost more than they save.
fn without_accept_encoding(mut message: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    message.headers_mut().remove(header::ACCEPT_ENCODING);
    message
}

fn is_open(connection: &CaptureConnection) -> bool {
    connection.connection_metadata().is_some()
}

#[cfg(test)]
mod tests;
