//! Events for webhooks, from the node's Redis to the server.

use b3scale::rest::{Batch, Event, Wants};
use b3scale_node::{Media, Role};
use serde_json::{Value, json};

use super::desk::{Fate, Known};
use super::{Agent, Site};

/// Names and attributes of what a server was told, a repeated batch once.
fn told(batches: &[Batch]) -> Vec<(String, Value)> {
    let mut counted: Vec<&Batch> = batches.iter().collect();
    counted.dedup_by_key(|batch| batch.seq);
    let events = counted.into_iter().flat_map(|batch| batch.mapped.iter().flatten());
    events.map(|event| (event.name.clone(), event.attributes.read().expect("it is JSON"))).collect()
}

impl Site {
    async fn until_told(&self, name: &str) {
        let is_it = |known: &Known| told(&known.batches).iter().any(|(told, _)| told == name);
        self.desk.until(name, is_it).await;
    }

    /// An agent that follows its node, and tells what webhooks want.
    async fn telling(wants: Wants) -> (Self, Agent) {
        let site = Self::start().await;
        site.desk.known().wants = wants;
        let agent = site.agent(&[]);
        site.until_followed().await;
        site.desk.until("the tale begins", |known| known.batches.iter().any(|batch| batch.mapped.is_some())).await;
        (site, agent)
    }

    /// All that can happen in a meeting.
    fn lesson(&self) -> (String, String, String) {
        let control = self.node.control();
        let meeting = control.create("lesson");
        let ada = control.join("lesson", "Ada", Role::Moderator).unwrap();
        let bob = control.join("lesson", "Bob", Role::Viewer).unwrap();
        let media = Media { voice: true, video: true, ..Media::default() };
        assert!(control.media("lesson", &bob, media) && control.media("lesson", &bob, Media::default()));
        assert!(control.mute("lesson", &bob, true) && control.mute("lesson", &bob, false));
        assert!(control.emoji("lesson", &bob, "👍") && control.raise_hand("lesson", &bob, true));
        assert!(control.whisper("lesson", &bob, "private") && control.chat("lesson", &bob, "public"));
        assert!(control.share_screen("lesson", true) && control.share_screen("lesson", false));
        assert!(control.show("lesson", "slides") && control.take_notes("lesson", "Homework"));
        assert!(control.poll("lesson", &ada, "Why?", &["A", "B"], &bob));
        assert!(control.record("lesson", true) && control.record("lesson", false));
        control.progress(&meeting, "lesson", "archive_ended", &json!({"recorded": true, "duration": 7}));
        control.progress(&meeting, "lesson", "publish_ended", &json!({"playback": {"link": "https://node.example/"}}));
        assert!(control.leave("lesson", &ada) && control.expire("lesson"));
        (meeting, ada, bob)
    }
}

#[tokio::test]
async fn all_that_happens_is_told_in_order() {
    let (site, _agent) = Site::telling(Wants { told: true, raw: false }).await;
    let (meeting, ada, bob) = site.lesson();
    site.until_told("meeting-ended").await;
    let known = site.desk.known();
    let told = told(&known.batches);
    let names: Vec<&str> = told.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "meeting-created",
        "user-joined",
        "user-presenter-assigned",
        "user-joined",
        "user-audio-voice-enabled",
        "user-cam-broadcast-start",
        "user-audio-voice-disabled",
        "user-cam-broadcast-end",
        "user-audio-muted",
        "user-audio-unmuted",
        "user-emoji-changed",
        "user-raise-hand-changed",
        "chat-group-message-sent",
        "meeting-screenshare-started",
        "meeting-screenshare-stopped",
        "meeting-presentation-changed",
        "pad-content",
        "poll-started",
        "poll-responded",
        "meeting-recording-started",
        "meeting-recording-stopped",
        "rap-archive-ended",
        "user-left",
        "user-left",
        "meeting-ended",
    ];
    assert_eq!(names, expected);
    let of = |name: &str| &told.iter().find(|(told, _)| told == name).unwrap().1;
    for (name, attributes) in &told {
        assert_eq!(attributes["meeting"]["internal-meeting-id"], json!(meeting), "{name}");
        assert_eq!(attributes["meeting"]["external-meeting-id"], "lesson", "{name}");
    }
    assert_eq!(of("meeting-screenshare-started")["user"]["internal-user-id"], json!(ada));
    assert_eq!(of("poll-responded")["user"]["internal-user-id"], json!(ada));
    assert_eq!(of("chat-group-message-sent")["chat-message"]["sender"]["internal-user-id"], json!(bob));
    assert_eq!(of("rap-archive-ended")["recorded"], true);
    let text = serde_json::to_string(&known.batches).unwrap();
    for secret in ["session-token", "sessionToken", "private", "node.example"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let mut mapped = known.batches.iter().flat_map(|batch| batch.mapped.iter().flatten());
    let archived = mapped.find(|event| event.name == "rap-archive-ended").unwrap();
    assert!(archived.ts < 100_000_000_000, "seconds: {archived:?}");
}

#[tokio::test]
async fn messages_go_along_where_they_are_wanted_and_without_tokens() {
    let (site, _agent) = Site::telling(Wants { told: true, raw: true }).await;
    site.lesson();
    site.until_told("meeting-ended").await;
    let text = serde_json::to_string(&site.desk.known().batches).unwrap();
    assert!(text.contains("UserJoinedMeetingEvtMsg") && text.contains("GroupChatMessageBroadcastEvtMsg"));
    assert!(!text.contains("sessionToken") && !text.contains("1700000000000-private"));
}

#[tokio::test]
async fn without_webhooks_nothing_is_told() {
    let site = Site::start().await;
    let _agent = site.agent(&[]);
    site.until_followed().await;
    site.lesson();
    let is_end = |event: &Event| matches!(event, Event::MeetingEnded { .. });
    site.desk.until("the end", |known| known.batches.iter().flat_map(|batch| &batch.events).any(is_end)).await;
    let known = site.desk.known();
    assert_eq!(told(&known.batches), []);
    // Nor is anything in them that an older server does not know.
    let text = serde_json::to_string(&known.batches).unwrap();
    assert!(!text.contains("mapped"), "{text}");
}

#[tokio::test]
async fn what_a_refused_batch_told_is_told_again() {
    let (site, _agent) = Site::telling(Wants { told: true, raw: false }).await;
    let control = site.node.control();
    control.create("lesson");
    let people = site.join("lesson", 3);
    site.until_told("user-joined").await;
    // A batch is lost with its answer, and later the server asks for a snapshot.
    site.desk.known().fates.extend([Fate::AnswerLost, Fate::SnapshotWanted, Fate::AnswerLost]);
    for (number, who) in people.iter().cycle().take(60).enumerate() {
        assert!(control.raise_hand("lesson", who, number % 2 == 0) && control.chat("lesson", who, &number.to_string()));
    }
    site.desk.away().await;
    assert!(control.chat("lesson", &people[0], "away"));
    site.desk.back().await;
    assert!(control.expire("lesson"));
    site.until_told("meeting-ended").await;
    let told = told(&site.desk.known().batches);
    let said = told.iter().filter(|(name, _)| name == "chat-group-message-sent");
    let said: Vec<&str> = said.map(|(_, attributes)| attributes["chat-message"]["message"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..60).map(|number| number.to_string()).chain(["away".to_owned()]).collect();
    assert_eq!(said, expected);
}

#[tokio::test]
async fn webhooks_may_come_and_go() {
    let (site, _agent) = Site::telling(Wants { told: true, raw: false }).await;
    let control = site.node.control();
    control.create("lesson");
    let ada = site.join("lesson", 1).remove(0);
    site.until_told("user-joined").await;
    site.desk.known().wants = Wants::default();
    site.desk.until("the tale ends", |known| known.batches.last().is_some_and(|batch| batch.mapped.is_none())).await;
    assert!(control.chat("lesson", &ada, "unheard"));
    site.desk.known().wants = Wants { told: true, raw: false };
    site.desk.until("it begins again", |known| known.batches.last().is_some_and(|batch| batch.mapped.is_some())).await;
    assert!(control.chat("lesson", &ada, "heard"));
    site.until_told("chat-group-message-sent").await;
    let told = told(&site.desk.known().batches);
    let (_, chat) = told.iter().find(|(name, _)| name == "chat-group-message-sent").unwrap();
    assert_eq!(chat["chat-message"]["message"], "heard");
    assert_ne!(chat["chat-message"]["sender"]["external-user-id"], "", "Ada is known from the roster");
}
