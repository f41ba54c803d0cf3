//! A server in front of a cluster in memory, and a client that sends exactly the bytes it is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use b3scale::budget::Budget;
use b3scale::pages::{Health, Home, Metrics, WAIT, WaitingPage, WaitingRoom};
use b3scale::pipeline::Pipeline;
use b3scale::proxies::Proxies;
use b3scale::server::{Router, Server, ServerParts, ServerSettings};
use b3scale::site::{Check, Readiness, Site, Sites};
use b3scale::telemetry::{Figures, MetricsPage, Sheet, Thing};
use b3scale_middleware::bbb::{self, Algorithm, CallKind, Secret};
use b3scale_middleware::memory::Memory;
use b3scale_middleware::work::Workers;
use b3scale_middleware::{Call, Fault, Next, Reply};
use b3scale_support::{JWT_SECRET, SECRET};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::service_fn;

/// Longer than anything in these tests may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server that runs.
pub(crate) struct Rig {
    pub(crate) address: std::net::SocketAddr,
    stop: Arc<Notify>,
    done: JoinHandle<()>,
}

/// The parts of a server, before it runs.
pub(crate) struct Plan {
    pub(crate) settings: ServerSettings,
    cluster: Memory,
    routes: HashMap<CallKind, Next>,
    metrics: Option<MetricsPage>,
    sites: Vec<Arc<dyn Site>>,
    wait: Duration,
    problem: Option<String>,
    budget: Budget,
    unproved: Option<Arc<dyn Workers>>,
}

/// A school with one node and the secret of all tests.
pub(crate) fn school() -> Memory {
    Memory::new().frontend("school", SECRET).backend("n1", &[]).replies_created()
}

impl Plan {
    /// The shipped pipeline in front of a cluster.
    pub(crate) fn new(cluster: &Memory) -> Self {
        let settings = ServerSettings { drain_delay: Duration::ZERO, ..ServerSettings::default() };
        Self {
            settings,
            cluster: cluster.clone(),
            routes: HashMap::new(),
            metrics: None,
            sites: Vec::new(),
            wait: WAIT,
            problem: None,
            budget: Budget::default(),
            unproved: None,
        }
    }

    /// Answers one call in another way. Its checksum is taken to hold.
    pub(crate) fn route<F>(mut self, kind: CallKind, answer: impl Fn(Call) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Reply, Fault>> + Send + 'static,
    {
        let admitted = move |call: Call| {
            let answer = answer.clone();
            async move {
                call.door.admit()?;
                answer(call).await
            }
        };
        self.routes.insert(kind, Next::new(service_fn(admitted)));
        self
    }

    pub(crate) fn settings(mut self, change: impl FnOnce(&mut ServerSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub(crate) fn metrics(mut self, page: MetricsPage) -> Self {
        self.metrics = Some(page);
        self
    }

    pub(crate) fn site(mut self, site: impl Site) -> Self {
        self.sites.push(Arc::new(site));
        self
    }

    /// How long the waiting page tries again.
    pub(crate) fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    pub(crate) fn budget(mut self, budget: &Budget) -> Self {
        self.budget = budget.clone();
        self
    }

    /// Who verifies long forms that carry their checksum themselves.
    pub(crate) fn unproved(mut self, workers: impl Workers + 'static) -> Self {
        self.unproved = Some(Arc::new(workers));
        self
    }

    pub(crate) fn problem(mut self, problem: &str) -> Self {
        self.problem = Some(problem.to_owned());
        self
    }

    /// Starts it.
    #[expect(clippy::unused_async, reason = "it needs a runtime, as all does that waits for it")]
    pub(crate) async fn serve(self) -> Rig {
        let server = self.bind();
        let address = server.local_addr();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let done = tokio::spawn(server.serve(async move { stopped.notified().await }));
        Rig { address, stop, done }
    }

    /// Takes the port.
    pub(crate) fn bind(self) -> Server {
        b3scale_support::hear();
        let mut ports = self.cluster.ports();
        ports.unproved = self.unproved.unwrap_or(ports.unproved);
        let pipeline = Pipeline::load(None, ports).expect("the shipped pipeline is right");
        let room = Arc::new(WaitingRoom::new(JWT_SECRET.as_bytes(), self.wait));
        let parts = ServerParts {
            router: Arc::new(Table { pipeline, routes: self.routes }),
            lobby: Some(Arc::<WaitingRoom>::clone(&room)),
            followers: None,
            proxies: Proxies::default(),
            budget: self.budget,
        };
        let server = Server::bind(([127, 0, 0, 1], 0).into(), parts, self.settings).expect("a free port");
        let said: Arc<dyn Readiness> = Arc::new(Said(self.problem));
        let (calls, readiness) = (server.calls(), Arc::new(vec![said, server.readiness()]));
        let mut sites = self.sites;
        sites.push(Arc::new(Home));
        sites.push(Arc::new(Health(Arc::<Vec<_>>::clone(&readiness))));
        sites.push(Arc::new(WaitingPage { room, calls: calls.clone() }));
        if let Some(page) = self.metrics {
            sites.push(Arc::new(Metrics { page, calls, readiness }));
        }
        server.with(Sites::new(sites).expect("no two sites claim the same"))
    }
}

struct Table {
    pipeline: Pipeline,
    routes: HashMap<CallKind, Next>,
}

impl Router for Table {
    fn route(&self, kind: CallKind) -> Option<Next> {
        self.routes.get(&kind).cloned().or_else(|| self.pipeline.route(kind))
    }
}

/// A server that has no figures of its own.
pub(crate) struct NoFigures;

impl Figures for NoFigures {
    fn write(&self, _: &mut Sheet) {}

    fn has(&self, _: Thing, _: &str) -> bool {
        true
    }
}

struct Said(Option<String>);

impl Readiness for Said {
    fn checks(&self) -> Vec<Check> {
        vec![Check::new("database", self.0.clone())]
    }
}

impl Rig {
    /// The shipped pipeline in front of a cluster.
    pub(crate) async fn new(cluster: &Memory) -> Self {
        Plan::new(cluster).serve().await
    }

    /// Begins to go down.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// Goes down, and finishes calls in flight.
    pub(crate) async fn gone_after_stop(self) {
        self.stop();
        self.gone().await;
    }

    /// Waits until it has gone down.
    pub(crate) async fn gone(self) {
        within(self.done).await.expect("the server does not panic");
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the server takes connections")
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.expect("the request is taken");
        Answer::whole(&mut stream).await
    }

    /// All bytes of the answer to one request.
    pub(crate) async fn bytes(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.expect("the request is taken");
        let mut bytes = Vec::new();
        within(stream.read_to_end(&mut bytes)).await.expect("the answer is not cut off");
        bytes
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.fetch_with(target, "").await
    }

    /// `headers` end in a line break each.
    pub(crate) async fn fetch_with(&self, target: &str, headers: &str) -> Answer {
        self.send(head("GET", target, headers)).await
    }

    pub(crate) async fn post(&self, target: &str, content_type: &str, body: &str) -> Answer {
        let headers = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        self.send(head("POST", target, &headers) + body).await
    }
}

/// The head of a request after which the connection is closed.
pub(crate) fn head(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: b3scale.test\r\nConnection: close\r\n{headers}\r\n")
}

/// The address of a signed call of the school.
pub(crate) fn signed(kind: CallKind, query: &str) -> String {
    let checksum = checksum(kind, query);
    let separator = if query.is_empty() { "" } else { "&" };
    format!("/bbb/school/bigbluebutton/api/{}?{query}{separator}checksum={checksum}", kind.checksum_name())
}

/// The checksum of a call of the school.
pub(crate) fn checksum(kind: CallKind, query: &str) -> String {
    let secret = Secret::new(SECRET).expect("it is not empty");
    bbb::sign(Algorithm::Sha1, kind.checksum_name(), query, &secret)
}

/// Fails a test that would hang.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.expect("it happens in time")
}

/// Bytes that a server sent until it closed the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn whole(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        within(stream.read_to_end(&mut bytes)).await.expect("the answer is not cut off");
        Self::parse(&String::from_utf8(bytes).expect("an answer is text"))
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head in {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: body.to_owned() }
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status == 200 && self.body.contains("<returncode>SUCCESS</returncode>")
    }

    /// Whether it is a page for people.
    pub(crate) fn is_page(&self) -> bool {
        self.status == 200 && self.header("content-type") == Some("text/html;charset=utf-8")
    }

    /// The message key of a BBB document that says FAILED.
    pub(crate) fn failed(&self) -> &str {
        assert!(self.body.starts_with("<response><returncode>FAILED</returncode>"), "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/xml;charset=utf-8"));
        let key = self.body.split_once("<messageKey>").and_then(|(_, rest)| rest.split_once("</messageKey>"));
        key.map(|(key, _)| key).unwrap_or_else(|| panic!("no key in {self:?}"))
    }
}
