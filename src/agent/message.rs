//! BBB's messages on Redis about meetings and their attendees.
//!
//! Fields come and go between releases of BBB: unneeded ones are skipped, and optional ones have defaults.

use std::borrow::Cow;

use b3scale_base::rest::{AttendeeChange, NodeAttendee, NodeMeeting};
use serde::Deserialize;
use serde_json::Value;

use super::said::{self, Said};

/// Something that BBB says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// A meeting was created.
    Created(NodeMeeting),
    /// A meeting ended, or was dropped.
    Ended {
        /// The node's own id of it.
        meeting: String,
    },
    /// A recording was started or paused.
    Recording { meeting: String, on: bool },
    /// Something about someone.
    Attendee {
        /// The node's own id of the meeting.
        meeting: String,
        /// The node's id of them.
        id: String,
        /// What.
        what: About,
    },
}

/// Something about someone in a meeting.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum About {
    /// They are there.
    Joined(NodeAttendee),
    /// They are not there any more.
    Left,
    /// They are something else now.
    Is(AttendeeChange),
    /// They are in the voice conference: to speak, or to listen only. Who only telephones has no other arrival.
    InVoice { listens: bool, name: String },
    /// They are not there any more.
    OutOfVoice,
    /// A camera of theirs was switched on or off.
    Camera { stream: String, on: bool },
}

/// An unreadable message. Its contents are not shown, since they may hold a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misunderstood {
    /// It is no JSON, or not BBB's.
    #[error("it is no message of BBB: {category} at line {line}, column {column}")]
    NoMessage { category: &'static str, line: usize, column: usize },
    /// It lacks something.
    #[error("{message} has no {field}")]
    Missing { message: String, field: &'static str },
}

/// The type of a message. The rest is read only for the few types of interest.
#[derive(Deserialize)]
struct Envelope<'m> {
    #[serde(borrow)]
    envelope: Name<'m>,
}

#[derive(Deserialize)]
struct Name<'m> {
    #[serde(borrow)]
    name: Cow<'m, str>,
}

/// A message for us and for webhooks. `None`: it is about something else.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Read {
    pub(super) heard: Option<Heard>,
    /// For webhooks that want it.
    pub(super) said: Option<Said>,
}

/// Reads a message. `tells`: webhooks want theirs.
pub(super) fn read(message: &[u8], tells: bool) -> Result<Read, Misunderstood> {
    let Envelope { envelope } = serde_json::from_slice(message).map_err(|error| no_message(&error))?;
    let (reader, tells) = (reader(&envelope.name), tells && said::is_told(&envelope.name));
    if reader.is_none() && !tells {
        return Ok(Read::default());
    }
    let whole: Value = serde_json::from_slice(message).map_err(|error| no_message(&error))?;
    let missing = |field| Misunderstood::Missing { message: envelope.name.clone().into_owned(), field };
    let heard = reader.map(|reader| reader(&Message(&whole)).map_err(missing)).transpose()?;
    Ok(Read { heard, said: tells.then(|| Said { name: envelope.name.into_owned(), whole }) })
}

fn no_message(error: &serde_json::Error) -> Misunderstood {
    let category = match error.classify() {
        serde_json::error::Category::Eof => "it ends early",
        serde_json::error::Category::Data => "something else was expected",
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "a syntax error",
    };
    Misunderstood::NoMessage { category, line: error.line(), column: error.column() }
}

type Reader = fn(&Message<'_>) -> Result<Heard, &'static str>;

fn reader(name: &str) -> Option<Reader> {
    Some(match name {
        "MeetingCreatedEvtMsg" => created,
        "MeetingEndedEvtMsg" | "MeetingDestroyedEvtMsg" => ended,
        "RecordingStatusChangedEvtMsg" => {
            |message| Ok(Heard::Recording { meeting: message.meeting()?, on: message.flag("recording") })
        }
        "UserJoinedMeetingEvtMsg" => joined,
        "UserLeftMeetingEvtMsg" => |message| message.attendee(&["intId", "userId"], About::Left),
        "UserRoleChangedEvtMsg" => |message| {
            let moderator = Some(is_moderator(&message.text("role").ok_or("role")?));
            message.attendee(&["userId"], About::Is(AttendeeChange { moderator, ..AttendeeChange::default() }))
        },
        "PresenterAssignedEvtMsg" => |message| message.attendee(&["presenterId"], presents(true)),
        "PresenterUnassignedEvtMsg" => |message| message.attendee(&["intId"], presents(false)),
        "UserJoinedVoiceConfToClientEvtMsg" => |message| {
            let name = message.text("callerName").unwrap_or_default();
            message.attendee(&["intId"], About::InVoice { listens: message.flag("listenOnly"), name })
        },
        "UserLeftVoiceConfToClientEvtMsg" => |message| message.attendee(&["intId"], About::OutOfVoice),
        "UserBroadcastCamStartedEvtMsg" => |message| camera(message, true),
        "UserBroadcastCamStoppedEvtMsg" => |message| camera(message, false),
        _ => return None,
    })
}

fn created(message: &Message<'_>) -> Result<Heard, &'static str> {
    let props = message.body("props").ok_or("props")?;
    let (of_meeting, of_duration) = (&props["meetingProp"], &props["durationProps"]);
    Ok(Heard::Created(NodeMeeting {
        internal_id: text(&of_meeting["intId"]).ok_or("intId")?,
        id: text(&of_meeting["extId"]).ok_or("extId")?,
        create_time: number(&of_duration["createdTime"]),
        breakout: flag(&of_meeting["isBreakout"]),
        recording: false,
    }))
}

/// The id is in the body here: these are told by the system, not within a meeting.
fn ended(message: &Message<'_>) -> Result<Heard, &'static str> {
    Ok(Heard::Ended { meeting: message.text("meetingId").or_else(|| message.meeting().ok()).ok_or("meetingId")? })
}

fn joined(message: &Message<'_>) -> Result<Heard, &'static str> {
    let internal_id = message.text("intId").ok_or("intId")?;
    let attendee = NodeAttendee {
        user_id: message.text("extId").unwrap_or_else(|| internal_id.clone()),
        full_name: message.text("name").unwrap_or_default(),
        moderator: is_moderator(&message.text("role").unwrap_or_default()),
        presenter: message.flag("presenter"),
        client_type: message.text("clientType").unwrap_or_default(),
        internal_id: internal_id.clone(),
        ..NodeAttendee::default()
    };
    Ok(Heard::Attendee { meeting: message.meeting()?, id: internal_id, what: About::Joined(attendee) })
}

fn camera(message: &Message<'_>, on: bool) -> Result<Heard, &'static str> {
    let stream = message.text("stream").ok_or("stream")?;
    message.attendee(&["userId"], About::Camera { stream, on })
}

fn presents(presenter: bool) -> About {
    About::Is(AttendeeChange { presenter: Some(presenter), ..AttendeeChange::default() })
}

pub(super) fn is_moderator(role: &str) -> bool {
    role == "MODERATOR"
}

/// A whole message.
struct Message<'m>(&'m Value);

impl Message<'_> {
    fn body(&self, field: &str) -> Option<&Value> {
        self.0["core"]["body"].get(field)
    }

    fn text(&self, field: &str) -> Option<String> {
        text(self.body(field)?)
    }

    fn flag(&self, field: &str) -> bool {
        self.body(field).is_some_and(flag)
    }

    /// The meeting within which it is said.
    fn meeting(&self) -> Result<String, &'static str> {
        let places = [&self.0["core"]["header"]["meetingId"], &self.0["envelope"]["routing"]["meetingId"]];
        places.into_iter().find_map(text).ok_or("meetingId")
    }

    /// Something about the one who is named in the first of these fields that is there, or else in the header.
    fn attendee(&self, fields: &[&'static str], what: About) -> Result<Heard, &'static str> {
        let in_header = || text(&self.0["core"]["header"]["userId"]).filter(|id| id != "not-used" && id != "system");
        let id = fields.iter().find_map(|field| self.text(field)).or_else(in_header).ok_or(fields[0])?;
        Ok(Heard::Attendee { meeting: self.meeting()?, id, what })
    }
}

/// An empty text is missing. U+0000 is left out, since no database keeps it.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace('\0', "")).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str() == Some("true"))
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::proptest;
    use serde_json::json;

    use super::*;

    fn message(name: &str, body: &Value) -> Vec<u8> {
        let routing = json!({ "msgType": "BROADCAST_TO_MEETING", "meetingId": "m-1", "userId": "w_1" });
        let header = json!({ "name": name, "meetingId": "m-1", "userId": "w_1" });
        let envelope = json!({ "name": name, "routing": routing, "timestamp": 1 });
        json!({ "envelope": envelope, "core": { "header": header, "body": body } }).to_string().into_bytes()
    }

    fn heard(name: &str, body: &Value) -> Heard {
        read(&message(name, body), false).unwrap().heard.unwrap()
    }

    fn about(id: &str, what: About) -> Heard {
        Heard::Attendee { meeting: "m-1".to_owned(), id: id.to_owned(), what }
    }

    #[test]
    fn meetings_come_and_go() {
        let props = json!({ "meetingProp": { "extId": "abc", "intId": "m-1", "isBreakout": true, "new": [] },
            "durationProps": { "createdTime": 1_700_000_000_000_i64 } });
        let meeting = NodeMeeting {
            internal_id: "m-1".to_owned(),
            id: "abc".to_owned(),
            create_time: 1_700_000_000_000,
            breakout: true,
            recording: false,
        };
        assert_eq!(heard("MeetingCreatedEvtMsg", &json!({ "props": props })), Heard::Created(meeting));
        for name in ["MeetingEndedEvtMsg", "MeetingDestroyedEvtMsg"] {
            assert_eq!(heard(name, &json!({ "meetingId": "m-2" })), Heard::Ended { meeting: "m-2".to_owned() });
        }
        let recording = heard("RecordingStatusChangedEvtMsg", &json!({ "recording": true, "setBy": "w_1" }));
        assert_eq!(recording, Heard::Recording { meeting: "m-1".to_owned(), on: true });
    }

    #[test]
    fn attendees_come_change_and_go() {
        let body =
            json!({ "intId": "w_1", "extId": "gl-1", "name": "Ada", "role": "MODERATOR", "clientType": "HTML5" });
        let Heard::Attendee { what: About::Joined(ada), .. } = heard("UserJoinedMeetingEvtMsg", &body) else {
            panic!()
        };
        assert!(ada.moderator && !ada.presenter);
        assert_eq!((&*ada.user_id, &*ada.client_type), ("gl-1", "HTML5"));
        assert_eq!(heard("UserLeftMeetingEvtMsg", &json!({ "intId": "w_2" })), about("w_2", About::Left));
        assert_eq!(heard("UserLeftMeetingEvtMsg", &json!({})), about("w_1", About::Left));
        assert_eq!(heard("PresenterAssignedEvtMsg", &json!({ "presenterId": "w_3" })), about("w_3", presents(true)));
        let camera = |on| About::Camera { stream: "s".to_owned(), on };
        let body = json!({ "userId": "w_1", "stream": "s" });
        assert_eq!(heard("UserBroadcastCamStartedEvtMsg", &body), about("w_1", camera(true)));
        assert_eq!(heard("UserBroadcastCamStoppedEvtMsg", &body), about("w_1", camera(false)));
        let voice = About::InVoice { listens: true, name: "Ada".to_owned() };
        let body = json!({ "intId": "w_1", "listenOnly": true, "callerName": "Ada" });
        assert_eq!(heard("UserJoinedVoiceConfToClientEvtMsg", &body), about("w_1", voice));
    }

    #[test]
    fn what_is_of_no_interest_is_passed_over() {
        for tells in [false, true] {
            assert_eq!(read(&message("SendCursorPositionEvtMsg", &json!({ "x": 1 })), tells), Ok(Read::default()));
            assert_eq!(read(br#"{"envelope":{"name":"New","routing":7},"core":null}"#, tells), Ok(Read::default()));
        }
        let poll = message("PollStartedEvtMsg", &json!({ "pollId": "p" }));
        assert_eq!(read(&poll, false), Ok(Read::default()));
        let Read { heard, said } = read(&poll, true).unwrap();
        assert_eq!((heard, said.map(|said| said.name)), (None, Some("PollStartedEvtMsg".to_owned())));
    }

    #[test]
    fn what_cannot_be_understood_is_told_without_what_it_holds() {
        let said = |message: &[u8]| read(message, false).unwrap_err().to_string();
        assert_eq!(said(b"{\"envelope\":"), "it is no message of BBB: it ends early at line 1, column 12");
        assert!(said(br#"{"name":"Ada"}"#).starts_with("it is no message of BBB: something else was expected"));
        assert!(said(b"\xff\xfe").contains("a syntax error"));
        assert_eq!(
            said(&message("UserJoinedMeetingEvtMsg", &json!({ "name": "Ada" }))),
            "UserJoinedMeetingEvtMsg has no intId"
        );
        assert_eq!(
            said(&message("UserRoleChangedEvtMsg", &json!({ "userId": "w" }))),
            "UserRoleChangedEvtMsg has no role"
        );
        let nowhere = br#"{"envelope":{"name":"UserLeftMeetingEvtMsg"},"core":{"header":{},"body":{"intId":"w"}}}"#;
        assert_eq!(said(nowhere), "UserLeftMeetingEvtMsg has no meetingId");
    }

    proptest! {
        #[test]
        fn whatever_a_body_holds_is_read_or_refused(
            name in "(Meeting|User)(Created|Ended|JoinedMeeting|LeftMeeting|BroadcastCamStarted)EvtMsg",
            field in "(intId|extId|props|meetingId|stream|userId|name)",
            value in r#"(null|7|-1e9|"x"|\[\]|\{\}|true|\{"meetingProp":7\})"#,
        ) {
            let value: Value = serde_json::from_str(&value).unwrap();
            let _ = read(&message(&name, &json!({ (field): value })), false);
        }
    }
}
