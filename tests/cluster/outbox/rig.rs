//! Callbacks of a receiver, servers that deliver, and the rows between them.

use std::sync::Arc;

use b3scale::net::egress::EgressSettings;
use b3scale::outbox::{Courier, Deliver, Drain};
use b3scale::store::{DELIVER_JOB, DeliveryEntry, NewDelivery, Queued};
use b3scale::work::Bench;
use b3scale_middleware::cluster::{CallbackKind, DeliveryState, FrontendId};
use b3scale_support::{Reaction, Receiver, eventually};
use uuid::Uuid;

use crate::fixture::Fixture;

pub(super) struct Outbox {
    pub(super) fixture: Fixture,
    pub(super) receiver: Receiver,
    benches: Vec<Bench>,
}

impl Outbox {
    /// A receiver that reacts so, and as many servers.
    pub(super) async fn new(servers: u32, reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let (fixture, receiver) = (Fixture::new().await, Receiver::reacting(reactions).await);
        let mut outbox = Self { fixture, receiver, benches: Vec::new() };
        for _ in 0..servers {
            outbox.add_server().await;
        }
        outbox
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
        bench.job(Deliver::new(store, courier, Drain::default()));
        self.benches.push(bench.clone());
        bench
    }

    /// A callback of the school for the meeting of that name, at a path of the receiver.
    pub(super) async fn callback(&self, meeting: &str, kind: CallbackKind, path: &str) -> Uuid {
        self.callback_of(self.fixture.frontend, meeting, kind, path).await
    }

    /// The same of any frontend.
    pub(super) async fn callback_of(&self, of: FrontendId, meeting: &str, kind: CallbackKind, path: &str) -> Uuid {
        let (id, url, kind, of) = (Uuid::now_v7(), self.receiver.url(path), kind.word(), of.0);
        let backend = self.fixture.a.0;
        let sql = format!(
            "INSERT INTO meeting_callbacks
                (id, token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
            VALUES ('{id}', '{id}', 'school-{meeting}', 'internal-{meeting}', '{of}', '{meeting}', '{backend}',
                'meta_{kind}', '{kind}', '{url}')"
        );
        self.execute(&sql).await;
        id
    }

    /// Queues an end whose node has said whether there is a recording. Gives its callback.
    pub(super) async fn end(&self, meeting: &str, path: &str) -> Uuid {
        let callback = self.callback(meeting, CallbackKind::End, path).await;
        self.queue(callback, CallbackKind::End, Some(false)).await;
        callback
    }

    /// Queues a message about no recording, and wakes the servers.
    pub(super) async fn queue(&self, callback: Uuid, kind: CallbackKind, marks: Option<bool>) -> Queued {
        let record = (kind == CallbackKind::Ready).then_some("rec-1");
        self.queue_new(&NewDelivery { record, marks, ..message(callback, kind) }).await
    }

    /// Queues a message, and wakes the servers.
    pub(super) async fn queue_new(&self, new: &NewDelivery<'_>) -> Queued {
        let queued = self.fixture.store.deliveries().queue(new).await.expect("it is queued");
        self.wake();
        queued
    }

    pub(super) fn wake(&self) {
        self.benches.iter().for_each(|bench| bench.waker().wake(DELIVER_JOB));
    }

    /// Lets the time of all pauses pass.
    pub(super) async fn pass_pauses(&self) {
        self.execute("UPDATE jobs SET run_after = now()").await;
        self.wake();
    }

    pub(super) async fn entries(&self) -> Vec<DeliveryEntry> {
        self.fixture.store.deliveries().load(&Default::default(), 1000).await.expect("they are loaded")
    }

    /// The only delivery, once it is as wanted.
    pub(super) async fn once(&self, what: &str, holds: impl Fn(&DeliveryEntry) -> bool) -> DeliveryEntry {
        let mut found = None;
        eventually(what, async || {
            found = self.entries().await.pop().filter(&holds);
            found.is_some()
        })
        .await;
        found.expect("it is there")
    }

    /// The only delivery, once it is settled and its job gone.
    pub(super) async fn settled(&self) -> DeliveryEntry {
        let entry = self.once("it is settled", |entry| entry.state != DeliveryState::Waiting).await;
        self.jobs_are(0).await;
        entry
    }

    /// The only delivery, once that many tries have failed and the next one waits.
    pub(super) async fn failed(&self, tries: u32) -> DeliveryEntry {
        self.once("a try fails", |entry| entry.attempts == tries && entry.problem.is_some()).await;
        let idle = "SELECT count(*) FROM jobs WHERE kind = 'deliver' AND run_by IS NULL";
        eventually("the next try waits", async || self.count(idle).await == 1).await;
        self.entries().await.pop().expect("it is there")
    }

    pub(super) async fn jobs_are(&self, count: i64) {
        eventually("the jobs are done", async || self.count("SELECT count(*) FROM jobs").await == count).await;
    }

    /// Seconds until the only job may run.
    pub(super) async fn pause(&self) -> i64 {
        self.count("SELECT ceil(extract(epoch FROM run_after - now()))::int8 FROM jobs WHERE kind = 'deliver'").await
    }

    pub(super) async fn count(&self, sql: &str) -> i64 {
        self.fixture.database.count(sql).await
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.fixture.database.execute(sql).await;
    }
}

/// A message that says nothing.
pub(super) fn message(callback: Uuid, kind: CallbackKind) -> NewDelivery<'static> {
    NewDelivery {
        callback,
        subject: "",
        kind,
        record: None,
        marks: None,
        method: "POST",
        media: None,
        query: None,
        body: None,
        breakout: None,
        bearer: None,
        most: None,
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.benches.iter().for_each(Bench::stop);
    }
}
