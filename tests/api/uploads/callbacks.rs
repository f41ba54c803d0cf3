//! Recordings of meetings with callbacks: their metadata names addresses of ours, as the node had them.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId, java_encode};
use jsonwebtoken::Algorithm;

use super::*;
use crate::callbacks::jwt;

const READY: &str = "http://127.0.0.1:9/ready?salt=%242y%2410%24a%2Fb.";

#[tokio::test]
async fn a_frontend_reads_its_own_url_of_a_recording_and_is_told_of_it() {
    let rig = Rig::new().await;
    let cluster = &rig.cluster;
    let query = format!("name=Algebra&meetingID=algebra&meta_bbb-recording-ready-url={}", java_encode(READY));
    cluster.call(CallKind::Create, &query).await.success();
    cluster.database.execute("UPDATE meeting_callbacks SET token = 'its-token'").await;
    let node = cluster.homes("Algebra")[0];
    let scoped = ScopedId::new("school", &MeetingId::new("algebra")).to_string();
    let recorded = Recorded {
        id: cluster.nodes[node].meeting(&scoped).expect("it runs").internal_id,
        meta: "<bbb-recording-ready-url>https://b3scale.example/api/v1/callbacks/proxy/its-token</bbb-recording-ready-url>\
               <x-callback-url>https://b3scale.example/api/v1/callbacks/proxy/of-nobody</x-callback-url>",
        ..Recorded::new(1, &scoped)
    };
    let path = rig.upload(node, &recorded, "podcast", &podcast(&recorded)).await;
    rig.ask(node, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(rig.settled(node, &path).await["state"], "imported");

    let listed = cluster.call(CallKind::GetRecordings, "meetingID=algebra").await.success().text;
    assert!(listed.contains(&format!("<bbb-recording-ready-url>{READY}</bbb-recording-ready-url>")), "{listed}");
    assert!(!listed.contains("callbacks/proxy"), "{listed}");
    let told = format!("SELECT count(*) FROM deliveries WHERE record_id = '{}'", recorded.id);
    assert_eq!(cluster.database.count(&told).await, 1);
    let document = cluster.get(&format!("/podcast/{}/metadata.xml", recorded.id), &[]).await;
    assert_eq!(document.status, StatusCode::OK);
    assert!(!document.text.contains("callbacks/proxy") && !document.text.contains("127.0.0.1:9"), "{}", document.text);
}

/// A node gives a breakout the callbacks of its parent, and calls there for it.
#[tokio::test]
async fn a_recording_of_a_breakout_is_announced_where_its_parent_is() {
    let rig = Rig::new().await;
    let cluster = &rig.cluster;
    let query = format!("name=Algebra&meetingID=algebra&meta_bbb-recording-ready-url={}", java_encode(READY));
    cluster.call(CallKind::Create, &query).await.success();
    let node = cluster.homes("Algebra")[0];
    let scoped = ScopedId::new("school", &MeetingId::new("algebra")).to_string();
    let parent = cluster.nodes[node].meeting(&scoped).expect("it runs").internal_id;
    let recorded = Recorded { parent: Some(parent), ..Recorded::new(1, "room-1") };
    let path = rig.upload(node, &recorded, "podcast", &podcast(&recorded)).await;
    rig.ask(node, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(rig.settled(node, &path).await["state"], "imported");
    let announced =
        format!("SELECT count(*) FROM deliveries WHERE record_id = '{}' AND breakout = 'room-1'", recorded.id);
    assert_eq!(cluster.database.count(&announced).await, 1);

    let token = cluster.database.text("SELECT token FROM meeting_callbacks WHERE kind = 'ready'").await;
    let claims = json!({"meeting_id": "room-1", "record_id": recorded.id});
    let form = format!("signed_parameters={}", jwt(Algorithm::HS256, &claims, cluster.nodes[node].secret()));
    let answer = cluster.request(Method::POST, &format!("/api/v1/callbacks/proxy/{token}"), &[], &form).await;
    assert_eq!((answer.status, cluster.database.count(&announced).await), (StatusCode::OK, 1), "{answer:?}");
}

/// As that of a meeting before the move, whose callback is first known by the node's call.
#[tokio::test]
async fn a_recording_that_came_before_its_callback_is_announced_by_the_nodes_call() {
    let rig = Rig::new().await;
    let cluster = &rig.cluster;
    let query = format!("name=Algebra&meetingID=algebra&meta_bbb-recording-ready-url={}", java_encode(READY));
    cluster.call(CallKind::Create, &query).await.success();
    let node = cluster.homes("Algebra")[0];
    let scoped = ScopedId::new("school", &MeetingId::new("algebra")).to_string();
    let id = cluster.nodes[node].meeting(&scoped).expect("it runs").internal_id;
    let recorded = Recorded { id, ..Recorded::new(1, &scoped) };
    cluster.database.execute("UPDATE meeting_callbacks SET kind = 'other'").await;
    let path = rig.upload(node, &recorded, "podcast", &podcast(&recorded)).await;
    rig.ask(node, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(rig.settled(node, &path).await["state"], "imported");
    cluster.database.execute("UPDATE meeting_callbacks SET kind = 'ready'").await;
    let announced = format!("SELECT count(*) FROM deliveries WHERE record_id = '{}'", recorded.id);
    assert_eq!(cluster.database.count(&announced).await, 0);

    let token = cluster.database.text("SELECT token FROM meeting_callbacks").await;
    let claims = json!({"meeting_id": scoped, "record_id": recorded.id});
    let form = format!("signed_parameters={}", jwt(Algorithm::HS256, &claims, cluster.nodes[node].secret()));
    for _ in 0..2 {
        let answer = cluster.request(Method::POST, &format!("/api/v1/callbacks/proxy/{token}"), &[], &form).await;
        assert_eq!((answer.status, cluster.database.count(&announced).await), (StatusCode::OK, 1), "{answer:?}");
    }
}
