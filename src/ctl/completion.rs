//! `completions`: what shells offer while a line is typed.
//!
//! A shell asks this program with the words so far and [`ASK`] behind them, as the original's completions do. The answer comes
//! from the command line's own description, and for hosts and keys from the server. It never asks for anything and never fails.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use argh::{ArgsInfo, CommandInfoWithArgs, FromArgValue, FromArgs};
use b3scale_base::client::RecordingsOf;
use b3scale_base::program::Environment;
use b3scale_base::program::spelling::{Begun, Language};
use serde_json::json;
use tokio::time::timeout;

use super::console::Console;
use super::context::Context;
use super::{B3scalectl, CtlError, Exit};

/// The last word of a shell's question.
const ASK: &str = "--generate-bash-completion";
/// A shell that waits longer is in the way.
const PATIENCE: Duration = Duration::from_secs(2);

/// Print what makes a shell complete the commands, flags, hosts and keys of this program.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completions",
    example = "source <(b3scalectl completions bash)",
    example = "b3scalectl completions fish > ~/.config/fish/completions/b3scalectl.fish"
)]
pub(super) struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    shell: Shell,
}

#[derive(FromArgValue, Clone, Copy, Debug)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let script = match self.shell {
            Shell::Bash => include_str!("completion/bash.sh"),
            Shell::Zsh => include_str!("completion/zsh.sh"),
            Shell::Fish => include_str!("completion/fish.fish"),
        };
        context.console.report(script.trim_end(), &json!({ "script": script }))
    }
}

/// The words so far, if a shell is asking.
pub(super) fn asked(line: &[String]) -> Option<&[String]> {
    line.split_last().filter(|(last, _)| *last == ASK).map(|(_, words)| words)
}

/// Prints the possible next words, a line each.
pub(super) async fn answer(words: &[String]) -> ExitCode {
    let text: String =
        candidates(&B3scalectl::language(), words).await.iter().map(|line| format!("{line}\n")).collect();
    // A shell that has gone needs no answer.
    let _ = Console::default().print(&text);
    ExitCode::SUCCESS
}

async fn candidates(language: &Language, words: &[String]) -> Vec<String> {
    let (last, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let begun = Begun::read(language, words);
    match last {
        "--frontend" => known(&begun, Wanted::Frontends).await,
        "--backend" => known(&begun, Wanted::Backends).await,
        _ if last.starts_with('-') => flags(&language.root, &Begun::read(language, before)),
        _ if !begun.command.commands.is_empty() => names(&begun),
        _ if begun.arguments > 0 => Vec::new(),
        _ => match (begun.group.unwrap_or_default(), begun.command.name) {
            (_, "completions") => ["bash", "zsh", "fish"].map(str::to_owned).to_vec(),
            (_, "backend") | ("end", "meetings") => known(&begun, Wanted::Backends).await,
            (_, "frontend") => known(&begun, Wanted::Frontends).await,
            (_, "recording" | "recording-visibility") | ("recording", "assign" | "ready") => {
                known(&begun, Wanted::Recordings).await
            }
            _ => Vec::new(),
        },
    }
}

fn names(begun: &Begun<'_>) -> Vec<String> {
    begun.command.commands.iter().map(|command| command.name.to_owned()).collect()
}

/// The flags of the innermost command, and the general ones.
fn flags(root: &CommandInfoWithArgs, begun: &Begun<'_>) -> Vec<String> {
    let flags = begun.command.flags.iter().chain(root.flags);
    let names: BTreeSet<&str> = flags.map(|flag| flag.long).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// What only the server knows.
enum Wanted {
    Backends,
    Frontends,
    Recordings,
}

/// The hosts, the keys or the newest record ids, if the server can be asked without a word.
async fn known(begun: &Begun<'_>, wanted: Wanted) -> Vec<String> {
    let asking = async {
        let ca_file = begun.value("ca-file").map(Into::into);
        let context = Context::quiet(begun.value("api"), ca_file, Console::default(), Environment::read()).ok()?;
        let api = context.api_as(context.known_token().ok()??).ok()?;
        Some(match wanted {
            Wanted::Backends => api.backends().await.ok()?.into_iter().map(|backend| backend.bbb.host).collect(),
            Wanted::Frontends => api.frontends().await.ok()?.into_iter().map(|frontend| frontend.bbb.key).collect(),
            Wanted::Recordings => {
                let recordings = api.recordings(RecordingsOf::Everybody, false, None).await.ok()?;
                recordings.iter().filter_map(|one| Some(one["record_id"].as_str()?.to_owned())).collect()
            }
        })
    };
    timeout(PATIENCE, asking).await.ok().flatten().unwrap_or_default()
}
