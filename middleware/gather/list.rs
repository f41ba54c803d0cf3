//! The lists that nodes have.

use bytes::Bytes;

use super::owner::Owner;
use crate::bbb::{CallKind, ReturnCode, xml};
use crate::call::Reply;
use crate::cluster::BackendId;
use crate::fault::Fault;

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

    /// The entries of a node's answer that are the frontend's own.
    pub(super) fn own_entries(&self, reply: Reply, owner: &Owner, backend: BackendId) -> Result<Vec<Bytes>, Fault> {
        let entries = self.entries(reply, backend)?;
        Ok(if self.name == SESSIONS.name { owner.sessions(entries) } else { owner.meetings(entries, backend) })
    }

    /// All entries. Some may be unreadable: an entry spoiled by a tenant hides no others. The polls of the node show operators
    /// of it, so that a tenant who asks often writes no lines.
    fn entries(&self, reply: Reply, backend: BackendId) -> Result<Vec<Bytes>, Fault> {
        let reply = Reply { body: xml::printable(&reply.body), ..reply };
        if reply.begins_well() {
            match xml::elements(&reply.body, &["response", self.name, "meeting"]) {
                Ok(entries) if entries.is_empty() => {}
                Ok(entries) => return Ok(entries),
                Err(error) => {
                    if let Some(pieces) = xml::pieces(&reply.body, self.name) {
                        tracing::debug!(backend.id = %backend, %error, "Leaving unreadable entries out of a list");
                        return Ok(pieces.entries);
                    }
                }
            }
        }
        // An empty list, a refusal, or no list at all.
        let reply = reply.read(backend)?;
        if reply.is_success() { Ok(Vec::new()) } else { Err(Fault::garbled(backend, "it refused to list")) }
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
