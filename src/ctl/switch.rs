//! `enable` and `disable`: whether a backend takes new meetings, whether a frontend is served.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::rest::AdminState;
use serde_json::json;

use super::context::Context;
use super::entry::{Entry as _, dry_command};
use super::find::{find_backend, find_frontend};
use super::{CtlError, Exit};

dry_command! {
    /// Let a backend take new meetings, or serve a frontend. Also: en, start.
    Enable, "enable"
}

dry_command! {
    /// Let a backend take no new meetings, or serve a frontend no more. Also: dis, stop.
    Disable, "disable"
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Backend(SwitchBackend),
    Frontend(SwitchFrontend),
}

/// A backend: its meetings go on in any case.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "backend")]
struct SwitchBackend {
    /// the base URL of its API
    #[argh(positional)]
    host: String,
}

/// A frontend. A disabled one is answered as if it did not exist.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "frontend")]
struct SwitchFrontend {
    /// its key
    #[argh(positional)]
    key: String,
}

impl Enable {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        self.what.switch(context, true, self.dry).await
    }
}

impl Disable {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        self.what.switch(context, false, self.dry).await
    }
}

impl What {
    async fn switch(self, context: &Context, on: bool, dry: bool) -> Result<Exit, CtlError> {
        match self {
            Self::Backend(SwitchBackend { host }) => switch_backend(context, &host, on, dry).await,
            Self::Frontend(SwitchFrontend { key }) => switch_frontend(context, &key, on, dry).await,
        }
    }
}

async fn switch_backend(context: &Context, host: &str, on: bool, dry: bool) -> Result<Exit, CtlError> {
    let (api, console) = (context.api_for_changes().await?, &context.console);
    let backend = find_backend(&api, host).await?;
    let wanted = if on { AdminState::Ready } else { AdminState::Stopped };
    if backend.admin_state == wanted {
        return console.unchanged(&backend.shown(false));
    }
    if dry {
        return console.skipping(format_args!("set admin state of {} to {wanted}", backend.bbb.host));
    }
    let backend = api.change_backend(backend.id, &json!({ "admin_state": wanted })).await?;
    console.report("updated backend admin state", &backend.shown(false))
}

/// As with the original, a frontend that is as it should be is no reason for another exit code.
async fn switch_frontend(context: &Context, key: &str, on: bool, dry: bool) -> Result<Exit, CtlError> {
    let (api, console) = (context.api_for_changes().await?, &context.console);
    let frontend = find_frontend(&api, key).await?;
    let verb = if on { "enable" } else { "disable" };
    if dry {
        return console.skipping(format_args!("{verb} frontend {}", frontend.id));
    }
    let frontend = api.change_frontend(frontend.id, &json!({ "active": on })).await?.shown(false);
    console.report(format_args!("{verb} frontend: {}", frontend.id), &frontend)
}
