//! Nodes with unusable lists: their meetings stay, and no new ones go there.

use std::time::Instant;

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::cluster::{MeetingState, NodeState};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::{Misbehaviour, Role};
use b3scale_support::TestCluster;

/// So many rounds without a usable list, and a node is degraded.
const ROUNDS: usize = 3;

fn scoped(id: &str) -> ScopedId {
    ScopedId::new("school", &MeetingId::new(id))
}

async fn catch_up(cluster: &TestCluster) {
    for _ in 0..ROUNDS {
        cluster.cluster.catch_up().await;
    }
}

/// Two meetings on one node, with an attendee in the first. Gives the node and the attendee's id.
async fn lessons() -> (TestCluster, usize, String) {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let stopped = cluster.backends[1 - home].id;
    cluster.database.execute(&format!("UPDATE backends SET admin_state = 'stopped' WHERE id = '{stopped}'")).await;
    cluster
        .until("no other node takes meetings", || {
            cluster.cluster.backend(stopped).is_some_and(|other| other.takes_meetings(Instant::now()).is_err())
        })
        .await;
    cluster.call(CallKind::Create, "name=Other&meetingID=m2").await.success();
    cluster.database.execute(&format!("UPDATE backends SET admin_state = 'ready' WHERE id = '{stopped}'")).await;
    cluster
        .until("it does again", || {
            cluster.cluster.backend(stopped).is_some_and(|other| other.takes_meetings(Instant::now()).is_ok())
        })
        .await;
    let ada = cluster.nodes[home].control().join(scoped("m1").as_ref(), "Ada", Role::Viewer).expect("it runs");
    (cluster, home, ada)
}

/// Checks both meetings. This must hold with any list of their node.
async fn nobody_is_hurt(cluster: &TestCluster, home: usize, why: &str) {
    let internal = |id: &str| cluster.cluster.known(scoped(id).as_ref()).and_then(|known| known.internal_id.clone());
    for id in ["m1", "m2"] {
        let known = cluster.cluster.known(scoped(id).as_ref()).unwrap_or_else(|| panic!("{why}: {id} is known"));
        assert_eq!((known.state, known.backend), (MeetingState::Live, cluster.backends[home].id), "{why}: {id}");
        let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={id}")).await;
        assert!(why.contains("x y") || info.is_success(), "{why}: {info:?}");
        let join = format!("meetingID={id}&fullName=Grace&role=VIEWER");
        let joined = cluster.call(CallKind::Join, &join).await;
        assert!(joined.location().starts_with(&cluster.nodes[home].url()), "{why}: {joined:?}");
        let before = internal(id);
        let again = cluster.call(CallKind::Create, &format!("name=Again&meetingID={id}")).await.success();
        assert_eq!(Some(again.field("internalMeetingID").to_owned()), before, "{why}: {id} is not made again");
    }
    assert!(cluster.homes("Again").is_empty(), "{why}");
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    for id in ["m1", "m2"] {
        assert!(list.text.contains(&format!("<meetingID>{id}</meetingID>")), "{why}: {list:?}");
    }
}

#[tokio::test]
async fn a_spoiled_entry_of_a_list_hurts_nobody() {
    let (cluster, home, ada) = lessons().await;
    for name in ["x y", "x<y", "1 x", "x>", "a&b"] {
        assert!(cluster.nodes[home].control().tell(scoped("m1").as_ref(), &ada, name, "1"));
        catch_up(&cluster).await;
        assert_eq!(cluster.node_state(home), NodeState::Ready, "{name}: all but one meeting can be read");
        nobody_is_hurt(&cluster, home, "x y").await;
    }
    let backend = cluster.cluster.backend(cluster.backends[home].id).expect("it is known");
    assert_eq!(backend.vitals.attendees(), 1, "who is in the spoiled one is counted");
    assert_eq!(cluster.cluster.remarks(backend.id), ["1 meeting in its list is unreadable"]);
    let problem = backend.vitals.last_error().expect("operators see why");
    assert!(problem.starts_with("1 of 2 meetings in its list cannot be read"), "{problem}");
}

#[tokio::test]
async fn a_list_that_cannot_be_used_degrades_its_node_and_hurts_nobody() {
    let (cluster, home, _) = lessons().await;
    let node = &cluster.nodes[home];
    let lists = [
        Misbehaviour::BrokenXml,
        Misbehaviour::HalfBody,
        Misbehaviour::Html,
        Misbehaviour::Empty,
        Misbehaviour::Version,
        Misbehaviour::Status(500),
        Misbehaviour::CutConnection,
        Misbehaviour::WrongChecksum,
        Misbehaviour::EndlessXml,
    ];
    for list in lists {
        let why = format!("{list:?}");
        node.misbehave_on("getMeetings", list);
        catch_up(&cluster).await;
        assert_eq!(cluster.node_state(home), NodeState::Degraded, "{why}");
        nobody_is_hurt(&cluster, home, &why).await;
        let backend = cluster.cluster.backend(cluster.backends[home].id).expect("it is known");
        assert_eq!(backend.takes_meetings(Instant::now()).map_err(|refusal| refusal.word), Err("degraded"), "{why}");
        assert_eq!(backend.vitals.attendees(), 1, "{why}: meetings are asked for one by one");
        node.behave();
        cluster.cluster.catch_up().await;
        assert_eq!(cluster.node_state(home), NodeState::Ready, "{why}: a single list is enough");
    }
}

#[tokio::test]
async fn new_meetings_go_elsewhere_while_a_node_is_degraded() {
    let (cluster, home, _) = lessons().await;
    cluster.nodes[home].misbehave_on("getMeetings", Misbehaviour::Html);
    catch_up(&cluster).await;
    for number in 0..4 {
        cluster.call(CallKind::Create, &format!("name=New&meetingID=new{number}")).await.success();
    }
    assert_eq!(cluster.homes("New"), [1 - home]);
    assert!(cluster.nodes[home].control().expire(scoped("m2").as_ref()));
    cluster.cluster.catch_up().await;
    assert!(cluster.cluster.known(scoped("m2").as_ref()).is_none(), "its node said so when it was asked for it");
    assert!(cluster.cluster.known(scoped("m1").as_ref()).is_some());
}

#[tokio::test]
async fn a_degraded_node_that_falls_silent_is_lost() {
    let (cluster, home, _) = lessons().await;
    cluster.nodes[home].misbehave_on("getMeetings", Misbehaviour::Html);
    catch_up(&cluster).await;
    cluster.nodes[home].misbehave(Misbehaviour::CutConnection);
    catch_up(&cluster).await;
    assert_eq!(cluster.node_state(home), NodeState::Error);
    let state = |id: &str| cluster.cluster.known(scoped(id).as_ref()).map(|known| known.state);
    assert_eq!((state("m1"), state("m2")), (Some(MeetingState::Detached), Some(MeetingState::Detached)));
}

/// Every server reads the report that one of them got.
#[tokio::test]
async fn another_server_knows_what_a_degraded_node_says_of_each_meeting() {
    let (cluster, home, _) = lessons().await;
    cluster.nodes[home].misbehave_on("getMeetings", Misbehaviour::Html);
    catch_up(&cluster).await;
    let other = cluster.another_server().await;
    let m1 = other.known(scoped("m1").as_ref()).expect("it is in the store");
    assert_eq!(other.attendees(&m1), 1);
    assert_eq!(other.backend(m1.backend).map(|backend| backend.vitals.health().state), Some(NodeState::Degraded));
    other.stop();
}
