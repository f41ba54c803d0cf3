//! Callbacks: a node calls us in its own terms, and its frontend is called in the frontend's.

mod frontends;
mod inbound;
mod legacy;
mod restored;

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::ports::{Directory, Meetings};
use b3scale_support::{Answer, TestCluster};
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// A port without a listener: deliveries wait.
const SCHOOL: &str = "http%3A%2F%2F127.0.0.1%3A9%2F";

/// A meeting with every kind of callback, as its node has it.
struct Called {
    cluster: TestCluster,
    node: usize,
    internal_id: String,
    scoped: String,
}

impl Called {
    async fn start() -> Self {
        Self::on(TestCluster::start().await).await
    }

    async fn on(cluster: TestCluster) -> Self {
        let names = [
            ("meetingEndedURL", "ended"),
            ("meta_endCallbackUrl", "end%3Fsalt%3D%25242y%252410%2524a%252Fb."),
            ("meta_bbb-recording-ready-url", "ready"),
            ("meta_analytics-callback-url", "analytics"),
            ("meta_future-callback-url", "other"),
        ];
        let callbacks: String = names.map(|(name, path)| format!("&{name}={SCHOOL}{path}")).concat();
        let query = format!("name=Algebra&meetingID=algebra{callbacks}");
        cluster.call(CallKind::Create, &query).await.success();
        let node = cluster.homes("Algebra")[0];
        let scoped = ScopedId::new("school", &MeetingId::new("algebra")).to_string();
        let internal_id = cluster.nodes[node].meeting(&scoped).expect("it runs").internal_id;
        Self { cluster, node, internal_id, scoped }
    }

    /// The path of the address that the node has in place of a callback.
    fn path(&self, name: &str) -> String {
        let meeting = self.cluster.nodes[self.node].meeting(&self.scoped).expect("it runs");
        let address = meeting.param(name).expect("the node has it").to_owned();
        address.strip_prefix(&self.cluster.url()).expect("it leads to us").to_owned()
    }

    async fn get(&self, path: &str, query: &str) -> u16 {
        self.cluster.get(&format!("{path}?{query}"), &[]).await.status.as_u16()
    }

    /// A node's message about a recording, signed with a secret.
    async fn ready(&self, path: &str, claims: &Value, secret: &str) -> u16 {
        let form = format!("signed_parameters={}", jwt(Algorithm::HS256, claims, secret));
        let form_type = ("content-type", "application/x-www-form-urlencoded");
        self.cluster.request(Method::POST, path, &[form_type], &form).await.status.as_u16()
    }

    async fn analytics(&self, path: &str, body: &Value, token: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {token}"))];
        self.cluster.request(Method::POST, path, &headers, &body.to_string()).await
    }

    fn secret(&self) -> &str {
        self.cluster.nodes[self.node].secret()
    }

    /// The node loses its meetings without a word, and the server learns it.
    async fn lose(&self) {
        self.cluster.nodes[self.node].control().forget();
        self.cluster.cluster.catch_up().await;
        let school = self.cluster.cluster.frontend("school").unwrap().id;
        self.cluster.until("the meeting is gone", || self.cluster.cluster.of_frontend(school).is_empty()).await;
    }

    /// How many deliveries there are of a kind that match a condition.
    async fn deliveries(&self, kind: &str, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM deliveries WHERE kind = '{kind}' AND {condition}");
        self.cluster.database.count(&sql).await
    }
}

pub(crate) fn jwt(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// An expiry that lies ahead, or behind.
fn expiring(seconds: i64) -> Value {
    json!({"exp": jsonwebtoken::get_current_timestamp().cast_signed() + seconds})
}
