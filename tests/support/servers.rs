//! Several servers, each a process of its own, on one database, with the nodes in the process of the test.

use std::path::{Path, PathBuf};
use std::thread;

use b3scale::ledger::{Announcements, Lookups};
use b3scale::store::Store;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Backend, Meeting, Tags};
use b3scale_node::{Node, NodeOptions, NodeState};
use http::Method;
use rustix::process::Signal;

use crate::client::Http;
use crate::records::record_node;
use crate::{
    Answer, JWT_SECRET, Log, Relay, Running, TestDatabase, Unanswered, eventually, new_frontend, program, signed,
    token, within,
};

/// A test's options for its servers.
pub struct ServersOptions {
    /// How many servers.
    pub servers: usize,
    /// How many nodes.
    pub nodes: usize,
    /// Options of each node.
    pub node: NodeOptions,
    /// Each server's connections to the database. The PostgreSQL of all tests takes 200, and tests run at once.
    pub connections: usize,
    /// The pipeline file of all of them.
    pub pipeline: Option<PathBuf>,
    /// Further variables of their environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for ServersOptions {
    fn default() -> Self {
        Self {
            servers: 3,
            nodes: 4,
            node: NodeOptions::default(),
            connections: 6,
            pipeline: None,
            environment: Vec::new(),
        }
    }
}

/// Servers that run. They end when this is dropped, and if a test fails, their last words are printed.
pub struct Servers {
    /// The nodes, in the order of their backends.
    pub nodes: Vec<Node>,
    /// The backends as the store has them.
    pub backends: Vec<Backend>,
    /// The way of each server to the database.
    pub relays: Vec<Relay>,
    /// The database, by a way of its own.
    pub store: Store,
    processes: Vec<Process>,
    program: &'static str,
    connections: usize,
    pipeline: Option<PathBuf>,
    environment: Vec<(&'static str, String)>,
    http: Http,
    _database: Option<TestDatabase>,
}

struct Process {
    running: Running,
    log: Log,
    address: String,
}

impl Servers {
    /// Starts `program`, which is `env!("CARGO_BIN_EXE_b3scaled")`, on a database of its own. The one frontend is `school`.
    pub async fn start(program: &'static str, options: ServersOptions) -> Self {
        let database = TestDatabase::new().await;
        let url = database.url().to_owned();
        let mut servers = Self::on(program, &url, options).await;
        servers._database = Some(database);
        servers
    }

    /// Starts them on a database that the test keeps.
    pub async fn on(program: &'static str, url: &str, options: ServersOptions) -> Self {
        let store = Store::connect(url, 2).await.expect("the database takes connections");
        store.schema().migrate().await.expect("the migrations apply");
        store.frontends().record(&new_frontend("school")).await.unwrap();
        let (mut nodes, mut backends, mut relays) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..options.nodes {
            let node = NodeOptions { secret: format!("node-secret-{number}"), ..options.node.clone() };
            let (node, backend) = record_node(&store, node, Tags::default()).await;
            nodes.push(node);
            backends.push(backend);
        }
        for _ in 0..options.servers {
            relays.push(Relay::start(url).await);
        }
        let begun: Vec<_> = relays
            .iter()
            .map(|relay| begin(program, relay, options.connections, options.pipeline.as_deref(), &options.environment))
            .collect();
        let mut processes = Vec::new();
        for (running, log) in begun {
            processes.push(Process::ready(running, log).await);
        }
        let ServersOptions { connections, pipeline, environment, .. } = options;
        let http = Http::new();
        let servers = Self {
            nodes,
            backends,
            relays,
            store,
            processes,
            program,
            connections,
            pipeline,
            environment,
            http,
            _database: None,
        };
        servers.see_all_nodes().await;
        servers
    }

    /// The number of servers, killed ones included.
    pub fn count(&self) -> usize {
        self.processes.len()
    }

    /// The base URL of a server.
    pub fn url(&self, server: usize) -> String {
        format!("http://{}", self.processes[server % self.count()].address)
    }

    /// The process of a server.
    pub fn process(&self, server: usize) -> u32 {
        self.processes[server % self.count()].running.id()
    }

    /// A server's log.
    pub fn log(&self, server: usize) -> &Log {
        &self.processes[server].log
    }

    /// A signed GET of the frontend `school`, to one server. They are counted round and round: of three, 4 is 1.
    ///
    /// # Errors
    /// [`Unanswered`] says how far it came.
    pub async fn ask(&self, server: usize, kind: CallKind, query: &str) -> Result<Answer, Unanswered> {
        self.fetch(server, &signed("school", kind, query)).await
    }

    /// The same to a server that answers.
    pub async fn call(&self, server: usize, kind: CallKind, query: &str) -> Answer {
        self.call_as("school", server, kind, query).await
    }

    /// The same as another frontend.
    pub async fn call_as(&self, key: &str, server: usize, kind: CallKind, query: &str) -> Answer {
        let answer = self.fetch(server, &signed(key, kind, query)).await;
        answer.unwrap_or_else(|why| panic!("server {server} does not answer: {why:?}"))
    }

    /// The same as through a load balancer: to `first`, and to the next one if that does not answer.
    pub async fn balanced(&self, first: usize, kind: CallKind, query: &str) -> Answer {
        for turn in 0..self.count() {
            if let Ok(answer) = self.ask(first + turn, kind, query).await {
                return answer;
            }
        }
        panic!("no server answers {kind} {query}");
    }

    /// A GET of any path.
    ///
    /// # Errors
    /// [`Unanswered`] says how far it came.
    pub async fn fetch(&self, server: usize, path: &str) -> Result<Answer, Unanswered> {
        let process = &self.processes[server % self.count()];
        self.http.request(&process.address, Method::GET, path, &[], "").await
    }

    /// A request with a token.
    ///
    /// # Errors
    /// [`Unanswered`] says how far it came.
    pub async fn send(
        &self,
        server: usize,
        method: Method,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<Answer, Unanswered> {
        let process = &self.processes[server % self.count()];
        let bearer = format!("Bearer {token}");
        self.http.request(&process.address, method, path, &[("authorization", &*bearer)], body).await
    }

    /// A request of an operator to the REST API.
    pub async fn operate(&self, server: usize, method: Method, path: &str) -> Answer {
        let process = &self.processes[server % self.count()];
        let bearer = format!("Bearer {}", token("operator", "b3scale:admin"));
        let headers = [("authorization", &*bearer)];
        let answer = self.http.request(&process.address, method, &format!("/api/v1{path}"), &headers, "").await;
        answer.unwrap_or_else(|why| panic!("server {server} does not answer: {why:?}"))
    }

    /// Ends a server by `kill -9`. It is gone a moment later.
    pub fn kill(&self, server: usize) {
        self.processes[server].running.signal(Signal::KILL);
    }

    /// Asks a server to end, by SIGTERM.
    pub fn terminate(&self, server: usize) {
        self.processes[server].running.signal(Signal::TERM);
    }

    /// Waits for the end of a server that was killed or terminated; true if it went in order.
    pub async fn ended(&mut self, server: usize) -> bool {
        self.processes[server].running.ended().await
    }

    /// Starts a server again, on another port, that was killed or terminated.
    pub async fn restart(&mut self, server: usize) {
        self.ended(server).await;
        let (running, log) =
            begin(self.program, &self.relays[server], self.connections, self.pipeline.as_deref(), &self.environment);
        self.processes[server] = Process::ready(running, log).await;
    }

    /// Waits until every server has read all that was announced before.
    pub async fn followed(&self) {
        // Announcements are read in order, so a server that knows this frontend has read all earlier ones.
        let key = format!("frontend-{:x}", fastrand::u64(..));
        self.store.frontends().record(&new_frontend(&key)).await.unwrap();
        for server in 0..self.count() {
            let knows = async || self.call_as(&key, server, CallKind::GetMeetings, "").await.is_success();
            eventually("every server has read what was announced", knows).await;
        }
    }

    /// Waits until every server sees every node up.
    async fn see_all_nodes(&self) {
        for server in 0..self.count() {
            let sees = async || {
                let metrics = self.fetch(server, "/metrics").await.expect("an answer").text;
                let up = |line: &&str| line.starts_with("b3scale_backend_up{") && line.ends_with(" 1");
                metrics.lines().filter(up).count() == self.nodes.len()
            };
            eventually("a server sees every node up", sees).await;
        }
    }

    /// Waits until the meetings of the store are as wanted. Looks again whenever a change is announced.
    pub async fn until_stored(&self, what: &str, mut holds: impl FnMut(&[Meeting]) -> bool) {
        let stored = async {
            let mut feed = self.store.feed();
            while feed.recv().await.is_some() && !holds(&self.store.load_meetings().await.unwrap()) {}
        };
        within(what, stored).await;
    }

    /// Waits until something holds of a node.
    pub async fn until_node(&self, number: usize, what: &str, holds: impl FnMut(&NodeState) -> bool) {
        within(what, self.nodes[number].wait_until(holds)).await;
    }
}

impl Process {
    /// Waits until the server serves.
    async fn ready(running: Running, log: Log) -> Self {
        let line = log.line_with("b3scaled serves").await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("a structured line");
        let address = line["listen"].as_str().expect("its address").to_owned();
        Self { running, log, address }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if thread::panicking() {
            self.processes.iter().enumerate().for_each(|(server, process)| print_last_words(server, &process.log));
        }
    }
}

#[expect(clippy::print_stderr, reason = "it stands with the failure of the test")]
fn print_last_words(server: usize, log: &Log) {
    eprintln!("The last words of server {server}:\n{}", log.last_words());
}

fn begin(
    path: &str,
    relay: &Relay,
    connections: usize,
    pipeline: Option<&Path>,
    environment: &[(&'static str, String)],
) -> (Running, Log) {
    let mut command = program(path, &[]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    if let Some(pipeline) = pipeline {
        command.env("B3SCALE_PIPELINE", pipeline);
    }
    command
        .env("B3SCALE_LISTEN_HTTP", "127.0.0.1:0")
        .env("B3SCALE_DB_URL", relay.url())
        .env("B3SCALE_DB_POOL_SIZE", connections.to_string())
        .env("B3SCALE_API_JWT_SECRET", JWT_SECRET)
        .env("B3SCALE_DRAIN_DELAY", "0")
        .env("B3SCALE_LOG_FORMAT", "structured");
    let mut running = Running::logging(command);
    let log = running.keep_reading();
    (running, log)
}
