//! Answers hold the tenant's own ids, plain numbers, valid XML text, and nothing of ours.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId, xml};
use b3scale_node::{Misbehaviour, NodeOptions, Role};
use b3scale_support::{Answer, ClusterOptions, TestCluster};
use bytes::Bytes;
use futures_util::future::join_all;

const ROOM: &str = "name=Room&isBreakout=true&parentMeetingID=m1&freeJoin=true";

/// A parent, a breakout, and a breakout with so long an id that its node has a hash of it.
async fn class(options: ClusterOptions) -> (TestCluster, String) {
    let cluster = TestCluster::with(options).await;
    let long = "x".repeat(250);
    let create = "name=Lesson&meetingID=m1&maxParticipants=1500&duration=1440&meta_room=7&record=true";
    cluster.call(CallKind::Create, create).await.success();
    for (number, id) in ["b1", &*long].iter().enumerate() {
        let query = format!("{ROOM}&meetingID={id}&sequence={}", number + 1);
        cluster.call(CallKind::Create, &query).await.success();
    }
    (cluster, long)
}

fn one_node() -> ClusterOptions {
    let node = NodeOptions { group_numbers: true, ..NodeOptions::default() };
    ClusterOptions { nodes: 1, node, ..ClusterOptions::default() }
}

/// The entry of a meeting in a list, without the breaks of lines.
fn entry(list: &Answer, name: &str) -> String {
    let list = Bytes::from(list.text.clone().into_bytes());
    let entries = xml::elements(&list, &["response", "meetings", "meeting"]).unwrap();
    let named = |entry: &&Bytes| xml::fields(entry, ["meetingID"]).unwrap()[0].as_deref() == Some(name);
    let found = entries.iter().find(named).unwrap_or_else(|| panic!("{name} is not in {list:?}"));
    String::from_utf8(found.to_vec()).unwrap().replace('\n', "")
}

fn rooms(ids: &[&str]) -> String {
    let ids: String = ids.iter().map(|id| format!("<breakout>{id}</breakout>")).collect();
    format!("<breakoutRooms>{ids}</breakoutRooms>")
}

#[tokio::test]
async fn nothing_of_ours_is_in_any_answer() {
    let (cluster, long) = class(one_node()).await;
    let scoped = [("school", "m1"), ("school", "b1"), ("school", &*long)];
    let scoped = scoped.map(|(key, id)| ScopedId::new(key, &MeetingId::new(id)).to_string());
    let node = &cluster.nodes[0];
    node.control().join(&scoped[0], "Ada", Role::Viewer).unwrap();
    assert_eq!(node.meeting(&scoped[0]).unwrap().metadata["b3s-frontend"], "school", "the node knows");
    let mut answers = Vec::new();
    for round in 0..2 {
        for kind in [CallKind::GetMeetings, CallKind::GetSessions] {
            answers.push(cluster.call(kind, "").await.success());
        }
        for id in ["m1", "b1", &*long, "unknown"] {
            let query = format!("meetingID={id}&name=Lesson&fullName=Ada&role=VIEWER&redirect=false&message=x");
            answers.push(cluster.call(CallKind::GetMeetingInfo, &query).await);
            answers.push(cluster.call(CallKind::IsMeetingRunning, &query).await);
            answers.push(cluster.call(CallKind::Join, &query).await);
            answers.push(cluster.call(CallKind::SendChatMessage, &query).await);
            answers.push(cluster.post(CallKind::InsertDocument, &query, "application/xml", "<modules/>").await);
            answers.push(cluster.call(CallKind::Create, &query).await);
        }
        if round == 0 {
            cluster.cluster.catch_up().await;
        }
    }
    answers.push(cluster.call(CallKind::End, "meetingID=m1").await.success());
    for answer in answers {
        let ours = ["b3s-", "b3scl", &*scoped[0], &*scoped[1]].into_iter().find(|ours| answer.text.contains(ours));
        assert_eq!(ours, None, "{}", answer.text);
    }
}

#[tokio::test]
async fn breakout_rooms_are_the_tenants_own_ids_in_info_and_list() {
    let (cluster, long) = class(one_node()).await;
    for reported in [false, true] {
        if reported {
            cluster.cluster.catch_up().await;
        }
        let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success().text.replace('\n', "");
        let list = cluster.call(CallKind::GetMeetings, "").await.success();
        let expected = rooms(&["b1", &*long]);
        assert!(info.contains(&expected), "{info}");
        assert!(entry(&list, "m1").contains(&expected), "{}", entry(&list, "m1"));
    }
}

/// With ids like those of this b3scale, and one breakout without a readable id.
#[tokio::test]
async fn a_tenant_that_is_a_b3scale_itself_reads_its_own_ids() {
    let cluster = TestCluster::with(one_node()).await;
    let of_tenant = |id: &str| ScopedId::new("tenant", &MeetingId::new(id)).to_string();
    let (parent, room, long) = (of_tenant("m1"), of_tenant("b1"), "x".repeat(250));
    let create = format!("name=Lesson&meetingID={parent}&meta_room={room}");
    cluster.call(CallKind::Create, &create).await.success();
    for (number, id) in [&room, &long].into_iter().enumerate() {
        let query =
            format!("name=Room&isBreakout=true&parentMeetingID={parent}&meetingID={id}&sequence={}", number + 1);
        cluster.call(CallKind::Create, &query).await.success();
    }
    for reported in [false, true] {
        if reported {
            cluster.cluster.catch_up().await;
        }
        let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={parent}")).await.success();
        let list = cluster.call(CallKind::GetMeetings, "").await.success();
        for text in [info.text.replace('\n', ""), entry(&list, &parent)] {
            assert!(text.contains(&rooms(&[&*room, &*long])), "{text}");
            assert!(text.contains(&format!("<room>{room}</room>")), "{text}");
        }
        assert!(entry(&list, &room).contains("<isBreakout>true</isBreakout>"), "it is listed under its own id");
    }
}

#[tokio::test]
async fn counts_are_numbers_without_commas() {
    let (cluster, _) = class(one_node()).await;
    cluster.cluster.catch_up().await;
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(entry(&list, "m1").contains("<maxUsers>1500</maxUsers>"), "{}", entry(&list, "m1"));
}

#[tokio::test]
async fn characters_and_names_that_xml_forbids_spoil_no_answer() {
    let (cluster, _) = class(one_node()).await;
    let node = &cluster.nodes[0];
    let id = ScopedId::new("school", &MeetingId::new("m1")).to_string();
    cluster.call(CallKind::Create, "name=U%EF%BF%BEv&meetingID=m2&meta_a=x%EF%BF%BFy").await.success();
    let user = node.control().join(&id, "A\u{b}d\u{fffe}a", Role::Viewer).unwrap();
    node.control().tell(&id, &user, "1st", "odd");
    node.control().tell(&id, &user, "fine", "kept\u{1}");
    for reported in [false, true] {
        if reported {
            cluster.cluster.catch_up().await;
        }
        let list = cluster.call(CallKind::GetMeetings, "").await.success();
        let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
        for text in [&list.text, &info.text] {
            assert!(!text.contains(['\u{b}', '\u{fffe}', '\u{ffff}', '\u{1}']) && !text.contains("<1st>"), "{text}");
            assert!(text.contains("<fullName>Ada</fullName>") && text.contains("<fine>kept</fine>"), "{text}");
        }
        let other = entry(&list, "m2");
        assert!(other.contains("<meetingName>Uv</meetingName>") && other.contains("<a>xy</a>"), "{other}");
    }
}

#[tokio::test]
async fn a_list_has_all_that_a_node_says_of_a_meeting_just_created() {
    let (cluster, long) = class(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    for id in ["m1", "b1", &*long] {
        let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={id}")).await.success();
        let info = xml::entry_of_info(&Bytes::from(info.text.into_bytes())).unwrap();
        assert_eq!(entry(&list, id), String::from_utf8(info.to_vec()).unwrap().replace('\n', ""));
    }
    let parent = cluster.nodes[0].meetings().into_iter().find(|meeting| meeting.name == "Lesson").unwrap();
    let start = format!("<startTime>{}</startTime>", parent.create_time + 45);
    assert!(entry(&list, "m1").contains(&start), "the node's own start, and not the time of the create");
    let tail = format!("<isBreakout>true</isBreakout><parentMeetingID>{}</parentMeetingID>", parent.internal_id);
    let tail = tail + "<sequence>1</sequence><freeJoin>true</freeJoin></meeting>";
    assert!(entry(&list, "b1").ends_with(&tail), "{}", entry(&list, "b1"));
}

#[tokio::test]
async fn a_list_is_complete_although_a_node_does_not_answer_for_its_young_meetings() {
    let cluster = TestCluster::with(one_node()).await;
    let node = &cluster.nodes[0];
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.cluster.catch_up().await;
    // The parent has been reported, and its breakouts have not.
    node.misbehave_on("getMeetingInfo", Misbehaviour::Stall);
    node.misbehave_on("getMeetings", Misbehaviour::Stall);
    for (number, id) in ["b1", "b2"].iter().enumerate() {
        cluster.call(CallKind::Create, &format!("{ROOM}&meetingID={id}&sequence={number}")).await.success();
    }
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(entry(&list, "m1").contains(&rooms(&["b1", "b2"])), "{}", entry(&list, "m1"));
    let parent = node.meetings().into_iter().find(|meeting| meeting.name == "Lesson").unwrap().internal_id;
    let tail =
        format!("<parentMeetingID>{parent}</parentMeetingID><sequence>1</sequence><freeJoin>true</freeJoin></meeting>");
    assert!(entry(&list, "b2").ends_with(&tail), "{}", entry(&list, "b2"));
}

fn times_asked(cluster: &TestCluster) -> usize {
    cluster.nodes[0].calls().iter().filter(|call| call.call == "getMeetingInfo").count()
}

#[tokio::test]
async fn a_node_is_asked_once_for_a_young_meeting() {
    let (cluster, _) = class(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    for _ in 0..3 {
        let lists = join_all((0..10).map(|_| cluster.call(CallKind::GetMeetings, ""))).await;
        for list in lists {
            assert!(entry(&list.success(), "m1").contains("<maxUsers>"));
        }
    }
    assert!(times_asked(&cluster) <= 3, "one question for each of three meetings, and not {}", times_asked(&cluster));
}

#[tokio::test]
async fn lists_that_run_at_once_ask_a_slow_node_no_more_than_one_does() {
    let (cluster, _) = class(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.nodes[0].misbehave_on("getMeetingInfo", Misbehaviour::Stall);
    cluster.nodes[0].misbehave_on("getMeetings", Misbehaviour::Stall);
    for list in join_all((0..10).map(|_| cluster.call(CallKind::GetMeetings, ""))).await {
        entry(&list.success(), "m1");
    }
    assert!(times_asked(&cluster) <= 3, "one question for each of three meetings, and not {}", times_asked(&cluster));
}
