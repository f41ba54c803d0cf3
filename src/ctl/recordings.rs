//! `show recordings` and `show recording`: what meetings have left.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError};
use serde_json::Value;

use super::console::indented;
use super::context::Context;
use super::{CtlError, Exit};

/// The recordings of a frontend.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recordings")]
pub(super) struct Recordings {
    /// the identity of the frontend; also --feid
    #[argh(option, arg_name = "id")]
    frontend_id: Option<String>,
    /// its key; also --fe
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
}

/// One recording.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recording")]
pub(super) struct OneRecording {
    /// its record id
    #[argh(positional)]
    id: String,
}

impl Recordings {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let (by, value) = match (&self.frontend_id, &self.frontend) {
            (Some(id), _) => ("frontend_id", id),
            (None, Some(key)) => ("frontend_key", key),
            (None, None) => return Err(CtlError::Usage("--frontend KEY or --frontend-id ID is needed".to_owned())),
        };
        let api = context.api().await?;
        let recordings = recorded(&api, api.recordings(by, value).await)?;
        let lines: String = recordings.iter().map(|recording| format!("\n{}", row(recording))).collect();
        context.console.report(format_args!("Recording\tTimestamp\tMeeting{lines}"), &recordings)
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
        let recording = recorded(&api, api.recording(&self.id).await)?;
        context.console.report(indented(&recording, "   ", ""), &recording)
    }
}

/// The result, of a server with recordings.
pub(super) fn recorded<T>(api: &Api, asked: Result<T, ApiError>) -> Result<T, CtlError> {
    asked.map_err(|error| match error {
        error if error.is_not_found() => CtlError::NoRecordings { url: api.url().to_owned() },
        error => error.into(),
    })
}
