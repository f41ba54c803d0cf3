//! A whole cluster for a test: simulated nodes, a database of its own, and a server on a port of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use b3scale::cluster::{Cluster, PortParts};
use b3scale::config::Config;
use b3scale::net::nodes::{Patience, UpstreamSettings};
use b3scale::pipeline::Pipeline;
use b3scale::program::Environment;
use b3scale::serve::Assembly;
use b3scale::store::Store;
use b3scale::telemetry::Counts;
use b3scale::work::Bench;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{Backend, FrontendSettings, NodeState};
use b3scale_middleware::memory::Memory;
use b3scale_middleware::ports::Directory;
use b3scale_node::tls::TestAuthority;
use b3scale_node::{Node, NodeOptions};
use http::Method;
use tokio::sync::oneshot;

use crate::client::Http;
use crate::records::record_node;
use crate::{Answer, JWT_SECRET, TestDatabase, TestFolder, hear, new_frontend, signed, within};

/// A test's options for its cluster.
pub struct ClusterOptions {
    /// How many nodes.
    pub nodes: usize,
    /// The tags of each node's backend, as far as the list goes.
    pub tags: Vec<Vec<&'static str>>,
    /// Whether the nodes speak https, with certificates of a private authority.
    pub https: bool,
    /// Options of each node.
    pub node: NodeOptions,
    /// How long the server waits for them.
    pub upstream: UpstreamSettings,
    /// The server's connections to the database.
    pub connections: usize,
    /// Origins of pages that may use the REST API.
    pub cors: Vec<&'static str>,
    /// What customers do not change of their frontends.
    pub operator_fields: Vec<&'static str>,
    /// The tags that agents may give their nodes.
    pub agent_tags: Vec<&'static str>,
    /// The pipeline file. `None`: the compiled-in one.
    pub pipeline: Option<String>,
    /// Further variables of the server's environment.
    pub environment: Vec<(&'static str, String)>,
    /// What `/metrics` shows. `None`: there is no such page.
    pub counted: Option<Counts>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            nodes: 2,
            tags: Vec::new(),
            https: false,
            node: NodeOptions::default(),
            upstream: UpstreamSettings::default(),
            connections: 8,
            cors: Vec::new(),
            operator_fields: Vec::new(),
            agent_tags: Vec::new(),
            pipeline: None,
            environment: Vec::new(),
            counted: None,
        }
    }
}

/// A running cluster.
pub struct TestCluster {
    /// The nodes, in the order of their backends.
    pub nodes: Vec<Node>,
    /// The backends as the store has them.
    pub backends: Vec<Backend>,
    /// The database.
    pub database: TestDatabase,
    /// The server's memory.
    pub cluster: Cluster,
    /// Its pipeline.
    pub pipeline: Arc<Pipeline>,
    address: String,
    http: Http,
    stop: Option<oneshot::Sender<()>>,
    _folder: TestFolder,
}

impl TestCluster {
    /// Two nodes over http.
    pub async fn start() -> Self {
        Self::with(ClusterOptions::default()).await
    }

    /// A cluster as a test wants it. Its one frontend is `school`; every backend is ready.
    pub async fn with(options: ClusterOptions) -> Self {
        hear();
        let folder = TestFolder::new();
        let database = TestDatabase::new().await;
        let authority = options.https.then(|| TestAuthority::new().unwrap());
        let mut nodes = Vec::new();
        let mut backends = Vec::new();
        for number in 0..options.nodes {
            let tls = authority.as_ref().map(|authority| authority.server_config().unwrap());
            let node = NodeOptions { tls, secret: format!("node-secret-{number}"), ..options.node.clone() };
            let tags = options.tags.get(number).into_iter().flatten().collect();
            let (node, backend) = record_node(database.store(), node, tags).await;
            backends.push(backend);
            nodes.push(node);
        }
        let variables = options.environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        let environment: Environment = variables.collect();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            drain_delay: Duration::ZERO,
            operator_fields: options.operator_fields.iter().map(|field| field.parse().unwrap()).collect(),
            agent_tags: options.agent_tags.iter().map(|tag| (*tag).to_owned()).collect(),
            cors_origins: options.cors.iter().map(|origin| origin.parse().unwrap()).collect(),
            pipeline: options.pipeline.map(|text| written(&folder, "pipeline.toml", &text)),
            upstream: UpstreamSettings {
                ca_file: authority.as_ref().map(|authority| written(&folder, "ca.pem", authority.pem())),
                ..options.upstream
            },
            ..Config::read(&environment).unwrap()
        };
        let store = Store::connect(database.url(), options.connections).await.unwrap();
        database.store().frontends().record(&new_frontend("school")).await.unwrap();
        let assembly = Assembly::new(&config, store, JWT_SECRET.to_owned(), options.counted).await.unwrap();
        let address = assembly.server.local_addr().to_string();
        let (stop, stopped) = oneshot::channel();
        let Assembly { cluster, pipeline, server, .. } = assembly;
        tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        let http = Http::new();
        Self { nodes, backends, database, cluster, pipeline, address, http, stop: Some(stop), _folder: folder }
    }

    /// The server's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a frontend, or changes it, and waits until the server knows.
    pub async fn frontend(&self, key: &str, change: impl FnOnce(&mut FrontendSettings)) {
        let mut frontend = new_frontend(key);
        change(&mut frontend.settings);
        let version = self.database.store().frontends().record(&frontend).await.unwrap().version;
        self.until("the server knows the frontend", || {
            self.cluster.frontend(key).is_some_and(|known| known.version >= version)
        })
        .await;
    }

    /// A signed GET of the frontend `school`.
    pub async fn call(&self, kind: CallKind, query: &str) -> Answer {
        self.call_as("school", kind, query).await
    }

    /// A signed GET of a frontend.
    pub async fn call_as(&self, key: &str, kind: CallKind, query: &str) -> Answer {
        self.get(&self.signed(key, kind, query), &[]).await
    }

    /// A signed POST of the frontend `school`, with the parameters in the query.
    pub async fn post(&self, kind: CallKind, query: &str, content_type: &str, body: &str) -> Answer {
        let path = self.signed("school", kind, query);
        self.request(Method::POST, &path, &[("content-type", content_type)], body).await
    }

    /// Path and query of a signed call.
    pub fn signed(&self, key: &str, kind: CallKind, query: &str) -> String {
        signed(key, kind, query)
    }

    /// A GET of any path.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request(Method::GET, path, headers, "").await
    }

    /// A GET of any path of another server.
    pub async fn fetch_from(&self, address: &str, path: &str) -> Answer {
        self.request_to(address, Method::GET, path, &[], "").await
    }

    /// Any request.
    pub async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request_to(&self.address, method, path, headers, body).await
    }

    async fn request_to(
        &self,
        address: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let answer = self.http.request(address, method, path, headers, body).await;
        answer.unwrap_or_else(|why| panic!("the server does not answer: {why:?}"))
    }

    /// The nodes that have a meeting of a name, by what nodes themselves say.
    pub fn homes(&self, name: &str) -> Vec<usize> {
        let has = |node: &Node| node.meetings().iter().any(|meeting| meeting.name == name);
        (0..self.nodes.len()).filter(|number| has(&self.nodes[*number])).collect()
    }

    /// How many meetings each node has.
    pub fn spread(&self) -> BTreeMap<usize, usize> {
        self.nodes.iter().map(|node| node.meetings().len()).enumerate().collect()
    }

    /// What another server of the same cluster knows. It has no port, and asks no node unless it takes one.
    pub async fn another_server(&self) -> Cluster {
        let store = Store::connect(self.database.url(), 4).await.unwrap();
        let nothing = Arc::new(Memory::new());
        let parts = PortParts {
            recordings: Arc::<Memory>::clone(&nothing),
            callbacks: Arc::<Memory>::clone(&nothing),
            hooks: nothing,
        };
        let (nodes, chance) = (self.cluster.ports(parts).nodes, Chance::of_system());
        let bench = Bench::new(Arc::new(store.clone()), chance.id());
        Cluster::start(store, nodes, Patience::default(), bench, chance).await.unwrap()
    }

    /// The state the server sees a node in.
    pub fn node_state(&self, number: usize) -> NodeState {
        self.cluster.backend(self.backends[number].id).unwrap().vitals.health().state
    }

    /// Waits until something that the server learns by itself holds.
    pub async fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        within(what, self.cluster.wait_until(holds)).await;
    }

    /// Waits until something holds of a node.
    pub async fn until_node(&self, number: usize, what: &str, holds: impl FnMut(&b3scale_node::NodeState) -> bool) {
        within(what, self.nodes[number].wait_until(holds)).await;
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        self.cluster.stop();
        self.stop.take().map(|stop| stop.send(()));
    }
}

fn written(folder: &TestFolder, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}
