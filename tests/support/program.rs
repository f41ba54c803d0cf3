//! A program of ours under test, and the processes it has started.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::hearing::{keep, let_speak};

/// A run that takes longer hangs: everything but this is measured in seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Lines of a log that are kept.
const LAST_WORDS: usize = 300;

/// A program without settings of the environment that the tests run in. Only tests of the package know where its programs
/// are: `env!("CARGO_BIN_EXE_b3scaled")`.
pub fn program(path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(path);
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("B3SCALE_"));
    ours.for_each(|name| {
        command.env_remove(name);
    });
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a program to its end.
pub async fn output(mut command: Command) -> Output {
    let output = timeout(LIMIT, command.output()).await.expect("it ends").expect("it can be run");
    keep(&output.stderr);
    output
}

/// A running program, with its standard output or its log to read. Its other stream is dropped.
pub struct Running {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Running {
    /// Starts a program and reads its standard output.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be run");
        let lines = lines_of(child.stdout.take().expect("it is piped"), |_| {});
        Self { child, lines }
    }

    /// Starts a program and reads its log, which goes to standard error.
    pub fn logging(mut command: Command) -> Self {
        let_speak(&mut command);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be run");
        let lines = lines_of(child.stderr.take().expect("it is piped"), keep);
        Self { child, lines }
    }

    /// The next line that holds `text`.
    pub async fn line_with(&mut self, text: &str) -> String {
        loop {
            match self.line().await {
                line if line.is_empty() => panic!("it ended, or printed an empty line, before it said `{text}`"),
                line if line.contains(text) => return line,
                _ => {}
            }
        }
    }

    /// The next line it prints, without its end; empty when it prints no more.
    pub async fn line(&mut self) -> String {
        timeout(LIMIT, self.lines.recv()).await.expect("a line comes").unwrap_or_default()
    }

    /// Reads on in the background. There are no lines for others then.
    pub fn keep_reading(&mut self) -> Log {
        let (_, none) = unbounded_channel();
        let mut lines = std::mem::replace(&mut self.lines, none);
        let (last_words, log) = watch::channel(VecDeque::new());
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                last_words.send_modify(|words| {
                    words.push_back(line);
                    words.drain(..words.len().saturating_sub(LAST_WORDS));
                });
            }
        });
        Log(log)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Its child processes, and theirs.
    pub fn descendants(&self) -> BTreeSet<u32> {
        let parents: Vec<(u32, u32)> = processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
        let mut found = BTreeSet::new();
        let mut wanted = vec![self.child.id().expect("it runs")];
        while let Some(process) = wanted.pop() {
            let children = parents.iter().filter(|(_, parent)| *parent == process).map(|(child, _)| *child);
            wanted.extend(children.filter(|child| found.insert(*child)));
        }
        found
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.expect("it runs"), signal).expect("it is ours");
    }

    /// Sends SIGTERM and waits for the end; true is exit code 0.
    pub async fn terminate(&mut self) -> bool {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits for the end; true is exit code 0.
    pub async fn ended(&mut self) -> bool {
        self.end().await.success()
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        timeout(LIMIT, self.child.wait()).await.expect("it ends").expect("it is ours")
    }
}

/// Reads to the end, whether or not anybody wants it, so that a program never waits for its reader. `keep` gets every line.
fn lines_of(output: impl AsyncRead + Unpin + Send + 'static, keep: fn(&[u8])) -> UnboundedReceiver<String> {
    let (said, heard) = unbounded_channel();
    let mut lines = BufReader::new(output).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            keep(format!("{line}\n").as_bytes());
            let _ = said.send(line);
        }
    });
    heard
}

/// Those of `processes` that run `b3scaled`.
pub fn servers(processes: &BTreeSet<u32>) -> Vec<u32> {
    let is_ours = |pid: &u32| stat(*pid).is_some_and(|stat| stat.contains("(b3scaled)"));
    processes.iter().copied().filter(is_ours).collect()
}

/// Ends a process without warning.
pub fn kill(process: u32) {
    let pid = Pid::from_raw(process.cast_signed()).expect("zero is no process");
    kill_process(pid, Signal::KILL).expect("it is ours");
}

/// The last lines of a program's log.
#[derive(Clone)]
pub struct Log(watch::Receiver<VecDeque<String>>);

impl Log {
    /// A line that holds `text`: the first that is still there, or else the first to come.
    pub async fn line_with(&self, text: &str) -> String {
        let find = |words: &VecDeque<String>| words.iter().find(|line| line.contains(text)).cloned();
        let mut log = self.0.clone();
        let found = timeout(LIMIT, log.wait_for(|words| find(words).is_some())).await.expect("a line comes");
        let found = found.map(|words| find(&words).expect("it is what was waited for"));
        found.unwrap_or_else(|_| panic!("it ended before it said `{text}`:\n{}", self.last_words()))
    }

    /// All that is kept of it.
    pub fn last_words(&self) -> String {
        self.0.borrow().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The processes in `processes` that still run. A zombie does not.
pub fn still_running(processes: &BTreeSet<u32>) -> Vec<String> {
    processes.iter().filter_map(|pid| stat(*pid)).filter(|stat| !stat.contains(") Z ")).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let folder = fs::read_dir("/proc").expect("this system tells of its processes");
    folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(pid: u32) -> Option<u32> {
    // The name in brackets may hold anything, brackets and spaces too.
    stat(pid)?.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}
