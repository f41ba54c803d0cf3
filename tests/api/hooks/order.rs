//! The whole way: from a frontend's calls to its receiver.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId, java_encode};
use b3scale_support::{ClusterOptions, Heard, Reaction, Receiver, TestCluster, eventually};
use serde_json::Value;

/// A port without a listener.
const END: &str = "http://127.0.0.1:9/meeting_ended";

/// A cluster that may call this machine, and a receiver.
struct Play {
    cluster: TestCluster,
    receiver: Receiver,
}

impl Play {
    async fn reacting(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
        let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
        Self { cluster, receiver: Receiver::reacting(reactions).await }
    }

    /// Creates a hook.
    async fn hook(&self, query: &str) -> String {
        let url = java_encode(&self.receiver.url("/secret-of-hook"));
        let query = format!("callbackURL={url}{query}");
        self.cluster.call(CallKind::HooksCreate, &query).await.success().field("hookID")
    }

    /// A meeting begins and ends.
    async fn hold(&self, id: &str) {
        let query = format!("name=Algebra&meetingID={id}&meta_Origin=Moodle&meta_endCallbackUrl={}", java_encode(END));
        self.cluster.call(CallKind::Create, &query).await.success();
        self.cluster.call(CallKind::End, &format!("meetingID={id}")).await.success();
        self.cluster.cluster.catch_up().await;
    }

    /// The first events there are.
    async fn events(&self, count: usize) -> Vec<Value> {
        self.receiver.hears(count).await.iter().map(event).collect()
    }
}

fn event(heard: &Heard) -> Value {
    let mut fields = url::form_urlencoded::parse(heard.body.as_bytes());
    let (_, event) = fields.find(|(name, _)| name == "event").expect("an event");
    serde_json::from_str::<Vec<Value>>(&event).expect("a list").remove(0)
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"]["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_hook_hears_of_the_life_of_a_meeting_in_its_frontends_terms() {
    let play = Play::reacting([]).await;
    play.hook("&eventID=meeting-created,meeting-ended").await;
    play.hold("room-1").await;
    let events = play.events(2).await;
    assert_eq!(ids(&events), ["meeting-created", "meeting-ended"]);
    let meeting = &events[0]["data"]["attributes"]["meeting"];
    assert_eq!((&meeting["external-meeting-id"], &meeting["name"]), (&"room-1".into(), &"Algebra".into()));
    assert_eq!(meeting["metadata"]["origin"], "Moodle");
    assert_eq!(meeting["metadata"]["endcallbackurl"], END);
    let scoped = ScopedId::new("school", &MeetingId::new("room-1")).to_string();
    for heard in play.receiver.heard() {
        assert!(!heard.body.contains(&scoped) && !heard.body.contains("b3s-"), "{}", heard.body);
    }
}

#[tokio::test]
async fn a_hook_of_a_meeting_hears_of_no_other() {
    let play = Play::reacting([]).await;
    play.hook("&meetingID=room-2&eventID=meeting-created").await;
    play.hold("room-1").await;
    play.hold("room-2").await;
    let events = play.events(1).await;
    assert_eq!(events[0]["data"]["attributes"]["meeting"]["external-meeting-id"], "room-2");
    assert_eq!(play.receiver.heard().len(), 1);
}

#[tokio::test]
async fn an_outage_pauses_the_hook_and_a_repeat_resumes_it() {
    let play = Play::reacting([Reaction::Status(500)]).await;
    let id = play.hook("&eventID=meeting-created").await;
    // As if twelve tries had failed.
    play.cluster.database.execute("UPDATE hooks SET tries = 12").await;
    play.cluster.call(CallKind::Create, "name=Algebra&meetingID=room-1").await.success();
    let paused = "SELECT count(*) FROM hooks WHERE paused_at IS NOT NULL";
    eventually("it is paused", async || play.cluster.database.count(paused).await == 1).await;
    assert_eq!(play.hook("&eventID=meeting-created").await, id, "it is there");
    let heard = play.receiver.hears(2).await;
    assert_eq!(heard[0].header("Webhook-Id"), heard[1].header("Webhook-Id"));
    eventually("it is done", async || {
        play.cluster.database.count("SELECT count(*) FROM hooks WHERE delivered = 1").await == 1
    })
    .await;
}
