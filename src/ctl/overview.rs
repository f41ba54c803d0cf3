//! Without a command: help, and the server as it is. And what programs ask first: `version`, `export-openapi-schema`.

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgs};
use serde_json::json;

use super::context::Context;
use super::{B3scalectl, CtlError, Exit, migrate};
use crate::admin;
use crate::rest::Status;

/// The versions of this program and of the server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "version")]
pub(super) struct Version {}

/// Print the description of the REST API, as OpenAPI. No server is asked.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "export-openapi-schema")]
pub(super) struct ExportOpenapiSchema {}

/// What there is to say, and how the server is. Without a token it is only said how to get one.
pub(super) async fn run(context: &Context) -> Result<Exit, CtlError> {
    let console = &context.console;
    console.line(usage(&B3scalectl::get_args_info()))?;
    console.line(format!("b3scale @ {}\n", context.url))?;
    if context.known_token()?.is_none() {
        return console
            .line("There is no access token yet. Get one with: b3scalectl auth authorize")
            .map(|()| Exit::Done);
    }
    let (_, status) = context.connect().await?;
    versions(context, &status)?;
    console.line("")?;
    migrate::tell(context, &status.database)?;
    console.object(&status)?;
    Ok(Exit::Done)
}

fn versions(context: &Context, status: &Status) -> Result<(), CtlError> {
    let Status { version, build, api, .. } = status;
    context.console.line(format!("server version: {version} \tbuild: {build}\n   api version: {api}"))
}

/// The commands, in short.
fn usage(root: &CommandInfoWithArgs) -> String {
    let width = root.commands.iter().map(|command| command.name.len()).max().unwrap_or_default();
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let commands = root
        .commands
        .iter()
        .map(|command| format!("  {:width$}  {}\n", command.name, first_line(command.command.description)));
    format!("Usage: b3scalectl <command>; b3scalectl <command> --help says more\n\n{}", commands.collect::<String>())
}

impl Version {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let (_, status) = context.connect().await?;
        let own = env!("CARGO_PKG_VERSION");
        context.console.line(format!("b3scalectl version: {own}"))?;
        versions(context, &status)?;
        context.console.object(&json!({ "b3scalectl": own, "server": status }))?;
        Ok(Exit::Done)
    }
}

impl ExportOpenapiSchema {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let Self {} = self;
        context.console.print(&format!("{}\n", admin::openapi().trim_end()))?;
        Ok(Exit::Done)
    }
}
