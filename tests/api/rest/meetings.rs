//! Meetings by the REST API.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_node::Role;
use b3scale_support::{ClusterOptions, TestCluster, eventually};
use http::StatusCode;
use serde_json::{Value, json};

use super::{has_keys, message};

fn scoped(id: &str) -> String {
    ScopedId::new("school", &MeetingId::new(id)).to_string()
}

/// The original's fields, and the new ones.
const MEETING: [&str; 10] = [
    "id",
    "internal_id",
    "meeting",
    "frontend_id",
    "backend_id",
    "created_at",
    "updated_at",
    "synced_at",
    "state",
    "frontend_meeting_id",
];

const INFO: [&str; 26] = [
    "MeetingName",
    "MeetingID",
    "InternalMeetingID",
    "CreateTime",
    "CreateDate",
    "VoiceBridge",
    "DialNumber",
    "AttendeePW",
    "ModeratorPW",
    "Running",
    "Duration",
    "Recording",
    "HasBeenForciblyEnded",
    "StartTime",
    "EndTime",
    "ParticipantCount",
    "ListenerCount",
    "VoiceParticipantCount",
    "VideoCount",
    "MaxUsers",
    "ModeratorCount",
    "IsBreakout",
    "Metadata",
    "Attendees",
    "BreakoutRooms",
    "Breakout",
];

const ATTENDEE: [&str; 9] = [
    "UserID",
    "InternalUserID",
    "FullName",
    "Role",
    "IsPresenter",
    "IsListeningOnly",
    "HasJoinedVoice",
    "HasVideo",
    "ClientType",
];

/// A meeting with an attendee, and the number of its node.
async fn lesson() -> (TestCluster, usize) {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_origin=test").await.success();
    let home = cluster.homes("Lesson")[0];
    cluster.nodes[home].control().join(&scoped("m1"), "Ada", Role::Moderator).unwrap();
    cluster.cluster.catch_up().await;
    (cluster, home)
}

#[tokio::test]
async fn a_meeting_is_shown_as_the_original_does_it() {
    let (cluster, home) = lesson().await;
    let list = cluster.operator().fetch(&format!("/meetings?backend_id={}", cluster.backends[home].id)).await.granted();
    let meeting = &list[0];
    has_keys(meeting, &MEETING);
    assert_eq!((&meeting["id"], &meeting["state"]), (&json!(scoped("m1")), &json!("live")));
    assert_eq!(meeting["frontend_meeting_id"], "m1");
    let info = &meeting["meeting"];
    has_keys(info, &INFO);
    assert_eq!((&info["MeetingName"], &info["MeetingID"]), (&json!("Lesson"), &json!(scoped("m1"))));
    assert_eq!((&info["Running"], &info["ParticipantCount"]), (&json!(true), &json!(1)));
    assert_eq!(info["Metadata"], json!({"b3s-frontend": "school", "origin": "test"}));
    assert_eq!((&info["BreakoutRooms"], &info["Breakout"]), (&Value::Null, &Value::Null), "an empty list is null");
    assert_eq!(info["InternalMeetingID"], meeting["internal_id"]);
    let attendee = &info["Attendees"][0];
    has_keys(attendee, &ATTENDEE);
    assert_eq!((&attendee["FullName"], &attendee["Role"]), (&json!("Ada"), &json!("MODERATOR")));
    for id in [scoped("m1"), format!("internal:{}", meeting["internal_id"].as_str().unwrap())] {
        assert_eq!(&cluster.operator().fetch(&format!("/meetings/{id}")).await.granted(), meeting);
    }
}

#[tokio::test]
async fn breakout_rooms_are_the_ids_by_which_their_meetings_are_found() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    let rooms = ["b1", &*"x".repeat(250)];
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    for (number, id) in rooms.into_iter().enumerate() {
        let query = format!("name=Room&isBreakout=true&parentMeetingID=m1&meetingID={id}&sequence={}", number + 1);
        cluster.call(CallKind::Create, &query).await.success();
    }
    cluster.cluster.catch_up().await;
    let parent = cluster.operator().fetch(&format!("/meetings/{}", scoped("m1"))).await.granted();
    assert_eq!(parent["meeting"]["BreakoutRooms"], json!(rooms.map(scoped)));
    for room in rooms.map(scoped) {
        let found = cluster.operator().fetch(&format!("/meetings/{room}")).await.granted();
        assert_eq!(found["meeting"]["MeetingName"], "Room");
    }
}

#[tokio::test]
async fn a_list_says_whose_meetings_it_wants() {
    let (cluster, home) = lesson().await;
    let operator = cluster.operator();
    let (id, url) = (cluster.backends[home].id, cluster.backends[home].url.clone());
    for query in [
        format!("backend_host=%20{url}"),
        format!("backend_id={id}&backend_host={url}"),
        "frontend_key=school".to_owned(),
        "all=yes".to_owned(),
    ] {
        assert_eq!(
            operator.fetch(&format!("/meetings?{query}")).await.granted().as_array().unwrap().len(),
            1,
            "{query}"
        );
    }
    let other = cluster.backends[1 - home].id;
    assert_eq!(operator.fetch(&format!("/meetings?backend_id={other}")).await.granted(), json!([]));
    for query in ["", "?backend_id=", "?backend_id=%20&backend_host=", "?frontend_key=&all="] {
        let answer = operator.fetch(&format!("/meetings{query}")).await;
        assert_eq!(answer.refused(), (400, &*message("Bad Request")), "an empty filter is none: {query}");
    }
    let by_host = operator.fetch(&format!("/meetings?backend_id=&backend_host={url}&frontend_key=")).await;
    assert_eq!(by_host.granted()[0]["id"], json!(scoped("m1")));
    for query in [
        "backend_id=no-uuid",
        "backend_id=00000000-0000-0000-0000-000000000000",
        "backend_host=http://x/",
        "frontend_key=x",
    ] {
        assert_eq!(
            operator.fetch(&format!("/meetings?{query}")).await.refused(),
            (404, &*message("Not Found")),
            "{query}"
        );
    }
}

#[tokio::test]
async fn what_is_set_of_a_meeting_holds_until_its_node_is_heard_of() {
    let (cluster, _) = lesson().await;
    let path = format!("/meetings/{}", scoped("m1"));
    let body = json!({"backend_id": null, "meeting": {"MeetingName": "Renamed", "MeetingID": "stolen", "Attendees": null,
        "Metadata": {"origin": "", "more": "1"}}});
    let patched = cluster.operator().patch(&path, &body).await.granted();
    let info = &patched["meeting"];
    assert_eq!((&info["MeetingName"], &info["MeetingID"]), (&json!("Renamed"), &json!(scoped("m1"))));
    assert_eq!(
        (&info["Attendees"], &info["Metadata"]),
        (&Value::Null, &json!({"b3s-frontend": "school", "more": "1"}))
    );
    assert_eq!(info["ParticipantCount"], 1, "what is not said stays");
    assert!(patched["backend_id"].is_string());
    cluster.cluster.catch_up().await;
    assert_eq!(cluster.operator().fetch(&path).await.granted()["meeting"]["MeetingName"], "Lesson");
    // Null did not end in a panic, as it did in the original.
    assert_eq!(cluster.operator().patch(&path, &json!({"meeting": null})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_meeting_that_is_forgotten_and_runs_is_found_again() {
    let (cluster, _) = lesson().await;
    let path = format!("/meetings/{}", scoped("m1"));
    let forgotten = cluster.operator().delete(&path).await.granted();
    assert_eq!(forgotten["id"], scoped("m1"));
    assert_eq!(cluster.operator().fetch(&path).await.status, StatusCode::NOT_FOUND);
    let found = async || cluster.operator().fetch(&path).await.status == StatusCode::OK;
    // A meeting that ended a moment ago is no stray, so the node has to report it once more.
    cluster.cluster.catch_up().await;
    eventually("it is found on its node", found).await;
}

#[tokio::test]
async fn an_agent_sees_the_meetings_of_its_own_node() {
    let (cluster, home) = lesson().await;
    let (own, other) = (cluster.backends[home].id, cluster.backends[1 - home].id);
    let path = format!("/meetings/{}", scoped("m1"));
    let agent = cluster.agent("node-1");
    assert_eq!(agent.fetch(&path).await.refused(), (403, &*message("Forbidden")), "it has no backend");
    cluster.database.execute(&format!("UPDATE backends SET agent_ref = 'node-1' WHERE id = '{own}'")).await;
    cluster.database.execute(&format!("UPDATE backends SET agent_ref = 'node-2' WHERE id = '{other}'")).await;
    assert_eq!(agent.fetch(&path).await.status, StatusCode::OK);
    assert_eq!(cluster.agent("node-2").fetch(&path).await.refused(), (404, &*message("Not Found")));
    assert_eq!(cluster.agent("node-2").delete(&path).await.status, StatusCode::NOT_FOUND);
    let internal = agent.fetch(&path).await.granted()["internal_id"].as_str().unwrap().to_owned();
    assert_eq!(agent.delete(&format!("/meetings/internal:{internal}")).await.status, StatusCode::OK);
}
