//! The server: a child process of this program, told by its environment what to serve.

use std::env;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::DemoError;
use super::client::Client;
use super::scene::Scene;

/// How long a server may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to let its last calls end.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// How much of its log is shown when it fails.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 12;
/// What is passed on of our own environment; the rest is the demo's to say, not that of a server on the same machine.
const PASSED_ON: [&str; 2] = ["B3SCALE_PIPELINE", "B3SCALE_LOG_LEVEL"];

/// A running server. It is killed when this is dropped; [`stop`](Self::stop) is the way to end it in order.
pub(super) struct Server {
    child: Child,
    log: PathBuf,
    ready_url: String,
}

impl Server {
    pub(super) fn start(scene: &Scene) -> Result<Self, DemoError> {
        let log = scene.log.clone();
        let file = File::create(&log).map_err(DemoError::file("write the log", &log))?;
        let mut command = bound(&env::current_exe().map_err(DemoError::Spawn)?);
        for (name, _) in env::vars_os() {
            let ours = name.to_str().filter(|name| name.starts_with("B3SCALE_"));
            if ours.is_some_and(|name| !PASSED_ON.contains(&name)) {
                command.env_remove(name);
            }
        }
        command
            .envs(scene.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            // A Ctrl-C in the terminal is for the demo, which ends its server itself.
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(DemoError::Spawn)?;
        Ok(Self { child, log, ready_url: format!("{}/health/ready", scene.url) })
    }

    /// Waits until the server is ready for calls.
    pub(super) async fn ready(&mut self, client: &Client) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut pause = Duration::from_millis(10);
        loop {
            if let Some(status) = self.child.try_wait().map_err(DemoError::Watch)? {
                return Err(DemoError::ServerGone { status, tail: tail(&self.log) });
            }
            let came = match client.visit(&self.ready_url).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => format!("{answer}: {}", String::from_utf8_lossy(&answer.body)),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(DemoError::NotReady { limit: READY_LIMIT, came, tail: tail(&self.log) });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Waits for an end that nobody asked for, and says what it was like.
    pub(super) async fn ended(&mut self) -> DemoError {
        match self.child.wait().await {
            Ok(status) => DemoError::ServerGone { status, tail: tail(&self.log) },
            Err(error) => DemoError::Watch(error),
        }
    }

    /// Ends the server in order, or at once if that takes too long.
    pub(super) async fn stop(mut self) {
        // There is an id until the child was waited for, so the signal cannot reach anybody else.
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// A command that ends with the thread that starts it, even if that is killed, where the system can do that.
fn bound(program: &Path) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let Some(setpriv) = env::split_paths(&path).map(|folder| folder.join("setpriv")).find(|file| file.is_file()) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
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
