//! `show recordings`, `show recording`, `delete recording` and `recording`: what meetings have left.

mod import;
mod moving;
mod retention;
mod verify;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError, RecordingsOf};
use serde_json::{Value, json};

use super::console::indented;
use super::context::Context;
use super::entry::dry_command;
use super::find::missing;
use super::{CtlError, Exit};
use import::ImportFolder;
use moving::Move;
use retention::Retention;
use verify::Verify;

/// The most recordings that a server lists at once.
const PAGE: usize = 1000;

/// The recordings of a frontend, or all of them, the newest first.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recordings")]
pub(super) struct Recordings {
    /// the identity of the frontend; also --feid
    #[argh(option, arg_name = "id")]
    frontend_id: Option<String>,
    /// its key; also --fe
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// only those without a frontend: their meeting is unknown
    #[argh(switch)]
    unassigned: bool,
    /// those in the trash, too
    #[argh(switch)]
    deleted: bool,
}

/// One recording.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recording")]
pub(super) struct OneRecording {
    /// its record id
    #[argh(positional)]
    id: String,
}

/// Move a recording to the trash. `set recording-visibility` brings it back.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recording")]
pub(super) struct DeleteRecording {
    /// its record id
    #[argh(positional)]
    id: String,
}

dry_command! {
    /// Recordings and their files: assign, announce, import, move, verify. Not known to the original.
    Recording, "recording"
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Assign(Assign),
    Ready(Ready),
    Import(ImportFolder),
    Move(Move),
    Verify(Verify),
    Retention(Retention),
}

/// Give a recording of an unknown meeting to a frontend, which is told that it is ready.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "assign")]
struct Assign {
    /// the frontend's id of the meeting; default: as the recording has it
    #[argh(option, arg_name = "id")]
    meeting_id: Option<String>,
    /// its record id
    #[argh(positional)]
    id: String,
    /// the key of the frontend
    #[argh(positional)]
    frontend: String,
}

/// Tell the frontend of a recording again that it is ready.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "ready")]
struct Ready {
    /// its record id
    #[argh(positional)]
    id: String,
}

impl Recordings {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let whose = match (&self.frontend_id, &self.frontend) {
            (Some(id), _) => RecordingsOf::Id(id),
            (None, Some(key)) => RecordingsOf::Key(key),
            (None, None) if self.unassigned => RecordingsOf::Unassigned,
            (None, None) => RecordingsOf::Everybody,
        };
        let api = context.api().await?;
        let mut recordings: Vec<Value> = Vec::new();
        loop {
            let last = recordings.last().and_then(|last| last["record_id"].as_str());
            let page = api.recordings(whose, self.deleted, last).await.map_err(|error| self.unknown(&api, error))?;
            let is_last = page.len() < PAGE;
            recordings.extend(page);
            if is_last {
                break;
            }
        }
        let lines: String = recordings.iter().map(|recording| format!("\n{}", row(recording))).collect();
        context.console.report(format_args!("Recording\tTimestamp\tMeeting{lines}"), &recordings)
    }

    fn unknown(&self, api: &Api, error: ApiError) -> CtlError {
        match self.frontend_id.as_deref().or(self.frontend.as_deref()) {
            Some(frontend) if error.is_not_found() => missing(api, "frontend", frontend, "b3scalectl show frontends"),
            _ => error.into(),
        }
    }
}

fn row(recording: &Value) -> String {
    let text = |path: &str| recording.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (id, name) = (text("/record_id"), text("/recording/Metadata/meetingName"));
    let ended = recording.pointer("/recording/EndTime").map(plain).unwrap_or_default();
    format!("{id} {ended} {name}")
}

/// A value without the quotes that text has in JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl OneRecording {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let recording = api.recording(&self.id).await.map_err(|error| unknown(&api, &self.id, error))?;
        context.console.report(indented(&recording, "   ", ""), &recording)
    }
}

impl DeleteRecording {
    pub(super) async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("delete recording {id}"));
        }
        let deleted = api.delete_recording(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("deleted recording: {id}"), &deleted)
    }
}

impl Recording {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Assign(command) => command.run(context, self.dry).await,
            What::Ready(command) => command.run(context, self.dry).await,
            What::Import(command) => command.run(context, self.dry).await,
            What::Move(command) => command.run(context, self.dry).await,
            What::Verify(command) => command.run(context, self.dry).await,
            What::Retention(command) => command.run(context, self.dry).await,
        }
    }
}

impl Assign {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let Self { meeting_id, id, frontend } = &self;
        let api = context.api_for_changes().await?;
        if dry {
            return context.console.skipping(format_args!("assign recording {id} to {frontend}"));
        }
        let body = json!({ "frontend_key": frontend, "meeting_id": meeting_id });
        let assigned = api.assign_recording(id, &body).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("assigned recording: {id} {frontend}"), &assigned)
    }
}

impl Ready {
    async fn run(self, context: &Context, dry: bool) -> Result<Exit, CtlError> {
        let (id, api) = (&self.id, context.api_for_changes().await?);
        if dry {
            return context.console.skipping(format_args!("announce recording {id}"));
        }
        let announced = api.announce_recording(id).await.map_err(|error| unknown(&api, id, error))?;
        context.console.report(format_args!("announced recording: {id}"), &announced)
    }
}

/// The error, or that there is no such recording.
fn unknown(api: &Api, id: &str, error: ApiError) -> CtlError {
    if error.is_not_found() { missing(api, "recording", id, "b3scalectl show recordings") } else { error.into() }
}
