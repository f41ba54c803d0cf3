//! One run of `postgres`: started after every older one is gone, ready when it says so, stopped in order.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use b3scale_middleware::bbb::cut_at;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{Config, NoTls};

use super::folder::Folder;
use super::{NAME, PrivateError};
use crate::error::reason;

/// How often to look at what only a file or a process tells.
const GLANCE: Duration = Duration::from_millis(10);
/// How long PostgreSQL may take to write everything down before it is ended at once, which the next start repairs.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Lines of PostgreSQL's that are kept to explain why it ended.
const LAST_WORDS: usize = 20;
/// The most characters of a line of PostgreSQL's that are logged. It quotes values.
const LONGEST_LINE: usize = 1000;

/// A running `postgres`, a child of the thread that started it.
pub(super) struct Server {
    child: Child,
    words: JoinHandle<VecDeque<String>>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server in the folder and waits until it takes connections, at most until `deadline`.
    pub(super) async fn start(folder: &Folder, deadline: Instant) -> Result<Self, PrivateError> {
        loop {
            end_old_server(&folder.cluster, deadline).await;
            let mut server = Self::spawn(folder)?;
            let reason = tokio::select! {
                () = ready(&folder.cluster, server.pid()) => return Ok(server),
                () = tokio::time::sleep_until(deadline) => "it did not become ready in time".to_owned(),
                reason = server.wait() => reason,
            };
            // The processes of a killed server linger for a moment, and PostgreSQL rightly refuses to start meanwhile.
            let lingering = reason.contains("is still in use") || reason.contains("already exists");
            if !lingering || Instant::now() >= deadline {
                server.stop().await;
                return Err(PrivateError::NotStarted { folder: folder.cluster.clone(), reason });
            }
            remove_stale_note(&folder.cluster);
            sleep(GLANCE).await;
        }
    }

    fn spawn(folder: &Folder) -> Result<Self, PrivateError> {
        let mut command = folder.programs.bound_command("postgres");
        command.arg("-D").arg(&folder.cluster).arg("-k").arg(&folder.socket);
        for setting in [
            "listen_addresses=",
            "port=5432",
            "unix_socket_permissions=0700",
            "max_connections=200",
            "logging_collector=off",
            // Memory may be forbidden to be written and executed, and these statements gain nothing by it.
            "jit=off",
            "log_destination=stderr",
            // With the SQLSTATE, which says more than a text in some language.
            "log_line_prefix=%m [%p] %e ",
            // Details and statements may hold secrets.
            "log_error_verbosity=terse",
            "log_min_error_statement=panic",
        ] {
            command.args(["-c", setting]);
        }
        // Else a Ctrl-C meant for us would end it before we are done with it.
        command.process_group(0);
        if folder.user.other {
            command.uid(folder.user.uid).gid(folder.user.gid);
        }
        let spawned =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = spawned.map_err(|error| PrivateError::System { task: "run postgres", error })?;
        let stopping = Arc::new(AtomicBool::new(false));
        let words = tokio::spawn(relay(child.stderr.take(), Arc::clone(&stopping)));
        Ok(Self { child, words, stopping })
    }

    /// Waits for the end of the server, and says why it came.
    pub(super) async fn wait(&mut self) -> String {
        let status = self.child.wait().await;
        // Processes it left behind may hold the pipe; what matters has been read by then.
        let words = timeout(GLANCE * 10, &mut self.words).await.ok().and_then(Result::ok).unwrap_or_default();
        let fatal = words.iter().rev().find(|line| line.contains("FATAL:") || line.contains("PANIC:"));
        match (fatal.or(words.back()), status) {
            (Some(line), _) => line.clone(),
            (None, Ok(status)) => status.to_string(),
            (None, Err(error)) => error.to_string(),
        }
    }

    /// Ends the server: in order if it can, at once if it must.
    pub(super) async fn stop(mut self) {
        self.stopping.store(true, Relaxed);
        for signal in [Signal::INT, Signal::QUIT, Signal::KILL] {
            // There is an id until the child was waited for, so the signal cannot reach anybody else.
            let Some(pid) = self.pid() else { return };
            let _ = kill_process(pid, signal);
            if timeout(STOP_LIMIT, self.child.wait()).await.is_ok() {
                return;
            }
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()))
    }
}

/// Makes the database of the store, unless it is there.
pub(super) async fn make_database(socket: &Path) -> Result<(), PrivateError> {
    let mut config = Config::new();
    config.host_path(socket).user(NAME).dbname("postgres").connect_timeout(STOP_LIMIT);
    let failed = |error: tokio_postgres::Error| PrivateError::NoDatabase(reason(&error));
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let there = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&NAME]).await.map_err(failed)?;
    if there.is_none() {
        client.batch_execute(&format!("CREATE DATABASE {NAME}")).await.map_err(failed)?;
    }
    driver.abort();
    Ok(())
}

/// Waits until the file that PostgreSQL keeps for this says that our child takes connections.
async fn ready(cluster: &Path, child: Option<Pid>) {
    while !(child.is_some() && noted_pid(cluster) == child && noted_state(cluster).as_deref() == Some("ready")) {
        sleep(GLANCE).await;
    }
}

/// Ends a server that outlived its b3scaled. Joining it is no choice: it may be on its way down.
async fn end_old_server(cluster: &Path, deadline: Instant) {
    let mut signal = Signal::INT;
    let began = Instant::now();
    while let Some(pid) = noted_pid(cluster).filter(|pid| is_server_of(*pid, cluster)) {
        let _ = kill_process(pid, signal);
        if Instant::now() >= deadline {
            return;
        }
        if began.elapsed() > STOP_LIMIT {
            signal = Signal::QUIT;
        }
        sleep(GLANCE).await;
    }
}

/// Whether the process runs and is a server of this cluster: its number may long be another's.
fn is_server_of(pid: Pid, cluster: &Path) -> bool {
    if !matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)) {
        return false;
    }
    // PostgreSQL works in its cluster's folder. Where the system does not tell, the note is all there is.
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()))
        .map_or(!Path::new("/proc/self").exists(), |cwd| cwd == cluster)
}

/// Removes the pid file of a dead server when another process of the same user has its pid: PostgreSQL would
/// refuse to start for as long as that one runs. In a restarted container pids always come again.
fn remove_stale_note(cluster: &Path) {
    let processes: Vec<_> = fs::read_dir("/proc").into_iter().flatten().flatten().collect();
    let busy =
        processes.iter().any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == cluster));
    if !processes.is_empty() && !busy {
        let _ = fs::remove_file(cluster.join("postmaster.pid"));
    }
}

fn noted_pid(cluster: &Path) -> Option<Pid> {
    noted_line(cluster, 0)?.parse().ok().and_then(Pid::from_raw)
}

fn noted_state(cluster: &Path) -> Option<String> {
    noted_line(cluster, 7)
}

fn noted_line(cluster: &Path, index: usize) -> Option<String> {
    let note = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    note.lines().nth(index).map(|line| line.trim().to_owned())
}

/// Whether an operator has to know of a line. A session that ends with its client is fatal to nothing else, and neither is one
/// that was ended by hand.
fn is_grave(line: &str) -> bool {
    let session_ended = line.split_once(" FATAL:").and_then(|(before, _)| before.rsplit(' ').next());
    let only_a_session = session_ended.is_some_and(|state| state.starts_with("08") || state == "57P01");
    !only_a_session && ["FATAL:", "PANIC:", "WARNING:"].iter().any(|level| line.contains(level))
}

/// Passes what PostgreSQL says to our log, and returns the last of it.
async fn relay(stderr: Option<ChildStderr>, stopping: Arc<AtomicBool>) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_WORDS);
    let Some(stderr) = stderr else { return last };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A server that is told to stop says of every connection that it was fatal.
        if is_grave(&line) && !stopping.load(Relaxed) {
            tracing::warn!("PostgreSQL says: {}", cut_at(&line, LONGEST_LINE));
        } else {
            tracing::debug!("PostgreSQL says: {line}");
        }
        if last.len() == LAST_WORDS {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_ends_with_its_client_is_not_grave() {
        let grave = |line: &str| is_grave(&format!("2026-11-29 22:10:57.128 UTC [4711] {line}"));
        assert!(!grave("08006 FATAL:  connection to client lost"));
        assert!(!grave("57P01 FATAL:  terminating connection due to administrator command"));
        assert!(!grave("00000 LOG:  database system is ready to accept connections"));
        assert!(grave("53300 FATAL:  sorry, too many clients already"));
        assert!(grave("XX000 PANIC:  could not write to file"));
        assert!(grave("58P01 WARNING:  could not open file"));
    }
}
