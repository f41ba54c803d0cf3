//! The server: takes connections, turns requests into calls, and goes down without cutting one off.
//!
//! A request goes to the site that claims its path, else it is a call or nothing. A call is decoded in `calls`, travels through the
//! pipeline, and is written by `render`, the only way out of a fault. Everything is bounded: heads, bodies, answers, calls at once,
//! and time. A call takes its place once its checksum holds; strangers stand in each other's way only (`places`).

mod body;
mod browser;
mod calls;
mod connections;
mod dispatch;
mod exhaustion;
mod log;
mod outgoing;
mod pace;
mod places;
mod reading;
mod render;
mod resting;
mod settings;
mod shared;
mod shares;
mod target;
mod ticket;
mod visit;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

pub use calls::Calls;
use connections::Connections;
pub use settings::ServerSettings;
use shared::Shared;
pub use shared::{Followers, Lobby, Router, ServerParts};
pub(crate) use target::Target;

use crate::site::{Readiness, Sites};

/// How many may wait to be taken in, if the system allows as many: the pupils of a morning come within a second.
const BACKLOG: u32 = 16_384;

/// A server that has its port.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    sites: Sites,
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
        Ok(Self { listener, address, shared: Arc::new(Shared::new(parts, settings)), sites: Sites::default() })
    }

    /// The same server with more sites.
    #[must_use]
    pub fn with(self, sites: Sites) -> Self {
        Self { sites, ..self }
    }

    /// The address it has, with the port that was given to it.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The door through which a site makes BBB calls of its own.
    pub fn calls(&self) -> Calls {
        Calls::new(Arc::clone(&self.shared))
    }

    /// The server's own conditions for calls: places, connections, descriptors, and no drain.
    pub fn readiness(&self) -> Arc<dyn Readiness> {
        let shared: Arc<Shared> = Arc::clone(&self.shared);
        shared
    }

    /// Serves until `shutdown`, then drains: says that it is not ready, goes on for a while, takes no more connections, and
    /// waits for the calls in flight.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared, sites, .. } = self;
        let connections = Connections::new(&shared, sites);
        tokio::select! {
            () = connections.take(&listener) => {}
            () = shutdown => {}
        }
        shared.begin_drain();
        info!("Draining: this server is not ready any more");
        tokio::select! {
            () = connections.take(&listener) => {}
            () = sleep(shared.settings.drain_delay) => {}
        }
        connections.take_last(listener).await;
        let end = Instant::now() + shared.settings.grace;
        let closed = timeout_at(end, connections.close()).await;
        // Calls of clients that hung up are finished, too.
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
