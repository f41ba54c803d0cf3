//! The entry of a meeting in a list, before its node has listed it.

use bytes::Bytes;

use super::events::{Event, Events};
use super::{Writer, XmlError, fields, is_name};
use crate::bbb::Params;

/// What the answer to a create says that a list repeats, in the list's order.
const REPEATED: [&str; 10] = [
    "meetingID",
    "internalMeetingID",
    "createTime",
    "createDate",
    "voiceBridge",
    "dialNumber",
    "attendeePW",
    "moderatorPW",
    "duration",
    "hasUserJoined",
];

/// What an answer says of the call, and not of its meeting.
const OUTCOME: [&str; 3] = ["returncode", "messageKey", "message"];

/// What nobody has done yet in a meeting that has just been made.
const COUNTS: [&str; 4] = ["participantCount", "listenerCount", "voiceParticipantCount", "videoCount"];

/// Writes the `meeting` element that a node would list, of its answer to a create and the parameters of that. Ids are the
/// node's own.
///
/// # Errors
///
/// The answer is not well-formed and complete.
pub fn entry_of_create(answer: &[u8], params: &Params) -> Result<Bytes, XmlError> {
    let said = fields(answer, REPEATED)?.map(Option::unwrap_or_default);
    let [meeting_id, internal_id, create_time, .., duration, joined] = &said;
    let is_true = |name| if params.says_true(name) { "true" } else { "false" };
    let mut entry = Writer::element("meeting").field("meetingName", params.first("name").unwrap_or_default());
    entry = entry.field("meetingID", meeting_id).field("internalMeetingID", internal_id);
    for (name, text) in REPEATED.iter().zip(&said).skip(2).take(6) {
        entry = entry.field(name, text);
    }
    entry = entry.field("running", "false").field("duration", duration).field("hasUserJoined", joined);
    entry = entry.field("recording", is_true("record")).field("hasBeenForciblyEnded", "false");
    entry = entry.field("startTime", create_time).field("endTime", "0");
    entry = COUNTS.iter().fold(entry, |entry, name| entry.field(name, "0"));
    entry = entry.field("maxUsers", params.first("maxParticipants").unwrap_or("0")).field("moderatorCount", "0");
    entry = metadata(entry.open("attendees").close().open("metadata"), params).close();
    Ok(entry.field("isBreakout", is_true("isBreakout")).finish())
}

/// Writes the `meeting` element that a node would list, of its answer to getMeetingInfo: all that is in it but the outcome.
///
/// # Errors
///
/// The answer is not well-formed and complete.
pub fn entry_of_info(answer: &Bytes) -> Result<Bytes, XmlError> {
    let mut entry = b"<meeting>".to_vec();
    let mut start = 0;
    let mut events = Events::new(answer)?;
    while let Some(event) = events.next()? {
        if events.path().depth() != 2 || OUTCOME.contains(&events.path().last()) {
            continue;
        }
        match event {
            Event::Open => start = events.span().start,
            Event::Close => entry.extend_from_slice(&answer[start..events.span().end]),
            Event::Text(_) => {}
        }
    }
    entry.extend_from_slice(b"</meeting>");
    Ok(entry.into())
}

/// BBB keeps metadata under lower-case names. One that cannot be the name of an element is left to the node.
fn metadata(entry: Writer, params: &Params) -> Writer {
    let given = params.iter().filter_map(|(name, value)| Some((name.strip_prefix("meta_")?, value)));
    given.filter(|(name, _)| is_name(name)).fold(entry, |entry, (name, value)| {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            entry.field(&name.to_ascii_lowercase(), value)
        } else {
            entry.field(name, value)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::xml::well_formed;

    const ANSWER: &[u8] = b"<response><returncode>SUCCESS</returncode><meetingID>abc123</meetingID>\
        <internalMeetingID>6367c4-1700000000000</internalMeetingID><parentMeetingID>bbb-none</parentMeetingID>\
        <attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW><createTime>1700000000000</createTime>\
        <voiceBridge>71234</voiceBridge><dialNumber>613-555-1234</dialNumber>\
        <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate><hasUserJoined>false</hasUserJoined>\
        <duration>0</duration><hasBeenForciblyEnded>false</hasBeenForciblyEnded></response>";

    fn entry(query: &str) -> String {
        let entry = entry_of_create(ANSWER, &Params::parse(query)).expect("the answer is well-formed");
        well_formed(&entry).expect("so is the entry");
        String::from_utf8(entry.to_vec()).expect("it is text")
    }

    /// As the reference has it, section 4.8.
    #[test]
    fn a_meeting_is_listed_as_its_node_will_list_it() {
        assert_eq!(
            entry("name=Demo+room&meta_Origin=%3Cschool%3E"),
            "<meeting><meetingName>Demo room</meetingName><meetingID>abc123</meetingID>\
             <internalMeetingID>6367c4-1700000000000</internalMeetingID><createTime>1700000000000</createTime>\
             <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate><voiceBridge>71234</voiceBridge>\
             <dialNumber>613-555-1234</dialNumber><attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW>\
             <running>false</running><duration>0</duration><hasUserJoined>false</hasUserJoined>\
             <recording>false</recording><hasBeenForciblyEnded>false</hasBeenForciblyEnded>\
             <startTime>1700000000000</startTime><endTime>0</endTime><participantCount>0</participantCount>\
             <listenerCount>0</listenerCount><voiceParticipantCount>0</voiceParticipantCount>\
             <videoCount>0</videoCount><maxUsers>0</maxUsers><moderatorCount>0</moderatorCount>\
             <attendees></attendees><metadata><origin>&lt;school&gt;</origin></metadata>\
             <isBreakout>false</isBreakout></meeting>"
        );
    }

    #[test]
    fn an_answer_about_one_meeting_is_its_entry_without_the_outcome() {
        let answer = Bytes::from_static(
            b"<response>\n<returncode>SUCCESS</returncode><meetingID>m</meetingID><message/>\
              <attendees><attendee><message>kept</message></attendee></attendees>\n<messageKey></messageKey></response>",
        );
        let entry = entry_of_info(&answer).expect("the answer is well-formed");
        let attendees = "<attendees><attendee><message>kept</message></attendee></attendees>";
        assert_eq!(entry, format!("<meeting><meetingID>m</meetingID>{attendees}</meeting>"));
    }

    #[test]
    fn what_cannot_be_an_element_is_left_out() {
        let entry = entry("meta_=a&meta_1st=b&meta_a+b=c&meta_bbb-x.y=d&record=TRUE&maxParticipants=30");
        assert!(entry.contains("<metadata><bbb-x.y>d</bbb-x.y></metadata>"), "{entry}");
        assert!(entry.contains("<recording>true</recording>") && entry.contains("<maxUsers>30</maxUsers>"), "{entry}");
    }
}
