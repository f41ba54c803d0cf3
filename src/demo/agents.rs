//! The agents on the nodes, where there is a `redis-server` for them.
//!
//! Each node has a Redis of its own, as BBB has. The agents are part of this process, as the nodes are, and of no other's.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use b3scale_agent::{AgentOptions, attend};
use tokio::process::Child;
use tokio::task::JoinHandle;

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
    task: Mutex<Option<AbortOnDrop>>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
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
    pub(super) fn stop_all(&self) {
        self.0.iter().for_each(|agent| drop(agent.task().take()));
    }

    /// Ends the agent of a node that has died.
    pub(super) fn stop(&self, node: &str) {
        self.0.iter().filter(|agent| agent.node == node).for_each(|agent| drop(agent.task().take()));
    }
}

impl Agent {
    fn start(&self) {
        let (node, options) = (self.node.clone(), self.options.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = attend(options).await {
                tracing::warn!(node, %error, "Agent ended");
            }
        });
        *self.task() = Some(AbortOnDrop(task));
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortOnDrop>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
