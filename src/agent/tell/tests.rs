//! The mapping, message by message, in the shapes of BBB 3.0.

use std::time::Duration;

use b3scale_base::rest::{MappedEvent, NodeAttendee, NodeMeeting, RawJson};
use proptest::proptest;
use tokio::time::Instant;

use super::super::message::{About, Heard};
use super::super::said::is_told;
use super::*;

const NOW: i64 = 1_700_000_000_042;

fn message(name: &str, user: &str, body: Value) -> Said {
    let envelope = json!({ "name": name, "routing": { "meetingId": "m-1", "userId": user }, "timestamp": 1 });
    let mut whole = json!({ "envelope": envelope, "core": { "header": { "meetingId": "m-1", "userId": user } } });
    whole["core"]["body"] = body;
    Said { name: name.to_owned(), whole }
}

/// What the whole node does names its meeting in the body alone.
fn of_system(name: &str, body: Value) -> Said {
    let envelope = json!({ "name": name, "routing": { "sender": "bbb-apps-akka" }, "timestamp": 1 });
    let mut whole = json!({ "envelope": envelope, "core": { "header": { "name": name } } });
    whole["core"]["body"] = body;
    Said { name: name.to_owned(), whole }
}

fn script(name: &str, payload: Value) -> Said {
    let mut whole = json!({ "header": { "name": name, "current_time": 1_700_003_600 } });
    whole["payload"] = payload;
    Said { name: name.to_owned(), whole }
}

fn joined(id: &str, external: &str) -> Said {
    let body = json!({ "intId": id, "extId": external, "name": "Ada", "role": "MODERATOR", "guest": false,
        "presenter": false, "clientType": "HTML5", "sessionToken": "secret" });
    message("UserJoinedMeetingEvtMsg", id, body)
}

/// A meeting with Ada, `w_1` here and `u 1` outside.
fn teller() -> Teller {
    let mut teller = Teller::default();
    teller.tell(of_system("MeetingCreatedEvtMsg", created()), NOW, false);
    teller.tell(joined("w_1", "u 1"), NOW, false);
    teller
}

fn created() -> Value {
    json!({ "props": {
        "meetingProp": { "name": "Demo room", "extId": "abc", "intId": "m-1", "isBreakout": false, "maxPinnedCameras": 3,
            "audioBridge": "bbb-webrtc-sfu", "cameraBridge": "bbb-webrtc-sfu", "screenShareBridge": "bbb-webrtc-sfu" },
        "breakoutProps": { "parentId": "bbb-none", "sequence": 0 },
        "durationProps": { "duration": 0, "createdTime": 1_700_000_000_000_i64, "createdDate": "Tue Nov 14 22:13:20 UTC 2023" },
        "password": { "moderatorPass": "mp", "viewerPass": "ap", "learningDashboardAccessToken": "t" },
        "recordProp": { "record": false },
        "voiceProp": { "telVoice": "71234", "voiceConf": "712345678", "dialNumber": "613-555-1234" },
        "usersProp": { "maxUsers": 0 },
        "metadataProp": { "metadata": { "bbb-origin": "demo" } },
    } })
}

fn value(json: &RawJson) -> Value {
    json.read().expect("it is JSON")
}

/// The names and attributes of the events of a message.
fn told(teller: &mut Teller, said: Said) -> Vec<(String, Value)> {
    let events =
        teller.tell(said, NOW, false).into_iter().map(|MappedEvent { meeting, name, attributes, raw, .. }| {
            let attributes = value(&attributes);
            assert_eq!((&*meeting, &attributes["meeting"]["internal-meeting-id"]), ("m-1", &json!("m-1")));
            assert_eq!((&attributes["meeting"]["external-meeting-id"], raw), (&json!("abc"), None));
            (name, attributes)
        });
    events.collect()
}

/// The one event of a message, without the ids of its meeting.
fn one(name: &str, user: &str, body: Value) -> (String, Value) {
    let mut told = told(&mut teller(), message(name, user, body));
    let (name, mut attributes) = told.pop().unwrap();
    assert!(told.is_empty(), "{told:?}");
    attributes.as_object_mut().unwrap().remove("meeting");
    (name, attributes)
}

fn ada(mut more: Value) -> Value {
    more["internal-user-id"] = "w_1".into();
    more["external-user-id"] = "u 1".into();
    json!({ "user": more })
}

#[test]
fn a_created_meeting_is_described() {
    let events = Teller::default().tell(of_system("MeetingCreatedEvtMsg", created()), NOW, true);
    let [MappedEvent { meeting, name, ts, attributes, raw }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&**meeting, &**name, *ts), ("m-1", "meeting-created", NOW));
    let expected = json!({ "meeting": {
        "internal-meeting-id": "m-1", "external-meeting-id": "abc", "name": "Demo room", "is-breakout": false,
        "parent-id": "bbb-none", "duration": 0, "create-time": 1_700_000_000_000_i64,
        "create-date": "Tue Nov 14 22:13:20 UTC 2023", "moderator-pass": "mp", "viewer-pass": "ap", "record": false,
        "voice-conf": "712345678", "dial-number": "613-555-1234", "max-users": 0, "metadata": { "bbb-origin": "demo" },
        "audioBridge": "bbb-webrtc-sfu", "cameraBridge": "bbb-webrtc-sfu", "screenShareBridge": "bbb-webrtc-sfu",
    } });
    assert_eq!(value(attributes), expected);
    assert_eq!(value(raw.as_ref().unwrap())["core"]["body"], created());
}

#[test]
fn messages_of_meetings_are_mapped() {
    for (recording, name) in
        [(json!(true), "started"), (json!(false), "stopped"), (json!(null), "unhandled"), (json!(1), "unhandled")]
    {
        let said = one("RecordingStatusChangedEvtMsg", "not-used", json!({ "recording": recording, "setBy": "w_1" }));
        assert_eq!(said, (format!("meeting-recording-{name}"), json!({})));
    }
    let slides = message("SetCurrentPresentationEvtMsg", "not-used", json!({ "presentationId": "p-1" }));
    let mut said = told(&mut teller(), slides);
    assert_eq!(said[0].0, "meeting-presentation-changed");
    assert_eq!(said[0].1["meeting"].take()["presentation-id"], "p-1");
}

#[test]
fn messages_of_users_are_mapped() {
    let who = json!({ "userId": "w_1" });
    let table = [
        ("PresenterAssignedEvtMsg", json!({ "presenterId": "w_1" }), "user-presenter-assigned", json!({})),
        ("PresenterUnassignedEvtMsg", json!({ "intId": "w_1" }), "user-presenter-unassigned", json!({})),
        ("UserEmojiChangedEvtMsg", json!({ "emoji": "happy" }), "user-emoji-changed", json!({ "emoji": "happy" })),
        (
            "UserReactionEmojiChangedEvtMsg",
            json!({ "reactionEmoji": "👍" }),
            "user-emoji-changed",
            json!({ "emoji": "👍" }),
        ),
        ("UserReactionEmojiChangedEvtMsg", who.clone(), "user-emoji-changed", json!({ "emoji": "none" })),
        (
            "UserRaiseHandChangedEvtMsg",
            json!({ "raiseHand": true }),
            "user-raise-hand-changed",
            json!({ "raise-hand": true }),
        ),
        (
            "UserJoinedVoiceConfToClientEvtMsg",
            json!({ "intId": "w_1", "listenOnly": false, "muted": true }),
            "user-audio-voice-enabled",
            json!({ "listening-only": false, "sharing-mic": true, "muted": true }),
        ),
        (
            "UserLeftVoiceConfToClientEvtMsg",
            json!({ "intId": "w_1" }),
            "user-audio-voice-disabled",
            json!({ "listening-only": false, "sharing-mic": false, "muted": true }),
        ),
        ("UserMutedVoiceEvtMsg", json!({ "muted": true }), "user-audio-muted", json!({ "muted": true })),
        ("UserMutedVoiceEvtMsg", json!({ "muted": false }), "user-audio-unmuted", json!({ "muted": false })),
        ("UserMutedVoiceEvtMsg", json!({}), "user-audio-unhandled", json!({})),
        (
            "UserBroadcastCamStartedEvtMsg",
            json!({ "stream": "s" }),
            "user-cam-broadcast-start",
            json!({ "stream": "s" }),
        ),
        ("UserBroadcastCamStoppedEvtMsg", json!({ "stream": "s" }), "user-cam-broadcast-end", json!({ "stream": "s" })),
        ("UserLeftMeetingEvtMsg", json!({ "intId": "w_1" }), "user-left", json!({ "guest": false })),
    ];
    for (name, body, event, more) in table {
        assert_eq!(one(name, "w_1", body), (event.to_owned(), ada(more)), "{name}");
        assert!(is_told(name));
    }
    let unknown = one("UserMutedVoiceEvtMsg", "v_9", json!({ "muted": true }));
    assert_eq!(unknown.1["user"], json!({ "internal-user-id": "v_9", "external-user-id": "", "muted": true }));
}

#[test]
fn a_join_holds_what_is_known_and_no_token() {
    let mut body = json!({ "intId": "w_2", "extId": "u 2", "name": "Zoë", "role": "VIEWER", "guest": true, "presenter": false,
        "userMetadata": { "bbb_skip": "true", "deep": [{ "sessionToken": "secret", "authToken": "secret" }] } });
    body["sessionToken"] = json!("secret");
    body["session-token"] = json!("secret");
    let events = teller().tell(message("UserJoinedMeetingEvtMsg", "w_2", body), NOW, true);
    assert!(!serde_json::to_string(&events).unwrap().contains("secret"), "{events:?}");
    let [MappedEvent { attributes, .. }] = &events[..] else { panic!("{events:?}") };
    let user = json!({ "internal-user-id": "w_2", "external-user-id": "u 2", "name": "Zoë", "role": "VIEWER",
        "presenter": false, "guest": true, "userdata": { "bbb_skip": "true", "deep": [{}] } });
    assert_eq!(value(attributes)["user"], user);
}

#[test]
fn a_raised_hand_of_older_releases_is_two_events() {
    let said = told(&mut teller(), message("UserEmojiChangedEvtMsg", "w_1", json!({ "emoji": "raiseHand" })));
    let names: Vec<&str> = said.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["user-raise-hand-changed", "user-emoji-changed"]);
    assert_eq!(said[0].1["user"]["raiseHand"], true);
    assert_eq!(said[1].1["user"]["emoji"], "raiseHand");
}

#[test]
fn a_screen_is_the_presenters() {
    let mut teller = teller();
    let share = |on: bool, body| {
        let name = if on { "ScreenshareRtmpBroadcastStartedEvtMsg" } else { "ScreenshareRtmpBroadcastStoppedEvtMsg" };
        message(name, "not-used", body)
    };
    let said = told(&mut teller, share(true, json!({})));
    assert_eq!((&*said[0].0, &said[0].1["user"]), ("meeting-screenshare-started", &json!(null)), "no user is known");
    told(&mut teller, message("PresenterAssignedEvtMsg", "w_1", json!({ "presenterId": "w_1" })));
    let said = told(&mut teller, share(true, json!({})));
    assert_eq!(said[0].1["user"], ada(json!({}))["user"]);
    told(&mut teller, message("PresenterUnassignedEvtMsg", "w_1", json!({ "intId": "w_1" })));
    let said = told(&mut teller, share(false, json!({})));
    assert_eq!((&*said[0].0, &said[0].1["user"]), ("meeting-screenshare-stopped", &ada(json!({}))["user"]));
    let said = told(&mut teller, share(true, json!({ "userId": "w_7" })));
    assert_eq!(said[0].1["user"]["internal-user-id"], "w_7", "newer releases name them");
}

#[test]
fn the_public_chat_is_told_and_private_ones_are_not() {
    let chat = |chat: &str| {
        let sender = json!({ "id": "w_1", "name": "Ada", "role": "MODERATOR" });
        let msg = json!({ "id": "c-1", "timestamp": 1_700_000_000_001_i64, "sender": sender, "message": "Hello" });
        message("GroupChatMessageBroadcastEvtMsg", "w_1", json!({ "chatId": chat, "msg": msg }))
    };
    let said = told(&mut teller(), chat("MAIN-PUBLIC-GROUP-CHAT"));
    let sender =
        json!({ "internal-user-id": "w_1", "external-user-id": "u 1", "name": "Ada", "time": 1_700_000_000_001_i64 });
    assert_eq!(said[0].0, "chat-group-message-sent");
    assert_eq!(said[0].1["chat-message"], json!({ "id": "c-1", "message": "Hello", "sender": sender }));
    assert_eq!((said.len(), &said[0].1["chat-id"]), (1, &json!("MAIN-PUBLIC-GROUP-CHAT")));
    assert_eq!(teller().tell(chat("1700-private"), NOW, true), []);
}

#[test]
fn polls_pads_and_captions_are_told() {
    let poll = json!({ "id": "p", "isMultipleResponse": false, "answers": [{ "id": 0, "key": "A", "n": 1 }, { "id": 1, "key": "B" }] });
    let (name, started) =
        one("PollStartedEvtMsg", "w_1", json!({ "userId": "w_1", "pollId": "p", "question": "Why?", "poll": poll }));
    assert_eq!((&*name, &started["user"]), ("poll-started", &ada(json!({}))["user"]));
    assert_eq!(
        started["poll"],
        json!({ "id": "p", "question": "Why?", "answers": [{ "id": 0, "key": "A" }, { "id": 1, "key": "B" }] })
    );
    let (name, answered) =
        one("UserRespondedToPollRespMsg", "w_1", json!({ "pollId": "p", "userId": "w_voter", "answerIds": [1] }));
    assert_eq!((&*name, &answered["poll"]), ("poll-responded", &json!({ "id": "p", "answerIds": [1] })));
    assert_eq!(answered["user"], ada(json!({}))["user"], "the recipient, as there");
    let pad = json!({ "padId": "g$n", "externalId": "notes", "rev": "7", "start": 0, "end": 2, "text": "ab", "groupId": "g" });
    let expected = json!({ "id": "g$n", "external-pad-id": "notes", "rev": "7", "start": 0, "end": 2, "text": "ab" });
    assert_eq!(one("PadContentEvtMsg", "not-used", pad), ("pad-content".to_owned(), json!({ "pad": expected })));
    let captions = json!({ "transcriptId": "t", "transcript": "hello", "locale": "en", "result": true });
    let expected = json!({ "id": "t", "transcript": "hello", "locale": "en", "final": true });
    let said = one("TranscriptUpdatedEvtMsg", "w_1", captions);
    assert_eq!(said, ("transcript-updated".to_owned(), json!({ "transcript": expected })));
}

#[test]
fn those_who_stay_to_the_end_leave_with_it() {
    let mut teller = teller();
    told(&mut teller, joined("w_2", "u 2"));
    told(&mut teller, message("UserLeftMeetingEvtMsg", "w_2", json!({ "intId": "w_2" })));
    let end = of_system("MeetingDestroyedEvtMsg", json!({ "meetingId": "m-1" }));
    let said = told(&mut teller, end.clone());
    let names: Vec<&str> = said.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["user-left", "meeting-ended"]);
    let user = ada(json!({ "name": "Ada", "role": "MODERATOR", "guest": false, "presenter": false }));
    assert_eq!(said[0].1["user"], user["user"]);
    let again = teller.tell(end, NOW, true);
    let [MappedEvent { name, attributes, raw: Some(_), .. }] = &again[..] else { panic!("{again:?}") };
    assert_eq!((&**name, value(attributes)), ("meeting-ended", json!({ "meeting": { "internal-meeting-id": "m-1" } })));
}

#[test]
fn steps_of_a_recording_are_told_in_seconds() {
    let payload = json!({ "success": "true", "step_time": "1200", "meeting_id": "m-1", "record_id": "m-1", "workflow": "video",
        "external_meeting_id": "abc" });
    let events = Teller::default().tell(script("process_ended", payload), NOW, false);
    let [MappedEvent { meeting, name, ts, attributes, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&**meeting, &**name, *ts), ("m-1", "rap-process-ended", 1_700_003_600));
    let expected = json!({ "meeting": { "internal-meeting-id": "m-1", "external-meeting-id": "abc" }, "record-id": "m-1",
        "success": true, "step-time": 1200, "workflow": "video" });
    assert_eq!(value(attributes), expected);
    let said = told(
        &mut teller(),
        script("archive_ended", json!({ "meeting_id": "m-1", "record_id": "m-1", "success": true })),
    );
    assert_eq!((&said[0].1["recorded"], &said[0].1["duration"]), (&json!(false), &json!(0)));
    let text = |name: &str| script(name, json!({ "meeting_id": "m-1" })).whole.to_string().into_bytes();
    assert_eq!(read_progress(&text("sanity_started")).map(|said| said.name).as_deref(), Some("sanity_started"));
    for held_back in ["publish_ended", "published", "unpublished", "deleted", "archive_norecord"] {
        assert_eq!(read_progress(&text(held_back)), None, "{held_back}");
    }
    assert_eq!(read_progress(b"\xff"), None);
}

#[test]
fn a_roster_says_who_is_there() {
    let (mut roster, mut teller, now) = (Roster::default(), Teller::default(), Instant::now());
    let meeting = NodeMeeting { internal_id: "m-1".to_owned(), id: "abc".to_owned(), ..NodeMeeting::default() };
    roster.hear(Heard::Created(meeting), now);
    let ada = NodeAttendee {
        internal_id: "w_1".to_owned(),
        user_id: "u 1".to_owned(),
        presenter: true,
        ..NodeAttendee::default()
    };
    let (meeting, id) = ("m-1".to_owned(), "w_1".to_owned());
    roster.hear(Heard::Attendee { meeting: meeting.clone(), id, what: About::Joined(ada) }, now);
    teller.meet(&roster);
    let said = told(&mut teller, message("ScreenshareRtmpBroadcastStartedEvtMsg", "not-used", json!({})));
    assert_eq!(said[0].1["user"]["external-user-id"], "u 1");
    roster.hear(Heard::Ended { meeting }, now + Duration::from_secs(1));
    teller.meet(&roster);
    assert!(teller.people.room("m-1").is_none(), "it is forgotten");
}

proptest! {
    #[test]
    fn a_message_of_any_form_is_mapped_or_skipped(
        name in "(MeetingCreated|MeetingDestroyed|UserJoinedMeeting|UserLeftMeeting|GroupChatMessageBroadcast|PollStarted|\
            UserRespondedToPollResp|ScreenshareRtmpBroadcastStarted|UserEmojiChanged|PadContent|process_ended|archive_ended)",
        field in "(intId|extId|props|meetingId|chatId|msg|poll|answers|userId|emoji|userdata|meeting_id|step_time|duration)",
        given in r#"(null|7|-1e9|"x"|\[\]|\[7,\{\}\]|\{\}|true|"MAIN-PUBLIC-GROUP-CHAT"|\{"meetingProp":7,"answers":[1]\})"#,
    ) {
        let given: Value = serde_json::from_str(&given).unwrap();
        let of_script = name.contains('_');
        let name = if of_script { name } else { format!("{name}EvtMsg") };
        let body = json!({ (field): given });
        let said = if of_script { script(&name, body) } else { message(&name, "w_1", body) };
        for event in teller().tell(said, NOW, true) {
            assert!(value(&event.attributes)["meeting"]["internal-meeting-id"].is_string());
        }
    }
}
