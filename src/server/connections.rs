//! The connections of a server: taken one by one, and let go without losing a call that is on one of them, or on its way.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::unconstrained;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::dispatch::{Dispatch, LARGEST_HEAD};
use super::pace::{Paced, Pulse};
use super::places::Place;
use super::resting::Resting;
use super::shared::Shared;
use crate::budget::Owner;
use crate::net::descriptors;
use crate::site::{Sites, Visitor};
use crate::telemetry::catalog::{ACCEPT_FAILURES, CONNECTIONS, PUSHED_OUT};

/// How long handshakes that have begun may take, once no new ones are begun.
const LAST_HANDSHAKES: Duration = Duration::from_millis(200);

/// How long a connection may be without its first call when the server goes down.
const FIRST_CALL: Duration = Duration::from_secs(1);

/// How long no connection is taken after one could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// The current request ends, and no other follows.
    Closing,
}

/// All open connections. They are cut when this is dropped.
pub(super) struct Connections {
    shared: Arc<Shared>,
    dispatch: Arc<Dispatch>,
    phase: watch::Sender<Phase>,
}

impl Connections {
    pub(super) fn new(shared: &Arc<Shared>, sites: Sites) -> Self {
        let dispatch = Arc::new(Dispatch::new(Arc::clone(shared), sites));
        Self { shared: Arc::clone(shared), dispatch, phase: watch::Sender::new(Phase::Serving) }
    }

    /// Accepts connections.
    pub(super) async fn take(&self, listener: &TcpListener) {
        loop {
            // Pushed-out connections keep their descriptors for a moment longer.
            let open = Arc::clone(&self.shared.open).acquire_owned().await.ok();
            match listener.accept().await {
                Ok((stream, peer)) => self.begin(stream, peer, open),
                Err(error) => {
                    self.note_failure(&error);
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Counts a connection that could not be taken. If that was for want of a descriptor, another one is made free.
    fn note_failure(&self, error: &io::Error) {
        let used_up = descriptors::are_used_up(error);
        ACCEPT_FAILURES.with([if used_up { "descriptors" } else { "other" }]).increment(1);
        if used_up {
            self.shared.exhaustion.note();
            self.shared.connections.push_out_oldest();
        } else {
            warn!(%error, "Accepting a connection failed");
        }
    }

    /// Accepts the queued connections, and closes the port. Closing the listener resets connections still in the accept queue;
    /// clients that already sent a request on one could not tell whether it was processed.
    pub(super) async fn take_last(&self, listener: TcpListener) {
        refuse_new(&listener);
        tokio::select! {
            () = self.take(&listener) => {}
            () = sleep(LAST_HANDSHAKES) => {}
        }
        // Queued connections are accepted without waiting for more, however many.
        while let Some(taken) = unconstrained(listener.accept()).now_or_never() {
            match taken {
                Ok((stream, peer)) => self.begin(stream, peer, None),
                // That one has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return warn!(%error, "Accepting the queued connections failed"),
            }
        }
    }

    /// Lets every connection come to its end, and waits for that.
    pub(super) async fn close(&self) {
        self.phase.send_replace(Phase::Closing);
        self.phase.closed().await;
    }

    fn begin(&self, stream: TcpStream, peer: SocketAddr, permit: Option<OwnedSemaphorePermit>) {
        self.shared.exhaustion.note_end();
        // A proxy speaks for many.
        let address = Some(peer.ip()).filter(|address| !self.shared.parts.proxies.trust(*address));
        let Some(place) = self.shared.connections.take(address) else {
            ACCEPT_FAILURES.with(["connections"]).increment(1);
            return;
        };
        let place = Arc::new(place);
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Setting up a connection failed");
        }
        let (dispatch, phase) = (Arc::clone(&self.dispatch), self.phase.subscribe());
        let open = Open::new();
        tokio::spawn(async move {
            let _open = (open, permit);
            if let Err(error) = attend(stream, peer, place, dispatch, phase).await {
                debug!(%error, "Connection broke");
            }
        });
    }
}

/// A connection in the figures.
struct Open(Gauge);

impl Open {
    fn new() -> Self {
        let open = CONNECTIONS.with([]);
        open.increment(1);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Answers the requests of one connection.
async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    dispatch: Arc<Dispatch>,
    mut phase: watch::Receiver<Phase>,
) -> Result<(), hyper::Error> {
    let settings = dispatch.shared.settings;
    // Until something comes, a connection takes up next to nothing.
    if !begins(&stream, &place, &mut phase, settings.idle).await {
        return Ok(());
    }
    let pulse = Arc::new(Pulse::default());
    let room = dispatch.shared.parts.budget.room(Owner::stranger(peer.ip()));
    let io = Paced::new(stream, Arc::clone(&pulse), room, settings.head, settings.write_pause);
    let mut http = http1::Builder::new();
    // From the end of one call to the end of the next head. Heads that have begun are timed by `Paced`.
    http.timer(TokioTimer::new()).header_read_timeout(settings.idle).max_buf_size(LARGEST_HEAD);
    let visitor = Visitor::new(peer, Arc::<Place>::clone(&place), dispatch.shared.drain.clone());
    let (calls, own) = (Arc::clone(&pulse), Arc::clone(&place));
    let service = service_fn(move |request| {
        let (dispatch, visitor, place) = (Arc::clone(&dispatch), visitor.clone(), Arc::clone(&own));
        let in_call = calls.call();
        // Boxed, or every connection would keep as much free for a call as one takes at most.
        async move {
            let _in_call = in_call;
            let answer = dispatch.respond(request, &visitor).await;
            Ok::<_, Infallible>(answer.map(|body| Resting::new(body, place)))
        }
        .boxed()
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    let is_pushed_out = tokio::select! {
        ended = &mut connection => return ended,
        () = place.lost() => true,
        closing = phase.wait_for(|phase| *phase == Phase::Closing) => if closing.is_err() { return Ok(()) } else { false },
    };
    if is_pushed_out {
        PUSHED_OUT.with(["connection"]).increment(1);
        if pulse.is_in_call() {
            // The call under way has bounds of its own.
            connection.as_mut().graceful_shutdown();
            return connection.await;
        }
        return Ok(());
    }
    // The first call may be on its way, and a connection on which nothing has come would be closed under it.
    if pulse.is_unused() {
        tokio::select! {
            ended = &mut connection => return ended,
            _ = phase.changed() => return Ok(()),
            () = sleep(FIRST_CALL) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended,
        // The grace time is over.
        _ = phase.changed() => Ok(()),
    }
}

/// Waits for the first byte of a connection. Returns whether it is worth going on.
async fn begins(stream: &TcpStream, place: &Place, phase: &mut watch::Receiver<Phase>, idle: Duration) -> bool {
    tokio::select! {
        readable = stream.readable() => return readable.is_ok(),
        () = place.lost() => {
            PUSHED_OUT.with(["connection"]).increment(1);
            return false;
        }
        () = sleep(idle) => return false,
        closing = phase.wait_for(|phase| *phase == Phase::Closing) => if closing.is_err() { return false },
    }
    timeout(FIRST_CALL, stream.readable()).await.is_ok_and(|readable| readable.is_ok())
}

/// Lets the system finish begun handshakes, and begin no others: later connections are refused a moment later.
#[cfg(target_os = "linux")]
fn refuse_new(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};

    // Where the flags of a TCP segment stand, and two of them: it begins a connection, it answers.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    // BPF: load the flags; of these, SYN alone: take nothing of the segment, else all of it.
    let program = [
        SockFilter::new(0x30, 0, 0, FLAGS),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&program) {
        debug!(%error, "Refusing new connections failed before closing the port");
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_new(_: &TcpListener) {}
