//! Asking the node itself which meetings run, and who is in them.

use std::sync::Arc;

use b3scale_base::net::nodes::{CaFileError, HttpNodes, UpstreamSettings};
use b3scale_base::rest::{NodeAttendee, NodeMeeting, SnapshotMeeting};
use b3scale_middleware::bbb::{CallKind, Params, xml};
use b3scale_middleware::cluster::Backend;
use b3scale_middleware::ports::Nodes;
use b3scale_middleware::{Fault, NodeRequest};
use bytes::Bytes;
use http::HeaderValue;
use uuid::Uuid;

use super::message::is_moderator;
use super::settings::Node;

/// What our calls are called in the node's logs.
const REQUEST_ID: HeaderValue = HeaderValue::from_static("b3scaleagent");

/// The node, as it is asked.
#[derive(Clone)]
pub(super) struct Surveyor {
    nodes: Arc<dyn Nodes>,
    node: Arc<Backend>,
}

impl Surveyor {
    pub(super) fn new(node: &Node, settings: UpstreamSettings) -> Result<Self, CaFileError> {
        let node = Backend::new(Uuid::nil(), &node.url, node.secret.clone());
        Ok(Self { nodes: Arc::new(HttpNodes::new(settings)?), node: Arc::new(node) })
    }

    /// The node's list of its meetings. Unidentified attendees lack the node's own id there.
    ///
    /// # Errors
    /// Why the request failed, or the answer is unusable.
    pub(super) async fn meetings(self) -> Result<Vec<SnapshotMeeting>, String> {
        let (call, params) = (CallKind::GetMeetings, Params::default());
        let request = NodeRequest::new(call, &params, None, &self.node, None, &REQUEST_ID);
        let reply = self.nodes.ask_unread(request).await.map_err(|fault| match fault {
            // There is only one node here, and it has no id.
            Fault::Node { failure, .. } => failure.to_string(),
            other => other.to_string(),
        })?;
        read(&reply.body)
    }
}

/// Reads a list of meetings, each as far as possible: an entry spoiled by a tenant hides no others.
fn read(document: &Bytes) -> Result<Vec<SnapshotMeeting>, String> {
    let entries = match entries(document) {
        Ok(entries) => entries?,
        Err(error) => {
            let pieces = xml::pieces(document, "meetings").filter(|pieces| pieces.is_whole);
            pieces.ok_or_else(|| error.to_string())?.entries
        }
    };
    Ok(entries.iter().filter_map(meeting).collect())
}

/// The entries of a list that is well-formed, or why it is none.
fn entries(document: &Bytes) -> Result<Result<Vec<Bytes>, String>, xml::XmlError> {
    let outcome = xml::outcome(document)?;
    if !outcome.is_success() {
        return Ok(Err(outcome.message_key.or(outcome.message).unwrap_or_else(|| "it says FAILED".to_owned())));
    }
    if xml::elements(document, &["response", "meetings"])?.is_empty() {
        return Ok(Err("its answer is no list of meetings".to_owned()));
    }
    xml::elements(document, &["response", "meetings", "meeting"]).map(Ok)
}

/// `None`: it does not say which meeting it is.
fn meeting(entry: &Bytes) -> Option<SnapshotMeeting> {
    let names = ["internalMeetingID", "meetingID", "createTime", "isBreakout"];
    let [internal_id, id, create_time, breakout] = xml::legible(entry, names);
    let meeting = NodeMeeting {
        internal_id: internal_id.and_then(given)?,
        id: id.and_then(given)?,
        create_time: create_time.and_then(|time| time.trim().parse().ok()).unwrap_or_default(),
        breakout: breakout.as_deref().is_some_and(is_true),
        recording: false,
    };
    let people = xml::elements(entry, &["meeting", "attendees", "attendee"]);
    let people = people.unwrap_or_else(|_| xml::cut(entry, "attendee"));
    Some(SnapshotMeeting { meeting, attendees: people.iter().filter_map(attendee).collect() })
}

/// `None`: it does not say who it is.
fn attendee(entry: &Bytes) -> Option<NodeAttendee> {
    let names =
        ["userID", "fullName", "role", "isPresenter", "isListeningOnly", "hasJoinedVoice", "hasVideo", "clientType"];
    let [user_id, name, role, presenter, listening, voice, video, client] = xml::legible(entry, names);
    let flag = |text: Option<String>| text.as_deref().is_some_and(is_true);
    Some(NodeAttendee {
        internal_id: String::new(),
        user_id: user_id.and_then(given)?,
        full_name: name.unwrap_or_default(),
        moderator: is_moderator(role.as_deref().unwrap_or_default().trim()),
        presenter: flag(presenter),
        listening_only: flag(listening),
        joined_voice: flag(voice),
        has_video: flag(video),
        client_type: client.unwrap_or_default(),
    })
}

fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn is_true(text: &str) -> bool {
    text.trim() == "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &'static str) -> Result<Vec<SnapshotMeeting>, String> {
        read(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn meetings_are_read_with_who_is_in_them() {
        let meetings = read_text(
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>abc</meetingID>\
             <internalMeetingID>m-1</internalMeetingID><createTime>17</createTime><recording>true</recording>\
             <attendees><attendee><userID>gl-1</userID><fullName>Ada &amp; Co</fullName><role>MODERATOR</role>\
             <isPresenter>true</isPresenter><hasVideo>true</hasVideo><customdata><userID>no</userID></customdata></attendee>\
             <attendee><fullName>nobody</fullName></attendee></attendees><isBreakout>true</isBreakout></meeting>\
             <meeting><meetingName>none</meetingName></meeting></meetings></response>",
        )
        .unwrap();
        let [SnapshotMeeting { meeting, attendees }] = &meetings[..] else { panic!("{meetings:?}") };
        assert_eq!((&*meeting.internal_id, &*meeting.id, meeting.create_time), ("m-1", "abc", 17));
        assert!(meeting.breakout && !meeting.recording);
        let [ada] = &attendees[..] else { panic!("{attendees:?}") };
        assert_eq!((&*ada.user_id, &*ada.full_name), ("gl-1", "Ada & Co"));
        assert!(ada.moderator && ada.presenter && ada.has_video && !ada.joined_voice);
    }

    #[test]
    fn a_spoiled_meeting_is_read_as_far_as_it_can_be_and_hides_no_other() {
        let meetings = read_text(
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID>\
             <internalMeetingID>a-1</internalMeetingID><attendees>\
             <attendee><userID>ada</userID><customdata><x y>1</x y></customdata></attendee>\
             <attendee><userID>grace</userID><hasVideo>true</hasVideo></attendee></attendees></meeting>\
             <meeting><meetingID>b</meetingID><internalMeetingID>b-1</internalMeetingID></meeting></meetings></response>",
        )
        .unwrap();
        let people = meetings[0].attendees.iter().map(|one| (&*one.user_id, one.has_video)).collect::<Vec<_>>();
        assert_eq!(people, [("ada", false), ("grace", true)]);
        assert_eq!(meetings.iter().map(|one| &*one.meeting.id).collect::<Vec<_>>(), ["a", "b"]);
        let cut_short = "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID>";
        assert!(read_text(cut_short).is_err(), "what is missing has not ended");
    }

    #[test]
    fn what_is_no_list_is_an_error_and_no_empty_node() {
        assert_eq!(read_text("<response><returncode>SUCCESS</returncode><meetings/></response>"), Ok(Vec::new()));
        let failed = "<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>";
        assert_eq!(read_text(failed), Err("checksumError".to_owned()));
        assert!(read_text("<response><returncode>SUCCESS</returncode></response>").is_err());
        assert!(read_text("<html>").is_err());
    }
}
