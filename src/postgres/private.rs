//! The database of the default run: a PostgreSQL cluster of our own, from the system's programs, on a unix socket only.
//!
//! It is a production database in small: the same SQL, the same store, the same failures. For more, set
//! `B3SCALE_DB_URL`.

mod error;
mod folder;
mod programs;
mod server;
mod user;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

pub use error::PrivateError;
use folder::Folder;
use server::Server;

/// The database, and the user that owns it.
const NAME: &str = "b3scale";
/// The name of the socket in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// A cluster that stays down is tried again after at most this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the first start may take: an old server has to be gone, and a crashed one recovers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The default folder of persistent data: `/var/lib/b3scale` as root, else
/// `$XDG_STATE_HOME/b3scale`, else `~/.local/state/b3scale`.
///
/// # Errors
/// [`PrivateError::NoHome`] when none of these is known.
pub fn default_data_dir() -> Result<PathBuf, PrivateError> {
    if user::is_root() {
        return Ok(PathBuf::from("/var/lib/b3scale"));
    }
    // The specification has relative values ignored.
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    state.map(|state| state.join("b3scale")).ok_or(PrivateError::NoHome)
}

/// The database of the server that uses `data_dir` now, for a command on the same machine.
///
/// # Errors
/// [`PrivateError`] when the folder cannot be looked at.
pub fn url_in_use(data_dir: &Path) -> Result<String, PrivateError> {
    Ok(url(&folder::socket_in_use(data_dir)?))
}

/// A running cluster, watched and restarted by a thread of its own.
///
/// It ends when [`stop`](Self::stop) is called, when this is dropped, and, where `setpriv` is installed, with the process
/// even if that is killed.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl PrivatePostgres {
    /// Starts the cluster in `data_dir`, and makes it first if need be.
    ///
    /// # Errors
    /// [`PrivateError`], in one line that says what to install or to set.
    pub async fn start(data_dir: &Path) -> Result<Self, PrivateError> {
        let data_dir = data_dir.to_owned();
        let (stop, stopping) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        // A thread, not a task: the kernel ends the cluster when the thread that started it does.
        let watch = move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(watch(&data_dir, ready, stopping)),
                Err(error) => drop(ready.send(Err(PrivateError::System { task: "start a runtime", error }))),
            }
            let _ = done.send(());
        };
        let thread = thread::Builder::new().name("postgres".to_owned()).spawn(watch);
        thread.map_err(|error| PrivateError::System { task: "start a thread", error })?;
        let url = started.await.unwrap_or(Err(PrivateError::Gone))?;
        Ok(Self { url, stop, stopped })
    }

    /// Its URL, for a store and other programs of this machine.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same for another of its databases.
    pub fn url_of(&self, database: &str) -> String {
        self.url.replacen(&format!("/{NAME}?"), &format!("/{database}?"), 1)
    }

    /// Stops the cluster and waits for its end. Open connections are cut.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.stopped.await;
    }
}

async fn watch(
    data_dir: &Path,
    ready: oneshot::Sender<Result<String, PrivateError>>,
    mut stopping: oneshot::Receiver<()>,
) {
    let (folder, mut server) = match begin(data_dir).await {
        Ok(begun) => begun,
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(url(&folder.socket))).is_err() {
        return server.stop().await;
    }
    loop {
        let cause = tokio::select! {
            cause = server.wait() => cause,
            _ = &mut stopping => return server.stop().await,
        };
        tracing::error!(folder = %folder.cluster.display(), cause, "PostgreSQL died, starting it again");
        server = tokio::select! {
            server = revive(&folder) => server,
            _ = &mut stopping => return,
        };
    }
}

async fn begin(data_dir: &Path) -> Result<(Folder, Server), PrivateError> {
    let folder = Folder::open(data_dir).await?;
    let server = Server::start(&folder, Instant::now() + START_LIMIT).await?;
    server::make_database(&folder.socket).await?;
    Ok((folder, server))
}

async fn revive(folder: &Folder) -> Server {
    let mut pause = Duration::from_millis(20);
    loop {
        match Server::start(folder, Instant::now() + START_LIMIT).await {
            Ok(server) => return server,
            Err(error) => tracing::error!(%error, "Starting PostgreSQL failed, retrying"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn url(socket: &Path) -> String {
    let host = utf8_percent_encode(&socket.to_string_lossy(), NON_ALPHANUMERIC).to_string();
    format!("postgresql:///{NAME}?host={host}&user={NAME}")
}
