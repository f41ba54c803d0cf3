//! Events of a node on its Redis: BBB's own envelope, header and body.

mod more;

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::warn;

use super::meeting::{Attendee, Media, Meeting, Role};
use super::wall_clock_ms;
use super::xml::java_date;

const CHANNEL: &str = "from-akka-apps-redis-channel";
const CHAT: &str = "from-akka-apps-chat-redis-channel";
const PRESENTATIONS: &str = "from-akka-apps-pres-redis-channel";
/// What the scripts of recordings do.
const PROGRESS: &str = "bigbluebutton:from-rap";
/// The most messages that wait for Redis. A node never waits: further ones are lost.
const UNSAID: usize = 10_000;
/// Messages that are sent at once.
const BREATH: usize = 500;
const PATIENCE: Duration = Duration::from_secs(2);

/// A message, and its channel.
#[derive(Debug)]
pub(super) struct Word {
    channel: &'static str,
    text: String,
}

/// Unpublished events. `None`: there is no Redis.
#[derive(Debug, Default)]
pub(super) struct Unsaid(Option<Vec<Word>>);

impl Unsaid {
    /// Keeps events from now on.
    pub(super) fn open(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn take(&mut self) -> Vec<Word> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn created(&mut self, meeting: &Meeting) {
        self.by_system("MeetingCreatedEvtMsg", || json!({ "props": props(meeting) }));
    }

    pub(super) fn ending(&mut self, meeting: &Meeting, reason: &str) {
        let body = || json!({ "meetingId": meeting.internal_id, "reason": reason });
        self.within("MeetingEndingEvtMsg", meeting, "not-used", body);
    }

    /// Attendees get no leave events: the end implies them.
    pub(super) fn ended(&mut self, meeting: &Meeting) {
        for name in ["MeetingEndedEvtMsg", "MeetingDestroyedEvtMsg"] {
            self.by_system(name, || json!({ "meetingId": meeting.internal_id }));
        }
    }

    pub(super) fn joined(&mut self, meeting: &Meeting, attendee: &Attendee) {
        let body = || {
            json!({
                "intId": attendee.internal_id, "extId": attendee.user_id, "name": attendee.name,
                "role": role(attendee.role), "guest": false, "authed": true, "guestStatus": "ALLOW",
                "reactionEmoji": "none", "raiseHand": false, "away": false, "pin": false, "presenter": false,
                "locked": true, "avatar": "", "color": "#7b1fa2", "clientType": attendee.role.client_type(),
                "sessionToken": attendee.session_token, "userMetadata": attendee.custom_data,
            })
        };
        self.within("UserJoinedMeetingEvtMsg", meeting, &attendee.internal_id, body);
    }

    pub(super) fn left(&mut self, meeting: &Meeting, attendee: &Attendee) {
        let body = || json!({ "intId": attendee.internal_id });
        self.within("UserLeftMeetingEvtMsg", meeting, &attendee.internal_id, body);
    }

    pub(super) fn role(&mut self, meeting: &Meeting, attendee: &Attendee) {
        let body = || json!({ "userId": attendee.internal_id, "role": role(attendee.role), "changedBy": "system" });
        self.within("UserRoleChangedEvtMsg", meeting, &attendee.internal_id, body);
    }

    pub(super) fn presenter(&mut self, meeting: &Meeting, attendee: &Attendee) {
        let (id, name) = (&attendee.internal_id, &attendee.name);
        if attendee.presenter {
            let body = || json!({ "presenterId": id, "presenterName": name, "assignedBy": "system" });
            self.within("PresenterAssignedEvtMsg", meeting, id, body);
        } else {
            let body = || json!({ "intId": id, "name": name, "assignedBy": "system" });
            self.within("PresenterUnassignedEvtMsg", meeting, id, body);
        }
    }

    pub(super) fn media(&mut self, meeting: &Meeting, attendee: &Attendee, before: Media) {
        let (id, now) = (&attendee.internal_id, attendee.media);
        if (now.voice, now.listening_only) != (before.voice, before.listening_only) {
            let mut body = json!({ "voiceConf": meeting.voice_bridge, "intId": id, "voiceUserId": id });
            if now.voice || now.listening_only {
                let more = [
                    ("callerName", json!(attendee.name)),
                    ("callerNum", json!(attendee.name)),
                    ("muted", json!(false)),
                    ("talking", json!(false)),
                    ("callingWith", json!("none")),
                    ("listenOnly", json!(now.listening_only)),
                ];
                more.into_iter().for_each(|(field, value)| body[field] = value);
                self.within("UserJoinedVoiceConfToClientEvtMsg", meeting, id, || body);
            } else {
                self.within("UserLeftVoiceConfToClientEvtMsg", meeting, id, || body);
            }
        }
        if now.video != before.video {
            let name = if now.video { "UserBroadcastCamStartedEvtMsg" } else { "UserBroadcastCamStoppedEvtMsg" };
            self.within(name, meeting, id, || json!({ "userId": id, "stream": format!("{id}-camera") }));
        }
    }

    pub(super) fn recording(&mut self, meeting: &Meeting, recording: bool) {
        let body = || json!({ "recording": recording, "setBy": "system" });
        self.within("RecordingStatusChangedEvtMsg", meeting, "not-used", body);
    }

    /// Of what the whole node does.
    fn by_system(&mut self, name: &str, body: impl FnOnce() -> Value) {
        self.say(CHANNEL, &json!({ "sender": "bbb-apps-akka" }), &json!({ "name": name }), body);
    }

    /// Of what happens in a meeting.
    fn within(&mut self, name: &str, meeting: &Meeting, user: &str, body: impl FnOnce() -> Value) {
        self.within_on(CHANNEL, name, meeting, user, body);
    }

    fn within_on(
        &mut self,
        channel: &'static str,
        name: &str,
        meeting: &Meeting,
        user: &str,
        body: impl FnOnce() -> Value,
    ) {
        let routing = json!({ "msgType": "BROADCAST_TO_MEETING", "meetingId": meeting.internal_id, "userId": user });
        let header = json!({ "name": name, "meetingId": meeting.internal_id, "userId": user });
        self.say(channel, &routing, &header, body);
    }

    fn say(&mut self, channel: &'static str, routing: &Value, header: &Value, body: impl FnOnce() -> Value) {
        let envelope = || json!({ "name": header["name"], "routing": routing, "timestamp": wall_clock_ms() });
        self.push(channel, || json!({ "envelope": envelope(), "core": { "header": header, "body": body() } }));
    }

    fn push(&mut self, channel: &'static str, message: impl FnOnce() -> Value) {
        if let Some(unsaid) = &mut self.0 {
            unsaid.push(Word { channel, text: message().to_string() });
        }
    }
}

/// The event of a create, as akka-apps writes it.
fn props(meeting: &Meeting) -> Value {
    let breakout = meeting.breakout.as_ref();
    json!({
        "meetingProp": {
            "name": meeting.name, "extId": meeting.meeting_id, "intId": meeting.internal_id,
            "meetingCameraCap": 0, "maxPinnedCameras": 3, "isBreakout": breakout.is_some(), "disabledFeatures": [],
        },
        "breakoutProps": {
            "parentId": breakout.map_or("bbb-none", |breakout| &breakout.parent_internal_id),
            "sequence": breakout.map_or(0, |breakout| breakout.sequence),
            "freeJoin": breakout.is_some_and(|breakout| breakout.free_join),
            "breakoutRooms": [], "record": false, "privateChatEnabled": true,
        },
        "durationProps": {
            "duration": meeting.duration, "createdTime": meeting.create_time,
            "createdDate": java_date(meeting.create_time),
        },
        "password": { "moderatorPass": meeting.moderator_pw, "viewerPass": meeting.attendee_pw },
        "recordProp": { "record": meeting.record, "autoStartRecording": false, "allowStartStopRecording": true },
        "voiceProp": {
            "telVoice": meeting.voice_bridge, "voiceConf": meeting.web_voice, "dialNumber": meeting.dial_number,
            "muteOnStart": false,
        },
        "usersProp": { "maxUsers": meeting.max_users, "guestPolicy": "ALWAYS_ACCEPT", "meetingLayout": "SMART_LAYOUT" },
        "metadataProp": { "metadata": meeting.metadata },
        "groups": [],
    })
}

/// Akka knows no telephones: they are viewers.
fn role(role: Role) -> &'static str {
    if role == Role::Moderator { "MODERATOR" } else { "VIEWER" }
}

/// Starts to publish these events to Redis, until the sender is dropped.
pub(super) fn speak(redis: String) -> mpsc::Sender<Word> {
    let (unsaid, to_say) = mpsc::channel(UNSAID);
    tokio::spawn(Voice { redis, connection: None, is_mute: false }.run(to_say));
    unsaid
}

/// The connection to Redis. Events while it is away are lost, as on a real node.
struct Voice {
    redis: String,
    connection: Option<MultiplexedConnection>,
    is_mute: bool,
}

impl Voice {
    async fn run(mut self, mut to_say: mpsc::Receiver<Word>) {
        let mut messages = Vec::new();
        while to_say.recv_many(&mut messages, BREATH).await > 0 {
            let said = self.say(&messages).await;
            if let Err(error) = &said {
                self.connection = None;
                if !self.is_mute {
                    warn!("The simulated node cannot publish events to Redis: {error}");
                }
            }
            self.is_mute = said.is_err();
            messages.clear();
        }
    }

    async fn say(&mut self, messages: &[Word]) -> Result<(), RedisError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let limits = AsyncConnectionConfig::new();
                let limits = limits.set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
                Client::open(&*self.redis)?.get_multiplexed_async_connection_with_config(&limits).await?
            }
        };
        let mut pipe = redis::pipe();
        for Word { channel, text } in messages {
            pipe.cmd("PUBLISH").arg(channel).arg(text).ignore();
        }
        pipe.exec_async(&mut connection).await?;
        self.connection = Some(connection);
        Ok(())
    }
}
