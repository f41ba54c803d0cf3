//! `end`: ends meetings on their nodes.

use std::time::Duration;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::Api;
use b3scale_base::rest::{Backend, Command, CommandState, NewCommand};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::find::find_backend;
use super::layout::people;
use super::meetings::find as find_meeting;
use super::{CtlError, Exit};

/// How often a command is looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// A command that is not done by then is past its own deadline.
const PATIENCE: Duration = Duration::from_secs(180);

/// End meetings on their nodes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "end")]
pub(super) struct End {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Meetings(EndMeetings),
    Meeting(EndMeeting),
}

/// End all meetings of a backend.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "meetings")]
struct EndMeetings {
    /// the base URL of its API
    #[argh(positional)]
    host: String,
}

/// End one meeting.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "meeting")]
struct EndMeeting {
    /// take the id as this frontend's own
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// end only what runs on this backend, with everyone in it: a copy
    /// that was left there, or a meeting that no frontend owns
    #[argh(option, arg_name = "url")]
    copy_on: Option<String>,
    /// an id as `show meetings` prints it, or the node's own
    #[argh(positional)]
    id: String,
}

impl End {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Meetings(EndMeetings { host }) => end_meetings(context, &host).await,
            What::Meeting(meeting) => meeting.run(context).await,
        }
    }
}

async fn end_meetings(context: &Context, host: &str) -> Result<Exit, CtlError> {
    let api = context.api_for_changes().await?;
    let backend = find_backend(&api, host).await?;
    let question = format_args!("On {} all meetings are ended", backend.bbb.host);
    context.console.confirm_end(question, backend.meetings_count, backend.attendees_count)?;
    dispatch(context, &api, "end_all_meetings", &[("BackendID", &backend.id.to_string())]).await
}

impl EndMeeting {
    async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let api = context.api_for_changes().await?;
        let place = match &self.copy_on {
            None => None,
            Some(host) => Some(find_backend(&api, host).await?),
        };
        let at = place.as_ref().map(|backend| backend.id);
        let meeting = find_meeting(&api, &self.id, self.frontend.as_deref(), at).await?;
        let name = &meeting.meeting.meeting_name;
        let people = people(meeting.meeting.participant_count);
        let (question, at) = match (meeting.frontend_id, &place) {
            (Some(_), None) => (format!("The meeting `{name}` with {people} in it is ended."), None),
            (Some(_), Some(Backend { bbb, .. })) => {
                (format!("The copy of the meeting `{name}` on {} is ended with everyone in it.", bbb.host), at)
            }
            // Several nodes may run one of that id.
            (None, _) => {
                (format!("The meeting `{name}` of no frontend with {people} in it is ended."), meeting.backend_id)
            }
        };
        context.console.confirm(&question)?;
        let at = at.map(|backend| backend.to_string());
        let place = at.iter().map(|backend| ("BackendID", &**backend));
        let params: Vec<_> = place.chain([("ID", &*meeting.id)]).collect();
        dispatch(context, &api, "end_meeting", &params).await
    }
}

/// Asks for something to be done, and waits until it is.
async fn dispatch(context: &Context, api: &Api, action: &str, params: &[(&str, &str)]) -> Result<Exit, CtlError> {
    let said: Vec<String> = params.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    context.console.progress(format_args!("Dispatch: {action} map[{}]", said.join(" ")))?;
    let params: serde_json::Map<_, _> = params.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let command = NewCommand { action: action.to_owned(), params: Some(params.into()) };
    let done = watched(context, api, &api.dispatch(&command).await?).await?;
    let result = done.result.clone().unwrap_or(Value::Null);
    let result = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
    let said = context.console.report(format_args!("Result: {result}"), &done)?;
    match done.state {
        CommandState::Error => Err(CtlError::Failed(format!("{}: {action} failed: {result}", api.url()))),
        CommandState::Requested | CommandState::Running | CommandState::Success => Ok(said),
    }
}

async fn watched(context: &Context, api: &Api, command: &Command) -> Result<Command, CtlError> {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = None;
    loop {
        let command = api.command(command.id).await?;
        if seen.replace(command.state) != Some(command.state) {
            context.console.progress(format_args!("State: {}", command.state))?;
        }
        if matches!(command.state, CommandState::Success | CommandState::Error) {
            return Ok(command);
        }
        if Instant::now() > deadline {
            let seconds = PATIENCE.as_secs();
            return Err(CtlError::Failed(format!("{}: no server has done it within {seconds} s", api.url())));
        }
        sleep(INTERVAL).await;
    }
}
