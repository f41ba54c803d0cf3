//! `b3scalectl`: the command line over the REST API.
//!
//! Its commands, flags, requests, texts and exit codes are those of the original, and more. Its output is for people, or with
//! `--json` for programs; secrets are shown only when they are asked for.
#![expect(clippy::doc_markdown, reason = "argh prints these comments, and backticks would be printed too")]

mod access;
mod completion;
mod console;
mod context;
mod create_meeting;
mod delete;
mod deliveries;
mod end;
mod entry;
mod error;
mod explain;
mod find;
mod hooks;
pub mod import;
mod jobs;
mod layout;
mod meetings;
mod migrate;
mod openapi;
mod overview;
mod param;
mod pipeline;
mod progress;
mod recordings;
mod set;
mod show;
mod state;
mod status;
mod switch;
mod tokens;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use serde_json::json;

use b3scale_base::program::Environment;
use b3scale_base::program::spelling::Language;
use console::{Console, complain};
use context::Context;

pub use console::Exit;
pub use error::CtlError;

/// The exit code for a command line that cannot be understood.
const USAGE: u8 = 2;

/// Other names of the first word, as the original has them.
const ALIASES: [(&str, &str); 14] = [
    ("s", "show"),
    ("update", "set"),
    ("u", "set"),
    ("add", "set"),
    ("a", "set"),
    ("d", "delete"),
    ("del", "delete"),
    ("rm", "delete"),
    ("en", "enable"),
    ("start", "enable"),
    ("dis", "disable"),
    ("stop", "disable"),
    ("cm", "create-meeting"),
    ("h", "help"),
];

/// Other names of flags, where the flag itself is not known.
const SYNONYMS: [(&str, &str); 4] =
    [("feid", "frontend-id"), ("fe", "frontend"), ("dry", "dry-run"), ("dry-run", "dry")];

/// The flags that take something away with an empty value.
const EMPTIED: [&str; 3] = ["next-secret", "checksum-algorithm", "account-ref"];

/// The part of the help that all commands share.
const EVERYWHERE: &str = "
With every command, anywhere on the line:
  -b, --api         the server's URL; else B3SCALE_API_URL or
                    http://127.0.0.1:42353
  --ca-file         authorities to trust beside the system's; else
                    B3SCALE_API_CA_FILE
  --json            print JSON, for programs
  -y, --yes         do not ask before people's meetings end; else
                    B3SCALE_YES=true

A value that begins with a dash is written behind the flag: --secret=-x
";

/// What every help ends with.
const CODES: &str = "
Exit codes: 0 done, 64 nothing to change, 1 failed, 2 not understood.
";

/// Manage a b3scale cluster.
///
/// Without a command: say which server is asked, and how it is.
#[derive(FromArgs, ArgsInfo, Debug)]
pub struct B3scalectl {
    /// the server's URL; without it, B3SCALE_API_URL or http://127.0.0.1:42353
    #[argh(option, short = 'b', arg_name = "url")]
    api: Option<String>,
    /// a PEM file of certificate authorities to trust; without it, B3SCALE_API_CA_FILE
    #[argh(option, arg_name = "file")]
    ca_file: Option<PathBuf>,
    /// print JSON, for programs
    #[argh(switch)]
    json: bool,
    /// do not ask before people's meetings end
    #[argh(switch, short = 'y')]
    yes: bool,
    /// print the version of this program
    #[argh(switch, short = 'v')]
    version: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Command {
    Show(show::Show),
    Set(set::Set),
    Delete(delete::Delete),
    Enable(switch::Enable),
    Disable(switch::Disable),
    End(end::End),
    CreateMeeting(create_meeting::CreateMeeting),
    Recording(recordings::Recording),
    Delivery(deliveries::Delivery),
    Hook(hooks::Hook),
    Explain(explain::Explain),
    Pipeline(pipeline::Pipeline),
    State(state::State),
    Import(import::command::Import),
    Watch(watch::Watch),
    Db(migrate::Db),
    Auth(access::Auth),
    Version(overview::Version),
    Completions(completion::Completions),
    ExportOpenapiSchema(overview::ExportOpenapiSchema),
}

impl B3scalectl {
    /// The grammar of its lines.
    pub fn language() -> Language {
        Language {
            program: "b3scalectl",
            root: Self::get_args_info(),
            aliases: &ALIASES,
            synonyms: &SYNONYMS,
            emptied: &EMPTIED,
        }
    }

    /// Reads the command line, which begins with the program's name.
    ///
    /// # Errors
    /// What to end with at once, its text having been printed: 0 after help, 2 for a line that cannot be understood.
    pub fn parse(line: &[String]) -> Result<Self, ExitCode> {
        let spelt = Self::language().spelt(line).map_err(|misspelt| misunderstood(&misspelt.to_string()))?;
        let spelt: Vec<&str> = spelt.iter().map(String::as_str).collect();
        let everywhere = if spelt.len() > 1 { EVERYWHERE } else { "" };
        Self::from_args(&["b3scalectl"], &spelt).map_err(|exit| match exit.status {
            Ok(()) => helped(&format!("{}{everywhere}{CODES}", exit.output)),
            Err(()) => misunderstood(exit.output.trim_end()),
        })
    }

    /// Runs the command line, and prints errors.
    pub async fn run(self, environment: Environment) -> ExitCode {
        let done = match Context::new(&self, environment) {
            Ok(context) => self.execute(&context).await,
            Err(error) => Err(error),
        };
        done.map_or_else(|error| console::fail(&error), Into::into)
    }

    async fn execute(self, context: &Context) -> Result<Exit, CtlError> {
        if self.version {
            let version = env!("CARGO_PKG_VERSION");
            return context.console.report(format_args!("b3scalectl {version}"), &json!({ "b3scalectl": version }));
        }
        match self.command {
            None => overview::run(context).await,
            Some(Command::Show(command)) => command.run(context).await,
            Some(Command::Set(command)) => command.run(context).await,
            Some(Command::Delete(command)) => command.run(context).await,
            Some(Command::Enable(command)) => command.run(context).await,
            Some(Command::Disable(command)) => command.run(context).await,
            Some(Command::End(command)) => command.run(context).await,
            Some(Command::CreateMeeting(command)) => command.run(context).await,
            Some(Command::Recording(command)) => command.run(context).await,
            Some(Command::Delivery(command)) => command.run(context).await,
            Some(Command::Hook(command)) => command.run(context).await,
            Some(Command::Explain(command)) => command.run(context).await,
            Some(Command::Pipeline(command)) => command.run(context).await,
            Some(Command::State(command)) => command.run(context).await,
            Some(Command::Import(command)) => command.run(context).await,
            Some(Command::Watch(command)) => command.run(context).await,
            Some(Command::Db(command)) => command.run(context).await,
            Some(Command::Auth(command)) => command.run(context).await,
            Some(Command::Version(command)) => command.run(context).await,
            Some(Command::Completions(command)) => command.run(context),
            Some(Command::ExportOpenapiSchema(command)) => command.run(context),
        }
    }
}

/// Runs the program: the line is that of the process.
pub async fn run(line: &[String]) -> ExitCode {
    if let Some(line) = completion::asked(line) {
        return completion::answer(line).await;
    }
    match B3scalectl::parse(line) {
        Ok(program) => program.run(Environment::read()).await,
        Err(code) => code,
    }
}

fn helped(text: &str) -> ExitCode {
    Console::default().print(text).map_or_else(|error| console::fail(&error), |_| ExitCode::SUCCESS)
}

fn misunderstood(why: &str) -> ExitCode {
    complain(&format!("{why}\nRun b3scalectl --help for what there is."));
    ExitCode::from(USAGE)
}
