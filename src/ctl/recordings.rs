//! `show recordings` and `show recording`: what meetings have left.

use argh::{ArgsInfo, FromArgs};
use serde_json::Value;

use super::console::indented;
use super::context::Context;
use super::show::missing;
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
        let recordings = context.api().await?.recordings(by, value).await?;
        context.console.line("Recording\tTimestamp\tMeeting")?;
        for recording in &recordings {
            let text = |path: &str| recording.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (id, name) = (text("/record_id"), text("/recording/Metadata/meetingName"));
            let ended = recording.pointer("/recording/EndTime").map(plain).unwrap_or_default();
            context.console.line(format!("{id} {ended} {name}"))?;
        }
        context.console.object(&recordings)?;
        Ok(Exit::Done)
    }
}

/// A value without the quotes that text has in JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl OneRecording {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let recording = match api.recording(&self.id).await {
            Err(error) if error.is_not_found() => {
                return Err(missing(&api, "recording", &self.id, "b3scalectl show recordings"));
            }
            recording => recording?,
        };
        context.console.print(&format!("{}\n", indented(&recording, "   ", "")))?;
        Ok(Exit::Done)
    }
}
