//! The ids that a frontend says, and the meetings it means by them.

use std::sync::Arc;

use crate::bbb::{MeetingId, ScopedId};
use crate::cluster::{Frontend, Meeting};
use crate::ports::Meetings;

/// Reads the ids of one frontend.
pub(super) struct Ids<'a> {
    pub(super) frontend: &'a Frontend,
    pub(super) meetings: &'a dyn Meetings,
}

impl Ids<'_> {
    /// The id that nodes know a meeting by that a call names.
    pub(super) fn named(&self, id: &MeetingId) -> ScopedId {
        self.native(id).map_or_else(|| ScopedId::new(&self.frontend.key, id), |native| native.id.clone())
    }

    /// The same of a meeting that is to be created.
    pub(super) fn created(&self, id: &MeetingId) -> ScopedId {
        // A frontend does not create what a node made by itself.
        let native = self.native(id).filter(|native| !native.size.breakout);
        native.map_or_else(|| ScopedId::new(&self.frontend.key, id), |native| native.id.clone())
    }

    fn native(&self, id: &MeetingId) -> Option<Arc<Meeting>> {
        self.meetings.known(id.as_ref()).filter(|known| known.is_native() && known.frontend == self.frontend.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::MeetingScope;
    use super::*;
    use crate::bbb::CallKind;
    use crate::memory::Memory;

    #[tokio::test]
    async fn a_breakout_that_its_node_made_has_one_id_and_is_its_frontends_own() {
        let cluster = Memory::new().frontend("fe1", "secret").frontend("fe2", "secret").backend("n1", &[]);
        for (owner, expected) in [("fe1", "room-1"), ("fe2", "WyJmZTEiLCJyb29tLTEiLCJiM3NjbCJd")] {
            let cluster = cluster.clone().breakout(owner, "room-1", "n1");
            let call = cluster.verified(CallKind::End, "meetingID=room-1");
            let (seen, _) = cluster.through(MeetingScope {}, call).await;
            assert_eq!(seen.expect("it goes on").params.first("meetingID"), Some(expected), "it is of {owner}");
        }
    }

    /// A frontend creates before each join. Under another id the class would be split in two.
    #[tokio::test]
    async fn a_meeting_that_was_brought_over_is_created_again_under_its_one_id() {
        let cluster = Memory::new().frontend("fe1", "secret").backend("n1", &[]);
        let cluster = cluster.native("fe1", "class", "n1").breakout("fe1", "room-1", "n1");
        let on_node = async |query| {
            let (seen, _) = cluster.through(MeetingScope {}, cluster.verified(CallKind::Create, query)).await;
            let params = seen.expect("it goes on").params;
            (params.first("meetingID").map(str::to_owned), params.first("parentMeetingID").map(str::to_owned))
        };
        assert_eq!(on_node("meetingID=class").await, (Some("class".to_owned()), None));
        let scoped = ScopedId::new("fe1", &MeetingId::new("room-1")).to_string();
        let child = on_node("meetingID=room-1&isBreakout=true&parentMeetingID=class").await;
        assert_eq!(child, (Some(scoped), Some("class".to_owned())), "a node's own breakout is not what is created");
    }
}
