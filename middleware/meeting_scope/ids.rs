//! The ids that a frontend says, and the meetings it means by them.

use std::sync::Arc;

use crate::bbb::{MeetingId, ScopedId};
use crate::cluster::{Frontend, Meeting};
use crate::fault::Fault;
use crate::ports::Meetings;

/// Reads the ids of one frontend.
pub(super) struct Ids<'a> {
    pub(super) frontend: &'a Frontend,
    pub(super) meetings: &'a dyn Meetings,
}

impl Ids<'_> {
    /// Both ids of the meeting that a call names. As on a node, an id is an internal one if there is such a meeting. Another
    /// frontend's does not exist.
    pub(super) async fn named(&self, id: MeetingId) -> Result<(MeetingId, ScopedId), Fault> {
        let owner = self.frontend.id;
        let scoped = ScopedId::new(&self.frontend.key, &id);
        let known = self.meetings.known_by_internal_id(owner, id.as_ref()).or_else(|| self.native(&id));
        let may_be_elsewhere = || id.may_be_internal() && self.meetings.known(scoped.as_ref()).is_none();
        let meant = match known {
            None if may_be_elsewhere() => self.meetings.find_by_internal_id(owner, id.as_ref()).await?,
            known => known,
        };
        Ok(meant.map_or((id, scoped), |meeting| (meeting.meeting_id.clone(), meeting.id.clone())))
    }

    /// The id for nodes of a meeting to create. BBB takes it for an external id, in any form.
    pub(super) fn created(&self, id: &MeetingId) -> ScopedId {
        // A frontend does not create a breakout that a node made.
        let native = self.native(id).filter(|native| !native.size.breakout);
        native.map_or_else(|| ScopedId::new(&self.frontend.key, id), |native| native.id.clone())
    }

    fn native(&self, id: &MeetingId) -> Option<Arc<Meeting>> {
        self.meetings.known(id.as_ref()).filter(|known| known.is_native() && known.frontend == self.frontend.id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MeetingScope, OF_ONE_MEETING};
    use super::*;
    use crate::bbb::CallKind;
    use crate::cluster::MeetingState;
    use crate::memory::Memory;
    use crate::ports::Born;

    /// The internal id of the first school's meeting.
    const ID: &str = "internal-m 1";

    /// A school with one meeting.
    fn school() -> Memory {
        let cluster = Memory::new().frontend("fe1", "secret").frontend("fe2", "secret").backend("n1", &[]);
        cluster.meeting("fe1", "m 1", "n1", MeetingState::Live)
    }

    /// The meeting's ids as a node would get it and as the tenant reads it, and its parent as a node would get it.
    async fn on_node(cluster: &Memory, kind: CallKind, query: &str) -> (String, String, String) {
        let (seen, _) = cluster.through(MeetingScope {}, cluster.verified(kind, query)).await;
        let seen = seen.expect("it goes on");
        let param = |name| seen.params.first(name).unwrap_or_default().to_owned();
        let own = seen.facts.scope().expect("it is scoped").meeting_id.to_string();
        (param("meetingID"), own, param("parentMeetingID"))
    }

    async fn ended(cluster: &Memory, id: &str) -> (String, String) {
        let (scoped, own, _) = on_node(cluster, CallKind::End, &format!("meetingID={id}")).await;
        (scoped, own)
    }

    fn scoped(key: &str, id: &str) -> String {
        ScopedId::new(key, &MeetingId::new(id)).to_string()
    }

    #[tokio::test]
    async fn an_internal_id_names_its_meeting_in_every_call_but_create() {
        let cluster = school();
        for kind in OF_ONE_MEETING {
            let (scoped_id, own, _) = on_node(&cluster, kind, &format!("meetingID={ID}")).await;
            let expected = if kind == CallKind::Create { ID } else { "m 1" };
            assert_eq!((scoped_id, &*own), (scoped("fe1", expected), expected), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_breakout_may_name_its_parent_by_the_internal_id() {
        let query = format!("meetingID=b1&isBreakout=true&parentMeetingID={ID}");
        assert_eq!(on_node(&school(), CallKind::Create, &query).await.2, scoped("fe1", "m 1"));
    }

    #[tokio::test]
    async fn the_parent_of_what_is_no_breakout_is_not_looked_up() {
        for flag in ["", "&isBreakout=false"] {
            let query = format!("meetingID=b1&parentMeetingID={ID}{flag}");
            assert_eq!(on_node(&school(), CallKind::Create, &query).await.2, scoped("fe1", ID));
        }
    }

    #[tokio::test]
    async fn an_id_is_an_internal_one_first() {
        let cluster = school().meeting("fe1", ID, "n1", MeetingState::Live);
        assert_eq!(ended(&cluster, ID).await, (scoped("fe1", "m 1"), "m 1".to_owned()));
    }

    #[tokio::test]
    async fn another_frontends_internal_id_is_an_id_that_does_not_exist() {
        let cluster = Memory::new().frontend("fe2", "secret").frontend("fe1", "secret").backend("n1", &[]);
        let cluster = cluster.meeting("fe1", "m 1", "n1", MeetingState::Live);
        assert_eq!(ended(&cluster, ID).await, (scoped("fe2", ID), ID.to_owned()));
        let query = format!("meetingID=b1&parentMeetingID={ID}");
        assert_eq!(on_node(&cluster, CallKind::Create, &query).await.2, scoped("fe2", ID));
    }

    #[tokio::test]
    async fn a_part_of_an_internal_id_names_nothing() {
        for part in ["internal-m", "internal-m 1 2", "INTERNAL-M 1", "internal-"] {
            assert_eq!(ended(&school(), part).await, (scoped("fe1", part), part.to_owned()));
        }
    }

    #[tokio::test]
    async fn a_meeting_that_was_made_again_has_its_new_internal_id_only() {
        let cluster = school();
        let meeting = cluster.meeting_named("fe1", "m 1").expect("it is there");
        let again = Born { internal_id: "again".to_owned(), create_time: 1, entry: None, callbacks: Vec::new() };
        cluster.record_live(&meeting, again).await.expect("it is noted");
        assert_eq!(ended(&cluster, ID).await.1, ID);
        assert_eq!(ended(&cluster, "again").await.1, "m 1");
    }

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
