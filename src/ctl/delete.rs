//! `delete`: removes a backend or a frontend.

use argh::{ArgsInfo, FromArgs};
use serde_json::json;

use super::context::Context;
use super::layout::{meetings, people, shown_backend, shown_frontend};
use super::show::{find_backend, find_frontend};
use super::{CtlError, Exit};
use crate::rest::{Backend, NodeState};

/// Remove a backend or a frontend. Also: del, rm.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "delete")]
pub(super) struct Delete {
    /// only say what would be done
    #[argh(switch)]
    dry: bool,
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Backend(DeleteBackend),
    Frontend(DeleteFrontend),
}

/// Remove a backend once its last meeting has ended. One whose node does not answer is removed at once.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backend")]
struct DeleteBackend {
    /// at once, whatever runs there
    #[argh(switch, short = 'f')]
    force: bool,
    /// the base URL of its API
    #[argh(positional)]
    host: String,
}

/// Remove a frontend with all that it has. Its meetings are ended.
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
        }
    }
}

impl DeleteBackend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let backend = find_backend(&api, &self.host).await?;
        let is_well = matches!(backend.node_state, NodeState::Ready | NodeState::Init);
        let at_once = self.force || !is_well;
        if dry {
            let how = if at_once { "delete backend" } else { "mark backend for decommissioning" };
            context.console.line(format!("skipping: {how} {}", backend.bbb.host))?;
            return Ok(Exit::Done);
        }
        let gone = if at_once {
            context.console.confirm(&farewell(&backend))?;
            context.console.line("deleting backend")?;
            api.destroy_backend(backend.id).await?
        } else {
            let marked = api.change_backend(backend.id, &json!({ "admin_state": "decommissioned" })).await?;
            context.console.line("backend marked for decommissioning")?;
            marked
        };
        context.console.object(&shown_backend(gone, false))?;
        Ok(Exit::Done)
    }
}

fn farewell(backend: &Backend) -> String {
    let (meetings, people) = (meetings(backend.meetings_count), people(backend.attendees_count));
    format!("The backend {} is deleted at once. Lost with it: {meetings} with {people}.", backend.bbb.host)
}

impl DeleteFrontend {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let frontend = find_frontend(&api, &self.key).await?;
        if dry {
            context.console.line(format!("skipping: delete frontend {}", frontend.id))?;
            return Ok(Exit::Done);
        }
        context.console.confirm(&format!("The frontend {} is deleted, and its meetings are ended.", self.key))?;
        context.console.line(format!("delete frontend: {}", frontend.id))?;
        context.console.object(&shown_frontend(api.delete_frontend(frontend.id).await?, false))?;
        Ok(Exit::Done)
    }
}
