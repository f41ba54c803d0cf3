//! Events for webhooks: BBB's messages, as bbb-webhooks 3.5 maps them.
//!
//! Names, attributes and their spelling are those of bbb-webhooks, since receivers know them. Ids are the node's: the server
//! puts them into the terms of the tenant. Sessions' tokens never leave the node.

mod people;
mod progress;

use b3scale_base::rest::{MappedEvent, RawJson};
use serde_json::{Value, json};

use super::message::text;
use super::roster::Roster;
use super::said::{Said, present, set};

use people::{People, Room};

pub(super) use progress::read as read_progress;

/// The chat of everyone in a meeting. Others are private.
const PUBLIC_CHAT: &str = "MAIN-PUBLIC-GROUP-CHAT";

/// Fields that hold the token of a session.
const TOKENS: [&str; 3] = ["session-token", "sessionToken", "authToken"];

/// Maps messages. Knows who is in which meeting.
#[derive(Debug, Default)]
pub(super) struct Teller {
    people: People,
}

/// A name and attributes, without those of the meeting.
type Told = (&'static str, Value);

impl Teller {
    /// Learns who is there.
    pub(super) fn meet(&mut self, roster: &Roster) {
        self.people.meet(roster);
    }

    /// The events of a message, each with its meeting. `now`: milliseconds since 1970.
    pub(super) fn tell(&mut self, mut said: Said, now: i64, wants_raw: bool) -> Vec<MappedEvent> {
        strip(&mut said.whole);
        let Said { name, whole } = said;
        let (meeting, ts, told) = match progress::told(&name, &whole) {
            Some(progress) => {
                let meeting = progress.meeting;
                (meeting, progress.ts.unwrap_or(now / 1000), vec![(progress.name, progress.attributes)])
            }
            None => {
                let Some(message) = Message::of(&whole) else { return Vec::new() };
                let told = self.mapped(&name, &message);
                (message.meeting, now, told)
            }
        };
        let external = self.people.room(&meeting).map(|room| room.external.clone()).filter(|id| !id.is_empty());
        if name == "MeetingDestroyedEvtMsg" {
            self.people.forget(&meeting);
        }
        // The message goes with one of its events: receivers of messages get each once.
        let mut raw = (wants_raw && name != "MeetingEndedEvtMsg").then(|| RawJson::new(&whole));
        let mut events: Vec<MappedEvent> = told
            .into_iter()
            .rev()
            .map(|(name, attributes)| MappedEvent {
                meeting: meeting.clone(),
                name: name.to_owned(),
                ts,
                attributes: RawJson::new(&within(&meeting, external.as_deref(), attributes)),
                raw: raw.take(),
            })
            .collect();
        events.reverse();
        events
    }

    fn mapped(&mut self, name: &str, message: &Message<'_>) -> Vec<Told> {
        let body = message.body;
        let one = |name, attributes| vec![(name, attributes)];
        match name {
            "MeetingCreatedEvtMsg" => self.created(message),
            "MeetingEndedEvtMsg" => self.all_left(message),
            "MeetingDestroyedEvtMsg" => self.ended(message),
            "RecordingStatusChangedEvtMsg" => one(recorded(&body["recording"]), json!({})),
            "ScreenshareRtmpBroadcastStartedEvtMsg" => self.shares(message, true),
            "ScreenshareRtmpBroadcastStoppedEvtMsg" => self.shares(message, false),
            "SetCurrentPresentationEvtMsg" => {
                let presentation = present([("presentation-id", &body["presentationId"])]);
                one("meeting-presentation-changed", json!({ "meeting": presentation }))
            }
            "UserJoinedMeetingEvtMsg" => self.joined(message),
            "UserLeftMeetingEvtMsg" => self.left(message),
            "PresenterAssignedEvtMsg" => self.presents(message, true),
            "PresenterUnassignedEvtMsg" => self.presents(message, false),
            "UserEmojiChangedEvtMsg" | "UserReactionEmojiChangedEvtMsg" => self.feels(message),
            "UserRaiseHandChangedEvtMsg" => {
                one("user-raise-hand-changed", self.user(message, [("raise-hand", &body["raiseHand"])]))
            }
            "UserJoinedVoiceConfToClientEvtMsg" => {
                let listens = body["listenOnly"] == true;
                let voice = [
                    ("listening-only", &json!(listens)),
                    ("sharing-mic", &json!(!listens)),
                    ("muted", &json!(body["muted"] == true)),
                ];
                one("user-audio-voice-enabled", self.user(message, voice))
            }
            "UserLeftVoiceConfToClientEvtMsg" => {
                let (no, yes) = (&json!(false), &json!(true));
                let voice = [("listening-only", no), ("sharing-mic", no), ("muted", yes)];
                one("user-audio-voice-disabled", self.user(message, voice))
            }
            "UserMutedVoiceEvtMsg" => one(muted(&body["muted"]), self.user(message, [("muted", &body["muted"])])),
            "UserBroadcastCamStartedEvtMsg" => {
                one("user-cam-broadcast-start", self.user(message, [("stream", &body["stream"])]))
            }
            "UserBroadcastCamStoppedEvtMsg" => {
                one("user-cam-broadcast-end", self.user(message, [("stream", &body["stream"])]))
            }
            "GroupChatMessageBroadcastEvtMsg" if body["chatId"] == PUBLIC_CHAT => {
                one("chat-group-message-sent", self.chat(message))
            }
            "PadContentEvtMsg" => one("pad-content", json!({ "pad": pad(body) })),
            "PollStartedEvtMsg" => {
                let mut attributes = self.user(message, []);
                attributes["poll"] = poll(body);
                one("poll-started", attributes)
            }
            "UserRespondedToPollRespMsg" => {
                // The header names the recipient, and so does bbb-webhooks.
                let mut attributes = self.user(message, []);
                attributes["poll"] = present([("id", &body["pollId"]), ("answerIds", &body["answerIds"])]);
                one("poll-responded", attributes)
            }
            "TranscriptUpdatedEvtMsg" => one("transcript-updated", json!({ "transcript": transcript(body) })),
            _ => Vec::new(),
        }
    }

    fn created(&mut self, message: &Message<'_>) -> Vec<Told> {
        let props = &message.body["props"];
        let (meeting, duration, voice) = (&props["meetingProp"], &props["durationProps"], &props["voiceProp"]);
        if let Some(room) = self.people.room_mut(&message.meeting) {
            room.external = text(&meeting["extId"]).unwrap_or_default();
        }
        let fields = present([
            ("name", &meeting["name"]),
            ("is-breakout", &meeting["isBreakout"]),
            ("parent-id", &props["breakoutProps"]["parentId"]),
            ("duration", &duration["duration"]),
            ("create-time", &duration["createdTime"]),
            ("create-date", &duration["createdDate"]),
            ("moderator-pass", &props["password"]["moderatorPass"]),
            ("viewer-pass", &props["password"]["viewerPass"]),
            ("record", &props["recordProp"]["record"]),
            ("voice-conf", &voice["voiceConf"]),
            ("dial-number", &voice["dialNumber"]),
            ("max-users", &props["usersProp"]["maxUsers"]),
            ("metadata", &props["metadataProp"]["metadata"]),
            ("audioBridge", &meeting["audioBridge"]),
            ("cameraBridge", &meeting["cameraBridge"]),
            ("screenShareBridge", &meeting["screenShareBridge"]),
        ]);
        vec![("meeting-created", json!({ "meeting": fields }))]
    }

    /// Attendees get no leave events at a meeting's end, and bbb-webhooks makes some.
    /// BBB sends no message for users who are there at the end. These events reach the server before it knows of the end.
    fn all_left(&mut self, message: &Message<'_>) -> Vec<Told> {
        let users = self.people.room_mut(&message.meeting).map(Room::take_users).unwrap_or_default();
        users.into_values().map(|user| ("user-left", json!({ "user": user }))).collect()
    }

    fn ended(&mut self, message: &Message<'_>) -> Vec<Told> {
        let mut told = self.all_left(message);
        told.push(("meeting-ended", json!({})));
        told
    }

    /// BBB before 3.0.11 does not name the one who shares: it is the presenter.
    fn shares(&mut self, message: &Message<'_>, on: bool) -> Vec<Told> {
        let mut user = message.user.clone();
        if let Some(room) = self.people.room_mut(&message.meeting) {
            user = user.or_else(|| if on { room.presenter.clone() } else { room.sharer.clone() });
            room.sharer = user.clone().filter(|_| on);
        }
        let name = if on { "meeting-screenshare-started" } else { "meeting-screenshare-stopped" };
        vec![(name, user.map_or_else(|| json!({}), |user| self.user_of(message, Some(&user), [])))]
    }

    fn joined(&mut self, message: &Message<'_>) -> Vec<Told> {
        let body = message.body;
        let data = ["userdata", "userMetadata", "userCustomData"].map(|field| &body[field]);
        let data = data.into_iter().find(|data| data.is_object()).unwrap_or(&Value::Null);
        let attributes = self.user(
            message,
            [
                ("name", &body["name"]),
                ("role", &body["role"]),
                ("presenter", &body["presenter"]),
                ("guest", &json!(body["guest"] == true)),
                ("userdata", data),
                ("ip-address", &body["ipAddress"]),
                ("user-agent", &body["userAgent"]),
                ("referer", &body["referer"]),
                ("stream", &body["stream"]),
            ],
        );
        if let Some(user) = &message.user {
            self.people.join(&message.meeting, user, &attributes["user"]);
            if body["presenter"] == true {
                self.people.present(&message.meeting, user, true);
            }
        }
        vec![("user-joined", attributes)]
    }

    fn left(&mut self, message: &Message<'_>) -> Vec<Told> {
        let attributes = self.user(message, [("guest", &json!(message.body["guest"] == true))]);
        if let Some(user) = &message.user {
            self.people.leave(&message.meeting, user);
        }
        vec![("user-left", attributes)]
    }

    fn presents(&mut self, message: &Message<'_>, on: bool) -> Vec<Told> {
        if let Some(user) = &message.user {
            self.people.present(&message.meeting, user, on);
        }
        let name = if on { "user-presenter-assigned" } else { "user-presenter-unassigned" };
        vec![(name, self.user(message, []))]
    }

    fn feels(&self, message: &Message<'_>) -> Vec<Told> {
        let body = message.body;
        let emoji = text(&body["emoji"]).or_else(|| text(&body["reactionEmoji"])).unwrap_or_else(|| "none".to_owned());
        let felt = ("user-emoji-changed", self.user(message, [("emoji", &json!(emoji))]));
        if emoji != "raiseHand" {
            return vec![felt];
        }
        vec![("user-raise-hand-changed", self.user(message, [("raiseHand", &json!(true))])), felt]
    }

    fn chat(&self, message: &Message<'_>) -> Value {
        let said = &message.body["msg"];
        let mut sender = self.user_of(message, text(&said["sender"]["id"]).as_deref(), [])["user"].take();
        set(&mut sender, [("name", &said["sender"]["name"]), ("time", &said["timestamp"])]);
        let chat = present([("id", &said["id"]), ("message", &said["message"]), ("sender", &sender)]);
        json!({ "chat-message": chat, "chat-id": message.body["chatId"] })
    }

    /// The user whom a message is about, with more fields of theirs.
    fn user<const N: usize>(&self, message: &Message<'_>, more: [(&str, &Value); N]) -> Value {
        self.user_of(message, message.user.as_deref(), more)
    }

    fn user_of<const N: usize>(&self, message: &Message<'_>, id: Option<&str>, more: [(&str, &Value); N]) -> Value {
        let known = id.and_then(|id| text(&self.people.room(&message.meeting)?.users.get(id)?["external-user-id"]));
        let external = known.or_else(|| text(&message.body["extId"])).unwrap_or_default();
        let mut user = present([("internal-user-id", &json!(id)), ("external-user-id", &json!(external))]);
        set(&mut user, more);
        json!({ "user": user })
    }
}

/// A message, and its meeting and user as bbb-webhooks finds them.
struct Message<'m> {
    body: &'m Value,
    meeting: String,
    user: Option<String>,
}

impl<'m> Message<'m> {
    /// `None`: it is of no meeting.
    fn of(whole: &'m Value) -> Option<Self> {
        let (core, body) = (&whole["core"], &whole["core"]["body"]);
        let meetings = [
            &whole["envelope"]["routing"]["meetingId"],
            &body["props"]["meetingProp"]["intId"],
            &body["meetingId"],
            &core["header"]["meetingId"],
        ];
        let users = [&core["header"]["userId"], &body["userId"], &body["intId"], &body["presenterId"]];
        let user = users.into_iter().filter_map(text).find(|id| id != "not-used" && id != "system");
        Some(Self { body, meeting: meetings.into_iter().find_map(text)?, user })
    }
}

fn recorded(recording: &Value) -> &'static str {
    match recording {
        Value::Bool(true) => "meeting-recording-started",
        Value::Bool(false) => "meeting-recording-stopped",
        _ => "meeting-recording-unhandled",
    }
}

fn muted(muted: &Value) -> &'static str {
    match muted {
        Value::Bool(true) => "user-audio-muted",
        Value::Bool(false) => "user-audio-unmuted",
        _ => "user-audio-unhandled",
    }
}

fn pad(body: &Value) -> Value {
    present([
        ("id", &body["padId"]),
        ("external-pad-id", &body["externalId"]),
        ("rev", &body["rev"]),
        ("start", &body["start"]),
        ("end", &body["end"]),
        ("text", &body["text"]),
    ])
}

fn poll(body: &Value) -> Value {
    let answers = body["poll"]["answers"].as_array().into_iter().flatten();
    let answers: Vec<Value> = answers.map(|answer| present([("id", &answer["id"]), ("key", &answer["key"])])).collect();
    present([("id", &body["pollId"]), ("question", &body["question"]), ("answers", &json!(answers))])
}

fn transcript(body: &Value) -> Value {
    present([
        ("id", &body["transcriptId"]),
        ("transcript", &body["transcript"]),
        ("locale", &body["locale"]),
        ("final", &body["result"]),
    ])
}

/// Adds the ids of the meeting.
fn within(meeting: &str, external: Option<&str>, mut attributes: Value) -> Value {
    let mut ids = present([("internal-meeting-id", &json!(meeting)), ("external-meeting-id", &json!(external))]);
    if let Value::Object(more) = attributes["meeting"].take() {
        set(&mut ids, more.iter().map(|(field, value)| (field.as_str(), value)));
    }
    attributes["meeting"] = ids;
    attributes
}

/// Removes the tokens of sessions.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|field, _| !TOKENS.contains(&field.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(entries) => entries.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
