//! create: a new meeting in memory, or the existing one.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::super::checksum::sha1_hex;
use super::super::meeting::{Breakout, Limits, Meeting};
use super::super::random;
use super::documents::{self, Modules};
use super::{Failure, NodeState, Params, Reply, Request, Shared, answers, boolean, length, meeting_id};

/// Draws before a node gives up looking for a free number.
const DRAWS: usize = 10;

pub(super) fn answer(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let params = &request.params;
    let id = meeting_id(params, 2)?;
    let name = validated_name(params)?;
    let modules = documents::modules(request);
    let now = shared.epoch_ms();
    let reply = shared.change(|state| {
        let bridge = voice_bridge(state, params);
        let web_voice = params.given("webVoice").unwrap_or(&bridge).to_owned();
        if let Some(existing) = state.find(id).filter(|meeting| !meeting.is_ending()) {
            return duplicate(existing, params);
        }
        if state.voice_taken(&bridge) || state.voice_taken(&web_voice) {
            return Err(Failure::VoiceBridgeTaken);
        }
        let breakout = requested_breakout(state, params)?;
        let create_time = state.next_create_time(now);
        let mut meeting = Meeting { voice_bridge: bridge, web_voice, breakout, ..fresh(id, name, create_time, params) };
        let broken = modules.is_err() && !documents::disabled(params);
        documents::give(&mut meeting, modules.unwrap_or_else(|_| Modules::default()));
        let reply = answers::created(&meeting, false);
        state.insert(meeting);
        // A node has created the meeting by the time it finds that it cannot read the body.
        if broken { Err(Failure::Exception) } else { Ok(reply) }
    })?;
    Ok(reply)
}

/// A breakout as the conference core makes it: it inherits metadata and passwords. Gives its meeting id.
pub(in super::super) fn breakout(state: &mut NodeState, parent: &str, name: &str, now: u64) -> Option<String> {
    let parent = state.find(parent)?.clone();
    let create_time = state.next_create_time(now);
    let sequence = parent.breakout_rooms.len() as u64 + 1;
    let id = format!("{}-{create_time}", sha1_hex(&format!("{}-{create_time}-{sequence}", parent.internal_id)));
    let bridge = voice_bridge(state, &Params::default());
    state.insert(Meeting {
        voice_bridge: bridge.clone(),
        web_voice: bridge,
        attendee_pw: parent.attendee_pw,
        moderator_pw: parent.moderator_pw,
        metadata: parent.metadata,
        breakout: Some(Breakout { parent_internal_id: parent.internal_id, sequence, free_join: false }),
        ..fresh(&id, name, create_time, &Params::default())
    });
    Some(id)
}

/// A meeting without a create call. Returns its internal id.
pub(in super::super) fn uncalled(state: &mut NodeState, id: &str, now: u64) -> String {
    let create_time = state.next_create_time(now);
    let bridge = voice_bridge(state, &Params::default());
    let meeting =
        Meeting { voice_bridge: bridge.clone(), web_voice: bridge, ..fresh(id, id, create_time, &Params::default()) };
    let internal_id = meeting.internal_id.clone();
    state.insert(meeting);
    internal_id
}

fn validated_name(params: &Params) -> Result<&str, Failure> {
    let name =
        params.given("name").ok_or_else(|| Failure::key("validationError", "You must provide a meeting name"))?;
    if !(2..=256).contains(&length(name)) {
        return Err(Failure::key("sizeError", "Meeting name must be between 2 and 256 characters"));
    }
    if params.given("voiceBridge").is_some_and(|number| number.parse::<i64>().is_err()) {
        return Err(Failure::key("validationError", "Voice bridge must be an integral value"));
    }
    for password in ["attendeePW", "moderatorPW"] {
        if params.given(password).is_some_and(|password| !(2..=64).contains(&length(password))) {
            return Err(Failure::key("invalidPassword", "Invalid password"));
        }
    }
    boolean(params, "record", "Record must be a boolean value (true or false)")?;
    let message = "You must provide a boolean value (true or false) for the breakout room";
    boolean(params, "isBreakoutRoom", message)?;
    let is_url = |url: &str| url.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some() && url.host().is_some());
    if params.given("presentationUploadExternalUrl").is_some_and(|url| !is_url(url)) {
        let message = "Param 'presentationUploadExternalUrl' is not a valid URL";
        return Err(Failure::key("validationError", message));
    }
    Ok(name)
}

fn voice_bridge(state: &NodeState, params: &Params) -> String {
    let draw = || fastrand::u32(100_000_000..1_000_000_000).to_string();
    let free = || (0..DRAWS).map(|_| draw()).find(|number| !state.voice_taken(number)).unwrap_or_else(draw);
    params.given("voiceBridge").map_or_else(free, str::to_owned)
}

/// Since 2.6: the same pair of passwords, or none at all, means the same meeting.
fn duplicate(existing: &Meeting, params: &Params) -> Result<Reply, Failure> {
    let same = match (params.given("attendeePW"), params.given("moderatorPW")) {
        (None, None) => true,
        (Some(attendee), Some(moderator)) => attendee == existing.attendee_pw && moderator == existing.moderator_pw,
        _ => false,
    };
    if same {
        return Ok(answers::created(existing, true));
    }
    let message = "A meeting already exists with that meeting ID.  Please use a different meeting ID.";
    Err(Failure::key("idNotUnique", message))
}

fn requested_breakout(state: &NodeState, params: &Params) -> Result<Option<Breakout>, Failure> {
    if !params.flag("isBreakout") {
        return Ok(None);
    }
    let missing = "No parent meeting ID was provided for the breakout room";
    let parent = params.given("parentMeetingID").ok_or_else(|| Failure::key("parentMeetingIdMissing", missing))?;
    let unknown = "No parent meeting exists for the breakout room.";
    let parent = state.find(parent).ok_or_else(|| Failure::key("parentMeetingDoesNotExist", unknown))?;
    Ok(Some(Breakout {
        parent_internal_id: parent.internal_id.clone(),
        sequence: params.number("sequence").unwrap_or(0),
        free_join: params.flag("freeJoin"),
    }))
}

fn fresh(id: &str, name: &str, create_time: u64, params: &Params) -> Meeting {
    let password = |name: &str| params.given(name).map_or_else(|| random(8), str::to_owned);
    Meeting {
        meeting_id: id.to_owned(),
        internal_id: format!("{}-{create_time}", sha1_hex(id)),
        name: name.to_owned(),
        attendee_pw: password("attendeePW"),
        moderator_pw: password("moderatorPW"),
        create_time,
        voice_bridge: String::new(),
        web_voice: String::new(),
        dial_number: params.given("dialNumber").unwrap_or("613-555-1234").to_owned(),
        duration: params.number("duration").unwrap_or(0),
        record: params.flag("record"),
        marked: false,
        max_users: params.number("maxParticipants").unwrap_or(0),
        metadata: metadata(params),
        params: params.without("checksum"),
        breakout: None,
        breakout_rooms: Vec::new(),
        documents: Vec::new(),
        client_settings: None,
        chat: Vec::new(),
        attendees: Vec::new(),
        has_user_joined: false,
        limits: Limits::of(params),
        created_at: Instant::now(),
        last_left: None,
        moderator_left: None,
        ends_at: None,
    }
}

/// `meta_` and a letter, then letters, digits and dashes. Keys are lower-cased; any other is dropped without a word.
fn metadata(params: &Params) -> BTreeMap<String, String> {
    let fits = |key: &str| {
        key.starts_with(|first: char| first.is_ascii_alphabetic())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let key = |name: &str| name.strip_prefix("meta_").filter(|key| fits(key)).map(str::to_ascii_lowercase);
    params.iter().filter_map(|(name, value)| Some((key(name)?, value.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_keys_are_lower_cased_and_odd_ones_dropped() {
        let params = Params::parse("meta_Foo-Bar=1&meta_foo_bar=2&meta_1x=3&meta_=4&meta=5");
        assert_eq!(metadata(&params), BTreeMap::from([("foo-bar".to_owned(), "1".to_owned())]));
    }
}
