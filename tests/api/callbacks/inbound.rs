//! What nodes, and others, send to our addresses.

use b3scale_middleware::cluster::CallbackKind;
use b3scale_support::eventually;

use super::*;

#[tokio::test]
async fn a_node_gets_no_url_of_a_frontend() {
    let called = Called::start().await;
    let meeting = called.cluster.nodes[called.node].meeting(&called.scoped).unwrap();
    let params = meeting.params.iter().filter(|(name, _)| CallbackKind::of_name(name).is_some());
    assert_eq!(params.clone().count(), 5);
    for (name, value) in params {
        assert!(value.starts_with(&called.cluster.url()), "{name} is {value}");
    }
    let kept = "url = 'http://127.0.0.1:9/end?salt=%242y%2410%24a%2Fb.' AND meeting_id = 'algebra'";
    let sql = format!("SELECT count(*) FROM meeting_callbacks WHERE {kept}");
    assert_eq!(called.cluster.database.count(&sql).await, 1, "byte for byte");
}

#[tokio::test]
async fn an_end_comes_once_with_the_nodes_marks() {
    let called = Called::start().await;
    let path = called.path("meta_endCallbackUrl");
    let query = format!("recordingmarks=true&meetingID={}", called.scoped.replace('=', "%3D"));
    let ended = called.path("meetingEndedURL");
    called.cluster.nodes[called.node].control().forget();
    assert_eq!(called.get(&path, &query).await, 200);
    assert_eq!(called.get(&ended, "").await, 200);
    eventually("its end is queued", async || called.deliveries("end", "marks").await == 1).await;
    assert_eq!(called.deliveries("ended", "subject = ''").await, 1);
    assert_eq!(called.get(&path, &query).await, 200, "the node may repeat it");
    assert_eq!(called.deliveries("end", "true").await, 1);
}

/// As after the loss of a server that had not recorded its create.
#[tokio::test]
async fn a_repeated_create_brings_the_callbacks_that_are_missing() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Algebra&meetingID=algebra").await.success();
    let called = Called::on(cluster).await;
    called.lose().await;
    assert_eq!(called.deliveries("end", "true").await, 1);
}

/// Its address is in the metadata that every attendee gets.
#[tokio::test]
async fn a_forged_end_ends_nothing_and_loses_nothing() {
    let called = Called::start().await;
    let path = called.path("meta_endCallbackUrl");
    assert_eq!(called.get(&path, "recordingmarks=true").await, 200);
    called.cluster.cluster.catch_up().await;
    assert_eq!(called.deliveries("end", "true").await, 0, "its node runs it");
    assert_eq!(called.get(&path, "recordingmarks=false").await, 200);
    called.lose().await;
    assert_eq!(called.deliveries("end", "NOT marks").await, 1, "the last word");
}

#[tokio::test]
async fn an_end_without_its_node_says_no_marks() {
    let called = Called::start().await;
    called.lose().await;
    assert_eq!(called.deliveries("end", "marks IS NULL").await, 1);
    let path = called.cluster.database.text("SELECT token FROM meeting_callbacks WHERE kind = 'end'").await;
    let path = format!("/api/v1/callbacks/proxy/{path}");
    assert_eq!(called.get(&path, "recordingmarks=true").await, 200);
    assert_eq!(called.deliveries("end", "marks").await, 1, "the node's word comes in time");
}

#[tokio::test]
async fn a_copys_end_is_not_the_meetings() {
    let called = Called::start().await;
    let path = called.path("meta_endCallbackUrl");
    called
        .cluster
        .database
        .execute("UPDATE meetings SET internal_id = 'elsewhere', backend_id = gen_random_uuid()")
        .await;
    assert_eq!(called.get(&path, "recordingmarks=false").await, 200);
    assert_eq!(called.deliveries("end", "true").await, 0);
    let later = "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
        SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM meetings";
    called.cluster.database.execute(later).await;
    called.cluster.database.execute("DELETE FROM meetings").await;
    assert_eq!(called.get(&path, "recordingmarks=false").await, 200);
    assert_eq!(called.deliveries("end", "true").await, 0, "the later session has ended, too");
}

#[tokio::test]
async fn a_ready_callback_of_another_node_is_refused() {
    let called = Called::start().await;
    let path = called.path("meta_bbb-recording-ready-url");
    let claims = json!({"meeting_id": called.scoped, "record_id": called.internal_id});
    let other = called.cluster.nodes[1 - called.node].secret();
    assert_eq!(called.ready(&path, &claims, other).await, 401);
    assert_eq!(called.ready(&path, &claims, "frontend-secret").await, 401);
    for (meeting, record) in [(&*called.scoped, "other-1"), ("algebra", &*called.internal_id)] {
        let claims = json!({"meeting_id": meeting, "record_id": record});
        assert_eq!(called.ready(&path, &claims, called.secret()).await, 403);
    }
    assert_eq!(called.deliveries("ready", "true").await, 0);
    assert_eq!(called.ready(&path, &claims, called.secret()).await, 200);
    assert_eq!(called.ready(&path, &claims, called.secret()).await, 200, "of another format");
    let record = format!("record_id = '{}'", called.internal_id);
    assert_eq!(called.deliveries("ready", &record).await, 1);
}

#[tokio::test]
async fn a_forged_or_replayed_callback_changes_nothing() {
    let called = Called::start().await;
    let path = called.path("meta_endCallbackUrl");
    assert_eq!(called.get(&path, "recordingmarks=true&meetingID=other").await, 403);
    let (base, token) = path.rsplit_once('/').unwrap();
    for forged in [token.to_uppercase(), token[1..].to_owned(), format!("{token}A"), "x".to_owned(), String::new()] {
        assert_eq!(called.get(&format!("{base}/{forged}"), "meetingID=algebra").await, 404, "{forged}");
    }
    let path = called.path("meta_analytics-callback-url");
    let body = json!({"meeting_id": called.scoped, "internal_meeting_id": called.internal_id, "data": {}});
    let other = json!({"meeting_id": called.scoped, "internal_meeting_id": "other-1", "data": {}});
    for (token, body, status) in [
        (jwt(Algorithm::HS512, &expiring(60), "guessed"), &body, 401),
        (jwt(Algorithm::HS256, &expiring(60), called.secret()), &body, 401),
        (jwt(Algorithm::HS512, &expiring(-3600), called.secret()), &body, 401),
        (jwt(Algorithm::HS512, &json!({}), called.secret()), &body, 401),
        (jwt(Algorithm::HS512, &expiring(60), called.secret()), &other, 403),
    ] {
        assert_eq!(called.analytics(&path, body, &token).await.status, status);
    }
    let answer = called.cluster.request(Method::POST, &path, &[], &body.to_string()).await;
    assert_eq!(answer.status, 401, "analytics without a signature");
    let answer = called.cluster.request(Method::HEAD, &path, &[], "").await;
    assert_eq!(answer.status, 200, "a HEAD only looks");
    assert_eq!(called.cluster.database.count("SELECT count(*) FROM deliveries").await, 0);
}

#[tokio::test]
async fn analytics_arrive_in_the_tenants_terms() {
    let called = Called::start().await;
    let path = called.path("meta_analytics-callback-url");
    let ours = format!("{}{path}", called.cluster.url());
    let body = json!({"version": "1.0", "meeting_id": called.scoped, "internal_meeting_id": called.internal_id,
        "data": {"metadata": {"analytics_callback_url": ours}, "attendees": [{"ext_user_id": "u1"}]}});
    let token = jwt(Algorithm::HS512, &expiring(60), called.secret());
    for _ in 0..2 {
        assert_eq!(called.analytics(&path, &body, &token).await.status, 200);
    }
    let sql = "SELECT convert_from(body, 'UTF8') FROM deliveries WHERE kind = 'analytics' AND bearer = 'HS512'";
    let queued: Value = serde_json::from_str(&called.cluster.database.text(sql).await).unwrap();
    let expected = json!({"version": "1.0", "meeting_id": "algebra", "internal_meeting_id": called.internal_id,
        "data": {"metadata": {"analytics_callback_url": "http://127.0.0.1:9/analytics"}, "attendees": [{"ext_user_id": "u1"}]}});
    assert_eq!(queued, expected);
    assert_eq!(called.deliveries("analytics", "true").await, 1);
}

#[tokio::test]
async fn other_callbacks_pass_with_their_method_query_and_body() {
    let called = Called::start().await;
    let path = called.path("meta_future-callback-url");
    let scoped = called.scoped.replace('=', "%3D");
    assert_eq!(called.get(&path, &format!("meetingID={scoped}&x=1")).await, 200);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = called.cluster.request(Method::POST, &path, &form, &format!("id={scoped}")).await;
    assert_eq!(answer.status, 200);
    let mine = |method: &str, rest: &str| format!("method = '{method}' AND {rest}");
    assert_eq!(called.deliveries("other", &mine("GET", "query = 'meetingID=algebra&x=1'")).await, 1);
    assert_eq!(called.deliveries("other", &mine("POST", "convert_from(body, 'UTF8') = 'id=algebra'")).await, 1);
}

/// Every attendee can read the address.
#[tokio::test]
async fn other_callbacks_without_a_signature_are_few_and_small() {
    let called = Called::start().await;
    let path = called.path("meta_future-callback-url");
    let post =
        async |headers: &[(&str, &str)], body: &str| called.cluster.request(Method::POST, &path, headers, body).await;
    let large = "x".repeat((64 << 10) + 1);
    let answer = post(&[], &large).await;
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("64 KiB"), "{}", answer.text);
    for number in 0..100 {
        assert_eq!(post(&[], &number.to_string()).await.status, 200);
    }
    let answer = post(&[], "one more").await;
    assert_eq!(answer.status, 429);
    assert!(answer.text.contains("100 messages"), "{}", answer.text);
    assert_eq!(post(&[], "7").await.status, 200, "it is known");
    let bearer = format!("Bearer {}", jwt(Algorithm::HS512, &expiring(60), called.secret()));
    assert_eq!(post(&[("authorization", &bearer)], &large).await.status, 200, "the node has signed it");
    assert_eq!(called.deliveries("other", "true").await, 101);
}

/// A node gives a breakout the callbacks of its parent.
#[tokio::test]
async fn a_recording_of_a_breakout_is_announced_by_its_own_ids() {
    let called = Called::start().await;
    let path = called.path("meta_bbb-recording-ready-url");
    let node = &called.cluster.nodes[called.node];
    let room = node.control().breakout(&called.scoped, "Room 1").expect("its parent runs");
    called.cluster.cluster.catch_up().await;
    let record = node.meeting(&room).expect("it runs").internal_id;
    let claims = json!({"meeting_id": room, "record_id": record});
    assert_eq!(called.ready(&path, &claims, called.secret()).await, 200);
    assert_eq!(called.deliveries("ready", &format!("record_id = '{record}' AND breakout = '{room}'")).await, 1);
    let stranger = json!({"meeting_id": room, "record_id": "other-1"});
    assert_eq!(called.ready(&path, &stranger, called.secret()).await, 403);
}

/// A server that inherits a claim sends a second create with other tokens, and the node keeps the first.
#[tokio::test]
async fn a_token_of_a_lost_servers_create_holds() {
    let called = Called::start().await;
    let (end, ended) = (called.path("meta_endCallbackUrl"), called.path("meetingEndedURL"));
    called.cluster.database.execute("UPDATE meeting_callbacks SET token = 'other-' || name").await;
    let scoped = called.scoped.replace('=', "%3D");
    assert_eq!(called.get(&ended, "").await, 404, "it does not say of which meeting");
    assert_eq!(called.get(&end, "recordingmarks=true&meetingID=WyJzY2hvb2wiLCJ4eCIsImIzc2NsIl0%3D").await, 404);
    assert_eq!(called.get(&end, &format!("recordingmarks=true&meetingID={scoped}")).await, 200);
    called.lose().await;
    assert_eq!(called.deliveries("end", "marks").await, 1);
}
