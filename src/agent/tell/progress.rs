//! Progress of recordings: what BBB's scripts say, on a channel of their own and in a form of their own.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::text;
use crate::said::{Said, present};

/// An event of a recording.
pub(super) struct Progress {
    /// The internal id of the meeting.
    pub(super) meeting: String,
    pub(super) name: &'static str,
    /// Seconds since 1970.
    pub(super) ts: Option<i64>,
    pub(super) attributes: Value,
}

#[derive(Deserialize)]
struct Named {
    header: Header,
}

#[derive(Deserialize)]
struct Header {
    name: String,
}

/// Reads a message of the scripts. `None`: it is none, or about something else.
pub(crate) fn read(message: &[u8]) -> Option<Said> {
    let Named { header } = serde_json::from_slice(message).ok()?;
    name_of(&header.name)?;
    Some(Said { name: header.name, whole: serde_json::from_slice(message).ok()? })
}

/// The name in bbb-webhooks. The published recording is the server's to tell of, once it has it: `publish_ended`, `published`,
/// `unpublished` and `deleted` are of the node's own copy.
fn name_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "archive_started" => "rap-archive-started",
        "archive_ended" => "rap-archive-ended",
        "sanity_started" => "rap-sanity-started",
        "sanity_ended" => "rap-sanity-ended",
        "post_archive_started" => "rap-post-archive-started",
        "post_archive_ended" => "rap-post-archive-ended",
        "process_started" => "rap-process-started",
        "process_ended" => "rap-process-ended",
        "post_process_started" => "rap-post-process-started",
        "post_process_ended" => "rap-post-process-ended",
        "publish_started" => "rap-publish-started",
        "post_publish_started" => "rap-post-publish-started",
        "post_publish_ended" => "rap-post-publish-ended",
        _ => return None,
    })
}

/// The event of a message. `None`: it is none of the scripts'.
pub(super) fn told(name: &str, whole: &Value) -> Option<Progress> {
    let name = name_of(name)?;
    let payload = &whole["payload"];
    let meeting = text(&payload["meeting_id"]).or_else(|| text(&payload["record_id"]))?;
    let mut attributes = present([
        ("record-id", &payload["record_id"]),
        ("success", &flag(&payload["success"])),
        ("step-time", &number(&payload["step_time"])),
        ("workflow", &payload["workflow"]),
    ]);
    if let Some(external) = text(&payload["external_meeting_id"]) {
        attributes["meeting"] = json!({ "external-meeting-id": external });
    }
    if name == "rap-archive-ended" {
        attributes["recorded"] = json!(flag(&payload["recorded"]) == true);
        attributes["duration"] = Some(number(&payload["duration"])).filter(Value::is_number).unwrap_or(json!(0));
    }
    let ts = number(&whole["header"]["current_time"]).as_i64();
    Some(Progress { meeting, name, ts, attributes })
}

/// The scripts write some truths and numbers as text.
fn flag(value: &Value) -> Value {
    match value.as_str() {
        Some("true") => json!(true),
        Some("false") => json!(false),
        _ => value.clone(),
    }
}

fn number(value: &Value) -> Value {
    let read = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_number);
    read.unwrap_or_else(|| value.clone())
}
