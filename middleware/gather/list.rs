//! The lists that nodes have.

use bytes::Bytes;

use super::owner::Owner;
use crate::bbb::{CallKind, ReturnCode, XmlError, xml};
use crate::cluster::BackendId;

/// The form of a list that nodes are asked for.
pub(super) struct List {
    name: &'static str,
    empty_key: &'static str,
    empty_message: &'static str,
}

const MEETINGS: List =
    List { name: "meetings", empty_key: "noMeetings", empty_message: "no meetings were found on this server" };

/// BBB spells the last word so.
const SESSIONS: List =
    List { name: "sessions", empty_key: "noSessions", empty_message: "no sessions were found on this serverr" };

impl List {
    pub(super) fn of(kind: CallKind) -> Option<&'static List> {
        match kind {
            CallKind::GetMeetings => Some(&MEETINGS),
            CallKind::GetSessions => Some(&SESSIONS),
            _ => None,
        }
    }

    pub(super) fn own_entries(
        &self,
        document: &Bytes,
        owner: &Owner,
        backend: BackendId,
    ) -> Result<Vec<Bytes>, XmlError> {
        let entries = xml::elements(document, &["response", self.name, "meeting"])?;
        if self.name == SESSIONS.name { owner.sessions(entries) } else { owner.meetings(entries, backend) }
    }

    /// The list comes second in the document, also when it is empty: clients look for it there.
    pub(super) fn document(&self, entries: &[Bytes]) -> Bytes {
        let response = xml::Writer::response(ReturnCode::Success);
        if entries.is_empty() {
            let response = response.raw(format!("<{}/>", self.name).as_bytes());
            return response.field("messageKey", self.empty_key).field("message", self.empty_message).finish();
        }
        entries.iter().fold(response.open(self.name), |list, entry| list.raw(entry)).close().finish()
    }
}
