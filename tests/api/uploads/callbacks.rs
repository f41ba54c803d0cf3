//! Recordings of meetings with callbacks: their metadata names addresses of ours, as the node had them.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId, java_encode};

use super::*;

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
