//! Why there is no demo.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use b3scale_node::tls::AuthorityError;

use crate::program::terminal::Unwritable;
use crate::store::StoreError;
use crate::store::private::PrivateError;

/// Why a demo could not be set up, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A number that makes no demo.
    #[error("{option} {value} is not possible: {least} to {most} are")]
    Option {
        /// The option as it is written.
        option: &'static str,
        /// Its value.
        value: usize,
        /// The least it takes.
        least: usize,
        /// The most it takes.
        most: usize,
    },
    /// A file or folder cannot be used.
    #[error("cannot {task} {}: {error}; choose another folder with --data-dir", path.display())]
    File {
        /// Completes "cannot".
        task: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The private PostgreSQL did not start.
    #[error(transparent)]
    Postgres(#[from] PrivateError),
    /// The database for the demo could not be made.
    #[error("the private PostgreSQL makes no database for the demo: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// The frontends and backends could not be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node got no port.
    #[error("a simulated node cannot listen on the loopback: {0}")]
    Node(io::Error),
    /// The nodes got no certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The client that plays the lesson has no TLS.
    #[error("the client of the demo cannot trust the nodes: {0}")]
    Tls(#[from] rustls::Error),
    /// There is no access token.
    #[error("no access token can be signed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// An address is in use, or not of this machine.
    #[error("{address} cannot be had: {error}; choose another address with --listen")]
    Port {
        /// The wanted address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The program of the servers cannot be run.
    #[error("the servers cannot be started: {0}")]
    Spawn(io::Error),
    /// A server lives and does not become ready.
    #[error("{server} is not ready after {} s: {came}\n{tail}", limit.as_secs())]
    NotReady {
        /// Its name.
        server: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last answer of `/health/ready`.
        came: String,
        /// The end of its log.
        tail: String,
    },
    /// A server has ended by itself.
    #[error("{server} has ended ({status})\n{tail}")]
    ServerGone {
        /// Its name.
        server: String,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        tail: String,
    },
    /// The system does not report the state of child processes.
    #[error("the servers cannot be watched: {0}")]
    Watch(io::Error),
    /// Signals cannot be listened to.
    #[error("Ctrl-C and SIGTERM cannot be listened to: {0}")]
    Signals(io::Error),
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Output(#[from] Unwritable),
    /// An end by hand. It is no failure of a demo that would go on.
    #[error("the demo was interrupted")]
    Interrupted,
    /// The reader of the report has left. It is no failure.
    #[error("the report of the demo is not read")]
    Unread,
}

impl DemoError {
    /// For `map_err`: what failed on which path.
    pub(super) fn file(task: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { task, path, error }
    }
}
