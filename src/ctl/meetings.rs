//! `show meetings` and `show meeting`: running meetings, their backends and frontends. Not in the original.

use std::collections::HashMap;

use argh::{ArgsInfo, FromArgs};
use b3scale_base::client::{Api, ApiError, MeetingsOf};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::{Attendee, ClusterReport, Meeting, MeetingInfo};
use uuid::Uuid;

use super::console::table;
use super::context::Context;
use super::find::missing;
use super::layout::{moment, veil};
use super::{CtlError, Exit};

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

/// One meeting and its attendees.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "meeting")]
pub(super) struct OneMeeting {
    /// take the id as this frontend's own
    #[argh(option, arg_name = "key")]
    frontend: Option<String>,
    /// an id as `show meetings` prints it, or the node's own
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
        let meetings = listed(&api, whose).await?.ok_or_else(|| self.nobodys(&api))?;
        let meetings: Vec<Meeting> = meetings.into_iter().map(|meeting| shown(meeting, secrets)).collect();
        let names = Names::read(context, &api).await?;
        let head = [&HEAD[..], &["id"]].concat();
        context.console.report(table(&head, meetings.iter().map(|meeting| names.row(meeting))), &meetings)
    }

    fn nobodys(&self, api: &Api) -> CtlError {
        match (&self.backend, &self.frontend) {
            (Some(host), _) => missing(api, "backend", host, "b3scalectl show backends"),
            (None, key) => missing(api, "frontend", key.as_deref().unwrap_or_default(), "b3scalectl show frontends"),
        }
    }
}

/// The printed fields of every meeting.
const HEAD: [&str; 7] = ["meeting", "name", "frontend", "backend", "state", "people", "since"];

/// What frontends and backends are called.
#[derive(Default)]
struct Names {
    frontends: HashMap<Uuid, String>,
    backends: HashMap<Uuid, String>,
}

impl Names {
    /// Programs know them by their ids.
    async fn read(context: &Context, api: &Api) -> Result<Self, CtlError> {
        if context.console.json {
            return Ok(Self::default());
        }
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
            meeting.state.to_string(),
            meeting.meeting.participant_count.to_string(),
            moment(meeting.created_at),
            meeting.id.clone(),
        ]
    }
}

impl OneMeeting {
    pub(super) async fn run(self, context: &Context, secrets: bool) -> Result<Exit, CtlError> {
        let api = context.api().await?;
        let meeting = shown(find(&api, &self.id, self.frontend.as_deref(), None).await?, secrets);
        let names = Names::read(context, &api).await?;
        context.console.report(told(&meeting, &names), &meeting)
    }
}

/// The meeting of an id: the one its node knows it by, the node's own, or the one its frontend knows it by. Of meetings that no
/// frontend owns only those of `place` are meant, if it is given.
pub(super) async fn find(
    api: &Api,
    id: &str,
    frontend: Option<&str>,
    place: Option<Uuid>,
) -> Result<Meeting, CtlError> {
    let meetings = match frontend {
        None => match api.meeting(id).await {
            Ok(meeting) if meeting.frontend_id.is_some() => return Ok(meeting),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            // A meeting that no frontend owns may have the id of any other.
            _ => listed(api, MeetingsOf::Everybody).await?.unwrap_or_default(),
        },
        Some(key) => {
            let no_frontend = || missing(api, "frontend", key, "b3scalectl show frontends");
            listed(api, MeetingsOf::Frontend(key)).await?.ok_or_else(no_frontend)?
        }
    };
    let own = id.strip_prefix("internal:").unwrap_or(id);
    let is_meant = |meeting: &&Meeting| {
        meeting.frontend_meeting_id == id || meeting.id == id || !own.is_empty() && meeting.internal_id == own
    };
    let is_at = |meeting: &&Meeting| place.is_none() || meeting.frontend_id.is_some() || meeting.backend_id == place;
    let meant: Vec<&Meeting> = meetings.iter().filter(is_meant).filter(is_at).collect();
    // A node has one meeting of an id.
    let stray = meant.iter().find(|meeting| place.is_some() && meeting.frontend_id.is_none() && meeting.id == id);
    match stray.map_or(&meant[..], std::slice::from_ref) {
        [] => Err(missing(api, "meeting", id, "b3scalectl show meetings")),
        [meeting] => Ok((*meeting).clone()),
        _ => Err(several(api, id, &meant).await?),
    }
}

/// The meetings of a frontend or a backend. `None`: there is no such frontend or backend.
async fn listed(api: &Api, whose: MeetingsOf<'_>) -> Result<Option<Vec<Meeting>>, ApiError> {
    match api.meetings(whose).await {
        Err(error) if error.is_not_found() => Ok(None),
        meetings => meetings.map(Some),
    }
}

/// Frontends may use the same id. The one its node knows a meeting by is of no other, unless no frontend owns the meeting.
async fn several(api: &Api, id: &str, meetings: &[&Meeting]) -> Result<CtlError, CtlError> {
    let ClusterReport { frontends, backends, .. } = api.cluster().await?;
    let said = |Meeting { id, internal_id, frontend_id, backend_id, .. }: &&Meeting| match frontend_id {
        Some(owner) => {
            let frontend = frontends.iter().find(|frontend| frontend.id == *owner);
            format!("`{id}` ({})", frontend.map_or(NOTHING, |frontend| &frontend.key))
        }
        None => {
            let backend = backends.iter().find(|backend| Some(backend.id) == *backend_id);
            let host = backend.map_or(NOTHING, |backend| &backend.host);
            format!("`internal:{internal_id}` (no frontend, on {host})")
        }
    };
    let (url, id, ids) =
        (api.url().to_owned(), id.to_owned(), meetings.iter().map(said).collect::<Vec<_>>().join(", "));
    Ok(CtlError::Several { url, id, ids })
}

fn told(meeting: &Meeting, names: &Names) -> String {
    let Meeting { id, internal_id, meeting: info, .. } = meeting;
    let MeetingInfo { attendee_pw, moderator_pw, attendees, recording, .. } = info;
    let place = table(&HEAD, [names.row(meeting).into_iter().take(HEAD.len()).collect()]);
    let text = format!(
        "{place}\n\nid: {id}\ninternal id: {internal_id}\nrecording: {recording}\n\
         attendee password: {attendee_pw}\nmoderator password: {moderator_pw}"
    );
    match attendees.as_deref() {
        None | Some([]) => text,
        Some(attendees) => {
            let people = table(&["attendee", "role", "video", "audio", "id"], attendees.iter().map(row));
            format!("{text}\n\n{people}")
        }
    }
}

fn row(attendee: &Attendee) -> Vec<String> {
    let on = |on: bool, word: &str| if on { word.to_owned() } else { NOTHING.to_owned() };
    vec![
        attendee.full_name.clone(),
        attendee.role.clone(),
        on(attendee.has_video, "camera"),
        on(attendee.has_joined_voice, "voice"),
        attendee.user_id.clone(),
    ]
}

/// A meeting to be shown.
fn shown(mut meeting: Meeting, secrets: bool) -> Meeting {
    veil(&mut meeting.meeting.attendee_pw, secrets);
    veil(&mut meeting.meeting.moderator_pw, secrets);
    meeting
}
