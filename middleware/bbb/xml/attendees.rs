//! The attendees of a meeting in an entry of a list.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Writer, XmlError, elements, fields, replace, rewrite};

/// Someone in a meeting, as BBB lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attendee<'a> {
    /// The id under which BBB lists them.
    pub id: &'a str,
    /// The name.
    pub full_name: &'a str,
    /// Whether they moderate.
    pub moderator: bool,
    /// Whether they present.
    pub presenter: bool,
    /// Whether they listen only.
    pub listening_only: bool,
    /// Whether they may speak.
    pub joined_voice: bool,
    /// Whether a camera of theirs is on.
    pub has_video: bool,
    /// `HTML5` and others.
    pub client_type: &'a str,
}

/// An entry with these attendees, and their counts. Everything else that it says of the meeting, and of attendees that it had
/// before, stays as it is.
///
/// # Errors
/// The entry is not well-formed.
pub fn with_attendees(entry: &Bytes, attendees: &[Attendee<'_>]) -> Result<Bytes, XmlError> {
    let mut known: HashMap<String, Vec<Bytes>> = HashMap::new();
    for attendee in elements(entry, &["meeting", "attendees", "attendee"])? {
        let [id] = fields(&attendee, ["userID"])?;
        known.entry(id.unwrap_or_default()).or_default().push(attendee);
    }
    let mut list = Writer::element("attendees");
    for attendee in attendees {
        let before = known.get_mut(attendee.id).and_then(Vec::pop);
        list = list.raw(&match before {
            Some(before) => attendee.renewed(&before)?,
            None => attendee.written(),
        });
    }
    let counts = counts(attendees);
    let counted = rewrite(entry, |path, _| match path.names() {
        ["meeting", name] => counts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()),
        _ => None,
    })?;
    replace(&counted, &["meeting", "attendees"], &list.finish())
}

/// BBB's counts of the people in a meeting.
fn counts(attendees: &[Attendee<'_>]) -> Vec<(&'static str, String)> {
    let count = |is: fn(&Attendee<'_>) -> bool| attendees.iter().filter(|one| is(one)).count().to_string();
    let mut counts = vec![
        ("participantCount", attendees.len().to_string()),
        ("listenerCount", count(|one| one.listening_only)),
        ("voiceParticipantCount", count(|one| one.joined_voice)),
        ("videoCount", count(|one| one.has_video)),
        ("moderatorCount", count(|one| one.moderator)),
    ];
    // A node says for a while of an empty meeting that it runs. How long that lasts is left to the node.
    if !attendees.is_empty() {
        counts.extend(["running", "hasUserJoined"].map(|name| (name, true.to_string())));
    }
    counts
}

impl Attendee<'_> {
    fn fields(&self) -> [(&'static str, String); 8] {
        let role = if self.moderator { "MODERATOR" } else { "VIEWER" };
        [
            ("userID", self.id.to_owned()),
            ("fullName", self.full_name.to_owned()),
            ("role", role.to_owned()),
            ("isPresenter", self.presenter.to_string()),
            ("isListeningOnly", self.listening_only.to_string()),
            ("hasJoinedVoice", self.joined_voice.to_string()),
            ("hasVideo", self.has_video.to_string()),
            ("clientType", self.client_type.to_owned()),
        ]
    }

    fn written(&self) -> Bytes {
        let attendee =
            self.fields().iter().fold(Writer::element("attendee"), |xml, (name, text)| xml.field(name, text));
        attendee.finish()
    }

    /// An element of the entry, with this attendee's fields.
    fn renewed(&self, before: &Bytes) -> Result<Bytes, XmlError> {
        let fields = self.fields();
        rewrite(before, |path, text| match path.names() {
            // A role that BBB alone knows, such as that of a dial-in user, stays: an agent knows two.
            ["attendee", "role"] if !matches!(text, "MODERATOR" | "VIEWER") => None,
            ["attendee", name] => fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attendee(id: &str) -> Attendee<'_> {
        Attendee {
            id,
            full_name: "Ann & Bob",
            moderator: true,
            presenter: false,
            listening_only: false,
            joined_voice: true,
            has_video: false,
            client_type: "HTML5",
        }
    }

    #[test]
    fn an_entry_keeps_what_it_says_beyond_the_attendees_that_are_there_now() {
        let entry = Bytes::from_static(
            b"<meeting><participantCount>2</participantCount><running>false</running><new>x</new><attendees>\
            <attendee><userID>a</userID><role>VIEWER</role><future>y</future></attendee>\
            <attendee><userID>gone</userID></attendee></attendees></meeting>",
        );
        let renewed = with_attendees(&entry, &[attendee("a")]).unwrap();
        let expected = "<meeting><participantCount>1</participantCount><running>true</running><new>x</new><attendees>\
            <attendee><userID>a</userID><role>MODERATOR</role><future>y</future></attendee></attendees></meeting>";
        assert_eq!(renewed, expected);
    }

    #[test]
    fn an_attendee_that_no_report_had_is_written_whole() {
        let entry = Bytes::from_static(b"<meeting><participantCount>0</participantCount><attendees/></meeting>");
        let renewed = with_attendees(&entry, &[attendee("b")]).unwrap();
        let [name, voice] = fields(
            &elements(&renewed, &["meeting", "attendees", "attendee"]).unwrap()[0],
            ["fullName", "hasJoinedVoice"],
        )
        .unwrap();
        assert_eq!((name.as_deref(), voice.as_deref()), (Some("Ann & Bob"), Some("true")));
    }

    #[test]
    fn a_role_that_agents_do_not_know_stays() {
        let entry = Bytes::from_static(
            b"<meeting><attendees><attendee><userID>a</userID><role>DIAL-IN-USER</role></attendee></attendees></meeting>",
        );
        let renewed = with_attendees(&entry, &[attendee("a")]).unwrap();
        assert!(renewed.windows(12).any(|part| part == b"DIAL-IN-USER"), "{renewed:?}");
    }

    #[test]
    fn an_empty_meeting_may_still_run() {
        let entry = Bytes::from_static(b"<meeting><running>true</running><attendees><attendee/></attendees></meeting>");
        assert_eq!(
            with_attendees(&entry, &[]).unwrap(),
            "<meeting><running>true</running><attendees></attendees></meeting>"
        );
    }
}
