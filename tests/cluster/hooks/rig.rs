//! Hooks of a receiver, servers that post, and the events between them.

use std::sync::Arc;

use b3scale::hooks::{MendHooks, PostHooks, PostHooksParts, SweepHookEvents};
use b3scale::net::egress::EgressSettings;
use b3scale::outbox::{Courier, Drain};
use b3scale::recordings::settings::Protection;
use b3scale::recordings::{Links, Tickets};
use b3scale::store::POST_HOOKS_JOB;
use b3scale::work::{Bench, Duty};
use b3scale_support::{Heard, Reaction, Receiver, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::Fixture;

pub(super) struct Hooks {
    pub(super) fixture: Fixture,
    pub(super) receiver: Receiver,
    benches: Vec<Bench>,
}

/// The state of a hook.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) cursor: i64,
    pub(super) tries: i64,
    pub(super) is_paused: bool,
    pub(super) delivered: i64,
    pub(super) lost: i64,
}

impl Hooks {
    /// A receiver that reacts so, and as many servers.
    pub(super) async fn new(servers: u32, reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let (fixture, receiver) = (Fixture::new().await, Receiver::reacting(reactions).await);
        let mut hooks = Self { fixture, receiver, benches: Vec::new() };
        for _ in 0..servers {
            hooks.add_server().await;
        }
        hooks
    }

    /// One more server. Gives its bench.
    pub(super) async fn add_server(&mut self) -> Bench {
        let server = self.fixture.server(100 + self.benches.len() as u128).await;
        // No test takes that long, and none says that its servers are there.
        self.execute("UPDATE servers SET beat = now() + interval '1 hour'").await;
        let store = self.fixture.store.clone();
        let bench = Bench::new(Arc::new(store.clone()), server);
        let allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let courier = Courier::new(&EgressSettings { allow, ..EgressSettings::default() }).expect("a courier");
        let links = Links::new("https://play.example", Protection::Ticket, Arc::new(Tickets::new(b"secret")));
        let (drain, domain) = (Drain::default(), "bbb.example".to_owned());
        bench.job(PostHooks::new(PostHooksParts { store, courier, drain, links, domain }));
        self.benches.push(bench.clone());
        bench
    }

    /// A hook of the school at a path of the receiver, with further columns such as `, events = '{user-left}'`.
    pub(super) async fn hook(&self, id: &str, columns: &str) {
        let (of, url) = (self.fixture.frontend.0, self.receiver.url(&format!("/secret-of-{id}")));
        self.begin_feed(of).await;
        let made = format!("INSERT INTO hooks (id, frontend_id, url, cursor) VALUES ('{id}', '{of}', '{url}', 0)");
        self.execute(&made).await;
        if !columns.is_empty() {
            self.execute(&format!("UPDATE hooks SET {columns} WHERE id = '{id}'")).await;
        }
    }

    /// Numbers the events of a frontend from 1, and not by the clock.
    pub(super) async fn begin_feed(&self, frontend: Uuid) {
        let begun =
            format!("INSERT INTO hook_feeds (frontend_id, last) VALUES ('{frontend}', 0) ON CONFLICT DO NOTHING");
        self.execute(&begun).await;
    }

    /// Tells of as many events of a meeting, numbered from 1.
    pub(super) async fn tell(&self, count: usize) {
        let events: Vec<_> = (1..=count).map(|number| self.event("user-joined", number)).collect();
        self.tell_of(events.into()).await;
    }

    /// An event of the meeting `a`.
    pub(super) fn event(&self, name: &str, number: usize) -> Value {
        json!({"frontend": self.fixture.frontend.0, "name": name, "meeting": "school-a", "meeting_id": "a",
            "internal_id": "internal-a", "ts": 1_700_000_000_000_i64 + number as i64,
            "attributes": {"user": {"internal-user-id": format!("w_{number}"), "name": "Ada Lovelace"}}})
    }

    /// Tells of events, and wakes the servers.
    pub(super) async fn tell_of(&self, events: Value) {
        let text = events.to_string().replace('\'', "''");
        let events = format!("json_populate_recordset(NULL::told_event, '{text}') AS event");
        self.execute(&format!("SELECT tell_hooks(array_agg(event)) FROM {events}")).await;
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.benches.iter().for_each(|bench| bench.waker().wake(POST_HOOKS_JOB));
    }

    /// Lets the time of all pauses pass.
    pub(super) async fn pass_pauses(&self) {
        self.execute("UPDATE jobs SET run_after = now()").await;
        self.wake();
    }

    pub(super) async fn mend(&self) {
        let (store, waker) = (self.fixture.store.clone(), self.benches[0].waker());
        MendHooks { store, waker }.run().await.expect("they are mended");
    }

    pub(super) async fn sweep(&self) {
        SweepHookEvents(self.fixture.store.clone()).run().await.expect("they are swept");
    }

    pub(super) async fn standing(&self, hook: &str) -> Standing {
        let read =
            async |column: &str| self.count(&format!("SELECT ({column})::int8 FROM hooks WHERE id = '{hook}'")).await;
        Standing {
            cursor: read("cursor").await,
            tries: read("tries").await,
            is_paused: read("(paused_at IS NOT NULL)::integer").await == 1,
            delivered: read("delivered").await,
            lost: read("lost").await,
        }
    }

    /// Waits until all jobs are done.
    pub(super) async fn done(&self) {
        eventually("the posts are done", async || self.count("SELECT count(*) FROM jobs").await == 0).await;
    }

    /// Waits until that many tries at the next event have failed and the only job waits. Gives the seconds it does.
    pub(super) async fn put_off(&self, tries: i64) -> i64 {
        let idle = format!(
            "SELECT count(*) FROM hooks JOIN jobs ON lane = hooks.id WHERE tries = {tries} AND run_by IS NULL AND run_after > now()"
        );
        eventually("a post is put off", async || self.count(&idle).await == 1).await;
        self.count("SELECT ceil(extract(epoch FROM run_after - now()))::int8 FROM jobs").await
    }

    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.fixture.database.count(sql).await
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.fixture.database.execute(sql).await;
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.benches.iter().for_each(Bench::stop);
    }
}

/// The event in a post.
pub(super) fn event(heard: &Heard) -> Value {
    let event = field(heard, "event");
    let mut events: Vec<Value> = serde_json::from_str(&event).expect("a list of events");
    assert_eq!(events.len(), 1, "one event a post");
    events.remove(0)
}

/// A field of the form in a post.
pub(super) fn field(heard: &Heard, name: &str) -> String {
    let mut fields = url::form_urlencoded::parse(heard.body.as_bytes());
    fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The numbers of events in posts.
pub(super) fn numbers(heard: &[Heard]) -> Vec<usize> {
    let number = |heard: &Heard| {
        let id = event(heard)["data"]["attributes"]["user"]["internal-user-id"].as_str().map(str::to_owned);
        id.and_then(|id| id.strip_prefix("w_")?.parse().ok()).expect("a number")
    };
    heard.iter().map(number).collect()
}
