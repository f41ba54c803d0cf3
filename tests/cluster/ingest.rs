//! What agents say: kept once, in order, and exact.

use std::collections::BTreeSet;

use b3scale::ledger::{Ingest, Ingested, Polls};
use b3scale::rest::{Batch, Receipt};
use b3scale_middleware::cluster::{BackendId, Presence};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, scoped};

const BOOT: &str = "00000000-0000-0000-0000-0000000000b0";

fn batch(seq: u64, snapshot: Value, events: Value) -> Batch {
    let mut batch = json!({"boot": BOOT, "seq": seq, "node": {"cpu": 0.5, "memory": 0.25}});
    batch["events"] = events;
    if !snapshot.is_null() {
        batch["snapshot"]["meetings"] = snapshot;
    }
    serde_json::from_value(batch).expect("it is a batch")
}

fn meeting(id: &str, people: &[&str]) -> Value {
    let people: Vec<Value> = people.iter().map(|id| person(id)).collect();
    json!({"internal_id": format!("internal-{id}"), "id": scoped(id).to_string(), "create_time": 1, "attendees": people})
}

fn person(id: &str) -> Value {
    json!({"internal_id": id, "user_id": format!("user-{id}"), "full_name": id.to_uppercase()})
}

fn joined(meeting: &str, id: &str) -> Value {
    json!({"type": "attendee_joined", "meeting": format!("internal-{meeting}"), "attendee": person(id)})
}

fn left(meeting: &str, id: &str) -> Value {
    json!({"type": "attendee_left", "meeting": format!("internal-{meeting}"), "attendee": id})
}

async fn take(cluster: &Fixture, batch: &Batch) -> Ingested {
    cluster.store.ingest(cluster.a, &batch.report()).await.expect("it is taken")
}

/// Who is where by the tables, and the number of the last change.
async fn people(cluster: &Fixture, backend: BackendId) -> BTreeSet<(String, String)> {
    let news = cluster.store.presence_since(&[(backend, 0)]).await.expect("it is answered").remove(&backend);
    let Presence { attendees, .. } = news.unwrap_or_default();
    attendees.into_iter().filter_map(|(who, there)| there.map(|_| who)).collect()
}

fn set(people: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    people.iter().map(|(meeting, who)| (format!("internal-{meeting}"), (*who).to_owned())).collect()
}

#[tokio::test]
async fn an_agent_begins_with_the_whole_picture() {
    let cluster = Fixture::new().await;
    let early = take(&cluster, &batch(1, Value::Null, json!([joined("m", "a")]))).await;
    assert_eq!((early.counts, early.receipt), (false, Receipt::new(0, true)));
    let whole = take(&cluster, &batch(2, json!([meeting("m", &["a", "b"])]), json!([left("m", "b")]))).await;
    assert_eq!((whole.counts, whole.receipt, whole.strangers), (true, Receipt::new(2, false), true));
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "a")]));
}

#[tokio::test]
async fn a_batch_counts_once_also_when_it_comes_to_two_servers_at_once() {
    let cluster = Fixture::new().await;
    take(&cluster, &batch(1, json!([meeting("m", &[])]), json!([]))).await;
    let other = b3scale::store::Store::connect(cluster.database.url(), 2).await.unwrap();
    for seq in 2..30 {
        let batch =
            batch(seq, Value::Null, json!([joined("m", &format!("p{seq}")), left("m", &format!("p{}", seq - 1))]));
        let report = batch.report();
        let both = join_all([cluster.store.ingest(cluster.a, &report), other.ingest(cluster.a, &report)]).await;
        let counted = both.iter().filter(|taken| taken.as_ref().unwrap().counts).count();
        assert_eq!(counted, 1, "{both:?}");
        assert!(both.iter().all(|taken| taken.as_ref().unwrap().receipt == Receipt::new(seq, false)));
    }
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "p29")]));
}

#[tokio::test]
async fn what_is_missing_is_asked_for() {
    let cluster = Fixture::new().await;
    take(&cluster, &batch(1, json!([meeting("m", &["a"])]), json!([]))).await;
    assert!(told(&cluster).await);
    let gap = take(&cluster, &batch(3, Value::Null, json!([left("m", "a")]))).await;
    assert!(!told(&cluster).await, "what is known is not all there is");
    assert_eq!((gap.counts, gap.receipt), (false, Receipt::new(1, true)));
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "a")]));
    let whole = take(&cluster, &batch(3, json!([meeting("m", &["b"])]), json!([]))).await;
    assert!(whole.counts);
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "b")]));
    let late = take(&cluster, &batch(2, Value::Null, json!([joined("m", "late")]))).await;
    assert_eq!((late.counts, late.receipt), (false, Receipt::new(3, false)), "it was overtaken");
}

/// An agent's start with its last batch in flight while the next start already sends.
#[tokio::test]
async fn what_an_earlier_start_says_late_does_not_count() {
    let cluster = Fixture::new().await;
    let later = |batch: Batch| Batch { boot: Uuid::from_u128(2), ..batch };
    take(&cluster, &batch(1, json!([meeting("m", &["a"])]), json!([]))).await;
    take(&cluster, &later(batch(1, json!([meeting("m", &["b"])]), json!([])))).await;
    for late in
        [batch(2, Value::Null, json!([joined("m", "late")])), batch(2, json!([meeting("m", &["a"])]), json!([]))]
    {
        let refused = take(&cluster, &late).await;
        assert_eq!((refused.counts, refused.receipt), (false, Receipt::new(1, true)));
    }
    assert!(take(&cluster, &later(batch(2, Value::Null, json!([joined("m", "c")])))).await.counts);
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "b"), ("m", "c")]));
    // Once the later start has been silent for a while, a snapshot of the earlier one counts again.
    cluster.database.execute("UPDATE agents SET heard_at = now() - interval '1 minute'").await;
    assert!(!take(&cluster, &batch(2, Value::Null, json!([joined("m", "late")]))).await.counts);
    assert!(take(&cluster, &batch(3, json!([meeting("m", &["d"])]), json!([]))).await.counts);
    assert!(take(&cluster, &batch(4, Value::Null, json!([joined("m", "e")]))).await.counts);
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "d"), ("m", "e")]));
}

/// Whether the agent's word counts.
async fn told(cluster: &Fixture) -> bool {
    let statuses = cluster.store.statuses_since(&[]).await.expect("it is answered");
    statuses.into_iter().any(|status| status.backend == cluster.a && status.told.is_some())
}

#[tokio::test]
async fn an_agent_that_does_not_hear_its_node_is_there_and_its_word_does_not_count() {
    let cluster = Fixture::new().await;
    let cut_off = Batch { redis_connected: false, ..batch(1, json!([meeting("m", &["a"])]), json!([])) };
    assert!(take(&cluster, &cut_off).await.counts);
    assert!(!told(&cluster).await);
    take(&cluster, &batch(2, Value::Null, json!([]))).await;
    assert!(told(&cluster).await);
}

/// Defects 12 and 16 of the original: of joins at once some were lost, and leaves overtook their joins.
#[tokio::test]
async fn nobody_is_there_twice_and_nobody_stays_behind() {
    let cluster = Fixture::new().await;
    cluster.live("m").await;
    let snapshot = json!([meeting("m", &["a"]), meeting("n", &["c"])]);
    take(&cluster, &batch(1, snapshot, json!([]))).await;
    let events =
        json!([joined("m", "a"), joined("m", "b"), joined("m", "b"), left("m", "nobody"), joined("unknown", "x")]);
    take(&cluster, &batch(2, Value::Null, events)).await;
    assert_eq!(people(&cluster, cluster.a).await, set(&[("m", "a"), ("m", "b"), ("n", "c")]));
    // BBB sends no leave events for attendees at a meeting's end.
    let ended = json!({"type": "meeting_ended", "meeting": "internal-m"});
    let end = batch(3, Value::Null, json!([ended, joined("m", "late")]));
    let done = take(&cluster, &end).await;
    assert_eq!(done.ended, [(scoped("m").to_string(), "internal-m".to_owned())]);
    assert_eq!(take(&cluster, &end).await.ended, done.ended, "the server that took it may have fallen over it");
    assert_eq!(people(&cluster, cluster.a).await, set(&[("n", "c")]));
    take(&cluster, &batch(4, Value::Null, json!([joined("m", "later")]))).await;
    assert_eq!(people(&cluster, cluster.a).await, set(&[("n", "c")]));
}

#[tokio::test]
async fn changes_of_people_are_kept() {
    let cluster = Fixture::new().await;
    take(&cluster, &batch(1, json!([meeting("m", &["a"])]), json!([]))).await;
    let change = json!({"type": "attendee_changed", "meeting": "internal-m", "attendee": "a", "presenter": true, "has_video": true});
    let recording = json!({"type": "recording_changed", "meeting": "internal-m", "recording": true});
    take(&cluster, &batch(2, Value::Null, json!([change, recording]))).await;
    let seen = cluster.store.presence_since(&[(cluster.a, 0)]).await.unwrap().remove(&cluster.a).unwrap();
    let ada = seen.attendees[&("internal-m".to_owned(), "a".to_owned())].clone().unwrap();
    assert_eq!((ada.presenter, ada.has_video, ada.joined_voice, &*ada.full_name), (true, true, false, "A"));
    assert!(seen.meetings["internal-m"].as_ref().unwrap().recording);
}

/// Only changes since a sequence number are read, deletions included.
#[tokio::test]
async fn servers_follow_what_has_changed_and_nothing_else() {
    let cluster = Fixture::new().await;
    take(&cluster, &batch(1, json!([meeting("m", &["a", "b"])]), json!([]))).await;
    let status =
        cluster.store.statuses_since(&[]).await.unwrap().into_iter().find(|one| one.backend == cluster.a).unwrap();
    assert!(status.agent.is_some_and(|agent| agent.cpu > 0.4));
    assert_eq!(status.attendees, 2);
    take(&cluster, &batch(2, Value::Null, json!([left("m", "a")]))).await;
    let news = cluster.store.presence_since(&[(cluster.a, status.seq)]).await.unwrap().remove(&cluster.a).unwrap();
    assert_eq!(news.attendees.into_iter().collect::<Vec<_>>(), [(("internal-m".to_owned(), "a".to_owned()), None)]);
    assert!(news.meetings.is_empty());
}

#[tokio::test]
async fn whoever_arrives_gives_up_the_seat_that_was_kept_for_them() {
    let cluster = Fixture::new().await;
    take(&cluster, &batch(1, json!([meeting("m", &[])]), json!([]))).await;
    cluster.live("m").await;
    let seats = |user: &str, after: u32| {
        format!(
            "INSERT INTO seats SELECT gen_random_uuid(), frontend_id, id, {user}, now() + interval '{after} seconds'
            FROM meetings;"
        )
    };
    cluster.database.execute(&[seats("'user-a'", 60), seats("NULL", 50), seats("NULL", 40)].concat()).await;
    let nameless = json!({"type": "attendee_joined", "meeting": "internal-m", "attendee": {"internal_id": "w_1", "user_id": "w_1"}});
    take(&cluster, &batch(2, Value::Null, json!([joined("m", "a"), nameless, joined("m", "back-again")]))).await;
    assert_eq!(cluster.database.count("SELECT count(*) FROM seats").await, 1, "the newer one of no name is left");
    take(&cluster, &batch(3, Value::Null, json!([joined("m", "a")]))).await;
    assert_eq!(cluster.database.count("SELECT count(*) FROM seats").await, 1, "nobody arrives twice");
}

/// After any events in any order, the tables equal a model that takes one event at a time.
#[tokio::test]
async fn the_tables_end_as_one_event_after_the_other_would() {
    let event = (0..3_u8, 0..4_u8, 0..10_u8);
    let story = prop::collection::vec(prop::collection::vec(event, 0..12), 1..8);
    for _ in 0..20 {
        let story = story.new_tree(&mut TestRunner::default()).unwrap().current();
        let cluster = Fixture::new().await;
        let all = ["m0", "m1", "m2"];
        take(&cluster, &batch(1, all.iter().map(|id| meeting(id, &[])).collect(), json!([]))).await;
        let (mut model, mut ended) = (BTreeSet::new(), BTreeSet::new());
        for (seq, events) in (2..).zip(&story) {
            let mut said = Vec::new();
            for (meeting, who, what) in events {
                let (meeting, who) = (all[usize::from(*meeting)], format!("p{who}"));
                let key = (format!("internal-{meeting}"), who.clone());
                match what {
                    0..=5 => {
                        said.push(joined(meeting, &who));
                        if !ended.contains(meeting) {
                            model.insert(key);
                        }
                    }
                    6..=8 => {
                        said.push(left(meeting, &who));
                        model.remove(&key);
                    }
                    _ => {
                        said.push(json!({"type": "meeting_ended", "meeting": format!("internal-{meeting}")}));
                        model.retain(|(of, _)| *of != format!("internal-{meeting}"));
                        ended.insert(meeting);
                    }
                }
            }
            take(&cluster, &batch(seq, Value::Null, Value::from(said))).await;
        }
        assert_eq!(people(&cluster, cluster.a).await, model, "{story:?}");
    }
}
