//! `show hooks` and `hook`: webhooks of frontends. Not known to the original.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::{self, HookState};

use super::console::table;
use super::context::Context;
use super::entry::dry_command;
use super::find::missing;
use super::layout::moment;
use super::{CtlError, Exit};

/// Webhooks of frontends, the paused ones first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "hooks")]
pub(super) struct Hooks {
    /// only those of the frontend of that key; also --fe
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// only those of the one meeting of that id
    #[argh(option, arg_name = "id")]
    meeting: Option<String>,
}

dry_command! {
    /// Webhooks of frontends: resume, delete. Not known to the original.
    Hook, "hook"
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Resume(ResumeHook),
    Delete(DeleteHook),
}

/// Begin a webhook again at the event that failed, with all its tries.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "resume")]
struct ResumeHook {
    /// its id
    #[argh(positional)]
    id: String,
}

/// Delete a webhook, with the events that it has not heard. Its frontend may create it again.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "delete")]
struct DeleteHook {
    /// its id
    #[argh(positional)]
    id: String,
}

impl Hooks {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let given = [("frontend", &self.frontend), ("meeting", &self.meeting)];
        let filter: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
        let hooks = context.api().await?.hooks(&filter).await?;
        let head =
            ["hook", "frontend", "host", "meeting", "events", "state", "behind", "lost", "last heard", "problem"];
        context.console.report(table(&head, hooks.iter().map(row)), &hooks)
    }
}

fn row(hook: &rest::Hook) -> Vec<String> {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| NOTHING.to_owned());
    let events = if hook.events.is_empty() { "all".to_owned() } else { hook.events.join(",") };
    vec![
        hook.id.to_string(),
        hook.frontend.clone(),
        shown(&hook.host),
        hook.meeting_id.clone().unwrap_or_else(|| "all".to_owned()),
        events,
        HookState::word(hook.state).to_owned(),
        hook.behind.to_string(),
        hook.lost.to_string(),
        hook.delivered_at.map_or_else(|| NOTHING.to_owned(), moment),
        shown(&hook.problem),
    ]
}

impl Hook {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Resume(command) => command.run(context, self.dry).await,
            What::Delete(command) => command.run(context, self.dry).await,
        }
    }
}

impl ResumeHook {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("resume hook {id}"));
        }
        let resumed = api.resume_hook(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("resumed hook: {id}"), &resumed)
    }
}

impl DeleteHook {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("delete hook {id}"));
        }
        let deleted = api.delete_hook(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("deleted hook: {id}"), &deleted)
    }
}

/// The error, or that there is no such hook.
fn unknown(api: &Api, id: &str, error: ApiError) -> CtlError {
    if error.is_not_found() { missing(api, "hook", id, "b3scalectl show hooks") } else { error.into() }
}
