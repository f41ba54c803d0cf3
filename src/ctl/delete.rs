//! `delete`: removes a backend, a frontend or a recording.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::MeetingsOf;
use b3scale_base::rest::NodeState;
use serde_json::json;

use super::context::Context;
use super::entry::{Entry as _, dry_command};
use super::find::{find_backend, find_frontend};
use super::recordings::DeleteRecording;
use super::{CtlError, Exit};

dry_command! {
    /// Remove a backend, a frontend or a recording. Also: del, rm.
    Delete, "delete"
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Backend(DeleteBackend),
    Frontend(DeleteFrontend),
    Recording(DeleteRecording),
}

/// Remove a backend once its last meeting has ended. If its node does not answer, it is removed at once.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backend")]
struct DeleteBackend {
    /// at once, even with running meetings
    #[argh(switch, short = 'f')]
    force: bool,
    /// the base URL of its API
    #[argh(positional)]
    host: String,
}

/// Remove a frontend with all that it has. Its meetings are ended. Its recordings stay, for operators alone.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "frontend")]
struct DeleteFrontend {
    /// its key
    #[argh(positional)]
    key: String,
}

impl Delete {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Backend(command) => command.run(context, self.dry).await,
            What::Frontend(command) => command.run(context, self.dry).await,
            What::Recording(command) => command.run(context, self.dry).await,
        }
    }
}

impl DeleteBackend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (api, console) = (context.api_for_changes().await?, &context.console);
        let backend = find_backend(&api, &self.host).await?;
        let host = &backend.bbb.host;
        let is_well = matches!(backend.node_state, NodeState::Ready | NodeState::Degraded | NodeState::Init);
        let at_once = self.force || !is_well;
        if dry {
            let how = if at_once { "delete backend" } else { "mark backend for decommissioning" };
            return console.skipping(format_args!("{how} {host}"));
        }
        if !at_once {
            let marked = api.change_backend(backend.id, &json!({ "admin_state": "decommissioned" })).await?;
            return console.report("backend marked for decommissioning", &marked.shown(false));
        }
        let question = format_args!("The backend {host} is deleted at once, and lost with it");
        console.confirm_end(question, backend.meetings_count, backend.attendees_count)?;
        let gone = api.destroy_backend(backend.id).await?.shown(false);
        console.report("deleting backend", &gone)
    }
}

impl DeleteFrontend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (api, console) = (context.api_for_changes().await?, &context.console);
        let frontend = find_frontend(&api, &self.key).await?;
        if dry {
            return console.skipping(format_args!("delete frontend {}", frontend.id));
        }
        let meetings = api.meetings(MeetingsOf::Frontend(&self.key)).await?;
        let running = u32::try_from(meetings.len()).unwrap_or(u32::MAX);
        let attendees: i64 = meetings.iter().map(|meeting| meeting.meeting.participant_count).sum();
        let question = format_args!("The frontend {} is deleted, and its meetings are ended", self.key);
        console.confirm_end(question, running, attendees)?;
        let gone = api.delete_frontend(frontend.id).await?.shown(false);
        console.report(format_args!("delete frontend: {}", gone.id), &gone)
    }
}
