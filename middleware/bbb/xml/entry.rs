//! The entry of a meeting in a list, before its node has listed it.

use bytes::Bytes;

use super::events::{Event, Events};
use super::{MeetingFields, Writer, XmlError, children, elements, is_name, replace};
use crate::bbb::Params;

/// Fields that a list repeats of the answer to a create, between the ids and the counts.
const REPEATED: [&str; 6] = ["createTime", "createDate", "voiceBridge", "dialNumber", "attendeePW", "moderatorPW"];

/// Fields of an answer about the call, and not about its meeting.
const OUTCOME: [&str; 3] = ["returncode", "messageKey", "message"];

/// The end of an entry, behind the breakouts.
const END: &[u8] = b"</meeting>";

/// Fields of a new meeting without any activity.
const COUNTS: [&str; 4] = ["participantCount", "listenerCount", "voiceParticipantCount", "videoCount"];

/// Writes the `meeting` element that a node would list, of its answer to a create and the parameters of that. Ids are the
/// node's own.
pub fn entry_of_create(answer: &MeetingFields, params: &Params) -> Bytes {
    let is_true = |name| if params.says_true(name) { "true" } else { "false" };
    let mut entry = Writer::element("meeting").field("meetingName", params.first("name").unwrap_or_default());
    let repeated = |entry: Writer, name: &str| entry.field(name, answer.text(name));
    entry = repeated(repeated(entry, "meetingID"), "internalMeetingID");
    entry = REPEATED.iter().fold(entry, |entry, name| repeated(entry, name));
    entry = repeated(repeated(entry.field("running", "false"), "duration"), "hasUserJoined");
    entry = entry.field("recording", is_true("record")).field("hasBeenForciblyEnded", "false");
    entry = entry.field("startTime", answer.text("createTime")).field("endTime", "0");
    entry = COUNTS.iter().fold(entry, |entry, name| entry.field(name, "0"));
    entry = entry.field("maxUsers", params.first("maxParticipants").unwrap_or("0")).field("moderatorCount", "0");
    entry = metadata(entry.open("attendees").close().open("metadata"), params).close();
    entry = entry.field("isBreakout", is_true("isBreakout"));
    let parent = answer.text("parentMeetingID");
    if params.says_true("isBreakout") && !parent.is_empty() {
        let sequence = params.first("sequence").filter(|sequence| sequence.parse::<u32>().is_ok()).unwrap_or("0");
        entry =
            entry.field("parentMeetingID", parent).field("sequence", sequence).field("freeJoin", is_true("freeJoin"));
    }
    entry.finish()
}

/// Adds breakouts to the entry of their parent that are not in it yet.
///
/// # Errors
///
/// The entry is not well-formed and complete.
pub fn with_breakouts(entry: &Bytes, ids: &[String]) -> Result<Bytes, XmlError> {
    let place = ["meeting", "breakoutRooms"];
    let mut rooms: Vec<String> = children(entry, &place)?.into_iter().map(|(_, id)| id).collect();
    let there = rooms.len();
    rooms.extend(ids.iter().filter(|id| !rooms.contains(id)).cloned().collect::<Vec<_>>());
    if rooms.len() == there {
        return Ok(entry.clone());
    }
    let list = rooms.iter().fold(Writer::element("breakoutRooms"), |list, id| list.field("breakout", id)).finish();
    match entry.strip_suffix(END) {
        Some(head) if elements(entry, &place)?.is_empty() => Ok([head, &list, END].concat().into()),
        _ => replace(entry, &place, &list),
    }
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

/// BBB keeps metadata under lower-case names. A name that cannot be an element is left to the node.
fn metadata(entry: Writer, params: &Params) -> Writer {
    let given = params.iter().filter_map(|(name, value)| Some((name.strip_prefix("meta_")?, value)));
    let given = given.map(|(name, value)| (name.to_ascii_lowercase(), value));
    given.filter(|(name, _)| is_name(name)).fold(entry, |entry, (name, value)| entry.field(&name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::xml::{answer, well_formed};

    const ANSWER: &[u8] = b"<response><returncode>SUCCESS</returncode><meetingID>abc123</meetingID>\
        <internalMeetingID>6367c4-1700000000000</internalMeetingID><parentMeetingID>bbb-none</parentMeetingID>\
        <attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW><createTime>1700000000000</createTime>\
        <voiceBridge>71234</voiceBridge><dialNumber>613-555-1234</dialNumber>\
        <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate><hasUserJoined>false</hasUserJoined>\
        <duration>0</duration><hasBeenForciblyEnded>false</hasBeenForciblyEnded></response>";

    fn meeting(xml: &[u8]) -> MeetingFields {
        answer(xml).expect("well-formed").meeting.expect("it is about a meeting")
    }

    fn entry(query: &str) -> String {
        let entry = entry_of_create(&meeting(ANSWER), &Params::parse(query));
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
    fn a_breakout_is_listed_with_its_parent_and_its_place() {
        let with = |parent: &str| {
            let answer = String::from_utf8_lossy(ANSWER).replace("bbb-none", parent);
            let params = Params::parse("isBreakout=true&parentMeetingID=p&sequence=2&freeJoin=TRUE");
            String::from_utf8(entry_of_create(&meeting(answer.as_bytes()), &params).to_vec()).expect("text")
        };
        let tail = "<isBreakout>true</isBreakout><parentMeetingID>p-1</parentMeetingID><sequence>2</sequence>\
            <freeJoin>true</freeJoin></meeting>";
        assert!(with("p-1").ends_with(tail), "{}", with("p-1"));
        assert!(
            entry("isBreakout=true&sequence=x").ends_with("<sequence>0</sequence><freeJoin>false</freeJoin></meeting>")
        );
        assert!(entry("sequence=2&freeJoin=true").ends_with("<isBreakout>false</isBreakout></meeting>"));
    }

    #[test]
    fn breakouts_are_added_to_their_parent_once() {
        let with = |entry: &'static str, ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            with_breakouts(&Bytes::from_static(entry.as_bytes()), &ids).expect("well-formed")
        };
        let rooms = |ids: &str| format!("<meeting><a>1</a><breakoutRooms>{ids}</breakoutRooms></meeting>");
        assert_eq!(
            with("<meeting><a>1</a></meeting>", &["x", "<"]),
            rooms("<breakout>x</breakout><breakout>&lt;</breakout>")
        );
        let one = "<meeting><a>1</a><breakoutRooms><breakout>x</breakout></breakoutRooms></meeting>";
        assert_eq!(with(one, &["x"]), one);
        assert_eq!(with(one, &["x", "y"]), rooms("<breakout>x</breakout><breakout>y</breakout>"));
        let empty = "<meeting><breakoutRooms/><a>1</a></meeting>";
        assert_eq!(
            with(empty, &["y"]),
            "<meeting><breakoutRooms><breakout>y</breakout></breakoutRooms><a>1</a></meeting>"
        );
        assert_eq!(with(empty, &[]), empty);
    }

    #[test]
    fn what_cannot_be_an_element_is_left_out() {
        let entry = entry("meta_=a&meta_1st=b&meta_a+b=c&meta_bbb-x.y=d&record=TRUE&maxParticipants=30");
        assert!(entry.contains("<metadata><bbb-x.y>d</bbb-x.y></metadata>"), "{entry}");
        assert!(entry.contains("<recording>true</recording>") && entry.contains("<maxUsers>30</maxUsers>"), "{entry}");
    }
}
