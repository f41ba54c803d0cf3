//! Whole ways, from the node's own call to the frontend, by the rules that real frontends have for their receivers.

use b3scale_middleware::bbb::java_encode;
use b3scale_node::NodeOptions;
use b3scale_support::{ClusterOptions, Heard, Reaction, Receiver, SECRET, TestFolder, eventually};
use jsonwebtoken::{DecodingKey, Validation};

use super::*;

/// A cluster without imports of recordings, which may call this machine.
struct Play {
    cluster: TestCluster,
    receiver: Receiver,
    _recordings: TestFolder,
}

impl Play {
    async fn reacting(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let recordings = TestFolder::new();
        let node = NodeOptions { recordings: Some(recordings.path().to_owned()), ..NodeOptions::default() };
        let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
        let cluster = TestCluster::with(ClusterOptions { node, environment, ..ClusterOptions::default() }).await;
        Self { cluster, receiver: Receiver::reacting(reactions).await, _recordings: recordings }
    }

    /// A meeting with callbacks is held, and ends. Returns the node's own id of it.
    async fn hold(&self, callbacks: &[(&str, &str)]) -> String {
        let url = |path: &str| java_encode(&self.receiver.url(path));
        let callbacks: String = callbacks.iter().map(|(name, path)| format!("&{name}={}", url(path))).collect();
        let query = format!("name=Algebra&meetingID=room-1&record=true{callbacks}");
        self.cluster.call(CallKind::Create, &query).await.success();
        let node = &self.cluster.nodes[self.cluster.homes("Algebra")[0]];
        let scoped = ScopedId::new("school", &MeetingId::new("room-1")).to_string();
        let internal_id = node.meeting(&scoped).expect("it runs").internal_id;
        assert!(node.control().record(&scoped, true) && node.control().expire(&scoped));
        internal_id
    }

    /// Waits until so many deliveries are in a state.
    async fn until(&self, count: i64, condition: &str) {
        let sql = format!("SELECT count(*) FROM deliveries WHERE {condition}");
        eventually(condition, async || self.cluster.database.count(&sql).await == count).await;
    }
}

fn proved(token: &str, algorithm: Algorithm) -> Value {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation).unwrap().claims
}

fn of<'h>(heard: &'h [Heard], path: &str) -> Vec<&'h Heard> {
    heard.iter().filter(|one| one.path().starts_with(path)).collect()
}

/// It counts each call of an end with marks as one more recording, has no proof of an end, and pins HS256.
#[tokio::test]
async fn greenlight_hears_each_end_and_each_recording_once() {
    let play = Play::reacting([]).await;
    let callbacks = [("meta_endCallbackUrl", "/meeting_ended"), ("meta_bbb-recording-ready-url", "/recording_ready")];
    let internal_id = play.hold(&callbacks).await;
    play.until(2, "state = 'delivered'").await;
    play.cluster.cluster.catch_up().await;
    let heard = play.receiver.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    let [end] = of(&heard, "/meeting_ended")[..] else { panic!("{heard:?}") };
    assert_eq!((end.method(), end.path()), ("GET", "/meeting_ended?recordingmarks=true&meetingID=room-1"));
    let [ready] = of(&heard, "/recording_ready")[..] else { panic!("{heard:?}") };
    assert_eq!(ready.header("Host"), end.header("Host"), "the tenant's own");
    assert_eq!(ready.header("Content-Type"), Some("application/x-www-form-urlencoded"));
    let token = ready.body.strip_prefix("signed_parameters=").expect("one field");
    assert_eq!(proved(token, Algorithm::HS256), json!({"meeting_id": "room-1", "record_id": internal_id}));
}

/// It speaks HTTP/1.0 with long reasons, wants `Authorization` in these letters, pins HS512, and answers 202.
#[tokio::test]
async fn moodle_hears_of_recordings_and_analytics() {
    let answer = || {
        Reaction::Raw(b"HTTP/1.0 202 Accepted. Enqueued. And much more that an exception has to say\r\n\r\n".to_vec())
    };
    let play = Play::reacting([answer(), answer()]).await;
    let broker = "/mod/bigbluebuttonbn/bbb_broker.php?action=recording_ready&bigbluebuttonbn=7";
    let events = "/mod/bigbluebuttonbn/bbb_broker.php?action=meeting_events&bigbluebuttonbn=7";
    let callbacks = [("meta_bn-recording-ready-url", broker), ("meta_analytics-callback-url", events)];
    let internal_id = play.hold(&callbacks).await;
    play.until(2, "state = 'delivered' AND status = 202").await;
    let heard = play.receiver.heard();
    let [ready] = of(&heard, broker)[..] else { panic!("{heard:?}") };
    let token = ready.body.strip_prefix("signed_parameters=").expect("one field");
    assert_eq!(proved(token, Algorithm::HS256)["record_id"], *internal_id);
    let [analytics] = of(&heard, events)[..] else { panic!("{heard:?}") };
    assert_eq!((analytics.method(), analytics.path()), ("POST", events));
    let token = analytics.header("Authorization").and_then(|value| value.strip_prefix("Bearer "));
    assert!(proved(token.expect("spelt so"), Algorithm::HS512)["exp"].is_number());
    let body: Value = serde_json::from_str(&analytics.body).unwrap();
    assert_eq!((&body["meeting_id"], &body["internal_meeting_id"]), (&json!("room-1"), &json!(internal_id)));
    assert_eq!(body["data"]["metadata"]["analytics_callback_url"], play.receiver.url(events));
    assert!(!analytics.body.contains("/callbacks/proxy/"));
}

/// Its authenticator is in the path. Before the autumn of 2023 its recording hook took a GET only.
#[tokio::test]
async fn nextcloud_refuses_a_recording_and_hears_the_end() {
    let play = Play::reacting([]).await;
    play.hold(&[("meta_endCallbackUrl", "/apps/bbb/hook/ended/t0ken/m4c")]).await;
    let heard = play.receiver.hears(1).await;
    assert_eq!(heard[0].path(), "/apps/bbb/hook/ended/t0ken/m4c?recordingmarks=true&meetingID=room-1");
    let play = Play::reacting([Reaction::Status(405)]).await;
    play.hold(&[("meta_bbb-recording-ready-url", "/apps/bbb/hook/recording/t0ken/m4c")]).await;
    assert_eq!(play.receiver.hears(1).await[0].method(), "POST");
    play.until(1, "state = 'waiting' AND status = 405").await;
}

/// Its URL holds a hash that must arrive as it was written.
#[tokio::test]
async fn pilos_finds_its_salt_byte_for_byte() {
    let play = Play::reacting([]).await;
    let path = "/api/v1/meetings/7f/endCallback?salt=%242y%2410%24a%2Fb.$2y$10$/.";
    play.hold(&[("meta_endCallbackUrl", path)]).await;
    let heard = play.receiver.hears(1).await;
    assert_eq!(heard[0].path(), format!("{path}&recordingmarks=true&meetingID=room-1"));
}

/// A longer one cannot be called. Its meeting is held all the same.
#[tokio::test]
async fn a_url_of_8_kib_is_called_as_it_is() {
    let play = Play::reacting([]).await;
    let begin = "/end?salt=%24";
    let path = format!("{begin}{}", "x".repeat(8192 - play.receiver.url(begin).len()));
    let longer = format!("{path}x");
    play.hold(&[("meta_endCallbackUrl", &path), ("meetingEndedURL", &longer)]).await;
    let heard = play.receiver.hears(1).await;
    assert_eq!(heard[0].path(), format!("{path}&recordingmarks=true&meetingID=room-1"));
    play.until(1, "true").await;
}
