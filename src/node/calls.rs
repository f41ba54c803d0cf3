//! The calls of the API: their table, the checks before all of them, and the short ones.

mod create;
mod documents;
mod join;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::Shared;
use super::answers::{self, Failure, Reply};
use super::checksum::Signed;
use super::client;
use super::meeting::{ChatMessage, Meeting};
use super::params::Params;
use super::request::Request;
use super::state::NodeState;

pub(super) use create::{breakout, uncalled};
pub(super) use join::attendee;

const FORM: &[&str] = &["application/x-www-form-urlencoded", "multipart/form-data"];
const FORM_OR_XML: &[&str] =
    &["application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "text/xml"];
const XML: &[&str] = &["application/xml", "text/xml"];

type Answerer = fn(&Shared, &Request) -> Result<Reply, Failure>;

/// The node's handler of one name of the API.
struct Endpoint {
    methods: &'static [Method],
    contents: &'static [&'static str],
    answer: Answerer,
}

/// The name under which a path is known: a call, `index`, `html5client`, or nothing.
pub(super) fn name_of(path: &str) -> &str {
    match path {
        "/bigbluebutton" | "/bigbluebutton/" | "/bigbluebutton/api" | "/bigbluebutton/api/" => "index",
        _ if path.starts_with("/html5client") => "html5client",
        _ => path.strip_prefix("/bigbluebutton/api/").unwrap_or(""),
    }
}

/// Answers any request.
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let name = name_of(&request.path);
    if name == "html5client" {
        return client::answer(shared, request);
    }
    let Some(endpoint) = endpoint(name) else { return answers::html(StatusCode::NOT_FOUND, "Not Found") };
    if !endpoint.methods.contains(&request.method) {
        return answers::html(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    }
    let outcome = if name == "index" {
        Ok(answers::index(&shared.options.bbb_version))
    } else {
        signed(shared, request, name)
            .and_then(|()| acceptable(request, endpoint.contents))
            .and_then(|()| (endpoint.answer)(shared, request))
    };
    outcome.unwrap_or_else(|failure| match name {
        "join" => join::refuse(shared, request, &failure),
        _ => failure.reply(),
    })
}

fn endpoint(name: &str) -> Option<Endpoint> {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const BOTH: &[Method] = &[Method::GET, Method::POST];
    let (methods, contents, answer): (_, _, Answerer) = match name {
        "index" => (GET, FORM, |_, _| Err(Failure::Exception)),
        "create" => (BOTH, FORM_OR_XML, create::answer),
        "join" => (GET, FORM, join::answer),
        "isMeetingRunning" => (BOTH, FORM, is_meeting_running),
        "end" => (BOTH, FORM, end),
        "getMeetingInfo" => (BOTH, FORM, meeting_info),
        "getMeetings" => (BOTH, FORM, |shared, _| Ok(meetings(shared))),
        "getSessions" => (BOTH, FORM, |shared, _| Ok(sessions(shared))),
        "insertDocument" => (POST, XML, documents::insert),
        "sendChatMessage" => (GET, FORM, send_chat_message),
        _ => return None,
    };
    Some(Endpoint { methods, contents, answer })
}

/// The checksum is checked alone, before anything else of the call is looked at.
fn signed(shared: &Shared, request: &Request, call: &str) -> Result<(), Failure> {
    let given: Vec<_> = request.params.all("checksum").collect();
    let signed = Signed { call, raw_query: &request.raw_query, form: request.form.as_ref(), given: &given };
    signed.verify(&shared.options.secret, shared.options.checksum_digits)
}

fn acceptable(request: &Request, contents: &[&str]) -> Result<(), Failure> {
    match &request.content {
        Some(content) if !contents.contains(&content.as_str()) => {
            Err(Failure::key("unsupportedContentType", "POST request Content-Type is missing or unsupported"))
        }
        _ => Ok(()),
    }
}

/// The meeting id, at least `shortest` characters long.
fn meeting_id(params: &Params, shortest: usize) -> Result<&str, Failure> {
    let id = params.first("meetingID").ok_or_else(|| Failure::key("validationError", "Invalid meeting ID"))?;
    if id.is_empty() {
        return Err(Failure::key("missingParamMeetingID", "You must provide a meeting ID"));
    }
    if !(shortest..=256).contains(&length(id)) {
        return Err(Failure::key("sizeError", "Meeting ID must be between 2 and 256 characters"));
    }
    if id.contains(',') {
        return Err(Failure::key("validationError", "Meeting ID cannot contain ','"));
    }
    Ok(id)
}

/// Length as Java counts it.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A boolean that is refused when it is neither empty nor one of the four spellings.
fn boolean(params: &Params, name: &str, message: &'static str) -> Result<(), Failure> {
    let fits = |value: &str| ["true", "false", "0", "1"].iter().any(|word| word.eq_ignore_ascii_case(value));
    match params.given(name) {
        Some(value) if !fits(value) => Err(Failure::key("validationError", message)),
        _ => Ok(()),
    }
}

fn is_meeting_running(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    Ok(answers::running(shared.read().find(id).is_some_and(Meeting::is_running)))
}

fn meeting_info(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    shared.read().find(id).map(answers::meeting_info).ok_or_else(Failure::not_found)
}

fn meetings(shared: &Shared) -> Reply {
    answers::meetings(shared.read().all(), shared.options.group_numbers)
}

fn sessions(shared: &Shared) -> Reply {
    let state = shared.read();
    answers::sessions(state.all().flat_map(|meeting| meeting.attendees.iter().map(move |attendee| (meeting, attendee))))
}

fn end(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    let at = Instant::now() + shared.options.end_delay;
    shared.change(|state| {
        let meeting = state.find(id).ok_or_else(Failure::not_found)?;
        if request.params.given("password").is_some_and(|password| password != meeting.moderator_pw) {
            return Err(Failure::key("invalidPassword", "The supplied moderator password is incorrect"));
        }
        state.end(id, at);
        Ok(())
    })?;
    let message = "A request to end the meeting was sent.  Please wait a few seconds, and then use the getMeetingInfo \
                   or isMeetingRunning API calls to verify that it was ended.";
    Ok(answers::success("sentEndMeetingRequest", message))
}

fn send_chat_message(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    let text = request.params.first("message").unwrap_or_default();
    let user_name = request.params.given("userName").unwrap_or("System");
    if !(1..=500).contains(&length(text)) {
        return Err(Failure::key("validationError", "Message must be between 1 and 500 characters"));
    }
    if length(user_name) > 255 {
        return Err(Failure::key("validationError", "User name must be at most 255 characters"));
    }
    shared.change(|state: &mut NodeState| {
        let unknown = || Failure::key("meetingNotFound", "Meeting not found or not active");
        let meeting = state.find_mut(id).filter(|meeting| !meeting.is_ending()).ok_or_else(unknown)?;
        meeting.chat.push(ChatMessage { user_name: user_name.to_owned(), text: text.to_owned() });
        Ok(answers::success("", ""))
    })
}
