//! Callbacks of a node's scripts, each sent once: a recording can be played, and the analytics of a meeting.

use http::Method;
use serde_json::json;

use super::meeting::{Meeting, Role};
use super::outgoing::{Outgoing, jwt};
use super::recording::Recorded;

/// The metadata in which a node looks for the URL of its ready callback, the first one that is there.
const READY: [&str; 3] = ["bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url"];

/// A day, in seconds.
const DAY: u64 = 86_400;

/// Tells that a format of a recording can be played. `None`: its meeting wants no such callback.
pub(super) fn ready(recorded: &Recorded, secret: &str) -> Option<Outgoing> {
    let url = READY.iter().find_map(|name| recorded.meta(name))?.to_owned();
    let claims = json!({"meeting_id": recorded.meeting_id, "record_id": recorded.id}).to_string();
    Some(Outgoing {
        method: Method::POST,
        url,
        headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
        body: format!("signed_parameters={}", jwt(r#"{"alg":"HS256"}"#, &claims, secret)),
    })
}

/// Tells what people did in a meeting that has ended. `None`: nothing was kept of it, or no setting asks for it.
pub(super) fn analytics(meeting: &Meeting, now: u64, secret: &str) -> Option<Outgoing> {
    let keeps = meeting.record || meeting.params.given("meetingKeepEvents") == Some("true");
    let url = meeting.metadata.get("analytics-callback-url").filter(|_| keeps && meeting.breakout.is_none())?;
    let metadata = meeting.metadata.iter().map(|(name, value)| (name.replace('-', "_"), json!(value)));
    let own = [("is_breakout".to_owned(), json!(false)), ("meeting_name".to_owned(), json!(meeting.name))];
    let metadata: serde_json::Map<_, _> = metadata.chain(own).collect();
    let attendees: Vec<_> = meeting
        .attendees
        .iter()
        .map(|one| json!({"ext_user_id": one.user_id, "name": one.name, "moderator": one.role == Role::Moderator}))
        .collect();
    let body = json!({
        "version": "1.0",
        "meeting_id": meeting.meeting_id,
        "internal_meeting_id": meeting.internal_id,
        "data": {
            "metadata": metadata,
            "duration": now.saturating_sub(meeting.create_time) / 1000,
            "attendees": attendees,
            "files": meeting.documents.iter().map(|document| &document.name).collect::<Vec<_>>(),
            "polls": [],
        },
    });
    let claims = json!({"exp": now / 1000 + DAY}).to_string();
    let token = jwt(r#"{"typ":"JWT","alg":"HS512"}"#, &claims, secret);
    Some(Outgoing {
        method: Method::POST,
        url: url.clone(),
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "BigBlueButton Analytics Callback".to_owned()),
            ("authorization", format!("Bearer {token}")),
        ],
        body: body.to_string(),
    })
}
