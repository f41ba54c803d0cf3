//! Events of agents that do not tell webhooks, in the terms of bbb-webhooks.

use b3scale_middleware::cluster::{Attendee, AttendeeChange, NodeEvent};
use serde_json::{Value, json};

use super::heard::{Attributes, Heard};

/// The events of webhooks that an event of a node stands for.
pub(super) fn heard(event: &NodeEvent) -> Vec<Heard<'_>> {
    match event {
        NodeEvent::MeetingEnded { meeting } => vec![of_meeting(meeting, "meeting-ended")],
        NodeEvent::RecordingChanged { meeting, recording: true } => {
            vec![of_meeting(meeting, "meeting-recording-started")]
        }
        NodeEvent::RecordingChanged { meeting, recording: false } => {
            vec![of_meeting(meeting, "meeting-recording-stopped")]
        }
        NodeEvent::AttendeeJoined { meeting, attendee } => vec![joined(meeting, attendee)],
        NodeEvent::AttendeeLeft { meeting, attendee } => vec![of_user(meeting, attendee, ("user-left", json!({})))],
        NodeEvent::AttendeeChanged { meeting, attendee, change } => {
            changes(*change).map(|change| of_user(meeting, attendee, change)).collect()
        }
        // The record of the meeting tells of it, and knows more.
        NodeEvent::MeetingCreated { .. } | NodeEvent::Unknown => Vec::new(),
    }
}

/// A change of an attendee may be several events.
fn changes(change: AttendeeChange) -> impl Iterator<Item = (&'static str, Value)> {
    let AttendeeChange { moderator: _, presenter, listening_only, joined_voice, has_video } = change;
    let presenter = presenter.map(|on| if on { "user-presenter-assigned" } else { "user-presenter-unassigned" });
    let voice = match (joined_voice, listening_only) {
        (None, None) => None,
        (Some(true), _) => Some(voice(true, false)),
        (_, Some(true)) => Some(voice(true, true)),
        (_, _) => Some(voice(false, false)),
    };
    let camera = has_video.map(|on| if on { "user-cam-broadcast-start" } else { "user-cam-broadcast-end" });
    let plain = |name| (name, json!({}));
    [presenter.map(plain), voice, camera.map(plain)].into_iter().flatten()
}

fn voice(on: bool, listens: bool) -> (&'static str, Value) {
    let name = if on { "user-audio-voice-enabled" } else { "user-audio-voice-disabled" };
    (name, json!({"listening-only": listens, "sharing-mic": on && !listens, "muted": !on}))
}

fn of_meeting<'a>(meeting: &'a str, name: &'static str) -> Heard<'a> {
    let attributes = Attributes::Basic(json!({"meeting": {"internal-meeting-id": meeting}}));
    Heard { meeting, name, ts: None, attributes, raw: None, who: None, breakout: None }
}

fn joined<'a>(meeting: &'a str, attendee: &Attendee) -> Heard<'a> {
    let user = json!({
        "internal-user-id": attendee.internal_id, "external-user-id": attendee.user_id, "name": attendee.full_name,
        "role": if attendee.moderator { "MODERATOR" } else { "VIEWER" }, "presenter": attendee.presenter,
    });
    let attributes = Attributes::Basic(json!({"meeting": {"internal-meeting-id": meeting}, "user": user}));
    Heard { attributes, ..of_meeting(meeting, "user-joined") }
}

/// The statement adds the external id.
fn of_user<'a>(meeting: &'a str, who: &'a str, (name, mut user): (&'static str, Value)) -> Heard<'a> {
    user["internal-user-id"] = Value::from(who);
    let attributes = Attributes::Basic(json!({"meeting": {"internal-meeting-id": meeting}, "user": user}));
    Heard { attributes, who: Some(who.into()), ..of_meeting(meeting, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(event: Value) -> Vec<(String, Value)> {
        let event: NodeEvent = serde_json::from_value(event).expect("it is an event");
        let heard = heard(&event).into_iter().map(|heard| {
            let Attributes::Basic(attributes) = heard.attributes else { panic!("it is of an old agent") };
            assert_eq!((heard.meeting, &attributes["meeting"]["internal-meeting-id"]), ("m", &json!("m")));
            (heard.name.to_owned(), attributes["user"].clone())
        });
        heard.collect()
    }

    #[test]
    fn each_change_is_an_event() {
        let of = |change: Value| {
            let mut event = json!({"type": "attendee_changed", "meeting": "m", "attendee": "w"});
            change.as_object().into_iter().flatten().for_each(|(field, value)| event[field] = value.clone());
            names(event).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(of(json!({"moderator": true})), <[&str; 0]>::default());
        assert_eq!(
            of(json!({"presenter": true, "has_video": false})),
            ["user-presenter-assigned", "user-cam-broadcast-end"]
        );
        assert_eq!(of(json!({"joined_voice": true, "listening_only": false})), ["user-audio-voice-enabled"]);
        assert_eq!(of(json!({"joined_voice": false})), ["user-audio-voice-disabled"]);
        let listens =
            names(json!({"type": "attendee_changed", "meeting": "m", "attendee": "w", "listening_only": true}));
        let user = json!({"internal-user-id": "w", "listening-only": true, "sharing-mic": false, "muted": false});
        assert_eq!(listens, [("user-audio-voice-enabled".to_owned(), user)]);
    }

    #[test]
    fn a_created_meeting_is_left_to_its_record() {
        assert_eq!(names(json!({"type": "meeting_created", "meeting": {"internal_id": "m", "id": "x"}})), []);
        assert_eq!(names(json!({"type": "meeting_ended", "meeting": "m"}))[0].0, "meeting-ended");
        assert_eq!(
            names(json!({"type": "recording_changed", "meeting": "m", "recording": true}))[0].0,
            "meeting-recording-started"
        );
        let joined = json!({"type": "attendee_joined", "meeting": "m",
            "attendee": {"internal_id": "w", "user_id": "u", "full_name": "Ada", "moderator": true}});
        let user = json!({"internal-user-id": "w", "external-user-id": "u", "name": "Ada", "role": "MODERATOR", "presenter": false});
        assert_eq!(names(joined), [("user-joined".to_owned(), user)]);
    }
}
