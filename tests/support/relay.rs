//! The only way to a server: a test can cut it, stall it, and, if it is PostgreSQL, listen in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::wire::{Ear, Journal, RoundTrip};

/// PostgreSQL's socket has this name in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// The treatment of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Flowing,
    /// They stay where they are. Bytes of a client that gave up arrive once they flow again, as on a network that
    /// comes back.
    Stalled,
    /// Connections are closed, new ones at once.
    Cut,
}

/// Where a relay leads.
#[derive(Clone, Debug)]
enum Target {
    Socket(PathBuf),
    Port(SocketAddr),
}

/// A port on the loopback that leads to a server, which may start later.
pub struct Relay {
    address: SocketAddr,
    url: String,
    target: watch::Sender<Target>,
    mode: watch::Sender<Mode>,
    journal: Journal,
    serving: JoinHandle<()>,
}

/// A position in a relay's journal.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl Relay {
    /// A way to the database that `url` names by a unix socket.
    pub async fn start(url: &str) -> Self {
        let target: Config = url.parse().expect("a URL of a private PostgreSQL");
        let [Host::Unix(folder)] = target.get_hosts() else { panic!("no unix socket in {url}") };
        let mut relay = Self::open(Target::Socket(folder.join(SOCKET)), true).await;
        relay.url = url_through(relay.address, &target);
        relay
    }

    /// A way to any other server on that socket.
    pub async fn to(socket: &Path) -> Self {
        Self::open(Target::Socket(socket.to_owned()), false).await
    }

    /// A way to any other server at that address.
    pub async fn to_port(address: SocketAddr) -> Self {
        Self::open(Target::Port(address), false).await
    }

    /// New connections lead to another address.
    pub fn lead_to(&self, address: SocketAddr) {
        self.target.send_replace(Target::Port(address));
    }

    async fn open(target: Target, listens: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (mode, journal) = (watch::Sender::new(Mode::Flowing), Journal::default());
        let target = watch::Sender::new(target);
        let way = Way { target: target.subscribe(), mode: mode.subscribe(), journal: listens.then(|| journal.clone()) };
        let serving = tokio::spawn(way.serve(listener));
        Self { address, url: String::new(), target, mode, journal, serving }
    }

    /// Its port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database through this relay, as `B3SCALE_DB_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Closes every connection and lets no new one through.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Leaves every connection open and lets nothing through.
    pub fn stall(&self) {
        self.mode.send_replace(Mode::Stalled);
    }

    /// Lets everything through again.
    pub fn heal(&self) {
        self.mode.send_replace(Mode::Flowing);
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(self.journal.lines().len())
    }

    /// The round trips that were begun since then. A trip is told before PostgreSQL has it, and so before its answer.
    pub fn since(&self, mark: Mark) -> Vec<RoundTrip> {
        self.journal.lines()[mark.0..].to_vec()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn url_through(address: SocketAddr, target: &Config) -> String {
    let (user, database) = (target.get_user().unwrap_or_default(), target.get_dbname().unwrap_or_default());
    format!("postgresql://{user}@{address}/{database}?sslmode=disable")
}

/// What every connection needs.
#[derive(Clone)]
struct Way {
    target: watch::Receiver<Target>,
    mode: watch::Receiver<Mode>,
    /// The journal of the traffic, if its protocol is known.
    journal: Option<Journal>,
}

impl Way {
    /// Serves until it is dropped; all connections end with it.
    async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (client, _) = accepted.expect("the system lets us take connections");
                    connections.spawn(self.clone().connection(client));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn connection(self, client: TcpStream) {
        let mut mode = self.mode.clone();
        tokio::select! {
            biased;
            _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
            _ = self.forward(client) => {}
        }
    }

    /// Ends when either side does.
    async fn forward(self, client: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        self.flows().await;
        let target = self.target.borrow().clone();
        match target {
            Target::Socket(path) => self.connect(client, UnixStream::connect(path).await?).await,
            Target::Port(address) => self.connect(client, TcpStream::connect(address).await?).await,
        }
    }

    async fn connect(&self, mut client: TcpStream, server: impl AsyncRead + AsyncWrite) -> std::io::Result<()> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = tokio::io::split(server);
        let mut ear = self.journal.clone().map(Ear::new);
        tokio::select! {
            result = self.pump(from_client, to_server, |bytes| ear.iter_mut().for_each(|ear| ear.hear(bytes))) => result,
            result = self.pump(from_server, to_client, |_| {}) => result,
        }
    }

    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        mut tell: impl FnMut(&[u8]),
    ) -> std::io::Result<()> {
        let mut bytes = vec![0; 16 << 10];
        loop {
            let length = from.read(&mut bytes).await?;
            self.flows().await;
            if length == 0 {
                return Ok(());
            }
            tell(&bytes[..length]);
            to.write_all(&bytes[..length]).await?;
        }
    }

    /// Waits until bytes may flow.
    async fn flows(&self) {
        // The other end is gone only with the relay, and its tasks with it.
        let _ = self.mode.clone().wait_for(|mode| *mode == Mode::Flowing).await;
    }
}
