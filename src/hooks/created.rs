//! A created meeting of a node without an agent: its attributes by its entry in lists.

use b3scale_middleware::bbb::xml::{children, fields};
use serde_json::{Map, Value};

/// Attributes and their elements.
const TEXTS: [(&str, &str); 7] = [
    ("name", "meetingName"),
    ("parent-id", "parentMeetingID"),
    ("create-date", "createDate"),
    ("moderator-pass", "moderatorPW"),
    ("viewer-pass", "attendeePW"),
    ("voice-conf", "voiceBridge"),
    ("dial-number", "dialNumber"),
];
const NUMBERS: [(&str, &str); 3] = [("duration", "duration"), ("create-time", "createTime"), ("max-users", "maxUsers")];
const FLAGS: [(&str, &str); 2] = [("is-breakout", "isBreakout"), ("record", "recording")];

/// The parent of a meeting that is no breakout.
const NO_PARENT: &str = "bbb-none";

/// The attributes of `meeting-created`. `None`: the entry cannot be read.
pub(super) fn attributes(entry: &[u8]) -> Option<Value> {
    let mut meeting = Map::new();
    for ((name, _), text) in TEXTS.into_iter().zip(fields(entry, TEXTS.map(|(_, element)| element)).ok()?) {
        meeting.extend(text.map(|text| (name.to_owned(), text.into())));
    }
    for ((name, _), text) in NUMBERS.into_iter().zip(fields(entry, NUMBERS.map(|(_, element)| element)).ok()?) {
        let number = text.and_then(|text| text.parse::<i64>().ok());
        meeting.extend(number.map(|number| (name.to_owned(), number.into())));
    }
    for ((name, _), text) in FLAGS.into_iter().zip(fields(entry, FLAGS.map(|(_, element)| element)).ok()?) {
        meeting.insert(name.to_owned(), text.is_some_and(|text| text == "true").into());
    }
    meeting.entry("parent-id").or_insert_with(|| NO_PARENT.into());
    let metadata = children(entry, &["meeting", "metadata"]).ok()?;
    let metadata: Map<_, _> = metadata.into_iter().map(|(name, value)| (name, value.into())).collect();
    meeting.insert("metadata".to_owned(), metadata.into());
    Some(Map::from_iter([("meeting".to_owned(), meeting.into())]).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_has_what_bbb_webhooks_tells_of_a_meeting() {
        let entry = b"<meeting><meetingName>Demo &amp; room</meetingName><meetingID>scoped</meetingID>\
            <internalMeetingID>i-1</internalMeetingID><createTime>1700000000000</createTime>\
            <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate><voiceBridge>71234</voiceBridge>\
            <dialNumber>613-555-1234</dialNumber><attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW>\
            <running>false</running><duration>60</duration><recording>true</recording><maxUsers>30</maxUsers>\
            <attendees></attendees><metadata><bbb-origin>demo</bbb-origin></metadata>\
            <isBreakout>false</isBreakout></meeting>";
        assert_eq!(
            attributes(entry),
            Some(json!({"meeting": {
                "name": "Demo & room", "is-breakout": false, "parent-id": "bbb-none", "duration": 60,
                "create-time": 1_700_000_000_000_i64, "create-date": "Tue Nov 14 22:13:20 UTC 2023",
                "moderator-pass": "mp", "viewer-pass": "ap", "record": true, "voice-conf": "71234",
                "dial-number": "613-555-1234", "max-users": 30, "metadata": {"bbb-origin": "demo"},
            }}))
        );
    }

    #[test]
    fn a_breakout_names_its_parent_and_odd_fields_are_left_out() {
        let entry = b"<meeting><isBreakout>true</isBreakout><parentMeetingID>p-1</parentMeetingID><duration>x</duration></meeting>";
        let expected = json!({"meeting": {"is-breakout": true, "parent-id": "p-1", "record": false, "metadata": {}}});
        assert_eq!(attributes(entry), Some(expected));
        assert_eq!(attributes(b"<meeting>"), None);
    }
}
