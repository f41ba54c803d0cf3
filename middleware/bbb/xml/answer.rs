//! Answers of BBB, read once: the outcome, and the fields of a meeting.

use std::sync::Arc;

use super::read::first_texts;
use super::{Problem, ReturnCode, XmlError};

/// What stages read of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The verdict on the call.
    pub outcome: Outcome,
    /// The meeting, of an answer about one.
    pub meeting: Option<MeetingFields>,
}

/// An answer's verdict on the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the call succeeded.
    pub returncode: ReturnCode,
    /// BBB's key of the message, if there is one and it is not empty.
    pub message_key: Option<String>,
    /// The message, if there is one and it is not empty.
    pub message: Option<String>,
}

impl Outcome {
    /// Whether the call succeeded.
    pub fn is_success(&self) -> bool {
        self.returncode == ReturnCode::Success
    }

    /// Whether the call failed with that key.
    pub fn failed_with(&self, key: &str) -> bool {
        !self.is_success() && self.message_key.as_deref() == Some(key)
    }
}

/// Fields of the answer to a create, most of them also in that to getMeetingInfo.
pub(super) const FIELDS: [&str; 11] = [
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
    "parentMeetingID",
];

/// The fields of a meeting in an answer about it. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeetingFields(Arc<[Option<String>; FIELDS.len()]>);

impl MeetingFields {
    /// The text of a field. Empty: the answer has none.
    pub fn text(&self, name: &str) -> &str {
        let found = FIELDS.iter().zip(self.0.iter()).find(|(field, _)| **field == name);
        found.and_then(|(_, text)| text.as_deref()).unwrap_or_default()
    }
}

const OUTCOME: [&[&str]; 5] = [
    &["response", "returncode"],
    &["response", "messageKey"],
    &["response", "message"],
    &["response", "errors", "error", "key"],
    &["response", "errors", "error", "message"],
];

/// Reads an answer. Of a list of errors the first one is the outcome.
///
/// A return code that is not `SUCCESS` is a failure, since some balancers have codes of their own.
///
/// # Errors
///
/// The document is not well-formed and complete, or it is no answer of BBB.
pub fn answer(xml: &[u8]) -> Result<Answer, XmlError> {
    let mut is_answer = false;
    let texts: [Option<String>; OUTCOME.len() + FIELDS.len()] = first_texts(xml, |path| {
        is_answer |= path.is(&["response"]);
        let of_outcome = OUTCOME.iter().position(|names| path.is(names));
        let field = || FIELDS.iter().position(|name| path.is(&["response", *name])).map(|at| OUTCOME.len() + at);
        of_outcome.or_else(field)
    })?;
    let [returncode, key, message, error_key, error_message, fields @ ..] = texts;
    let [returncode, key, message, error_key, error_message] =
        [returncode, key, message, error_key, error_message].map(|text| text.and_then(trimmed));
    let no_answer = |what| XmlError::new(Problem::NotAnAnswer(what), 0);
    if !is_answer {
        return Err(no_answer("its root is not `response`"));
    }
    let returncode = match returncode.as_deref() {
        Some("SUCCESS") => ReturnCode::Success,
        Some(_) => ReturnCode::Failed,
        None => return Err(no_answer("it has no `returncode`")),
    };
    let outcome = Outcome { returncode, message_key: key.or(error_key), message: message.or(error_message) };
    let meeting = fields.iter().any(Option::is_some).then(|| MeetingFields(Arc::new(fields)));
    Ok(Answer { outcome, meeting })
}

/// Reads the outcome of an answer.
///
/// # Errors
///
/// As of [`answer`].
pub fn outcome(xml: &[u8]) -> Result<Outcome, XmlError> {
    answer(xml).map(|answer| answer.outcome)
}

/// The text without white space around it, unless nothing is left.
fn trimmed(text: String) -> Option<String> {
    let kept = text.trim();
    if kept.len() == text.len() {
        return Some(text).filter(|text| !text.is_empty());
    }
    Some(kept.to_owned()).filter(|kept| !kept.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(xml: &str) -> Problem {
        outcome(xml.as_bytes()).expect_err(xml).problem().clone()
    }

    #[test]
    fn the_meeting_of_an_answer_is_read_with_its_outcome() {
        let xml = b"<response><returncode>SUCCESS</returncode><internalMeetingID>i</internalMeetingID><x>\
            <createTime>1</createTime></x><duration/><internalMeetingID>j</internalMeetingID></response>";
        let meeting = answer(xml).expect("well-formed").meeting.expect("there is one");
        let texts = ["internalMeetingID", "createTime", "duration", "no-such-field"].map(|name| meeting.text(name));
        assert_eq!(texts, ["i", "", "", ""], "the first child of the root counts");
        assert_eq!(
            answer(b"<response><returncode>SUCCESS</returncode></response>").expect("well-formed").meeting,
            None
        );
    }

    #[test]
    fn an_outcome_is_read() {
        let read = |xml: &str| outcome(xml.as_bytes()).expect(xml);
        assert_eq!(
            read("<response>\n <returncode>SUCCESS</returncode><messageKey></messageKey><message/>\n</response>"),
            Outcome { returncode: ReturnCode::Success, message_key: None, message: None }
        );
        assert_eq!(
            read(
                "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey>\
                 <message>No <![CDATA[<such>]]> thing &amp; &#x2014;</message></response>"
            ),
            Outcome {
                returncode: ReturnCode::Failed,
                message_key: Some("notFound".to_owned()),
                message: Some("No <such> thing & —".to_owned()),
            }
        );
        assert_eq!(read("<response><returncode>ERROR</returncode></response>").returncode, ReturnCode::Failed);
    }

    #[test]
    fn the_first_of_a_list_of_errors_is_the_outcome() {
        let xml = "<response><returncode>FAILED</returncode><errors>\
            <error><key>nonUniqueVoiceBridge</key><message>in use</message></error>\
            <error><key>other</key><message>other</message></error></errors></response>";
        let outcome = outcome(xml.as_bytes()).expect("well-formed");
        assert_eq!(outcome.message_key.as_deref(), Some("nonUniqueVoiceBridge"));
        assert_eq!(outcome.message.as_deref(), Some("in use"));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert_eq!(problem("<html/>"), Problem::NotAnAnswer("its root is not `response`"));
        assert_eq!(problem("<response/>"), Problem::NotAnAnswer("it has no `returncode`"));
        assert_eq!(problem(""), Problem::Truncated);
    }

    #[test]
    fn an_outcome_needs_the_whole_document() {
        let whole = "<response><returncode>SUCCESS</returncode><a b='1'>x&amp;y<![CDATA[z]]></a><!-- c --></response>";
        outcome(whole.as_bytes()).expect("complete");
        for end in 0..whole.len() {
            assert!(outcome(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }
}
