//! `state`: the cluster's configuration as a file. Not known to the original.

mod document;

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgValue, FromArgs};
use b3scale_base::client::{Api, ApiError, PutState};
use b3scale_base::rest::{Change, ChangeKind, StateChanges, StateDocument};

use super::console::{complain, indented};
use super::context::Context;
use super::{CtlError, Exit};

/// Keep the frontends and backends as a file, and put them back.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "state")]
pub(super) struct State {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Export(Export),
    Import(Import),
}

/// Print all frontends and backends, secrets included: it is what `state import` takes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "export")]
struct Export {
    /// yaml or json; default: yaml, and json with --json
    #[argh(option)]
    format: Option<Format>,
}

#[derive(FromArgValue, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Yaml,
    Json,
}

/// Change the cluster to the state in a file: shows the differences, then makes all of them, or none.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "import")]
struct Import {
    /// only show the differences
    #[argh(switch)]
    dry_run: bool,
    /// delete records that the file does not name
    #[argh(switch)]
    delete: bool,
    /// YAML or JSON; - is standard input
    #[argh(positional)]
    file: PathBuf,
}

/// The treatment of a document.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Only say what would change.
    pub(super) dry_run: bool,
    /// Delete records that it does not name.
    pub(super) delete: bool,
    /// Leave records alone that the source system cannot know.
    pub(super) moving: bool,
}

impl State {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Export(Export { format }) => export(context, format).await,
            What::Import(Import { dry_run, delete, file }) => {
                let document = document::read(&file)?;
                let api = context.api_for_changes().await?;
                put(context, &api, &[document], Wanted { dry_run, delete, ..Wanted::default() }).await
            }
        }
    }
}

async fn export(context: &Context, format: Option<Format>) -> Result<Exit, CtlError> {
    let format = format.unwrap_or(Format::Yaml);
    let state = context.api().await?.state().await?;
    let text = match format {
        Format::Yaml => document::yaml(&state)?,
        Format::Json => indented(&state, "   ", ""),
    };
    context.console.report(text.trim_end(), &state)
}

/// Shows the changes of a document and its continuations, and makes them. Deletions are confirmed first.
pub(super) async fn put(
    context: &Context,
    api: &Api,
    documents: &[StateDocument],
    wanted: Wanted,
) -> Result<Exit, CtlError> {
    let Wanted { dry_run, delete, moving } = wanted;
    let how = PutState { dry_run: true, delete, moving, fingerprint: None };
    let (planned, console) = (put_all(api, documents, how).await?, &context.console);
    planned.notes.iter().for_each(|note| complain(&format!("note: {note}")));
    if planned.changes.is_empty() {
        return console.unchanged(&planned);
    }
    let differences = told(&planned);
    if dry_run {
        return console.report(differences, &planned);
    }
    console.progress(differences)?;
    let gone = planned.changes.iter().filter(|change| change.kind == ChangeKind::Delete).count();
    if gone > 0 {
        console.confirm(&format!("{gone} of them are deleted, and what runs there is lost."))?;
    }
    let how = PutState { dry_run: false, fingerprint: planned.fingerprint.as_deref(), ..how };
    let made = match put_all(api, documents, how).await {
        Err(error) if error.is_conflict() => return Err(CtlError::Overtaken { url: api.url().to_owned() }),
        made => made?,
    };
    console.report(format_args!("done: {}", counted(&made)), &made)
}

/// Puts a document and its continuations. A continuation repeats the frontends of its recordings, so those alone count.
async fn put_all(api: &Api, documents: &[StateDocument], how: PutState<'_>) -> Result<StateChanges, ApiError> {
    let mut all: Option<StateChanges> = None;
    for document in documents {
        match &mut all {
            None => all = Some(api.put_state(document, how).await?),
            Some(all) => {
                let more = api.put_state(document, PutState { fingerprint: None, ..how }).await?;
                all.changes.extend(more.changes.into_iter().filter(|change| change.what == "recording"));
            }
        }
    }
    Ok(all.unwrap_or_default())
}

/// The differences, with their records.
fn told(changes: &StateChanges) -> String {
    let lines = changes.changes.iter().flat_map(|Change { kind, what, name, details }| {
        let details = details.iter().map(|detail| format!("    {detail}"));
        [format!("{} {what} {name}", sign(*kind))].into_iter().chain(details)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn sign(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Add => '+',
        ChangeKind::Change => '~',
        ChangeKind::Delete => '-',
    }
}

fn counted(changes: &StateChanges) -> String {
    let count = |kind| changes.changes.iter().filter(|change| change.kind == kind).count();
    let [added, changed, deleted] = [ChangeKind::Add, ChangeKind::Change, ChangeKind::Delete].map(count);
    format!("{added} added, {changed} changed, {deleted} deleted")
}
