//! `pipeline`: the stages that calls travel through. Not known to the original.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::Api;
use b3scale_base::rest::{Server, StageKind, StageRole};
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::console::table;
use super::context::Context;
use super::{CtlError, Exit};

/// How often the servers are asked whether they have followed.
const INTERVAL: Duration = Duration::from_millis(300);
/// A server that has not followed by then will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Check, show and change the stages that calls travel through.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "pipeline")]
pub(super) struct Pipeline {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Check(Check),
    Show(Show),
    Catalog(ShowCatalog),
    Reload(Reload),
}

/// Prove that a pipeline file would start, and print its plan. No server is asked.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "check")]
struct Check {
    /// the file; without it, the pipeline that is compiled in
    #[argh(positional)]
    file: Option<PathBuf>,
}

/// The plan that the server runs.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "show")]
struct Show {}

/// Every kind of stage, with its contract for a create.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "catalog")]
struct ShowCatalog {}

/// Have every server read its pipeline file again, and wait until each has.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "reload")]
struct Reload {}

impl Pipeline {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Check(Check { file }) => check(context, file.as_deref()),
            What::Show(Show {}) => show(context).await,
            What::Catalog(ShowCatalog {}) => catalog(context).await,
            What::Reload(Reload {}) => reload(context).await,
        }
    }
}

fn check(context: &Context, file: Option<&Path>) -> Result<Exit, CtlError> {
    let plan = b3scale_pipeline::check(file).map_err(|error| CtlError::Failed(error.to_string()))?;
    context.console.report(plan.trim_end(), &json!({ "file": file, "plan": plan }))
}

async fn show(context: &Context) -> Result<Exit, CtlError> {
    let report = context.api().await?.pipeline().await?;
    let file = report.file.as_deref().unwrap_or("compiled in");
    context.console.report(format_args!("{}\n\n{file}, hash {}", report.plan.trim_end(), report.hash), &report)
}

async fn catalog(context: &Context) -> Result<Exit, CtlError> {
    let kinds = context.api().await?.pipeline_catalog().await?;
    let text = table(&["kind", "is", "needs", "gives", "takes", "only for"], kinds.iter().map(row));
    context.console.report(text, &kinds)
}

fn row(kind: &StageKind) -> Vec<String> {
    let StageKind { kind, role, needs, gives, takes, only } = kind;
    let role = match role {
        StageRole::Stage => "stage",
        StageRole::Endpoint => "endpoint",
    };
    let lists = [needs, gives, takes, only].map(|names| names.join(", "));
    [kind.clone(), role.to_owned()].into_iter().chain(lists).collect()
}

async fn reload(context: &Context) -> Result<Exit, CtlError> {
    let api = context.api_for_changes().await?;
    let report = api.reload_pipeline().await?;
    context.console.progress(format_args!("The new pipeline has the hash {}.", report.hash))?;
    let servers = followed(context, &api, &report.hash).await?;
    context.console.report("", &json!({ "hash": report.hash, "servers": servers }))
}

/// Waits until every server that is counted on runs the pipeline of a hash. Each is named as it comes.
async fn followed(context: &Context, api: &Api, hash: &str) -> Result<Vec<Server>, CtlError> {
    let deadline = Instant::now() + PATIENCE;
    let mut told: BTreeSet<Uuid> = BTreeSet::new();
    loop {
        let servers: Vec<Server> = api.cluster().await?.servers.into_iter().filter(Server::serves).collect();
        let (new, old): (Vec<_>, Vec<_>) = servers.iter().partition(|server| server.pipeline_hash == hash);
        for server in new {
            if told.insert(server.id) {
                context.console.progress(format_args!("{} runs it", server.address))?;
            }
        }
        if old.is_empty() {
            return Ok(servers);
        }
        if Instant::now() > deadline {
            let behind: Vec<_> = old.iter().map(|server| server.address.as_str()).collect();
            let (url, behind) = (api.url(), behind.join(", "));
            return Err(CtlError::Failed(format!("{url}: {behind} still run another pipeline; their logs say why")));
        }
        sleep(INTERVAL).await;
    }
}
