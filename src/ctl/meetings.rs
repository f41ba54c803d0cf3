//! `show meetings` and `show meeting`: what runs, where, and whose it is. Not known to the original.

use std::collections::HashMap;

use argh::{ArgsInfo, FromArgs};
use uuid::Uuid;

use super::context::Context;
use super::layout::{meeting_stage, moment, veil};
use super::show::missing;
use super::{CtlError, Exit};
use crate::client::{Api, MeetingsOf};
use crate::rest::{Meeting, MeetingInfo};
use crate::table::NOTHING;

/// All meetings, or those of one backend or frontend.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "meetings")]
pub(super) struct Meetings {
    /// only those of this backend
    #[argh(option, arg_name = "host")]
    backend: Option<String>,
    /// only those of this frontend
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
}

/// One meeting and who is in it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "meeting")]
pub(super) struct OneMeeting {
    /// the id is the one that this frontend knows the meeting by
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// the last column of `show meetings`, or `internal:` and the node's own id
    #[argh(positional)]
    id: String,
}

impl Meetings {
    pub(super) async fn run(self, context: &Context, secrets: bool) -> Result<Exit, CtlError> {
        let whose = match (&self.backend, &self.frontend) {
            (Some(_), Some(_)) => return Err(CtlError::Usage("give --backend or --frontend, not both".to_owned())),
            (Some(host), None) => MeetingsOf::Backend(host),
            (None, Some(key)) => MeetingsOf::Frontend(key),
            (None, None) => MeetingsOf::Everybody,
        };
        let api = context.api().await?;
        let meetings = match api.meetings(whose).await {
            Err(error) if error.is_not_found() => return Err(self.nobodys(&api)),
            meetings => meetings?,
        };
        let meetings: Vec<Meeting> = meetings.into_iter().map(|meeting| shown(meeting, secrets)).collect();
        context.console.object(&meetings)?;
        if !context.console.json {
            let names = Names::read(&api).await?;
            let head = ["meeting", "name", "frontend", "backend", "state", "people", "since", "id"];
            context.console.table(&head, meetings.iter().map(|meeting| names.row(meeting)))?;
        }
        Ok(Exit::Done)
    }

    fn nobodys(&self, api: &Api) -> CtlError {
        match (&self.backend, &self.frontend) {
            (Some(host), _) => missing(api, "backend", host, "b3scalectl show backends"),
            (None, key) => missing(api, "frontend", key.as_deref().unwrap_or_default(), "b3scalectl show frontends"),
        }
    }
}

/// What frontends and backends are called.
struct Names {
    frontends: HashMap<Uuid, String>,
    backends: HashMap<Uuid, String>,
}

impl Names {
    async fn read(api: &Api) -> Result<Self, CtlError> {
        let cluster = api.cluster().await?;
        let frontends = cluster.frontends.into_iter().map(|frontend| (frontend.id, frontend.key));
        let backends = cluster.backends.into_iter().map(|backend| (backend.id, backend.host));
        Ok(Self { frontends: frontends.collect(), backends: backends.collect() })
    }

    fn row(&self, meeting: &Meeting) -> Vec<String> {
        let name = |id: Option<Uuid>, names: &HashMap<Uuid, String>| {
            id.and_then(|id| names.get(&id).cloned()).unwrap_or_else(|| NOTHING.to_owned())
        };
        vec![
            meeting.frontend_meeting_id.clone(),
            meeting.meeting.meeting_name.clone(),
            name(meeting.frontend_id, &self.frontends),
            name(meeting.backend_id, &self.backends),
            meeting_stage(meeting.state).to_owned(),
            meeting.meeting.participant_count.to_string(),
            moment(meeting.created_at),
            meeting.id.clone(),
        ]
    }
}

impl OneMeeting {
    pub(super) async fn run(self, context: &Context, secrets: bool) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let meeting = shown(find(&api, &self.id, self.frontend.as_deref()).await?, secrets);
        context.console.object(&meeting)?;
        if !context.console.json {
            tell(context, &meeting, &Names::read(&api).await?)?;
        }
        Ok(Exit::Done)
    }
}

/// The meeting of an id: its node's, or its frontend's own if that is named.
pub(super) async fn find(api: &Api, id: &str, frontend: Option<&str>) -> Result<Meeting, CtlError> {
    let missing = || missing(api, "meeting", id, "b3scalectl show meetings");
    let Some(key) = frontend else {
        return match api.meeting(id).await {
            Err(error) if error.is_not_found() => Err(missing()),
            meeting => Ok(meeting?),
        };
    };
    let meetings = match api.meetings(MeetingsOf::Frontend(key)).await {
        Err(error) if error.is_not_found() => {
            return Err(super::show::missing(api, "frontend", key, "b3scalectl show frontends"));
        }
        meetings => meetings?,
    };
    meetings.into_iter().find(|meeting| meeting.frontend_meeting_id == id).ok_or_else(missing)
}

fn tell(context: &Context, meeting: &Meeting, names: &Names) -> Result<(), CtlError> {
    let head = ["meeting", "name", "frontend", "backend", "state", "people", "since"];
    context.console.table(&head, [names.row(meeting).into_iter().take(head.len()).collect()])?;
    let MeetingInfo { attendee_pw, moderator_pw, attendees, recording, .. } = &meeting.meeting;
    context
        .console
        .line(format!("\nid: {}\ninternal id: {}\nrecording: {recording}", meeting.id, meeting.internal_id))?;
    context.console.line(format!("attendee password: {attendee_pw}\nmoderator password: {moderator_pw}"))?;
    let rows = attendees.iter().flatten().map(|attendee| {
        vec![
            attendee.full_name.clone(),
            attendee.role.clone(),
            if attendee.has_video { "camera" } else { NOTHING }.to_owned(),
            if attendee.has_joined_voice { "voice" } else { NOTHING }.to_owned(),
            attendee.user_id.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    context.console.line("")?;
    context.console.table(&["attendee", "role", "video", "audio", "id"], rows)
}

/// A meeting to be shown.
fn shown(mut meeting: Meeting, secrets: bool) -> Meeting {
    veil(&mut meeting.meeting.attendee_pw, secrets);
    veil(&mut meeting.meeting.moderator_pw, secrets);
    meeting
}
