//! Putting a server together: database, cluster, recordings, pipeline, port.

mod callbacks;
mod hooks;
mod outbox;
mod recordings;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Next;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::ports;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::admin::{AdminParts, Api};
use crate::cluster::{Cluster, PortParts};
use crate::config::{Config, Migrate};
use crate::net::descriptors;
use crate::net::nodes::HttpNodes;
use crate::net::tls::CaFileError;
use crate::outbox::Drain;
use crate::pages::{self, Health, Home, Metrics, WaitingPage, WaitingRoom};
use crate::pipeline::{self, Pipeline, ReloadError};
use crate::program::signals::stop_signal;
use crate::program::systemd;
use crate::proxies::Proxies;
use crate::recordings::Library;
use crate::rest::without_database;
use crate::server::{Followers, Lobby, Router, Server, ServerParts, ServerSettings};
use crate::site::{Check, Claimed, Readiness, Site, Sites};
use crate::store::private::{self, PrivateError, PrivatePostgres};
use crate::store::{self, Store, StoreError};
use crate::telemetry::catalog::BUILD;
use crate::telemetry::{self, Counts, Figures, MetricsPage, Sheet, Thing};
use crate::work::Bench;
use callbacks::Callbacks;
use recordings::Recordings;

/// The name of the cluster's secret for tokens.
const JWT_SECRET: &str = "jwt-secret";

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The pipeline.
    #[error("{0}")]
    Pipeline(#[from] ReloadError),
    /// The private database.
    #[error("{0}")]
    Private(#[from] PrivateError),
    /// The database.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The schema is not the one this server needs.
    #[error("the database lacks {0}; run `b3scaled migrate`, or unset B3SCALE_DB_MIGRATE")]
    Unmigrated(String),
    /// The certificate authorities of the nodes.
    #[error("B3SCALE_NODE_CA_FILE: {0}")]
    CaFile(#[from] CaFileError),
    /// The address.
    #[error("cannot listen on {address}: {error}; choose another with --listen or B3SCALE_LISTEN_HTTP")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The system.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The sites.
    #[error("{0}; this is a defect of b3scale")]
    Sites(#[from] Claimed),
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] telemetry::MetricsError),
}

/// The database of a program: one by URL, or a private cluster that lives as long as this.
pub struct Database {
    /// Its store.
    pub store: Store,
    private: Option<PrivatePostgres>,
}

impl Database {
    /// Connects to the database, having started it if it is a private one.
    ///
    /// # Errors
    /// It cannot be started or reached.
    pub async fn open(config: &Config) -> Result<Self, ServeError> {
        if let Some(url) = &config.db_url {
            return Ok(Self { store: Store::connect(url, config.db_pool_size).await?, private: None });
        }
        let data_dir = config.data_dir.clone().map_or_else(private::default_data_dir, Ok)?;
        let private = PrivatePostgres::start(&data_dir).await?;
        tracing::info!("Using a private PostgreSQL: B3SCALE_DB_URL is not set");
        Ok(Self { store: Store::connect(private.url(), config.db_pool_size).await?, private: Some(private) })
    }

    /// The same for a command next to a running server: a private database in use is joined, not started.
    ///
    /// # Errors
    /// It cannot be started or reached.
    pub async fn open_beside(config: &Config) -> Result<Self, ServeError> {
        match Self::open(config).await {
            Err(ServeError::Private(PrivateError::InUse(folder))) => {
                let url = private::url_in_use(&folder)?;
                Ok(Self { store: Store::connect(&url, config.db_pool_size).await?, private: None })
            }
            opened => opened,
        }
    }

    /// Brings the schema up to date, or makes sure that it is.
    ///
    /// # Errors
    /// The database belongs to another program, or needs migrations and must not be changed.
    pub async fn prepare(&self, migrate: Migrate) -> Result<(), ServeError> {
        match migrate {
            Migrate::Auto => {
                let applied = self.store.schema().migrate().await?;
                applied.iter().for_each(|migration| tracing::info!(%migration, "Migration applied"));
                Ok(())
            }
            Migrate::Manual => match self.store.schema().pending().await? {
                pending if pending.is_empty() => Ok(()),
                pending => Err(ServeError::Unmigrated(pending.join(", "))),
            },
        }
    }

    /// The secret of this cluster's tokens.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn jwt_secret(&self, config: &Config) -> Result<String, ServeError> {
        match &config.jwt_secret {
            Some(secret) => Ok(secret.clone()),
            None => Ok(store::shared_secret(&self.store, JWT_SECRET).await?),
        }
    }

    /// Ends the private database.
    pub async fn close(self) {
        self.store.close();
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

/// A server that has everything it needs and its port, and takes no connection yet.
pub struct Assembly {
    /// Its cluster.
    pub cluster: Cluster,
    /// What calls travel through.
    pub pipeline: Arc<Pipeline>,
    /// The port.
    pub server: Server,
    /// The end of its deliveries.
    pub outbox: Drain,
}

impl Assembly {
    /// Assembles a server on a migrated database. `secret` signs the cluster's tokens.
    ///
    /// # Errors
    /// The database cannot be read, a file not used, or the address not had.
    pub async fn new(
        config: &Config,
        store: Store,
        secret: String,
        counted: Option<Counts>,
    ) -> Result<Self, ServeError> {
        let nodes = Arc::new(HttpNodes::new(config.upstream.clone())?);
        let chance = Chance::of_system();
        let bench = Bench::new(Arc::new(store.clone()), chance.id());
        let outbox = outbox::open(config, &store, &bench)?;
        let cluster = Cluster::start(store.clone(), nodes, config.upstream.patience, bench.clone(), chance).await?;
        let recordings = Recordings::open(config, &store, &cluster, &bench, &secret).await;
        let imports = recordings.arriving.is_some();
        let callbacks = Callbacks::open(config, &store, &cluster, &bench, &secret, imports);
        let hooks = hooks::open(config, &store, &bench, &outbox, recordings.links.clone());
        let rooms = Rooms { recordings, callbacks, hooks, outbox: outbox.drain };
        let assembled = Self::around(cluster.clone(), rooms, config, store, secret, counted);
        match assembled {
            Ok(assembly) => {
                let (address, hash) = (assembly.server.local_addr().to_string(), assembly.pipeline.hash().to_string());
                cluster.introduce(address, hash).await;
                Ok(assembly)
            }
            Err(error) => {
                cluster.stop();
                cluster.leave().await;
                Err(error)
            }
        }
    }

    fn around(
        cluster: Cluster,
        rooms: Rooms,
        config: &Config,
        store: Store,
        secret: String,
        counted: Option<Counts>,
    ) -> Result<Self, ServeError> {
        let Rooms { recordings, callbacks, hooks, outbox } = rooms;
        let library: Arc<dyn ports::Recordings> = Arc::<Library>::clone(&recordings.library);
        let parts = PortParts { recordings: library, callbacks: callbacks.port(), hooks };
        let pipeline = Arc::new(Pipeline::load(config.pipeline.clone(), cluster.ports(parts))?);
        let trusted: Arc<dyn Readiness> = Arc::new(Trusted(cluster.clone()));
        let figures = Everything {
            cluster: cluster.clone(),
            store: store.clone(),
            pipeline: Arc::clone(&pipeline),
            per_meeting: config.metrics_per_meeting,
        };
        let figures: Arc<dyn Figures> = Arc::new(figures);
        if let Some(counted) = counted.clone() {
            telemetry::end_series(counted, &figures);
        }
        let proxies = Proxies::at(config.trusted_proxies.clone());
        let budget = config.upstream.budget.clone();
        let room = Arc::new(WaitingRoom::new(secret.as_bytes(), pages::WAIT));
        let api = Arc::new(Api::new(AdminParts {
            cluster: cluster.clone(),
            store,
            library: recordings.library,
            importer: recordings.arriving.map(|arriving| arriving.importer),
            verifier: recordings.verifier,
            waker: recordings.waker,
            pipeline: Arc::clone(&pipeline),
            readiness: Arc::clone(&trusted),
            secret,
            proxies: proxies.clone(),
            budget: budget.clone(),
            counted: counted.clone(),
            cors: config.cors_origins.clone(),
            operator_fields: config.operator_fields.clone(),
            agent_tags: config.agent_tags.clone(),
        }));
        let router: Arc<dyn Router> = Arc::<Pipeline>::clone(&pipeline);
        let lobby: Arc<dyn Lobby> = Arc::<WaitingRoom>::clone(&room);
        let followers: Arc<dyn Followers> = Arc::<Api>::clone(&api);
        let parts = ServerParts { router, lobby: Some(lobby), followers: Some(followers), proxies, budget };
        let listened = Server::bind(config.listen, parts, settings(config));
        let server = listened.map_err(|error| ServeError::Listen { address: config.listen, error })?;
        callbacks.settle(config, server.local_addr());
        let (calls, readiness) = (server.calls(), Arc::new(vec![trusted, server.readiness()]));
        let mut sites: Vec<Arc<dyn Site>> = vec![
            api,
            Arc::new(Home),
            Arc::new(Health(Arc::<Vec<_>>::clone(&readiness))),
            Arc::new(WaitingPage { room, calls: calls.clone() }),
        ];
        if let Some(counted) = counted {
            let page = MetricsPage { counted, figures, token: config.metrics_token.clone() };
            sites.push(Arc::new(Metrics { page, calls, readiness }));
        }
        sites.extend(recordings.sites);
        sites.push(callbacks.site);
        let server = server.with(Sites::new(sites)?);
        Ok(Self { cluster, pipeline, server, outbox })
    }
}

/// The rooms of a server that have parts of their own.
struct Rooms {
    recordings: Recordings,
    callbacks: Callbacks,
    hooks: Arc<dyn ports::Hooks>,
    outbox: Drain,
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// The server cannot start. A running server ends only by a signal.
pub async fn serve(config: &Config) -> Result<(), ServeError> {
    // Before anything is started: a broken pipeline is told at once, all of it.
    pipeline::check(config.pipeline.as_deref())?;
    let counted = telemetry::start_metrics()?;
    let stop = stop_signal()?;
    let database = Database::open(config).await?;
    database.prepare(config.migrate).await?;
    let secret = database.jwt_secret(config).await?;
    let Assembly { cluster, pipeline, server, outbox } =
        Assembly::new(config, database.store.clone(), secret, Some(counted)).await?;
    reload_on_demand(Arc::clone(&pipeline), cluster.clone(), server.local_addr())?;
    let file = config.pipeline.as_deref().unwrap_or(Path::new("built in")).display();
    tracing::info!(listen = %server.local_addr(), pipeline = %file, hash = pipeline.hash(), "b3scaled serves");
    systemd::ready();
    let address = server.local_addr();
    let watch = tokio::spawn(systemd::watch(move |limit| answers(address, limit)));
    let stop = async {
        stop.await;
        // The manager waits for the end now, and the port will be closed.
        watch.abort();
        systemd::stopping();
        outbox.close();
    };
    server.serve(stop).await;
    outbox.end().await;
    cluster.stop();
    cluster.leave().await;
    database.close().await;
    Ok(())
}

/// Whether the server at that address, which is this one, takes a connection and answers.
async fn answers(address: SocketAddr, limit: Duration) -> bool {
    let here: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let ip = if address.ip().is_unspecified() { here } else { address.ip() };
    let asked = async {
        let mut stream = TcpStream::connect((ip, address.port())).await?;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: self\r\nConnection: close\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(status)
    };
    timeout(limit, asked).await.is_ok_and(|status| status.is_ok_and(|status| status == *b"HTTP/1.1 200"))
}

/// Reads the pipeline again on SIGHUP, and when some server was asked to let every server do so.
fn reload_on_demand(pipeline: Arc<Pipeline>, cluster: Cluster, address: SocketAddr) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                signal = hangup.recv() => if signal.is_none() { return },
                () = cluster.reloads().notified() => {}
            }
            match pipeline.reload() {
                Ok(hash) => {
                    tracing::info!(hash, "Pipeline reloaded");
                    cluster.introduce(address.to_string(), hash).await;
                }
                Err(error) => tracing::error!("Pipeline reload refused:\n{error}"),
            }
        }
    });
    Ok(())
}

fn settings(config: &Config) -> ServerSettings {
    let defaults = ServerSettings::default();
    // The rest is for nodes, the database and files.
    let descriptors = descriptors::raise_limit();
    let connections = defaults.connections.min(descriptors / 8 * 5);
    if connections < defaults.connections {
        tracing::warn!(descriptors, connections, "Few file descriptors: raise LimitNOFILE to take more connections");
    }
    ServerSettings {
        connections,
        idle: config.idle_timeout,
        head: config.header_timeout,
        write_pause: config.write_timeout,
        call: config.request_timeout,
        drain_delay: config.drain_delay,
        ..defaults
    }
}

/// What `/metrics` shows of how things are.
struct Everything {
    cluster: Cluster,
    store: Store,
    pipeline: Arc<Pipeline>,
    per_meeting: bool,
}

impl Figures for Everything {
    fn write(&self, sheet: &mut Sheet) {
        self.cluster.figures().write(sheet, self.per_meeting);
        self.store.write_figures(sheet);
        sheet.set(&BUILD, [env!("CARGO_PKG_VERSION"), &self.pipeline.hash()], 1);
    }

    fn has(&self, thing: Thing, name: &str) -> bool {
        self.cluster.figures().has(thing, name)
    }
}

impl Router for Pipeline {
    fn route(&self, kind: CallKind) -> Option<Next> {
        Pipeline::route(self, kind)
    }
}

impl Followers for Api {
    fn may_follow(&self, headers: &HeaderMap, peer: SocketAddr) -> bool {
        self.lets_follow(headers, peer)
    }
}

struct Trusted(Cluster);

impl Readiness for Trusted {
    fn checks(&self) -> Vec<Check> {
        // Without a pipeline and a view there is no server that could be asked.
        let absence = self.0.absence();
        let tolerable = absence.as_ref().is_some_and(|lack| lack.tolerable);
        let problem = absence.map(|lack| without_database(&lack.problem));
        vec![Check { name: "database", problem, tolerable }, Check::new("view", self.0.distrust())]
    }
}
