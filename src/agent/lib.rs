//! `b3scaleagent`: runs on a BBB node, and reports its events to b3scale.
//!
//! It reads BBB's own settings, registers the node, listens to BBB's Redis, and sends events in batches, with figures of
//! the machine. After missed events it asks the node itself.
//!
//! | module | is |
//! |---|---|
//! | `settings`, `properties` | its settings, and BBB's |
//! | `feed`, `message` | BBB's events |
//! | `survey` | the node's own list of its meetings |
//! | `roster` | events and lists, merged: the attendees |
//! | `tell`, `said`, `tales` | events for webhooks, while these want any |
//! | `figures` | figures of the machine |
//! | `reporter`, `outbox` | batches, and their times |
//! | `uplink`, `trouble` | delivery, and retries |
//! | `drain` | maintenance |
//! | `recording` | recordings, pushed to the server |
#![expect(clippy::doc_markdown, reason = "argh prints these comments, and backticks would be printed too")]

mod drain;
mod error;
mod feed;
mod figures;
mod message;
mod outbox;
mod properties;
mod recording;
mod reporter;
mod roster;
mod said;
mod settings;
mod survey;
mod tales;
mod tell;
mod trouble;
mod uplink;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::net::nodes::UpstreamSettings;
use b3scale_base::program::signals::stop_signal;
use b3scale_base::program::spelling::Language;
use b3scale_base::program::terminal::{self, complain};
use b3scale_base::program::{Environment, systemd};
use b3scale_base::telemetry::{self, LogSettings};
use b3scale_middleware::bbb::Secret;
use tokio::sync::{mpsc, watch};

use feed::Feed;
use figures::Gauge;
use recording::PushCommand;
use reporter::Reporter;
use settings::{LoadFactor, Node, RedisPlace, Server};
use survey::Surveyor;
use uplink::Uplink;

pub use error::AgentError;

/// The most messages that wait here. Further ones wait in Redis.
const UNREAD: usize = 1024;

/// Report the events of this BigBlueButton node to b3scale.
///
/// Without a command: keep reporting. BBB's own settings say how the node
/// is reached; B3SCALE_API_URL and B3SCALE_API_ACCESS_TOKEN name the server.
#[derive(FromArgs, ArgsInfo, Debug)]
pub struct B3scaleagent {
    /// register this node if the server does not know it
    #[argh(switch, short = 'a')]
    register: bool,
    /// print the version and end
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Command {
    Drain(DrainCommand),
    Resume(ResumeCommand),
    Recording(RecordingCommand),
}

/// Give this node no new meetings. Running ones go on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "drain")]
struct DrainCommand {
    /// end when the last meeting has ended
    #[argh(switch)]
    wait: bool,
}

/// Let this node take meetings again.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "resume")]
struct ResumeCommand {}

/// Recordings of this node.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recording")]
struct RecordingCommand {
    #[argh(subcommand)]
    command: RecordingAction,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum RecordingAction {
    Push(PushCommand),
}

impl B3scaleagent {
    /// The grammar of its lines.
    pub fn language() -> Language {
        Language { program: "b3scaleagent", root: Self::get_args_info(), aliases: &[], synonyms: &[], emptied: &[] }
    }

    /// Reads the command line, which begins with the program's name.
    ///
    /// # Errors
    /// What to end with at once, its text having been printed: 0 after help, 2 for a line that cannot be understood.
    pub fn parse(line: &[String]) -> Result<Self, ExitCode> {
        Self::language().read(line)
    }

    /// Runs the command line.
    ///
    /// # Errors
    /// One line.
    pub async fn run(self) -> Result<ExitCode, AgentError> {
        if self.version {
            terminal::print(concat!("b3scaleagent ", env!("CARGO_PKG_VERSION"), "\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let environment = Environment::read_for_agent();
        environment.require_files()?;
        let _log = telemetry::start_log(LogSettings::read(&environment)?);
        environment.log();
        let server = Server::read(&environment)?;
        match self.command {
            None => report_until_stopped(&environment, server, self.register).await?,
            Some(Command::Drain(DrainCommand { wait })) => drain::drain(&server, wait).await?,
            Some(Command::Resume(ResumeCommand {})) => drain::resume(&server).await?,
            Some(Command::Recording(RecordingCommand { command: RecordingAction::Push(push) })) => {
                recording::push(&environment, &server, push).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the program: the line is that of the process.
pub async fn run(line: &[String]) -> ExitCode {
    let program = match B3scaleagent::parse(line) {
        Ok(program) => program,
        Err(code) => return code,
    };
    program.run().await.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::FAILURE
    })
}

/// An agent that is a part of another program.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The server's base URL.
    pub api_url: String,
    /// Its access token. The server knows the node by its subject.
    pub token: String,
    /// The base URL of the node's API, ending in a slash.
    pub node_url: String,
    /// The secret of the node's checksums.
    pub node_secret: Secret,
    /// The Redis of the node's events.
    pub redis: SocketAddr,
    /// Certificate authorities of the node, trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// How many nodes this machine stands for: of how busy it is, each reports its share.
    pub nodes: NonZeroUsize,
}

/// Reports on a node that is registered, for as long as it is let.
///
/// # Errors
/// The server does not know the node, or a setting cannot be used.
pub async fn attend(options: AgentOptions) -> Result<(), AgentError> {
    let AgentOptions { api_url, token, node_url, node_secret, redis, ca_file, nodes } = options;
    let redis = RedisPlace { host: redis.ip().to_string(), port: redis.port(), password: None };
    let node = Node { url: node_url, secret: node_secret, redis, bbb_version: String::new() };
    let gauge = Gauge::new(String::new(), nodes);
    report(node, gauge, Server::given(api_url, token), None, false, ca_file).await
}

/// Reports until it is told to end.
async fn report_until_stopped(environment: &Environment, server: Server, registers: bool) -> Result<(), AgentError> {
    let stop = stop_signal().map_err(AgentError::Signals)?;
    let load_factor = environment.parse("B3SCALE_LOAD_FACTOR", "a number such as 1.0 is wanted")?;
    let node = Node::read(environment)?;
    let ca_file = environment.path("B3SCALE_NODE_CA_FILE")?;
    let gauge = Gauge::new(node.bbb_version.clone(), NonZeroUsize::MIN);
    tokio::select! {
        ended = report(node, gauge, server, load_factor, registers, ca_file) => ended,
        // There is one thread: a hang anywhere stops the watchdog's signal.
        never = systemd::watch(async |_| true) => match never {},
        () = stop => {
            systemd::stopping();
            Ok(())
        }
    }
}

async fn report(
    node: Node,
    gauge: Gauge,
    server: Server,
    load_factor: Option<LoadFactor>,
    registers: bool,
    ca_file: Option<PathBuf>,
) -> Result<(), AgentError> {
    let node = Arc::new(node);
    let surveyor = Surveyor::new(&node, UpstreamSettings { ca_file, ..UpstreamSettings::default() })?;
    let mut uplink = Uplink::new(server, Arc::clone(&node), load_factor, registers)?;
    uplink.start().await?;
    let (batches, to_send) = mpsc::channel(1);
    let (delivered, outcomes) = mpsc::channel(1);
    let (news, heard) = mpsc::channel(UNREAD);
    systemd::ready();
    tracing::info!(node.url = node.url, bbb.version = node.bbb_version, "b3scaleagent reports");
    let wants = watch::Sender::default();
    let feed = Feed::new(node.redis.clone(), news, wants.subscribe());
    let reporter = Reporter::new(surveyor, gauge, wants);
    tokio::select! {
        () = feed.run() => {}
        () = uplink.run(to_send, delivered) => {}
        () = reporter.run(heard, batches, outcomes) => {}
    }
    Ok(())
}

impl fmt::Display for RedisPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
