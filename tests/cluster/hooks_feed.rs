//! Events of agents as webhooks hear them: each once, in order, and the tenant's own alone.

use std::collections::BTreeMap;

use b3scale::ledger::{Ends, Ingest, Ingested, Places};
use b3scale::rest::{Batch, Wants};
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::BackendId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, born, new_backend, new_frontend, scoped};

/// A batch of an agent that tells webhooks.
fn batch(seq: u64, meetings: &[Value], events: &[Value]) -> Batch {
    let (events, mapped): (Vec<_>, Vec<_>) = events.iter().partition(|event| event["type"].is_string());
    let mut batch = json!({"boot": Uuid::from_u128(7), "seq": seq, "events": events, "mapped": mapped});
    if seq == 1 {
        batch["snapshot"]["meetings"] = json!(meetings);
    }
    let mut batch: Batch = serde_json::from_value(batch).expect("it is a batch");
    batch.tidy();
    batch
}

/// The same of an agent of before webhooks.
fn old(batch: Batch) -> Batch {
    Batch { mapped: None, ..batch }
}

fn meeting(name: &str) -> Value {
    json!({"internal_id": format!("internal-{name}"), "id": scoped(name).to_string(), "create_time": 1})
}

fn told(meeting: &str, name: &str, ts: i64) -> Value {
    let internal_id = format!("internal-{meeting}");
    let user = json!({"internal-user-id": "w_1", "external-user-id": "u 1"});
    let attributes = json!({"meeting": {"internal-meeting-id": internal_id}, "user": user});
    json!({"meeting": internal_id, "name": name, "ts": ts, "attributes": attributes, "raw": {"core": ts}})
}

impl Fixture {
    async fn hook(&self, frontend: Uuid, raw: bool) -> String {
        let id = Uuid::now_v7().to_string();
        // Its events are numbered from 1, and not by the clock.
        let feed =
            format!("INSERT INTO hook_feeds (frontend_id, last) VALUES ('{frontend}', 0) ON CONFLICT DO NOTHING");
        self.database.execute(&feed).await;
        let sql = format!(
            "INSERT INTO hooks (id, frontend_id, url, raw, cursor)
            VALUES ('{id}', '{frontend}', 'https://school.example/{id}', {raw}, 0)"
        );
        self.database.execute(&sql).await;
        id
    }

    async fn take(&self, backend: BackendId, batch: &Batch) -> Ingested {
        self.store.ingest(backend, &batch.report()).await.expect("it is taken")
    }

    /// The names of a frontend's events, in their order.
    async fn events(&self, frontend: Uuid) -> String {
        let sql = format!(
            "SELECT coalesce(string_agg(seq || ' ' || name, ', ' ORDER BY seq), '') FROM hook_events
            WHERE frontend_id = '{frontend}'"
        );
        self.database.text(&sql).await
    }

    /// One event of the school.
    async fn event(&self, seq: i64) -> Value {
        let of = self.frontend.0;
        let sql = format!(
            "SELECT (to_jsonb(hook_events) || jsonb_build_object('attributes', attributes::json, 'raw', raw::json))::text
            FROM hook_events WHERE frontend_id = '{of}' AND seq = {seq}"
        );
        let row = self.database.text(&sql).await;
        serde_json::from_str(&row).expect("it is JSON")
    }

    /// Another frontend, with a meeting that runs on a backend.
    async fn other(&self, key: &str, meeting: &str, backend: BackendId) -> Uuid {
        let frontend = self.store.frontends().record(&new_frontend(key)).await.expect("a frontend").id.0;
        let id = ScopedId::new(key, &MeetingId::new(meeting));
        let sql = format!(
            "INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id, create_time, claim,
                version)
            VALUES ('{id}', '{frontend}', '{meeting}', '{}', 1, 'live', 'internal-{key}', 1, 0, nextval('versions'))",
            backend.0
        );
        self.database.execute(&sql).await;
        frontend
    }
}

#[tokio::test]
async fn without_hooks_nothing_is_told() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    let taken = cluster.take(cluster.a, &batch(1, &[meeting("m")], &[told("m", "user-joined", 1)])).await;
    assert!(taken.counts && !taken.posts);
    assert_eq!(taken.receipt.wants, Wants::default());
    assert_eq!(cluster.database.count("SELECT count(*) FROM hook_events").await, 0);
}

#[tokio::test]
async fn an_event_is_told_as_it_came() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    let hook = cluster.hook(cluster.frontend.0, false).await;
    let events = [told("m", "user-joined", 41), told("m", "user-left", 42), told("nowhere", "user-left", 43)];
    let taken = cluster.take(cluster.a, &batch(1, &[meeting("m")], &events)).await;
    assert!(taken.counts && taken.posts);
    assert_eq!(taken.receipt.wants, Wants { told: true, raw: false });
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 user-joined, 2 user-left");
    let event = cluster.event(1).await;
    let ids =
        ["meeting", "meeting_id", "internal_id"].map(|field| event[field].as_str().expect("it has ids").to_owned());
    assert_eq!(ids, [scoped("m").to_string(), "m".to_owned(), "internal-m".to_owned()]);
    assert_eq!((&event["ts"], &event["attributes"]), (&json!(41), &events[0]["attributes"]));
    assert_eq!((&event["raw"], &event["entry"]), (&json!(null), &json!(null)), "no hook wants it");
    let jobs = format!("SELECT count(*) FROM jobs WHERE kind = 'post_hooks' AND lane = '{hook}'");
    assert_eq!(cluster.database.count(&jobs).await, 1);
    cluster.hook(cluster.frontend.0, true).await;
    let taken = cluster.take(cluster.a, &batch(2, &[], &[])).await;
    assert_eq!((taken.posts, taken.receipt.wants), (false, Wants { told: true, raw: true }));
    let more = [told("m", "user-joined", 44)];
    assert!(cluster.take(cluster.a, &batch(3, &[], &more)).await.posts, "the new hook has no job");
    assert_eq!(cluster.event(3).await["raw"], json!({"core": 44}));
    assert!(!cluster.take(cluster.a, &batch(4, &[], &more)).await.posts, "both have one");
    assert_eq!(cluster.database.count(&jobs).await, 1);
}

#[tokio::test]
async fn a_batch_that_does_not_count_tells_nothing() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    cluster.hook(cluster.frontend.0, false).await;
    let early = cluster.take(cluster.a, &batch(2, &[], &[told("m", "user-joined", 1)])).await;
    assert_eq!((early.counts, early.posts, early.receipt.wants.told), (false, false, true));
    for _ in 0..3 {
        cluster.take(cluster.a, &batch(1, &[meeting("m")], &[told("m", "user-joined", 1)])).await;
    }
    assert!(!cluster.take(cluster.a, &batch(9, &[], &[told("m", "user-left", 1)])).await.counts);
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 user-joined");
}

#[tokio::test]
async fn two_tenants_with_one_meeting_id_hear_their_own() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    let college = cluster.other("college", "m", cluster.b).await;
    let mut theirs = meeting("college");
    theirs["id"] = json!(ScopedId::new("college", &MeetingId::new("m")).to_string());
    for frontend in [cluster.frontend.0, college] {
        cluster.hook(frontend, true).await;
    }
    cluster.take(cluster.a, &batch(1, &[meeting("m")], &[told("m", "user-joined", 1)])).await;
    // The agent of b says that the school's meeting ran on its node, too.
    let events = [told("college", "user-left", 2), told("m", "user-left", 3)];
    cluster.take(cluster.b, &batch(1, &[theirs, meeting("m")], &events)).await;
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 user-joined");
    assert_eq!(cluster.events(college).await, "1 user-left");
}

#[tokio::test]
async fn concurrent_batches_lose_no_event() {
    const NODES: usize = 8;
    const BATCHES: u64 = 10;
    let cluster = Fixture::new().await;
    let mut backends = vec![cluster.a, cluster.b];
    while backends.len() < NODES {
        let url = format!("https://n{}.example/api/", backends.len());
        backends.push(cluster.store.backends().record(&new_backend(&url)).await.expect("a backend").id);
    }
    for (number, backend) in backends.iter().enumerate() {
        let sql = format!(
            "INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id, create_time, claim,
                version)
            VALUES ('{}', '{}', 'm{number}', '{}', 1, 'live', 'internal-m{number}', 1, 0, nextval('versions'))",
            scoped(&format!("m{number}")),
            cluster.frontend.0,
            backend.0
        );
        cluster.database.execute(&sql).await;
    }
    cluster.hook(cluster.frontend.0, false).await;
    let node = async |number: usize, backend: BackendId| {
        let name = format!("m{number}");
        for seq in 1..=BATCHES {
            let events: Vec<Value> = (0..5).map(|event| told(&name, "user-joined", seq as i64 * 10 + event)).collect();
            assert!(cluster.take(backend, &batch(seq, &[meeting(&name)], &events)).await.counts);
        }
    };
    join_all(backends.iter().enumerate().map(|(number, backend)| node(number, *backend))).await;
    let all = (NODES as u64 * BATCHES * 5) as i64;
    for sql in ["SELECT count(*) FROM hook_events", "SELECT max(seq) FROM hook_events", "SELECT last FROM hook_feeds"] {
        assert_eq!(cluster.database.count(sql).await, all, "{sql}");
    }
    let disorder = "SELECT count(*) FROM (
        SELECT ts, lag(ts) OVER (PARTITION BY meeting ORDER BY seq) AS before FROM hook_events) AS events WHERE ts < before";
    assert_eq!(cluster.database.count(disorder).await, 0, "each node's events are in its order");
}

#[tokio::test]
async fn an_agent_of_before_webhooks_is_heard() {
    let cluster = Fixture::new().await;
    cluster.hook(cluster.frontend.0, false).await;
    cluster.live("m").await;
    let of = |kind: &str, more: Value| {
        let mut event = json!({"type": kind, "meeting": "internal-m"});
        more.as_object().into_iter().flatten().for_each(|(field, value)| event[field] = value.clone());
        event
    };
    let ada = json!({"internal_id": "w_1", "user_id": "u 1", "full_name": "Ada", "moderator": true});
    let created = json!({"type": "meeting_created", "meeting": meeting("m")});
    let first = [created, of("attendee_joined", json!({"attendee": ada}))];
    let second = [
        of("attendee_changed", json!({"attendee": "w_1", "joined_voice": true, "presenter": true})),
        of("recording_changed", json!({"recording": true})),
        of("attendee_left", json!({"attendee": "w_1"})),
        of("meeting_ended", json!({})),
    ];
    cluster.take(cluster.a, &old(batch(1, &[meeting("m")], &first))).await;
    cluster.take(cluster.a, &old(batch(2, &[], &second))).await;
    let expected = "1 meeting-created, 2 user-joined, 3 user-presenter-assigned, 4 user-audio-voice-enabled, \
        5 meeting-recording-started, 6 user-left, 7 meeting-ended";
    assert_eq!(cluster.events(cluster.frontend.0).await, expected);
    let user = json!({"internal-user-id": "w_1", "external-user-id": "u 1"});
    let mut joined = user.clone();
    json!({"name": "Ada", "role": "MODERATOR", "presenter": false})
        .as_object()
        .into_iter()
        .flatten()
        .for_each(|(field, value)| joined[field] = value.clone());
    assert_eq!(cluster.event(2).await["attributes"]["user"], joined);
    assert_eq!(cluster.event(6).await["attributes"]["user"], user, "it is known who that was");
}

#[tokio::test]
async fn agent_and_record_make_one_created_event() {
    let cluster = Fixture::new().await;
    cluster.hook(cluster.frontend.0, false).await;
    // The agent is faster than the answer to the create.
    let held = cluster.won("m").await;
    cluster.take(cluster.a, &batch(1, &[meeting("m")], &[told("m", "meeting-created", 1)])).await;
    let live =
        cluster.store.record_live(&held, &born("internal-m", 1)).await.expect("it is answered").expect("it is ours");
    // The record is faster.
    cluster.live("n").await;
    let created = json!({"type": "meeting_created", "meeting": meeting("n")});
    cluster.take(cluster.a, &batch(2, &[], &[created, told("n", "meeting-created", 2)])).await;
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 meeting-created, 2 meeting-created");
    assert!(cluster.event(1).await["attributes"].is_object());
    // So it is with the end, which a node may tell twice.
    let ended = || told("m", "meeting-ended", 3);
    cluster.take(cluster.a, &batch(3, &[], &[ended(), ended()])).await;
    assert!(cluster.store.forget_meeting(&live).await.expect("it is answered"));
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 meeting-created, 2 meeting-created, 3 meeting-ended");
    // Its recording is worked on hours later, when its node knows it no more.
    cluster.database.execute("DELETE FROM node_meetings WHERE internal_id = 'internal-m'").await;
    cluster.take(cluster.a, &batch(4, &[], &[told("m", "rap-archive-started", 4)])).await;
    assert_eq!(cluster.event(4).await["meeting_id"], "m");
}

#[tokio::test]
async fn a_breakout_is_its_parents() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    let college = cluster.other("college", "m", cluster.b).await;
    for frontend in [cluster.frontend.0, college] {
        cluster.hook(frontend, false).await;
    }
    let breakout = |internal_id: &str, id: &str| {
        let meeting = json!({"internal_id": internal_id, "id": id, "breakout": true});
        let attributes = json!({"meeting": {"internal-meeting-id": internal_id, "external-meeting-id": id, "is-breakout": true,
            "parent-id": "internal-m"}});
        let told = json!({"meeting": internal_id, "name": "meeting-created", "ts": 1, "attributes": attributes});
        [json!({"type": "meeting_created", "meeting": meeting}), told]
    };
    let taken = ScopedId::new("college", &MeetingId::new("m")).to_string();
    let [made, told_made] = breakout("internal-b", "b-1");
    let [forged, told_forged] = breakout("internal-f", &taken);
    let events = [made, told_made, told("b", "user-joined", 2), forged, told_forged, told("f", "user-joined", 3)];
    cluster.take(cluster.a, &batch(1, &[meeting("m")], &events)).await;
    cluster.take(cluster.a, &batch(2, &[], &[told("b", "user-left", 4)])).await;
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 meeting-created, 2 user-joined, 3 user-left");
    assert_eq!(cluster.event(3).await["meeting_id"], "b-1");
    assert_eq!(cluster.events(college).await, "");
}

#[tokio::test]
async fn no_text_keeps_a_batch_from_counting() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    cluster.hook(cluster.frontend.0, true).await;
    let mut odd = told("m", "user\0-joined", i64::MAX);
    odd["attributes"]["user"] = json!({"name\0": "\0\u{fffe}\"\\", "n": 1e308, "deep": [[[{"a": null}]]]});
    let mut deep = json!({});
    (0..60).for_each(|_| deep = json!({"a": deep}));
    let mut deeper = told("m", "user-joined", i64::MIN);
    deeper["attributes"]["user"] = deep.clone();
    let mut list = told("m", "user-joined", 0);
    list["attributes"] = json!([1, 2]);
    let mut shallow = told("m", "user-left", i64::MIN);
    (shallow["attributes"]["meeting"], shallow["raw"]) = (json!("text"), deep);
    let taken = cluster.take(cluster.a, &batch(1, &[meeting("m")], &[odd, deeper, list, shallow])).await;
    assert!(taken.counts && taken.posts);
    assert_eq!(cluster.events(cluster.frontend.0).await, "1 user-joined, 2 user-left");
    let names: BTreeMap<String, Value> =
        serde_json::from_value(cluster.event(1).await["attributes"]["user"].take()).expect("a user");
    assert_eq!(names["name"], "\u{fffe}\"\\");
}

#[tokio::test]
async fn meetings_to_which_nodes_gave_one_id_end_together() {
    let cluster = Fixture::new().await;
    cluster.hook(cluster.frontend.0, false).await;
    cluster.live("m").await;
    cluster.live("n").await;
    cluster.database.execute("UPDATE meetings SET internal_id = 'same'").await;
    cluster.database.execute("DELETE FROM meetings").await;
    let ended = "SELECT count(*) FROM hook_events WHERE name = 'meeting-ended' AND internal_id = 'same'";
    assert_eq!(cluster.database.count(ended).await, 1);
}
