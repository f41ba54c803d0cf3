//! The servers: child processes of this program, told by their environment what to serve.

use std::env;
use std::fs::{File, OpenOptions};
use std::future::pending;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join_all, select_all};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::DemoError;
use super::child::bound;
use super::client::Client;
use super::folder::Folder;
use super::ports::Port;
use super::scene::{SERVERS, Scene};

/// How long a server may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to let its last calls and deliveries end.
const STOP_LIMIT: Duration = Duration::from_secs(45);
/// How much of its log is shown when it fails.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;
/// Variables of our own environment that servers get. The demo sets all others.
const PASSED_ON: [&str; 2] = ["B3SCALE_PIPELINE", "B3SCALE_LOG_LEVEL"];

/// The servers of the demo, on one database.
pub(super) struct Servers([Server; SERVERS]);

/// A server, running or not. It is killed when this is dropped; [`stop`](Servers::stop) is the way to end it in order.
struct Server {
    name: String,
    port: Port,
    log: PathBuf,
    child: Option<Child>,
}

impl Servers {
    /// Takes a port and makes a log for each. The first listens where it was asked for, the others on the loopback.
    pub(super) fn plan(listen: SocketAddr, folder: &Folder) -> Result<Self, DemoError> {
        let plan = |number: usize, port: Port| {
            let name = format!("server-{number}");
            let log = folder.path().join(format!("{name}.log"));
            File::create(&log).map_err(DemoError::file("write the log", &log))?;
            Ok::<_, DemoError>(Server { name, port, log, child: None })
        };
        Ok(Self([plan(1, Port::take(listen)?)?, plan(2, Port::any()?)?, plan(3, Port::any()?)?]))
    }

    /// Where each is reached, without a path.
    pub(super) fn urls(&self) -> [String; SERVERS] {
        self.0.each_ref().map(Server::url)
    }

    /// Name, address and log file of each.
    pub(super) fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.0.iter().map(|server| vec![server.name.clone(), server.url(), server.log_name()])
    }

    pub(super) fn name(&self, number: usize) -> &str {
        &self.0[number].name
    }

    /// Starts all of them.
    pub(super) fn start(&mut self, scene: &Scene) -> Result<(), DemoError> {
        self.0.iter_mut().try_for_each(|server| server.start(scene))
    }

    /// Waits until all are ready for calls.
    pub(super) async fn ready(&mut self, client: &Client) -> Result<(), DemoError> {
        for server in &mut self.0 {
            server.ready(client).await?;
        }
        Ok(())
    }

    /// Waits until a server ends unexpectedly, and describes that.
    pub(super) async fn ended(&mut self) -> DemoError {
        select_all(self.0.iter_mut().map(|server| server.ended().boxed())).await.0
    }

    /// Ends one without warning, as a machine ends.
    pub(super) async fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.0[number].child.take() {
            let _ = child.kill().await;
        }
    }

    /// Starts one again at its port, and waits until it is ready.
    pub(super) async fn restart(&mut self, number: usize, scene: &Scene) -> Result<(), DemoError> {
        let server = &mut self.0[number];
        server.stop().await;
        server.start(scene)?;
        server.ready(scene.balancer.client()).await
    }

    /// Ends all of them in order.
    pub(super) async fn stop(&mut self) {
        join_all(self.0.iter_mut().map(Server::stop)).await;
    }
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.port.reachable())
    }

    fn log_name(&self) -> String {
        format!("{}.log", self.name)
    }

    fn start(&mut self, scene: &Scene) -> Result<(), DemoError> {
        // A restarted server appends to its log.
        let log = OpenOptions::new().append(true).open(&self.log);
        let log = log.map_err(DemoError::file("write the log", &self.log))?;
        let mut command = bound(&env::current_exe().map_err(DemoError::Spawn)?);
        for (name, _) in env::vars_os() {
            let ours = name.to_str().filter(|name| name.starts_with("B3SCALE_"));
            if ours.is_some_and(|name| !PASSED_ON.contains(&name)) {
                command.env_remove(name);
            }
        }
        command
            .envs(scene.environment())
            .env("B3SCALE_LISTEN_HTTP", self.port.address().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A Ctrl-C in the terminal is for the demo, which ends its servers itself.
            .process_group(0)
            .kill_on_drop(true);
        self.child = Some(command.spawn().map_err(DemoError::Spawn)?);
        Ok(())
    }

    async fn ready(&mut self, client: &Client) -> Result<(), DemoError> {
        let address = format!("{}/health/ready", self.url());
        let deadline = Instant::now() + READY_LIMIT;
        let mut pause = Duration::from_millis(10);
        loop {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait().map_err(DemoError::Watch)?
            {
                return Err(self.gone(status));
            }
            let came = match client.visit(&address).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => format!("{answer}: {}", String::from_utf8_lossy(&answer.body)),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                let (server, tail) = (self.name.clone(), tail(&self.log));
                return Err(DemoError::NotReady { server, limit: READY_LIMIT, came, tail });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn ended(&mut self) -> DemoError {
        let Some(child) = &mut self.child else { return pending().await };
        match child.wait().await {
            Ok(status) => self.gone(status),
            Err(error) => DemoError::Watch(error),
        }
    }

    fn gone(&self, status: ExitStatus) -> DemoError {
        DemoError::ServerGone { server: self.name.clone(), status, tail: tail(&self.log) }
    }

    /// Ends it in order, or at once if that takes too long.
    async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // There is an id until the child was waited for, so the signal cannot reach anybody else.
        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_LIMIT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

/// The last lines of a log, indented.
fn tail(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let skipped = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| format!("its log {} cannot be read: {error}", log.display()));
    if text.trim().is_empty() {
        return "  it wrote no log".to_owned();
    }
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].iter();
    last.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        assert!(tail(&log).contains("cannot be read"));
        std::fs::write(&log, "").unwrap();
        assert_eq!(tail(&log), "  it wrote no log");
        let lines: Vec<_> = (0..1000).map(|line| format!("line {line}")).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        let tail = tail(&log);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert!(tail.ends_with("  line 999"));
    }
}
