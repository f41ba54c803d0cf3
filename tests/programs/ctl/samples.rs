//! Bodies as a server writes them.

use serde_json::{Value, json};

pub(crate) const BACKEND: &str = "0193f000-0000-7000-8000-000000000001";
pub(super) const FRONTEND: &str = "0193f000-0000-7000-8000-000000000002";
pub(super) const COMMAND: &str = "0193f000-0000-7000-8000-000000000003";
/// The backend's host, and the same in a query.
pub(super) const HOST: &str = "https://node-1.example/bigbluebutton/api/";
pub(super) const ASKED_HOST: &str = "https%3A%2F%2Fnode-1.example%2Fbigbluebutton%2Fapi%2F";

const TIME: &str = "2026-11-22T07:12:22.610893Z";

pub(crate) fn status(is_admin: bool) -> Value {
    json!({
        "version": "9.9", "build": "b", "api": "v1", "account_ref": "me", "is_admin": is_admin,
        "database": {
            "available": true, "database": "b3scale", "migrated": true, "pending_migrations": 0, "error": null,
            "migration": { "applied_at": TIME, "description": "node agent api", "version": 2 },
        },
    })
}

pub(crate) fn backend(change: &Value) -> Value {
    let mut backend = json!({
        "id": BACKEND, "node_state": "ready", "admin_state": "ready", "agent_heartbeat": "2000-01-01T00:00:00Z",
        "agent_ref": null, "last_error": null, "latency": 1_487_181, "meetings_count": 2, "attendees_count": 5,
        "load_factor": 1.0, "bbb": { "host": HOST, "secret": "node-secret" }, "settings": { "tags": ["a"] },
        "created_at": TIME, "updated_at": TIME, "synced_at": TIME,
    });
    merge(&mut backend, change);
    backend
}

pub(super) fn frontend(change: &Value) -> Value {
    let mut frontend = json!({
        "id": FRONTEND, "active": true, "bbb": { "key": "school", "secret": "school-secret" },
        "settings": {
            "required_tags": null, "default_presentation": null, "attendees_limit": null, "create_default_params": {},
            "create_override_params": {}, "join_default_params": {}, "join_override_params": {}, "recordings": null,
        },
        "account_ref": null, "description": null, "created_at": TIME, "updated_at": TIME,
    });
    merge(&mut frontend, change);
    frontend
}

pub(super) fn delivery(state: &str) -> Value {
    json!({
        "id": COMMAND, "kind": "end", "state": state, "frontend": "school", "meeting_id": "lesson",
        "scoped_id": "school-lesson", "record_id": null, "host": "moodle.example", "attempts": 3, "status": 503,
        "problem": "the receiver answers 503", "created_at": TIME, "tried_at": TIME, "next_try": TIME, "settled_at": null,
    })
}

pub(super) fn hook(state: &str) -> Value {
    json!({
        "id": COMMAND, "frontend": "school", "state": state, "host": "moodle.example", "meeting_id": "lesson",
        "events": ["user-left"], "raw": false, "permanent": false, "behind": 12, "delivered": 40, "lost": 0, "status": 503,
        "problem": "the receiver answers 503", "created_at": TIME, "delivered_at": TIME, "paused_at": null,
    })
}

pub(super) fn command(state: &str, result: &Value) -> Value {
    json!({
        "id": COMMAND, "seq": 1, "state": state, "action": "end_all_meetings", "params": { "BackendID": BACKEND },
        "result": result, "deadline": TIME, "started_at": null, "stopped_at": null, "created_at": TIME,
    })
}

/// A cluster of two servers that run pipelines of these hashes, and of two backends.
pub(crate) fn cluster(hashes: [&str; 2]) -> Value {
    let server = |number: usize| {
        json!({
            "id": format!("0193f000-0000-7000-8000-00000000001{number}"), "address": format!("10.0.0.{number}:42353"),
            "version": "9.9", "pipeline_hash": hashes[number], "started_at": TIME, "beat_age": 0.4, "alive": true,
            "answering": number == 0, "problems": if number == 0 { json!(["it drains"]) } else { json!([]) },
        })
    };
    let backend = |number: usize, reason: Value, heartbeat: Value| {
        json!({
            "id": format!("0193f000-0000-7000-8000-00000000000{number}"), "host": format!("https://node-{number}/"),
            "admin_state": "ready", "node_state": "ready", "reason": reason, "heartbeat_age": heartbeat,
            "load": 30.0 / number as f64, "meetings": 2, "attendees": 5, "latency": 1_487_181, "tags": [],
        })
    };
    json!({
        "servers": [server(0), server(1)],
        "backends": [backend(1, Value::Null, json!(1.0)), backend(2, json!("its agent is silent"), Value::Null)],
        "frontends": [{ "id": FRONTEND, "key": "school", "active": true, "meetings": 4, "attendees": 10 }],
    })
}

/// A meeting of the school on the first backend.
pub(super) fn meeting() -> Value {
    json!({
        "id": "WyJz", "internal_id": "abc-1", "frontend_id": FRONTEND, "backend_id": BACKEND, "created_at": TIME,
        "updated_at": TIME, "synced_at": TIME, "state": "live", "frontend_meeting_id": "lesson-1",
        "meeting": {
            "MeetingName": "Lesson", "ParticipantCount": 1, "AttendeePW": "ap", "ModeratorPW": "mp",
            "Attendees": [{ "UserID": "u1", "FullName": "Ada", "Role": "MODERATOR", "HasVideo": true }],
        },
    })
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            change.iter().for_each(|(name, value)| merge(&mut into[name.as_str()], value));
        }
        (into, change) => *into = change.clone(),
    }
}
