//! `show`: what there is.

use argh::{ArgsInfo, FromArgs};
use serde_json::json;

use super::console::indented;
use super::context::Context;
use super::layout::{admin_state, go_duration, node_state, shown_backend, shown_frontend};
use super::{CtlError, Exit, meetings, recordings, status};
use crate::client::Api;
use crate::rest::{Backend, Frontend, NodeState};

/// Show what there is.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show")]
pub(super) struct Show {
    /// show secrets and passwords as they are
    #[argh(switch)]
    secrets: bool,
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Backends(Backends),
    Backend(OneBackend),
    Frontends(Frontends),
    Frontend(OneFrontend),
    Meetings(meetings::Meetings),
    Meeting(meetings::OneMeeting),
    Recordings(recordings::Recordings),
    Recording(recordings::OneRecording),
    Status(status::Status),
}

/// All backends.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backends")]
struct Backends {}

/// One backend and its settings.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backend")]
struct OneBackend {
    /// the base URL of its API
    #[argh(positional)]
    host: String,
}

/// All frontends: identity, key, secret, state and settings, separated by tabs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "frontends")]
struct Frontends {}

/// One frontend, its settings and its URL.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "frontend")]
struct OneFrontend {
    /// its key
    #[argh(positional)]
    key: String,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let secrets = self.secrets;
        match self.what {
            What::Backends(Backends {}) => backends(context, secrets).await,
            What::Backend(OneBackend { host }) => one_backend(context, &host, secrets).await,
            What::Frontends(Frontends {}) => frontends(context, secrets).await,
            What::Frontend(OneFrontend { key }) => one_frontend(context, &key, secrets).await,
            What::Meetings(command) => command.run(context, secrets).await,
            What::Meeting(command) => command.run(context, secrets).await,
            What::Recordings(command) => command.run(context).await,
            What::Recording(command) => command.run(context).await,
            What::Status(command) => command.run(context).await,
        }
    }
}

/// The backend of a host, which the line may give without the slash at its end.
pub(super) async fn find_backend(api: &Api, host: &str) -> Result<Backend, CtlError> {
    let found = match api.find_backend(host).await? {
        None if !host.ends_with('/') => api.find_backend(&format!("{host}/")).await?,
        found => found,
    };
    found.ok_or_else(|| missing(api, "backend", host, "b3scalectl show backends"))
}

/// The frontend of a key.
pub(super) async fn find_frontend(api: &Api, key: &str) -> Result<Frontend, CtlError> {
    let found = api.find_frontend(key).await?;
    found.ok_or_else(|| missing(api, "frontend", key, "b3scalectl show frontends"))
}

/// What to say of something that is not there.
pub(super) fn missing(api: &Api, what: &'static str, name: &str, list: &'static str) -> CtlError {
    CtlError::Missing { url: api.url().to_owned(), what, name: name.to_owned(), list }
}

async fn backends(context: &Context, secrets: bool) -> Result<Exit, CtlError> {
    let backends = context.api().await?.backends().await?;
    let backends: Vec<Backend> = backends.into_iter().map(|backend| shown_backend(backend, secrets)).collect();
    backends.iter().try_for_each(|backend| context.console.line(block(backend)))?;
    context.console.object(&backends)?;
    Ok(Exit::Done)
}

/// A backend as the original writes it, for the scripts that read it. An empty line follows.
fn block(backend: &Backend) -> String {
    let Backend { id, meetings_count: meetings, attendees_count: attendees, load_factor, .. } = backend;
    let ratio = if *meetings == 0 { 0.0 } else { f64::from(*attendees) / f64::from(*meetings) };
    let node = node_state(backend.node_state);
    let error = match (&backend.last_error, backend.node_state) {
        (Some(error), NodeState::Error) => format!("  LastError:\t {error}\n"),
        _ => String::new(),
    };
    format!(
        "{id}\n  Host:\t {}\n  Settings:\t {}\n  NodeState:\t {node}\t  AdminState:\t {}\n  \
         MC/AC/R:\t {meetings}/{attendees}/{ratio:.2}\n  LoadFactor:\t {load_factor}\n  Latency:\t {}\n{error}",
        backend.bbb.host,
        json!(backend.settings),
        admin_state(backend.admin_state),
        go_duration(backend.latency),
    )
}

async fn one_backend(context: &Context, host: &str, secrets: bool) -> Result<Exit, CtlError> {
    let backend = shown_backend(find_backend(&context.api().await?, host).await?, secrets);
    context.console.line(format!("Backend: {}", backend.bbb.host))?;
    context.console.line(format!("Settings:\n  {}", indented(&backend.settings, "  ", "  ")))?;
    if secrets {
        context.console.line(format!("Secret: {}", backend.bbb.secret))?;
    }
    context.console.object(&backend)?;
    Ok(Exit::Done)
}

async fn frontends(context: &Context, secrets: bool) -> Result<Exit, CtlError> {
    let frontends = context.api().await?.frontends().await?;
    let frontends: Vec<Frontend> = frontends.into_iter().map(|frontend| shown_frontend(frontend, secrets)).collect();
    for Frontend { id, active, bbb, settings, .. } in &frontends {
        let state = enabled(*active);
        context.console.line(format!("{id}\t{}\t{}\t{state}\t{}", bbb.key, bbb.secret, json!(settings)))?;
    }
    context.console.object(&frontends)?;
    Ok(Exit::Done)
}

fn enabled(active: bool) -> &'static str {
    if active { "enabled" } else { "disabled" }
}

async fn one_frontend(context: &Context, key: &str, secrets: bool) -> Result<Exit, CtlError> {
    let api = context.api().await?;
    let frontend = shown_frontend(find_frontend(&api, key).await?, secrets);
    let Frontend { active, bbb, settings, .. } = &frontend;
    context.console.line(format!("Frontend: {}\nEnabled: {active}", bbb.key))?;
    context.console.line(format!("Settings: {}\n", indented(settings, "   ", "")))?;
    context.console.line(format!("Frontend URL:    {}/bbb/{}/", api.url(), bbb.key))?;
    context.console.line(format!("Frontend Secret: {}", bbb.secret))?;
    if let Some(next) = &bbb.next_secret {
        context.console.line(format!("Next Secret:     {next}"))?;
    }
    context.console.object(&frontend)?;
    Ok(Exit::Done)
}
