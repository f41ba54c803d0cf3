//! Without a command: help, and the server as it is. And what programs ask first: `version`, `export-openapi-schema`.

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgs};
use b3scale_base::rest::Status;
use serde_json::{Value, json};

use super::context::Context;
use super::openapi::DOCUMENT;
use super::{B3scalectl, CtlError, Exit, migrate};

/// The versions of this program and of the server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "version")]
pub(super) struct Version {}

/// Print the description of the REST API, as OpenAPI. No server is asked.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "export-openapi-schema")]
pub(super) struct ExportOpenapiSchema {}

/// Usage, and the server's status. Without a token it prints how to get one.
pub(super) async fn run(context: &Context) -> Result<Exit, CtlError> {
    let console = &context.console;
    console.progress(usage(&B3scalectl::get_args_info()))?;
    console.progress(format_args!("b3scale @ {}\n", context.url))?;
    if context.known_token()?.is_none() {
        let advice = "There is no access token yet. Get one with: b3scalectl auth authorize";
        return console.report(advice, &json!({ "authorized": null }));
    }
    let (_, status) = context.connect().await?;
    console.report(format_args!("{}\n\n{}", versions(&status), migrate::told(&status.database)), &status)
}

fn versions(Status { version, build, api, .. }: &Status) -> String {
    format!("server version: {version} \tbuild: {build}\n   api version: {api}")
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
        let versions = format!("b3scalectl version: {own}\n{}", versions(&status));
        context.console.report(versions, &json!({ "b3scalectl": own, "server": status }))
    }
}

impl ExportOpenapiSchema {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let Self {} = self;
        let unreadable =
            |error: serde_json::Error| CtlError::Failed(format!("the description cannot be read: {error}"));
        let value: Value = serde_json::from_str(DOCUMENT).map_err(unreadable)?;
        context.console.report(DOCUMENT.trim_end(), &value)
    }
}
