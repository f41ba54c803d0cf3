//! The XML a node answers with: element order, empty shapes and error shapes of BBB 3.0.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Response, StatusCode, header};

use super::meeting::{Attendee, Meeting, Role};
use super::xml::{Xml, java_date};

/// A whole answer, before it is sent well or badly.
pub(super) type Reply = Response<Bytes>;

/// Of a create of a meeting that is there.
const LINGERS: &str = "This conference was already in existence and may currently be in progress.";

/// Why a call fails, in the shape in which BBB says so.
#[derive(Debug)]
pub(super) enum Failure {
    /// The normal shape.
    Key { key: &'static str, message: Cow<'static, str> },
    /// The errors list, without a message key at the top.
    VoiceBridgeTaken,
    /// The shape of insertDocument, without any message key.
    Message(String),
    /// An uncaught exception.
    Exception,
}

impl Failure {
    pub(super) fn key(key: &'static str, message: impl Into<Cow<'static, str>>) -> Failure {
        Failure::Key { key, message: message.into() }
    }

    pub(super) fn not_found() -> Failure {
        Failure::key("notFound", "A meeting with that ID does not exist")
    }

    /// The answer: status 200 for every logical failure.
    pub(super) fn reply(&self) -> Reply {
        let mut xml = Xml::response("FAILED");
        match self {
            Failure::Key { key, message } => {
                xml.leaf("messageKey", key).leaf("message", message);
            }
            Failure::VoiceBridgeTaken => {
                xml.open("errors").open("error").leaf("key", "nonUniqueVoiceBridge");
                xml.leaf("message", "The selected voice bridge is already in use.").close("error").close("errors");
            }
            Failure::Message(message) => {
                xml.leaf("message", message);
            }
            Failure::Exception => return html(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
        document(xml)
    }
}

/// A finished document as BBB sends it.
pub(super) fn document(xml: Xml) -> Reply {
    reply(StatusCode::OK, "text/xml;charset=utf-8", xml.finish())
}

/// A page as nginx and Grails send it when there is no API answer.
pub(super) fn html(status: StatusCode, title: &str) -> Reply {
    let code = status.as_u16();
    let page =
        format!("<html>\n<head><title>{code} {title}</title></head>\n<body><h1>{code} {title}</h1></body>\n</html>\n");
    reply(status, "text/html;charset=utf-8", page)
}

/// Any other answer.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    reply.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    reply
}

/// The version document. `version` is empty unless the node reveals it.
pub(super) fn index(version: &str) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("version", "2.0").leaf("apiVersion", "2.0").leaf("bbbVersion", version);
    document(xml)
}

/// The answer of create, for a new or an existing meeting.
pub(super) fn created(meeting: &Meeting, duplicate: bool) -> Reply {
    let (key, message) = if duplicate { ("duplicateWarning", LINGERS) } else { ("", "") };
    let parent = meeting.breakout.as_ref().map_or("bbb-none", |breakout| &breakout.parent_internal_id);
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("meetingID", &meeting.meeting_id)
        .leaf("internalMeetingID", &meeting.internal_id)
        .leaf("parentMeetingID", parent)
        .leaf("attendeePW", &meeting.attendee_pw)
        .leaf("moderatorPW", &meeting.moderator_pw)
        .leaf("createTime", meeting.create_time)
        .leaf("voiceBridge", &meeting.voice_bridge)
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("createDate", java_date(meeting.create_time))
        .leaf("hasUserJoined", meeting.has_user_joined)
        .leaf("duration", meeting.duration)
        .leaf("hasBeenForciblyEnded", meeting.is_ending())
        .leaf("messageKey", key)
        .leaf("message", message);
    document(xml)
}

/// The answer of isMeetingRunning.
pub(super) fn running(running: bool) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("running", running);
    document(xml)
}

/// A success that says something, or, with empty texts, has the elements for it.
pub(super) fn success(key: &str, message: &str) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("messageKey", key).leaf("message", message);
    document(xml)
}

/// The answer of insertDocument.
pub(super) fn uploading() -> Reply {
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("message", "Presentation is being uploaded");
    document(xml)
}

/// The answer of getMeetingInfo.
pub(super) fn meeting_info(meeting: &Meeting) -> Reply {
    let mut xml = Xml::response("SUCCESS");
    write_meeting(&mut xml, meeting, false);
    document(xml)
}

/// The answer of getMeetings; `grouped` prints counts as a node with a locale does (`1,000`).
pub(super) fn meetings<'a>(meetings: impl Iterator<Item = &'a Meeting>, grouped: bool) -> Reply {
    list("meetings", meetings, "noMeetings", "no meetings were found on this server", |xml, meeting| {
        xml.open("meeting");
        write_meeting(xml, meeting, grouped);
        xml.close("meeting");
    })
}

/// The answer of getSessions: one entry for every session of a user.
pub(super) fn sessions<'a>(sessions: impl Iterator<Item = (&'a Meeting, &'a Attendee)>) -> Reply {
    list("sessions", sessions, "noSessions", "no sessions were found on this serverr", |xml, (meeting, attendee)| {
        xml.open("meeting").leaf("meetingID", &meeting.internal_id).leaf("meetingName", &meeting.name);
        xml.leaf("userName", &attendee.name).close("meeting");
    })
}

/// The answer of join to a caller that does not want to be redirected.
pub(super) fn joined(meeting: &Meeting, attendee: &Attendee, url: &str) -> Reply {
    let (key, message, status) = if attendee.is_waiting() {
        ("guestWait", "Guest waiting for approval to join meeting.", "WAIT")
    } else {
        ("successfullyJoined", "You have joined successfully.", "ALLOW")
    };
    let mut xml = Xml::response("SUCCESS");
    xml.leaf("messageKey", key)
        .leaf("message", message)
        .leaf("meeting_id", &meeting.internal_id)
        .leaf("user_id", &attendee.internal_id)
        .leaf("auth_token", &attendee.auth_token)
        .leaf("session_token", &attendee.session_token)
        .leaf("guestStatus", status)
        .leaf("url", url);
    document(xml)
}

fn list<T>(name: &str, items: impl Iterator<Item = T>, key: &str, message: &str, write: impl Fn(&mut Xml, T)) -> Reply {
    let mut items = items.peekable();
    let mut xml = Xml::response("SUCCESS");
    if items.peek().is_none() {
        xml.empty(name).leaf("messageKey", key).leaf("message", message);
    } else {
        xml.open(name);
        items.for_each(|item| write(&mut xml, item));
        xml.close(name);
    }
    document(xml)
}

fn write_meeting(xml: &mut Xml, meeting: &Meeting, grouped: bool) {
    xml.leaf("meetingName", &meeting.name)
        .leaf("meetingID", &meeting.meeting_id)
        .leaf("internalMeetingID", &meeting.internal_id)
        .leaf("createTime", meeting.create_time)
        .leaf("createDate", java_date(meeting.create_time))
        .leaf("voiceBridge", &meeting.voice_bridge)
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("attendeePW", &meeting.attendee_pw)
        .leaf("moderatorPW", &meeting.moderator_pw)
        .leaf("running", meeting.is_running())
        .leaf("duration", meeting.duration)
        .leaf("hasUserJoined", meeting.has_user_joined)
        .leaf("recording", meeting.record)
        .leaf("hasBeenForciblyEnded", meeting.is_ending())
        .leaf("startTime", meeting.start_time())
        .leaf("endTime", 0);
    write_counts(xml, meeting, grouped);
    xml.open("attendees");
    meeting.present().for_each(|attendee| write_attendee(xml, attendee));
    xml.close("attendees").map("metadata", &meeting.metadata);
    xml.leaf("isBreakout", meeting.breakout.is_some());
    if let Some(breakout) = &meeting.breakout {
        xml.leaf("parentMeetingID", &breakout.parent_internal_id)
            .leaf("sequence", breakout.sequence)
            .leaf("freeJoin", breakout.free_join);
    }
    if !meeting.breakout_rooms.is_empty() {
        xml.open("breakoutRooms");
        meeting.breakout_rooms.iter().for_each(|room| {
            xml.leaf("breakout", room);
        });
        xml.close("breakoutRooms");
    }
}

fn write_counts(xml: &mut Xml, meeting: &Meeting, grouped: bool) {
    let count = |of: fn(&Attendee) -> bool| meeting.present().filter(|attendee| of(attendee)).count() as u64;
    let counts = [
        ("participantCount", count(|_| true)),
        ("listenerCount", count(|attendee| attendee.media.listening_only)),
        ("voiceParticipantCount", count(|attendee| attendee.media.voice)),
        ("videoCount", count(|attendee| attendee.media.video)),
        ("maxUsers", meeting.max_users),
        ("moderatorCount", count(|attendee| attendee.role == Role::Moderator)),
    ];
    for (name, value) in counts {
        if grouped {
            xml.leaf(name, grouped_number(value))
        } else {
            xml.leaf(name, value)
        };
    }
}

fn write_attendee(xml: &mut Xml, attendee: &Attendee) {
    xml.open("attendee")
        .leaf("userID", &attendee.user_id)
        .leaf("fullName", &attendee.name)
        .leaf("role", attendee.role)
        .leaf("isPresenter", attendee.presenter)
        .leaf("isListeningOnly", attendee.media.listening_only)
        .leaf("hasJoinedVoice", attendee.media.voice)
        .leaf("hasVideo", attendee.media.video)
        .leaf("clientType", attendee.role.client_type());
    if !attendee.custom_data.is_empty() {
        xml.map("customdata", &attendee.custom_data);
    }
    xml.close("attendee");
}

fn grouped_number(number: u64) -> String {
    let digits = number.to_string();
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped: Vec<_> = [0, 999, 1000, 1_234_567].into_iter().map(grouped_number).collect();
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn an_exception_is_a_page_and_not_a_document() {
        let reply = Failure::Exception.reply();
        assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!String::from_utf8_lossy(reply.body()).contains("returncode"));
    }
}
