//! Nodes that are lost for a while, and their meetings.

use b3scale::ledger::Lookups;
use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::cluster::{MeetingState, NodeState};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::Misbehaviour;
use b3scale_support::TestCluster;

/// So many rounds without an answer, and a node is down.
const ROUNDS_TO_DOWN: usize = 3;

/// So many rounds with an answer, and it is up again.
const ROUNDS_TO_UP: usize = 2;

/// A meeting on a node that is down. The other of the two nodes is up.
async fn lost() -> (TestCluster, usize) {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    cluster.nodes[home].misbehave(Misbehaviour::CutConnection);
    catch_up(&cluster, ROUNDS_TO_DOWN).await;
    assert_eq!(cluster.node_state(home), NodeState::Error);
    (cluster, home)
}

async fn catch_up(cluster: &TestCluster, times: usize) {
    for _ in 0..times {
        cluster.cluster.catch_up().await;
    }
}

/// Defects 18 and 21 of the original: a node that was lost kept its meetings, and their creates failed for ever.
#[tokio::test]
async fn a_meeting_whose_node_is_lost_is_created_elsewhere_and_what_is_left_of_it_ended() {
    let (cluster, home) = lost().await;
    let running = cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success();
    assert_eq!(running.field("running"), "false");
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    assert_eq!(cluster.call(CallKind::End, "meetingID=m1").await.failed(), "notFound");
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(!list.text.contains("m1"), "{list:?}");

    let anew = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(cluster.homes("Lesson"), [0, 1], "the lost node knows nothing of it");
    cluster.nodes[home].behave();
    catch_up(&cluster, ROUNDS_TO_UP).await;
    cluster.until_node(home, "the old copy is ended", |node| node.meetings().is_empty()).await;
    cluster.cluster.catch_up().await;
    let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
    assert_eq!(info.field("internalMeetingID"), anew.field("internalMeetingID"));
    assert_eq!(cluster.homes("Lesson"), [1 - home]);
}

/// Defect 18 of the original: a meeting was never given back to the node that reported it.
#[tokio::test]
async fn a_meeting_that_nobody_created_elsewhere_is_back_with_its_node() {
    let (cluster, home) = lost().await;
    let join = "meetingID=m1&fullName=Ada&role=VIEWER";
    assert!(cluster.call(CallKind::Join, join).await.location().starts_with("/b3s/retry-join/"));
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    cluster.nodes[home].behave();
    catch_up(&cluster, ROUNDS_TO_UP).await;
    let joined = cluster.call(CallKind::Join, join).await;
    assert!(joined.location().starts_with(&cluster.nodes[home].url()), "{joined:?}");
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

/// Defect 35 of the original: an answer that could not be read was an empty list, and ended every meeting.
#[tokio::test]
async fn an_answer_that_is_no_list_of_meetings_ends_none() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let node = &cluster.nodes[cluster.homes("Lesson")[0]];
    let answers = [
        Misbehaviour::WrongChecksum,
        Misbehaviour::Version,
        Misbehaviour::Html,
        Misbehaviour::Empty,
        Misbehaviour::BrokenXml,
        Misbehaviour::HalfBody,
    ];
    for answer in answers {
        node.misbehave_on("getMeetings", answer.clone());
        cluster.cluster.catch_up().await;
        let rows = cluster.database.store().load_meetings().await.unwrap();
        assert_eq!(rows.len(), 1, "{answer:?}");
        node.behave();
        cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
        cluster.cluster.catch_up().await;
    }
}

/// Defect 35 of the original: a read that the database cut short looked like the end of a table.
#[tokio::test]
async fn a_load_that_is_cut_off_changes_nothing_and_is_made_again() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    // The lock holds the load up at the last of its tables until its connection is ended, too.
    let cut_off = "DO $$
        BEGIN
            LOCK TABLE meetings IN ACCESS EXCLUSIVE MODE;
            INSERT INTO frontends (id, key, secret) VALUES (gen_random_uuid(), 'late', 'frontend-secret');
            PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN b3scale'
                AND datname = current_database();
            FOR look IN 1..2000 LOOP
                PERFORM pg_stat_clear_snapshot();
                PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                    AND query = 'SELECT * FROM meetings' AND datname = current_database();
                EXIT WHEN FOUND;
                ASSERT look < 2000, 'nothing is loaded';
                PERFORM pg_sleep(0.01);
            END LOOP;
        END $$";
    let school = cluster.cluster.frontend("school").unwrap().id;
    cluster.database.execute(cut_off).await;
    // Looked up in memory: a call for a meeting that memory does not know would find it in the store.
    assert_eq!(cluster.cluster.of_frontend(school).len(), 1);
    cluster.until("everything is loaded again", || cluster.cluster.frontend("late").is_some()).await;
    assert_eq!(cluster.cluster.of_frontend(school).len(), 1);
}

/// A server that has heard that a node is lost may be asked before anybody has written down that its meetings are free.
#[tokio::test]
async fn a_meeting_of_a_lost_node_is_created_elsewhere_before_it_is_written_down_as_lost() {
    let (cluster, home) = lost().await;
    let early = "UPDATE meetings SET state = 'live', version = nextval('versions');
        SELECT pg_notify('b3scale', 'meeting:' || id) FROM meetings;";
    cluster.database.execute(early).await;
    let id = ScopedId::new("school", &MeetingId::new("m1"));
    let is_live = || cluster.cluster.known(id.as_ref()).is_some_and(|known| known.state == MeetingState::Live);
    cluster.until("the server believes it live", is_live).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let place = cluster.cluster.known(id.as_ref()).unwrap();
    assert_eq!((place.backend, place.state), (cluster.backends[1 - home].id, MeetingState::Live));
}
