//! Nodes that were lost and come back with people in meetings that were created elsewhere meanwhile.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::cluster::NodeState;
use b3scale_middleware::ports::Meetings as _;
use b3scale_node::{Misbehaviour, Role};
use b3scale_support::TestCluster;
use http::StatusCode;
use serde_json::json;

/// So many rounds without an answer, and a node is down; more than it takes to bring one up.
const ROUNDS: usize = 3;

const CREATE: &str = "name=Lesson&meetingID=m1";

struct Returned {
    cluster: TestCluster,
    /// The node that was lost.
    lost: usize,
    /// That node's internal id of the meeting.
    first: String,
}

impl Returned {
    /// A node is lost, its meeting is created on the other one, and the node comes back with these people.
    async fn with(copy: usize, meeting: usize) -> Self {
        let cluster = TestCluster::start().await;
        let first = cluster.call(CallKind::Create, CREATE).await.success().field("internalMeetingID").to_owned();
        let lost = cluster.homes("Lesson")[0];
        let returned = Self { cluster, lost, first };
        returned.come(lost, copy);
        returned.cluster.nodes[lost].misbehave(Misbehaviour::CutConnection);
        returned.catch_up(ROUNDS).await;
        assert_eq!(returned.cluster.node_state(lost), NodeState::Error);
        returned.cluster.call(CallKind::Create, CREATE).await.success();
        returned.come(1 - lost, meeting);
        returned.cluster.nodes[lost].behave();
        returned.catch_up(ROUNDS).await;
        returned
    }

    fn come(&self, node: usize, people: usize) {
        for number in 0..people {
            let joined = self.cluster.nodes[node].control().join(id().as_ref(), &format!("Ada {number}"), Role::Viewer);
            joined.expect("the meeting runs there");
        }
    }

    async fn catch_up(&self, times: usize) {
        for _ in 0..times {
            self.cluster.cluster.catch_up().await;
        }
    }

    /// The node where joins go.
    fn place(&self) -> usize {
        let known = self.cluster.cluster.known(id().as_ref()).expect("it is known");
        self.cluster.backends.iter().position(|backend| backend.id == known.backend).expect("it has a node")
    }

    fn remarks(&self, node: usize) -> Vec<String> {
        self.cluster.cluster.remarks(self.cluster.backends[node].id)
    }
}

fn id() -> ScopedId {
    ScopedId::new("school", &MeetingId::new("m1"))
}

#[tokio::test]
async fn if_only_the_copy_has_people_it_becomes_the_meeting_and_the_empty_one_is_ended() {
    let returned = Returned::with(2, 0).await;
    let Returned { cluster, lost, first } = &returned;
    assert_eq!((returned.place(), cluster.homes("Lesson").len()), (*lost, 2), "the empty one is spared for a minute");
    cluster.database.execute("UPDATE meeting_copies SET spared_until = NULL").await;
    cluster.until_node(1 - lost, "the empty one is ended", |node| node.meetings().is_empty()).await;
    let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
    assert_eq!((&info.field("internalMeetingID"), &*info.field("participantCount")), (first, "2"));
    let joined = cluster.call(CallKind::Join, "meetingID=m1&fullName=Grace&role=VIEWER").await;
    assert!(joined.location().starts_with(&cluster.nodes[*lost].url()), "{joined:?}");
    let again = cluster.call(CallKind::Create, CREATE).await.success();
    assert_eq!(&again.field("internalMeetingID"), first, "a late create finds the class");
}

#[tokio::test]
async fn if_both_have_people_the_meeting_stays_and_the_copy_runs_on_until_it_is_empty() {
    let returned = Returned::with(2, 3).await;
    let Returned { cluster, lost, first } = &returned;
    returned.catch_up(2).await;
    assert_eq!(returned.place(), 1 - lost);
    assert_eq!(cluster.homes("Lesson"), [0, 1], "nobody is thrown out");
    assert_eq!(returned.remarks(*lost), ["1 meeting with people there lives elsewhere"]);
    let people: Vec<String> =
        cluster.nodes[*lost].meetings().into_iter().flat_map(|one| one.attendees).map(|one| one.user_id).collect();
    for person in people {
        assert!(cluster.nodes[*lost].control().leave(first, &person));
    }
    returned.catch_up(1).await;
    cluster.until_node(*lost, "the copy is ended once it is empty", |node| node.meetings().is_empty()).await;
    assert_eq!(returned.place(), 1 - lost);
}

#[tokio::test]
async fn a_copy_without_people_is_ended() {
    for meeting in [0, 1] {
        let returned = Returned::with(0, meeting).await;
        returned.cluster.until_node(returned.lost, "the copy is ended", |node| node.meetings().is_empty()).await;
        assert_eq!(returned.place(), 1 - returned.lost);
    }
}

#[tokio::test]
async fn an_end_by_the_tenant_ends_the_copy_with_everyone_in_it() {
    let returned = Returned::with(2, 3).await;
    returned.cluster.call(CallKind::End, "meetingID=m1").await.success();
    returned.catch_up(2).await;
    for node in [0, 1] {
        returned.cluster.until_node(node, "the class has ended", |node| node.meetings().is_empty()).await;
    }
}

#[tokio::test]
async fn an_operator_ends_a_copy_with_everyone_in_it_and_not_its_meeting() {
    let returned = Returned::with(2, 3).await;
    let Returned { cluster, lost, .. } = &returned;
    let body = json!({"action": "end_meeting", "params": {"ID": id(), "BackendID": cluster.backends[*lost].id}});
    assert_eq!(cluster.operator().post("/commands", &body).await.status, StatusCode::ACCEPTED);
    cluster.until_node(*lost, "the copy is ended", |node| node.meetings().is_empty()).await;
    assert_eq!((returned.place(), cluster.homes("Lesson")), (1 - lost, vec![1 - lost]));
}

/// A node with unreadable answers reports no attendees, so a copy that may have some is kept.
#[tokio::test]
async fn a_copy_whose_node_does_not_say_who_is_there_is_kept() {
    let returned = Returned::with(2, 1).await;
    let Returned { cluster, lost, .. } = &returned;
    for answer in [Misbehaviour::Html, Misbehaviour::Empty, Misbehaviour::Status(502), Misbehaviour::Version] {
        cluster.nodes[*lost].misbehave_on("getMeetingInfo", answer);
        returned.catch_up(1).await;
        assert_eq!(cluster.homes("Lesson"), [0, 1]);
    }
}
