//! join: a session in a meeting, and the way to the client.

use std::collections::BTreeMap;

use http::header::{self, HeaderValue};
use http::{StatusCode, Uri};
use tokio::time::Instant;

use super::super::meeting::{Attendee, Media, Meeting, Presence, Role};
use super::super::params::encoded;
use super::super::random;
use super::{Failure, Params, Reply, Request, Shared, answers, boolean, meeting_id};

/// BBB's own message key.
const ROLE_REFUSED: &str = "Params required";

pub(super) fn answer(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let params = &request.params;
    let id = meeting_id(params, 1)?;
    let name = validated_name(params)?;
    shared.change(|state| {
        let unknown = || Failure::key("invalidMeetingIdentifier", "A meeting with that ID does not exist");
        let meeting = state.find(id).ok_or_else(unknown)?;
        let attendee = admitted(meeting, params, name)?;
        let reply = reply(shared, meeting, &attendee, wants_redirect(params));
        let internal_id = meeting.internal_id.clone();
        state.enter(&internal_id, attendee);
        Ok(reply)
    })
}

/// A failed join sends the browser on, unless it is about the role or the caller wants no redirect.
pub(super) fn refuse(shared: &Shared, request: &Request, failure: &Failure) -> Reply {
    let Failure::Key { key, message } = failure else { return failure.reply() };
    if *key == ROLE_REFUSED || !wants_redirect(&request.params) {
        return failure.reply();
    }
    let errors = serde_json::json!([{ "key": key, "message": message }]);
    let wanted = ["errorRedirectUrl", "logoutURL"].iter().find_map(|name| web_address(request.params.given(name)?));
    let target = wanted.unwrap_or_else(|| shared.public_url());
    redirect(&with_query(&target, &format!("errors={}", encoded(&errors.to_string()))))
}

/// Someone new, not yet in the meeting.
pub(in super::super) fn attendee(name: &str, role: Role) -> Attendee {
    let kind = if role == Role::DialIn { 'v' } else { 'w' };
    let internal_id = format!("{kind}_{}", random(12));
    Attendee {
        user_id: internal_id.clone(),
        internal_id,
        name: name.to_owned(),
        role,
        presenter: false,
        media: Media::default(),
        custom_data: BTreeMap::new(),
        auth_token: random(12),
        session_token: random(16),
        presence: Presence::Entered(Instant::now()),
    }
}

/// Where a session opens the client.
fn client_url(shared: &Shared, session_token: &str) -> String {
    format!("{}/html5client/?sessionToken={session_token}", shared.public_url())
}

fn validated_name(params: &Params) -> Result<&str, Failure> {
    let missing = || Failure::key("missingParamFullName", "You must provide your name");
    let name = params.given("fullName").ok_or_else(missing)?;
    boolean(params, "guest", "Guest must be a boolean value (true or false)")?;
    boolean(params, "auth", "Auth must be a boolean value (true or false)")?;
    if params.given("createTime").is_some_and(|time| time.parse::<i64>().is_err()) {
        return Err(Failure::key("validationError", "Create time must be an integral value"));
    }
    Ok(name)
}

fn admitted(meeting: &Meeting, params: &Params, name: &str) -> Result<Attendee, Failure> {
    if meeting.is_ending() {
        let message = "You can not join a meeting that has already been forcibly ended";
        return Err(Failure::key("meetingForciblyEnded", message));
    }
    if params.given("createTime").is_some_and(|time| time != meeting.create_time.to_string()) {
        let message = "The createTime parameter submitted mismatches with the current meeting.";
        return Err(Failure::key("mismatchCreateTimeParam", message));
    }
    let role = role(meeting, params)?;
    let user_id = params.given("userID");
    if !meeting.has_room_for(user_id) {
        let message = "The number of participants allowed for this meeting has been reached.";
        return Err(Failure::key("maxParticipantsReached", message));
    }
    let mut attendee = attendee(name, role);
    attendee.presence = presence(meeting, params, role)?;
    attendee.custom_data = custom_data(params);
    if let Some(user_id) = user_id {
        attendee.user_id = user_id.to_owned();
    }
    Ok(attendee)
}

/// A known role counts before any password.
fn role(meeting: &Meeting, params: &Params) -> Result<Role, Failure> {
    let role = params.given("role").unwrap_or_default();
    if role.eq_ignore_ascii_case("MODERATOR") {
        return Ok(Role::Moderator);
    }
    if role.eq_ignore_ascii_case("VIEWER") {
        return Ok(Role::Viewer);
    }
    match params.given("password") {
        Some(password) if password == meeting.moderator_pw => Ok(Role::Moderator),
        Some(password) if password == meeting.attendee_pw => Ok(Role::Viewer),
        Some(_) => Err(Failure::key(ROLE_REFUSED, "You must enter a valid password")),
        None => {
            let message =
                "You must either send the valid role of the user, or the password, sould the meeting has one.";
            Err(Failure::key(ROLE_REFUSED, message))
        }
    }
}

/// The guest policy of a node with `authenticatedGuest=true`. A `guest` parameter of any value makes unauthenticated.
fn presence(meeting: &Meeting, params: &Params, role: Role) -> Result<Presence, Failure> {
    let guest = params.flag("guest");
    let authed = params.flag("auth") || (params.given("auth").is_none() && params.given("guest").is_none());
    let policy = meeting.params.given("guestPolicy").unwrap_or("ALWAYS_ACCEPT");
    match policy {
        _ if role == Role::Moderator => Ok(Presence::Entered(Instant::now())),
        "ALWAYS_DENY" => {
            let message = "You have been denied access to this meeting based on the meeting's guest policy";
            Err(Failure::key("guestDeniedAccess", message))
        }
        "ALWAYS_ACCEPT_AUTH" if guest => Ok(Presence::Waiting),
        "ASK_MODERATOR" if guest || authed => Ok(Presence::Waiting),
        _ => Ok(Presence::Entered(Instant::now())),
    }
}

/// Every name that begins with `userdata` counts. The text after its first dash becomes the name of an element, even if that is
/// an invalid name.
fn custom_data(params: &Params) -> BTreeMap<String, String> {
    let key = |name: &str| Some(name.strip_prefix("userdata")?.split_once('-')?.1.to_owned());
    params.iter().filter_map(|(name, value)| Some((key(name)?, value.to_owned()))).collect()
}

fn wants_redirect(params: &Params) -> bool {
    params.given("redirect").is_none_or(|value| value.eq_ignore_ascii_case("true"))
}

fn reply(shared: &Shared, meeting: &Meeting, attendee: &Attendee, redirected: bool) -> Reply {
    let url = client_url(shared, &attendee.session_token);
    let mut reply = if redirected { redirect(&url) } else { answers::joined(meeting, attendee, &url) };
    let secure = if shared.options.tls.is_some() { " Secure;" } else { "" };
    let cookie = format!("JSESSIONID={}; Path=/bigbluebutton;{secure} HttpOnly", random(32).to_uppercase());
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        reply.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    reply
}

fn redirect(target: &str) -> Reply {
    let Ok(location) = HeaderValue::try_from(target) else { return Failure::Exception.reply() };
    let mut reply = answers::reply(StatusCode::FOUND, "text/html;charset=utf-8", "");
    reply.headers_mut().insert(header::LOCATION, location);
    reply
}

/// An address a browser may be sent to; anything else counts as not given.
fn web_address(url: &str) -> Option<String> {
    let (address, _) = url.split_once('#').unwrap_or((url, ""));
    let parsed: Uri = address.parse().ok()?;
    matches!(parsed.scheme_str(), Some("http" | "https")).then(|| url.to_owned())
}

/// Adds to the query and keeps the fragment.
fn with_query(url: &str, item: &str) -> String {
    let (address, fragment) = url.split_once('#').map_or((url, None), |(address, fragment)| (address, Some(fragment)));
    let joint = if address.contains('?') { '&' } else { '?' };
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{address}{joint}{item}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_added_to_a_query_before_the_fragment() {
        assert_eq!(with_query("https://a.example/x", "e=1"), "https://a.example/x?e=1");
        assert_eq!(with_query("https://a.example/x?y=2#top", "e=1"), "https://a.example/x?y=2&e=1#top");
    }

    #[test]
    fn only_web_addresses_are_redirected_to() {
        assert_eq!(web_address("javascript:alert(1)"), None);
        assert_eq!(web_address("/home"), None);
        assert!(web_address("https://a.example/x#top").is_some());
    }
}
