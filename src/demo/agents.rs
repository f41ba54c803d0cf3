//! The agents on the nodes, where there is a `redis-server` for them.
//!
//! Each node has a Redis of its own, as BBB has. The agents are part of this process, as the nodes are, and of no other's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{env, mem};

use b3scale_agent::{AgentOptions, attend};
use futures_util::future::join_all;
use tokio::process::Child;
use tokio::task::JoinSet;

use super::DemoError;
use super::child::bound;
use super::folder::Folder;
use super::ports::Port;

/// The Redis of a node's events. It ends with this value.
pub(super) struct Redis {
    port: Port,
    _server: Child,
}

impl Redis {
    /// Starts one, if there is a program for it.
    pub(super) fn start(folder: &Folder) -> Result<Option<Self>, DemoError> {
        let Some(program) = program() else { return Ok(None) };
        let port = Port::any()?;
        let mut command = bound(&program);
        command.args(["--bind", "127.0.0.1", "--port", &port.address().port().to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // A Ctrl-C in the terminal is for the demo: its agents still listen here.
        command.process_group(0);
        Ok(Some(Self { port, _server: command.spawn().map_err(DemoError::Spawn)? }))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Its URL for nodes.
    pub(super) fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|file| file.is_file())
}

/// The agents of the nodes that have one.
#[derive(Default)]
pub(super) struct Agents(Vec<Agent>);

struct Agent {
    node: String,
    options: AgentOptions,
    /// One at most. It is aborted when this is dropped.
    task: Mutex<JoinSet<()>>,
}

impl Agents {
    /// A node is to have one.
    pub(super) fn add(&mut self, node: &str, options: AgentOptions) {
        self.0.push(Agent { node: node.to_owned(), options, task: Mutex::default() });
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Starts all of them, now that there is a server that they can report to.
    pub(super) fn start_all(&self) {
        self.0.iter().for_each(Agent::start);
    }

    /// Starts the agent of a node that is back.
    pub(super) fn start(&self, node: &str) {
        self.0.iter().filter(|agent| agent.node == node).for_each(Agent::start);
    }

    /// Ends all of them, before the servers that they report to.
    pub(super) async fn stop_all(&self) {
        join_all(self.0.iter().map(Agent::stop)).await;
    }

    /// Ends the agent of a node that has died.
    pub(super) async fn stop(&self, node: &str) {
        join_all(self.0.iter().filter(|agent| agent.node == node).map(Agent::stop)).await;
    }
}

impl Agent {
    fn start(&self) {
        let (node, options) = (self.node.clone(), self.options.clone());
        self.task().spawn(async move {
            if let Err(error) = attend(options).await {
                tracing::warn!(node, %error, "Agent ended");
            }
        });
    }

    /// Waits for its end: a task that runs while it is aborted still ends its step, and would miss a server that has left.
    async fn stop(&self) {
        let mut task = mem::take(&mut *self.task());
        task.shutdown().await;
    }

    fn task(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
