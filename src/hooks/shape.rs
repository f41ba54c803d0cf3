//! The shape of an event: bbb-webhooks' frame, in the tenant's terms.

use b3scale_middleware::bbb::xml::is_ours;
use serde::Serialize;
use serde_json::{Map, Value};

use super::created;
use crate::callbacks::Terms;
use crate::store::HookEvent;

/// The frame of all events. The order of its fields is BBB's.
#[derive(Serialize)]
struct Frame<'a> {
    data: Data<'a>,
    event: Moment,
}

#[derive(Serialize)]
struct Data<'a> {
    r#type: &'static str,
    id: &'a str,
    attributes: &'a Value,
}

#[derive(Serialize)]
struct Moment {
    ts: i64,
}

/// An event as bbb-webhooks sends it, with its recording if it is of one.
pub(super) fn mapped(event: &HookEvent, recording: Option<Value>, terms: Terms<'_>) -> String {
    let mut attributes = attributes(event);
    attributes.extend(recording.map(|recording| ("recording".to_owned(), recording)));
    name_meeting(&mut attributes, event);
    let mut attributes = Value::Object(attributes);
    put_into_terms(&mut attributes, terms);
    let data = Data { r#type: "event", id: &event.name, attributes: &attributes };
    json(&Frame { data, event: Moment { ts: event.ts } })
}

/// The message of BBB behind an event. `None`: there is none, for example for what we know ourselves.
pub(super) fn raw(event: &HookEvent, terms: Terms<'_>) -> Option<String> {
    let mut message = event.raw.clone()?;
    put_into_terms(&mut message, terms);
    Some(json(&message))
}

/// The attributes that are known, with the node's ids.
fn attributes(event: &HookEvent) -> Map<String, Value> {
    let of_entry = || created::attributes(event.entry.as_ref()?.as_bytes());
    match event.attributes.clone().or_else(of_entry) {
        Some(Value::Object(known)) => known,
        _ => Map::new(),
    }
}

/// Names the meeting by its ids.
fn name_meeting(attributes: &mut Map<String, Value>, event: &HookEvent) {
    let meeting = attributes.entry("meeting").or_insert(Value::Null);
    if !meeting.is_object() {
        *meeting = Value::Object(Map::new());
    }
    meeting["internal-meeting-id"] = event.internal_id.as_str().into();
    meeting["external-meeting-id"] = event.meeting_id.as_str().into();
}

/// Every text in the tenant's terms, and none of our metadata.
fn put_into_terms(value: &mut Value, terms: Terms<'_>) {
    without_ours(value);
    terms.document(value);
}

fn without_ours(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !is_ours(name));
            fields.values_mut().for_each(without_ours);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ours),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::{MeetingId, ScopedId};
    use b3scale_middleware::cluster::{CALLBACK_PATH, Callback, CallbackKind};
    use serde_json::json;

    use super::*;

    fn scoped() -> String {
        ScopedId::new("school", &MeetingId::new("m 1")).to_string()
    }

    fn event(name: &str, attributes: Option<Value>) -> HookEvent {
        HookEvent {
            seq: 1,
            name: name.to_owned(),
            meeting: scoped(),
            meeting_id: "m 1".to_owned(),
            internal_id: "internal-1".to_owned(),
            ts: 1_700_003_600_123,
            attributes,
            entry: None,
            raw: None,
            is_awaited: false,
        }
    }

    fn callback() -> Callback {
        Callback {
            name: "meta_endcallbackurl".to_owned(),
            kind: CallbackKind::End,
            url: "https://school.example/end".to_owned(),
            token: "t1".to_owned(),
            address: String::new(),
        }
    }

    fn terms<'a>(scoped: &'a str, callbacks: &'a [Callback]) -> Terms<'a> {
        Terms { frontend_key: "school", meeting: scoped, meeting_id: "m 1", callbacks }
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn the_frame_has_bbbs_form() {
        let scoped = scoped();
        assert_eq!(
            mapped(&event("meeting-ended", None), None, terms(&scoped, &[])),
            concat!(
                r#"{"data":{"type":"event","id":"meeting-ended","attributes":{"meeting":{"#,
                r#""external-meeting-id":"m 1","internal-meeting-id":"internal-1"}}},"event":{"ts":1700003600123}}"#
            )
        );
    }

    #[test]
    fn no_scoped_id_and_nothing_of_ours_leaves() {
        let (scoped, callbacks) = (scoped(), [callback()]);
        let address = format!("https://b3scale.example{CALLBACK_PATH}t1");
        let attributes = json!({
            "meeting": {
                "internal-meeting-id": "internal-1", "external-meeting-id": scoped, "name": format!("in {scoped}"),
                "metadata": {"b3s-frontend": "school", "endcallbackurl": address, "bbb-origin": "Moodle"},
            },
            "user": {"name": "Ada", "userdata": [{"room": scoped}]},
        });
        let said = mapped(&event("meeting-created", Some(attributes)), None, terms(&scoped, &callbacks));
        let expected = json!({
            "meeting": {
                "internal-meeting-id": "internal-1", "external-meeting-id": "m 1", "name": "in m 1",
                "metadata": {"endcallbackurl": "https://school.example/end", "bbb-origin": "Moodle"},
            },
            "user": {"name": "Ada", "userdata": [{"room": "m 1"}]},
        });
        assert_eq!(read(&said)["data"]["attributes"], expected);
    }

    #[test]
    fn a_message_of_bbb_is_itself_in_the_tenants_terms() {
        let scoped = scoped();
        let message =
            json!({"core": {"body": {"props": {"meetingProp": {"extId": scoped}, "metadataProp": {"b3s-x": "1"}}}}});
        let told = HookEvent { raw: Some(message), ..event("meeting-created", None) };
        let expected = json!({"core": {"body": {"props": {"meetingProp": {"extId": "m 1"}, "metadataProp": {}}}}});
        assert_eq!(raw(&told, terms(&scoped, &[])).map(|said| read(&said)), Some(expected));
        assert_eq!(raw(&event("meeting-ended", None), terms(&scoped, &[])), None);
    }

    #[test]
    fn attributes_that_are_none_are_made_good() {
        let scoped = scoped();
        for odd in [json!([1]), json!("x"), json!({"meeting": 1})] {
            let said = mapped(&event("user-left", Some(odd)), None, terms(&scoped, &[]));
            let meeting = json!({"internal-meeting-id": "internal-1", "external-meeting-id": "m 1"});
            assert_eq!(read(&said)["data"]["attributes"]["meeting"], meeting);
        }
    }
}
