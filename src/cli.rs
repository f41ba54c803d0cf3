//! The command line of `b3scaled`.
#![expect(clippy::doc_markdown, reason = "argh prints these comments, and backticks would be printed too")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use argh::{ArgsInfo, FromArgs};
use b3scale_node::{Node, NodeOptions};
use redis::{AsyncConnectionConfig, RedisError};
use tracing::level_filters::LevelFilter;

use crate::config::Config;
use crate::demo::{self, DemoOptions};
use crate::pipeline;
use crate::program::signals::stop_signal;
use crate::program::spelling::{Language, MISUNDERSTOOD};
use crate::program::terminal::{self, Reader, complain};
use crate::program::{ConfigError, Environment};
use crate::serve::{self, Database};
use crate::telemetry::{self, LogSettings};
use crate::token::{self, Scope, Scopes};

/// How long the first connection of a simulated node to its Redis may take.
const REDIS_LIMIT: Duration = Duration::from_secs(2);

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// One BigBlueButton endpoint for many tenants, spread over many nodes.
///
/// Without a command: serve. Settings come from the environment; see docs/configuration.md.
#[derive(FromArgs, ArgsInfo, Debug)]
pub struct B3scaled {
    /// the pipeline file; default: B3SCALE_PIPELINE, else the compiled-in one
    #[argh(option, arg_name = "file")]
    pipeline: Option<PathBuf>,
    /// where to listen; without it, B3SCALE_LISTEN_HTTP or 127.0.0.1:42353
    #[argh(option, arg_name = "addr", from_str_fn(address))]
    listen: Option<SocketAddr>,
    /// print the plan of every route and end: 0, or 1 with everything that is wrong
    #[argh(switch)]
    check: bool,
    /// print the version and end
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Command {
    Migrate(MigrateCommand),
    Token(TokenCommand),
    Node(NodeCommand),
    Demo(DemoCommand),
}

/// Apply pending migrations and say which.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "migrate")]
struct MigrateCommand {}

/// Print an access token for the REST API.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "token")]
struct TokenCommand {
    /// the token's subject, such as the name of a node; default for a token of an operator: admin
    #[argh(option)]
    sub: Option<String>,
    /// its scopes, separated by spaces or commas: b3scale, b3scale:admin, b3scale:node, …; default: b3scale b3scale:admin
    #[argh(option)]
    scopes: Option<Scopes>,
}

/// Run one simulated BBB node, for trying things.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "node")]
struct NodeCommand {
    /// where to listen; default: 127.0.0.1:8090
    #[argh(option, arg_name = "addr", from_str_fn(address), default = "SocketAddr::from(([127, 0, 0, 1], 8090))")]
    listen: SocketAddr,
    /// the secret of its checksums; default: a new one, which is printed
    #[argh(option)]
    secret: Option<String>,
    /// the Redis for its events, as on a real node: redis://127.0.0.1:6379
    #[argh(option, arg_name = "url", from_str_fn(redis_url))]
    redis: Option<String>,
}

/// A whole cluster on this machine: nodes, two frontends, three servers, and a lesson played on it.
///
/// Afterwards it keeps serving until Ctrl-C, and says where.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "demo")]
struct DemoCommand {
    /// end after the lesson: 0, or 1 if a step did not come out as it should
    #[argh(switch)]
    once: bool,
    /// simulated nodes, 2 to 64; default: 4
    #[argh(option, arg_name = "n", default = "DemoOptions::default().nodes")]
    nodes: usize,
    /// meetings of the lesson, 2 to 10000; default: 12
    #[argh(option, arg_name = "n", default = "DemoOptions::default().meetings")]
    meetings: usize,
    /// where the first server listens; default: 127.0.0.1:42353
    #[argh(option, arg_name = "addr", from_str_fn(address), default = "DemoOptions::default().listen")]
    listen: SocketAddr,
    /// keep the database and the logs in this folder; without it, in a temporary one
    #[argh(option, arg_name = "dir")]
    data_dir: Option<PathBuf>,
    /// when ready, print one JSON object: api, token, frontends, backends; the lesson is then played with --once only
    #[argh(switch)]
    json: bool,
    /// the nodes speak https, with certificates of a private authority
    #[argh(switch)]
    https_nodes: bool,
}

impl B3scaled {
    /// The grammar of its lines.
    pub fn language() -> Language {
        Language { program: "b3scaled", root: Self::get_args_info(), aliases: &[], synonyms: &[], emptied: &[] }
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
    /// One line, or for a pipeline file all that is wrong with it.
    pub async fn run(self) -> Outcome {
        if self.version {
            return print(&format!("b3scaled {}\n", env!("CARGO_PKG_VERSION")));
        }
        let environment = Environment::read();
        let mut log = LogSettings::read(&environment)?;
        if matches!(self.command, Some(Command::Demo(_))) && environment.value("B3SCALE_LOG_LEVEL")?.is_none() {
            // The demo's own report has the successes.
            log.level = LevelFilter::WARN;
        }
        let _log = telemetry::start_log(log);
        environment.log();
        if self.command.is_none() {
            environment.idle().for_each(|(name, why)| tracing::warn!(name, why, "This variable has no effect yet"));
        }
        // A node and a demo have no settings of a server.
        let config = || {
            environment.require_files()?;
            let read = Config::read(&environment)?;
            let (pipeline, listen) = (self.pipeline.or(read.pipeline), self.listen.unwrap_or(read.listen));
            Ok::<_, ConfigError>(Config { pipeline, listen, ..read })
        };
        if self.check {
            return print(&pipeline::check(config()?.pipeline.as_deref())?);
        }
        match self.command {
            None => serve::serve(&config()?).await.map(|()| ExitCode::SUCCESS).map_err(Into::into),
            Some(Command::Migrate(MigrateCommand {})) => migrate(&config()?).await,
            Some(Command::Token(command)) => print_token(&config()?, &command).await,
            Some(Command::Node(command)) => run_node(command).await,
            Some(Command::Demo(command)) => Ok(demo::run(command.into()).await?.into()),
        }
    }
}

/// Runs the program: the line is that of the process.
pub async fn run(line: &[String]) -> ExitCode {
    let program = match B3scaled::parse(line) {
        Ok(program) => program,
        Err(code) => return code,
    };
    program.run().await.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::FAILURE
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address such as 127.0.0.1:42353 is wanted".to_owned())
}

fn redis_url(text: &str) -> Result<String, String> {
    let refused = |error| format!("{error}; a URL such as redis://127.0.0.1:6379 is wanted");
    redis::Client::open(text).map(|_| text.to_owned()).map_err(refused)
}

impl From<DemoCommand> for DemoOptions {
    fn from(command: DemoCommand) -> Self {
        let DemoCommand { once, nodes, meetings, listen, data_dir, json, https_nodes } = command;
        Self { nodes, meetings, listen, data_dir, once, json, https_nodes }
    }
}

async fn migrate(config: &Config) -> Outcome {
    let database = Database::open_beside(config).await?;
    let applied = database.store.schema().migrate().await?;
    let lines: Vec<String> = applied.iter().map(|migration| format!("applied {migration}\n")).collect();
    let said = if lines.is_empty() { "nothing to apply\n".to_owned() } else { lines.concat() };
    database.close().await;
    print(&said)
}

async fn print_token(config: &Config, command: &TokenCommand) -> Outcome {
    let scopes = command.scopes.as_ref().map_or_else(|| "b3scale b3scale:admin".to_owned(), Scopes::to_string);
    let is_operators = scopes.split(' ').any(|scope| scope == Scope::Admin.name());
    let Some(sub) = command.sub.as_deref().or_else(|| is_operators.then_some("admin")) else {
        complain(&format!("`--scopes {scopes}` needs `--sub NAME`: whose the token is, such as node1"));
        return Ok(ExitCode::from(MISUNDERSTOOD));
    };
    let secret = match &config.jwt_secret {
        Some(secret) => secret.clone(),
        None => {
            let database = Database::open_beside(config).await?;
            database.prepare(config.migrate).await?;
            let secret = database.jwt_secret(config).await?;
            database.close().await;
            secret
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    print(&format!("{}\n", token::sign(&secret, sub, &scopes, now)?))
}

async fn run_node(command: NodeCommand) -> Outcome {
    let defaults = NodeOptions::default();
    let secret = command.secret.unwrap_or_else(|| defaults.secret.clone());
    if let Some(url) = &command.redis
        && let Err(error) = reach(url).await
    {
        // Further lines of it are about the protocol.
        let error = error.to_string().lines().next().unwrap_or_default().to_owned();
        tracing::warn!(
            error,
            "Connecting to Redis failed; events are lost until it answers; check host, port and password"
        );
    }
    let listen = command.listen;
    let node = Node::start(NodeOptions { listen, secret, redis: command.redis, ..defaults }).await;
    let node = node.map_err(|error| format!("cannot listen on {listen}: {error}; choose another with --listen"))?;
    if terminal::print(&format!("url    {}\nsecret {}\n", node.url(), node.secret()))? == Reader::Left {
        return Ok(ExitCode::SUCCESS);
    }
    let stop = stop_signal()?;
    tokio::select! {
        () = node.run() => {}
        () = stop => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Connects to Redis once, to notice a wrong address or password before there are events.
async fn reach(url: &str) -> Result<(), RedisError> {
    let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(REDIS_LIMIT));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&limits).await.map(drop)
}

fn print(text: &str) -> Outcome {
    terminal::print(text)?;
    Ok(ExitCode::SUCCESS)
}
