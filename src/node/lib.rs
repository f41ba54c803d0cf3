//! A simulated BigBlueButton 3.0 node: its HTTP API, a client page, its timers, and its ways to fail.
//!
//! It serves `b3scaled node`, the demo and the tests. It shares no code with the load balancer: checksum, XML and
//! parameters are its own, so that the two can only agree when both are right.
//!
//! ```
//! # use b3scale_node::{Node, NodeOptions};
//! # async fn example() -> std::io::Result<()> {
//! let node = Node::start(NodeOptions::default()).await?;
//! println!("{} {}", node.url(), node.secret());
//! node.wait_until(|state| state.meetings().iter().any(|meeting| meeting.running)).await;
//! # Ok(())
//! # }
//! ```

mod answers;
mod calls;
mod checksum;
mod client;
mod control;
mod farewell;
mod http;
mod meeting;
mod misbehave;
mod outgoing;
mod params;
mod port;
mod recording;
mod request;
mod says;
mod scripts;
mod state;
pub mod tls;
mod xml;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use control::Control;
pub use meeting::{ChatMessage, Document, DocumentSource, Media, Role};
pub use misbehave::Misbehaviour;
pub use port::Port;
pub use state::{AttendeeView, MeetingView, NodeState, SeenCall};
pub use tls::TestAuthority;

use state::Rule;

/// How a node is set up.
#[derive(Clone)]
pub struct NodeOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The secret of the checksums. Empty switches the check off, as on a real node.
    pub secret: String,
    /// The only length of checksums that it takes, in hex digits. `None`: those of all four algorithms.
    pub checksum_digits: Option<usize>,
    /// Name shown on the client page.
    pub name: String,
    /// Base of the links to the client, without trailing slash; by default the node's own address.
    pub public_url: Option<String>,
    /// Serves HTTPS with these settings.
    pub tls: Option<Arc<ServerConfig>>,
    /// From an accepted `end` to the meeting being gone.
    pub end_delay: Duration,
    /// From a call to its answer.
    pub answer_delay: Duration,
    /// The version in the version document; empty as on a default node.
    pub bbb_version: String,
    /// Prints the counts in getMeetings with thousands separators, as some locales do.
    pub group_numbers: bool,
    /// Epoch milliseconds at which the wall clock stands still; create times then count up from it by one.
    pub frozen_clock: Option<u64>,
    /// URL of the Redis for events, as BBB publishes its own; `None` publishes none. Undeliverable events are lost.
    pub redis: Option<String>,
    /// Where recorded meetings leave a recording each when they end, as in `/var/bigbluebutton/published`; `None` leaves none.
    pub recordings: Option<PathBuf>,
}

/// A running node. It ends when this is dropped.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    port: Port,
    /// `None` after a crash.
    serving: Mutex<Option<JoinHandle<()>>>,
}

/// What connections, timers and the owner of the node have in common.
struct Shared {
    options: NodeOptions,
    address: SocketAddr,
    started: Instant,
    started_ms: u64,
    state: Mutex<NodeState>,
    changed: watch::Sender<()>,
    meetings_changed: Notify,
    /// The task that publishes events to Redis.
    says: Option<mpsc::Sender<says::Word>>,
}

impl Node {
    /// Binds the port and serves in the background.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(options: NodeOptions) -> io::Result<Node> {
        let port = Port::take(options.listen)?;
        let listener = port.listen().await?;
        let mut state = NodeState::default();
        let says = options.redis.clone().map(says::speak);
        if says.is_some() {
            state.unsaid.open();
        }
        let shared = Arc::new(Shared {
            started: Instant::now(),
            started_ms: options.frozen_clock.unwrap_or_else(wall_clock_ms),
            options,
            address: port.address(),
            state: Mutex::new(state),
            changed: watch::Sender::default(),
            meetings_changed: Notify::new(),
            says,
        });
        let serving = tokio::spawn(http::serve(shared.clone(), listener));
        Ok(Node { shared, port, serving: Mutex::new(Some(serving)) })
    }

    /// The address to register: `http(s)://127.0.0.1:port/bigbluebutton/api/`.
    pub fn url(&self) -> String {
        format!("{}/bigbluebutton/api/", self.shared.local_url())
    }

    /// The secret of the checksums.
    pub fn secret(&self) -> &str {
        &self.shared.options.secret
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// All meetings, breakouts included.
    pub fn meetings(&self) -> Vec<MeetingView> {
        self.shared.read().meetings()
    }

    /// The meeting with this meeting id or internal id.
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        self.shared.read().meeting(id)
    }

    /// The latest calls, oldest first; bounded in number and bytes.
    pub fn calls(&self) -> Vec<SeenCall> {
        self.shared.read().calls().cloned().collect()
    }

    /// Ends when `holds` does: at once, or after the change that makes it so.
    ///
    /// `holds` runs under the node's lock and must not call the node. Callers set their own deadline.
    pub async fn wait_until(&self, mut holds: impl FnMut(&NodeState) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        // The sender lives as long as the node, so the wait ends in no other way.
        while !holds(&self.shared.read()) && changed.changed().await.is_ok() {}
    }

    /// Misbehaves on every call from now on.
    pub fn misbehave(&self, how: Misbehaviour) {
        self.shared.modify(|state| state.misbehaviours.push(Rule::new(None, how, false)));
    }

    /// Misbehaves on calls of one name (`create`, `index`, `html5client`) from now on; the last setting counts.
    pub fn misbehave_on(&self, call: &str, how: Misbehaviour) {
        self.shared.modify(|state| state.misbehaviours.push(Rule::new(Some(call), how, false)));
    }

    /// Misbehaves on the next call of this name, then forgets it; the last setting counts.
    pub fn misbehave_once(&self, call: &str, how: Misbehaviour) {
        self.shared.modify(|state| state.misbehaviours.push(Rule::new(Some(call), how, true)));
    }

    /// Behaves again. Calls already stalled stay so until their connections close.
    pub fn behave(&self) {
        self.shared.modify(|state| state.misbehaviours.clear());
    }

    /// Acts inside the node.
    pub fn control(&self) -> Control<'_> {
        Control(&self.shared)
    }

    /// Serves until the node ends, which it does only when it is dropped or its task dies.
    pub async fn run(mut self) {
        if let Some(serving) = self.serving.get_mut().unwrap_or_else(PoisonError::into_inner) {
            let _ = serving.await;
        }
    }

    /// Closes the port and all connections; the address is free afterwards.
    pub async fn stop(self) {
        self.crash().await;
    }

    /// The power fails: the port and all connections are closed, all meetings are lost.
    pub async fn crash(&self) {
        let serving = self.serving().take();
        if let Some(serving) = serving {
            serving.abort();
            let _ = serving.await;
        }
        self.control().forget();
    }

    /// The power is back: serves again at the address it had.
    ///
    /// # Errors
    /// When the address cannot be bound, which it cannot before a crash.
    pub async fn restart(&self) -> io::Result<()> {
        let listener = self.port.listen().await?;
        *self.serving() = Some(tokio::spawn(http::serve(self.shared.clone(), listener)));
        Ok(())
    }

    fn serving(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving().iter().for_each(JoinHandle::abort);
    }
}

impl Default for NodeOptions {
    /// A node on a free port of the loopback, with a secret of its own.
    fn default() -> NodeOptions {
        NodeOptions {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            secret: random(40),
            checksum_digits: None,
            name: "node".to_owned(),
            public_url: None,
            tls: None,
            end_delay: Duration::from_millis(100),
            answer_delay: Duration::ZERO,
            bbb_version: String::new(),
            group_numbers: false,
            frozen_clock: None,
            redis: None,
            recordings: None,
        }
    }
}

impl fmt::Debug for NodeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeOptions").field("name", &self.name).field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn read(&self) -> MutexGuard<'_, NodeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all waiters.
    fn modify<T>(&self, change: impl FnOnce(&mut NodeState) -> T) -> T {
        let mut state = self.read();
        let outcome = change(&mut state);
        // Under the lock, so that it is said in the order in which it happened.
        for message in state.unsaid.take() {
            if self.says.as_ref().is_some_and(|says| says.try_send(message).is_err()) {
                tracing::debug!("Redis is too slow for the events of the simulated node");
            }
        }
        drop(state);
        self.changed.send_replace(());
        outcome
    }

    /// Changes meetings, and lets the timers look again.
    fn change<T>(&self, change: impl FnOnce(&mut NodeState) -> T) -> T {
        let outcome = self.modify(change);
        self.meetings_changed.notify_one();
        outcome
    }

    /// Epoch milliseconds. Runs with tokio's clock, so that a test that turns time turns this, too.
    fn epoch_ms(&self) -> u64 {
        let passed = if self.options.frozen_clock.is_some() { 0 } else { self.started.elapsed().as_millis() as u64 };
        self.started_ms + passed
    }

    fn local_url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where browsers reach the node.
    fn public_url(&self) -> String {
        self.options.public_url.clone().unwrap_or_else(|| self.local_url())
    }
}

/// Lower-case letters and digits, as in a node's tokens and passwords.
fn random(length: usize) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..length).map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())])).collect()
}

fn wall_clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests;
