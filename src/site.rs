//! A site answers requests other than BBB's calls: the REST API, the health checks, the metrics, the waiting page.
//!
//! The server knows sites by this contract alone. A room that answers requests implements [`Site`], and `serve.rs` enters it. A
//! site claims paths, says what bodies it reads and how fast they must come, and may answer with a stream. Each request carries the
//! server's [`Drain`]: a stream without an end must end when the drain begins.

mod answer;
mod claim;
mod intake;
mod pieces;
mod readiness;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Either;
use tokio::sync::watch;

pub use axum::body::Body;

pub(crate) use answer::{answer, escape, local, page, redirect, text};
pub use claim::{Claim, Claimed, Sites};
pub use intake::{Intake, IntakeError};
pub use pieces::Pieces;
pub(crate) use pieces::kept;
pub use readiness::{Check, Readiness};

/// An answer. Its body lies in memory in pieces, or is a stream.
pub type Answer = Response<Either<Pieces, Body>>;

/// A part of what a server answers.
pub trait Site: Send + Sync + 'static {
    /// The paths it owns.
    fn claims(&self) -> Vec<Claim>;

    /// What bodies it reads. By default it reads none, and the server lets only GET and HEAD through.
    fn intake(&self) -> Option<Intake> {
        None
    }

    /// Answers a request for a path of its own. The server bounds the body by [`intake`](Self::intake); the time of the answer is
    /// the site's own matter.
    fn answer(&self, request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer>;
}

/// The sender of a request, and its connection.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The address at the other end of the socket, which may be a proxy's.
    pub peer: SocketAddr,
    /// Tells when the server begins to go down.
    pub drain: Drain,
    connection: Arc<dyn Connection>,
}

impl Visitor {
    /// A visitor on a connection.
    pub fn new(peer: SocketAddr, connection: Arc<dyn Connection>, drain: Drain) -> Self {
        Self { peer, drain, connection }
    }

    /// Call this once the request has proved its sender. Until its answer has been sent, no newcomer takes the connection's place.
    pub fn admit(&self) {
        self.connection.keep();
    }
}

/// A connection, which strangers may have to leave to newcomers.
pub trait Connection: fmt::Debug + Send + Sync {
    /// Keeps its place until the answer has been sent.
    fn keep(&self);
}

/// Tells that the server goes down: it is not ready any more, and soon takes no connections.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl Drain {
    /// A drain, and the sender that begins it with `true`.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (begin, begun) = watch::channel(false);
        (begin, Self(begun))
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins.
    pub async fn begun(mut self) {
        // A sender that is gone belongs to a server that is gone.
        let _ = self.0.wait_for(|has_begun| *has_begun).await;
    }
}
