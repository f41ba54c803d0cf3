//! The server: takes connections, turns requests into calls, and goes down without cutting one off.
//!
//! What comes in is decoded in `calls`, travels through the pipeline, and is written by `render`, the only way out of a
//! fault. Everything is bounded: heads, bodies, answers, calls at once, and time. A call takes its place once its checksum
//! holds; strangers stand in each other's way only (`places`).

mod body;
mod browser;
mod calls;
mod connections;
mod exhaustion;
mod log;
mod original;
mod pace;
mod pieces;
mod places;
mod reading;
mod render;
mod settings;
mod shares;
mod status;
mod target;
mod ticket;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use b3scale_middleware::Next;
use b3scale_middleware::bbb::CallKind;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use body::Bodies;
use calls::{Head, Visit};
use connections::Connections;
use exhaustion::Exhaustion;
use pieces::Pieces;
use places::Places;
pub use settings::ServerSettings;
use shares::Shares;
pub use status::{Check, Readiness};
use target::Target;
use ticket::{Client, Ticket};
use waiting::Tokens;

use crate::admin::Api;
use crate::budget::Budget;
use crate::pipeline::Pipeline;
use crate::proxies::Proxies;
use crate::telemetry::MetricsPage;

/// How many may wait to be taken in, if the system allows as many: the pupils of a morning come within a second.
const BACKLOG: u32 = 16_384;

/// What goes out: a BBB answer in pieces, or one of the REST API.
type Answer = Response<Pieces>;
type AnyAnswer = Response<Either<Pieces, axum::body::Body>>;

/// Where the routes come from. They may change between two calls.
pub trait Router: Send + Sync + 'static {
    /// The route of a call, or `None` where the pipeline has none.
    fn route(&self, kind: CallKind) -> Option<Next>;
}

impl Router for Pipeline {
    fn route(&self, kind: CallKind) -> Option<Next> {
        Pipeline::route(self, kind)
    }
}

/// What a server is put together from.
#[derive(Clone)]
pub struct ServerParts {
    /// The pipeline.
    pub router: Arc<dyn Router>,
    /// Whether calls can be taken.
    pub readiness: Arc<dyn Readiness>,
    /// The REST API. `None`: there is none.
    pub api: Option<Api>,
    /// What `/metrics` shows. `None`: there is no such page.
    pub metrics: Option<MetricsPage>,
    /// Whose word is taken for where a request comes from.
    pub proxies: Proxies,
    /// What bodies may take up in memory.
    pub budget: Budget,
    /// The secret that all servers of the cluster sign waiting pages with.
    pub secret: Vec<u8>,
}

/// A server that has its port.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    parts: ServerParts,
    settings: ServerSettings,
    tokens: Tokens,
    bodies: Arc<Bodies>,
    connections: Arc<Places>,
    /// Sockets of clients that are open, with some room for those that are being closed.
    open: Arc<Semaphore>,
    calls: Arc<Shares>,
    exhaustion: Exhaustion,
    draining: AtomicBool,
    /// Calls that are dropped from now on are cut off.
    cut: AtomicBool,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub fn bind(address: SocketAddr, parts: ServerParts, settings: ServerSettings) -> io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let shared = Shared {
            tokens: Tokens::new(&parts.secret, settings.wait),
            bodies: Bodies::new(parts.budget.clone(), settings),
            connections: Places::new(settings.connections, settings.connections_of_one),
            open: Arc::new(Semaphore::new(settings.connections + settings.connections / 16 + 16)),
            calls: Shares::of(settings.calls),
            exhaustion: Exhaustion::default(),
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            parts,
            settings,
        };
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// The address it has, with the port that was given to it.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains: says that it is not ready, goes on for a while, takes no more connections, and
    /// waits for the calls in flight.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared, .. } = self;
        let connections = Connections::of(&shared);
        tokio::select! {
            () = connections.take(&listener) => {}
            () = shutdown => {}
        }
        shared.draining.store(true, Relaxed);
        info!("Draining: this server is not ready any more");
        tokio::select! {
            () = connections.take(&listener) => {}
            () = sleep(shared.settings.drain_delay) => {}
        }
        connections.take_last(listener).await;
        let end = Instant::now() + shared.settings.grace;
        let closed = timeout_at(end, connections.close()).await;
        // Calls whose clients have hung up are finished too.
        let finished = timeout_at(end, shared.calls.end()).await;
        if closed.is_err() || finished.is_err() {
            warn!(seconds = shared.settings.grace.as_secs(), "Calls cut at the end of the grace time");
            shared.cut.store(true, Relaxed);
        }
        drop(connections);
        info!("Drained");
    }
}

/// Takes the port, with room for as many who wait to be taken in as the system allows.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn respond(shared: &Arc<Shared>, request: Request<Incoming>, client: &Client) -> AnyAnswer {
    let mut answer = match &shared.parts.api {
        Some(api) if Api::owns(request.uri().path()) => {
            let answer = api.answer(request, client.peer).await;
            if Api::has_admitted(&answer) {
                client.place.keep();
            }
            answer.map(Either::Right)
        }
        Some(_) | None => answer(shared, request, client).await.map(Either::Left),
    };
    if shared.draining.load(Relaxed) {
        // Whoever sends the next request to a connection that is just being closed does not know what became of it.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>, client: &Client) -> Answer {
    if length_of_head(&request) > connections::LARGEST_HEAD {
        return render::text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of this request is too long.\n");
    }
    if let Some(target) = Target::of(request.uri().path()) {
        return call(shared, target, request, client).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return render::text(StatusCode::NOT_FOUND, "There is nothing here to send anything to.\n");
    }
    let page = match request.uri().path() {
        "/" => Some(render::text(StatusCode::OK, "b3scale: BigBlueButton for many. The API is at /bbb/<frontend>/.\n")),
        "/health/live" => Some(status::live()),
        "/health/ready" => Some(status::ready(shared)),
        "/metrics" => status::metrics(shared, request.headers()).await,
        path => match (original::place_of(path), path.strip_prefix(waiting::PATH)) {
            (Some(place), _) => Some(render::redirect(place)),
            (None, Some(token)) => Some(waiting::visit(shared, token, request.headers(), client).await),
            (None, None) => None,
        },
    };
    page.unwrap_or_else(|| render::text(StatusCode::NOT_FOUND, "There is nothing here.\n"))
}

/// The HTTP library looks at what has come so far, and so lets one pass that is a little longer than it may be.
fn length_of_head(request: &Request<Incoming>) -> usize {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    address + headers.sum::<usize>()
}

async fn call(shared: &Arc<Shared>, target: Target, request: Request<Incoming>, client: &Client) -> Answer {
    let (head, body) = request.into_parts();
    let none = PathAndQuery::from_static("/");
    let address = head.uri.path_and_query().unwrap_or(&none);
    let ticket = Ticket::new(shared, client, &head.headers, &target.frontend_key);
    let body = shared.bodies.body(&head.headers, body, &ticket);
    let peer = client.peer;
    let watched = shared.parts.api.as_ref().is_some_and(|api| api.lets_follow(&head.headers, peer));
    let head = Head { method: &head.method, address, headers: &head.headers, peer, ticket, watched };
    let (visit, call) = Visit::decode(&head, target, body);
    let result = visit.run(shared, call).await;
    if let Some(answer) = result.as_ref().err().and_then(|fault| visit.wait(fault, &shared.tokens)) {
        return answer;
    }
    visit.answer(result)
}
