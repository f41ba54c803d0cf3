//! `show`: records of the cluster.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::rest::{Backend, Frontend, FrontendKeys, NodeState};
use serde_json::json;

use super::console::indented;
use super::context::Context;
use super::entry::Entry;
use super::find::{find_backend, find_frontend};
use super::layout::go_duration;
use super::{CtlError, Exit, deliveries, hooks, jobs, meetings, recordings, status};

/// Show records of the cluster.
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
    Deliveries(deliveries::Deliveries),
    Hooks(hooks::Hooks),
    Jobs(jobs::Jobs),
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
            What::Deliveries(command) => command.run(context).await,
            What::Hooks(command) => command.run(context).await,
            What::Jobs(command) => command.run(context).await,
        }
    }
}

async fn backends(context: &Context, secrets: bool) -> Result<Exit, CtlError> {
    let backends = all(context.api().await?.backends().await?, secrets);
    context.console.report(lines(&backends, block), &backends)
}

fn all<T: Entry>(entries: Vec<T>, secrets: bool) -> Vec<T> {
    entries.into_iter().map(|entry| entry.shown(secrets)).collect()
}

fn lines<T>(entries: &[T], line: fn(&T) -> String) -> String {
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A backend as the original writes it, for the scripts that read it. An empty line follows.
fn block(backend: &Backend) -> String {
    let Backend { id, meetings_count: meetings, attendees_count: attendees, load_factor, .. } = backend;
    let Backend { node_state: node, admin_state: wanted, .. } = backend;
    let ratio = if *meetings == 0 { 0.0 } else { f64::from(*attendees) / f64::from(*meetings) };
    let error = match (&backend.last_error, node) {
        (Some(error), NodeState::Error | NodeState::Degraded) => format!("  LastError:\t {error}\n"),
        _ => String::new(),
    };
    format!(
        "{id}\n  Host:\t {}\n  Settings:\t {}\n  NodeState:\t {node}\t  AdminState:\t {wanted}\n  \
         MC/AC/R:\t {meetings}/{attendees}/{ratio:.2}\n  LoadFactor:\t {load_factor}\n  Latency:\t {}\n{error}",
        backend.bbb.host,
        json!(backend.settings),
        go_duration(backend.latency),
    )
}

async fn one_backend(context: &Context, host: &str, secrets: bool) -> Result<Exit, CtlError> {
    let backend = find_backend(&context.api().await?, host).await?.shown(secrets);
    let Backend { bbb, settings, .. } = &backend;
    let settings = indented(settings, "  ", "  ");
    let secret = if secrets { format!("\nSecret: {}", bbb.secret) } else { String::new() };
    let algorithm = bbb.checksum_algorithm.as_ref().map(|name| format!("\nChecksums: {name}")).unwrap_or_default();
    context.console.report(format_args!("Backend: {}\nSettings:\n  {settings}{algorithm}{secret}", bbb.host), &backend)
}

async fn frontends(context: &Context, secrets: bool) -> Result<Exit, CtlError> {
    let frontends = all(context.api().await?.frontends().await?, secrets);
    context.console.report(lines(&frontends, line), &frontends)
}

fn line(Frontend { id, active, bbb, settings, .. }: &Frontend) -> String {
    let state = if *active { "enabled" } else { "disabled" };
    format!("{id}\t{}\t{}\t{state}\t{}", bbb.key, bbb.secret, json!(settings))
}

async fn one_frontend(context: &Context, key: &str, secrets: bool) -> Result<Exit, CtlError> {
    let api = context.api().await?;
    let frontend = find_frontend(&api, key).await?.shown(secrets);
    let Frontend { active, bbb: FrontendKeys { key, secret, next_secret, .. }, settings, description, .. } = &frontend;
    let (settings, url) = (indented(settings, "   ", ""), api.url());
    let next = next_secret.as_ref().map(|next| format!("\nNext Secret:     {next}")).unwrap_or_default();
    let description = description.as_ref().map(|text| format!("Description: {text}\n")).unwrap_or_default();
    let text = format!(
        "Frontend: {key}\n{description}Enabled: {active}\nSettings: {settings}\n\n\
         Frontend URL:    {url}/bbb/{key}/\nFrontend Secret: {secret}{next}"
    );
    context.console.report(text, &frontend)
}
