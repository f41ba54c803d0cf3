//! The rows of deliveries: their subjects, their bodies, their locks, and their order in a list.

use std::time::Duration;

use b3scale::store::{Begun, NewDelivery, Queued, Retried};
use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use b3scale_support::{RULES, Reaction, new_format, record_id, until_blocked};

use super::rig::{Outbox, message};

#[tokio::test]
async fn a_recording_is_announced_once_by_its_node_and_its_import() {
    for node_first in [true, false] {
        let outbox = Outbox::new(0, []).await;
        let (internal, recordings) = (record_id(1), outbox.fixture.store.recordings());
        let callback = outbox.callback("a", CallbackKind::Ready, "/ready").await;
        outbox.execute(&format!("UPDATE meeting_callbacks SET internal_id = '{internal}'")).await;
        let subject = format!("ready:{internal}");
        let of_node = NewDelivery { subject: &subject, ..message(callback, CallbackKind::Ready) };
        if node_first {
            assert_eq!(outbox.queue_new(&of_node).await, Queued::New);
        }
        let format = new_format(1, Some(outbox.fixture.frontend), "a", "presentation");
        recordings.add_format(&format, &RULES).await.expect("it is added");
        assert_eq!(outbox.queue_new(&of_node).await, Queued::Known);
        assert_eq!(outbox.entries().await.len(), 1, "node first: {node_first}");

        assert!(recordings.announce(&internal).await.expect("it is announced again"));
        assert_eq!(outbox.entries().await.len(), 2);
    }
}

#[tokio::test]
async fn a_body_is_kept_until_it_is_delivered() {
    let outbox = Outbox::new(1, [Reaction::Status(410)]).await;
    let callback = outbox.callback("a", CallbackKind::Analytics, "/analytics").await;
    let new = NewDelivery { body: Some(b"{\"name\":\"Ada\"}"), ..message(callback, CallbackKind::Analytics) };
    outbox.queue_new(&new).await;
    let refused = outbox.settled().await;
    assert_eq!(refused.state, DeliveryState::Refused);
    let deliveries = outbox.fixture.store.deliveries();
    assert_eq!(deliveries.retry(refused.id).await.expect("an answer"), Retried::Due);
    outbox.wake();
    assert_eq!(outbox.settled().await.state, DeliveryState::Delivered);
    let heard = outbox.receiver.heard();
    assert!(heard.len() == 2 && heard.iter().all(|heard| heard.body == r#"{"name":"Ada"}"#));

    assert_eq!(outbox.count("SELECT count(body) FROM deliveries").await, 0);
    assert_eq!(deliveries.retry(refused.id).await.expect("an answer"), Retried::Emptied);
    assert_eq!(outbox.entries().await[0].state, DeliveryState::Delivered);
    outbox.jobs_are(0).await;
    assert_eq!(outbox.queue_new(&new).await, Queued::Known, "its repetition is known");
}

#[tokio::test]
async fn a_list_has_what_waits_longest_and_then_what_was_settled_last() {
    let outbox = Outbox::new(0, []).await;
    outbox.callback("a", CallbackKind::Ready, "/ready").await;
    let rows = "INSERT INTO deliveries (callback_id, subject, kind, record_id, state, created_at, settled_at)
        SELECT kept.id, record, kept.kind, record, state, now() - created * interval '1 hour', now() - settled * interval '1 hour'
        FROM meeting_callbacks AS kept, (VALUES ('third', 'dead', 9, 1), ('second', 'waiting', 1, NULL),
            ('fourth', 'delivered', 8, 2), ('first', 'waiting', 2, NULL), ('last', 'refused', 3, 3))
            AS given (record, state, created, settled)";
    outbox.execute(rows).await;
    let listed = |most| {
        let deliveries = outbox.fixture.store.deliveries();
        async move {
            let entries = deliveries.load(&Default::default(), most).await.expect("they are loaded");
            entries.into_iter().filter_map(|entry| entry.record).collect::<Vec<_>>()
        }
    };
    assert_eq!(listed(9).await, ["first", "second", "third", "fourth", "last"]);
    assert_eq!(listed(3).await, ["first", "second", "third"]);
}

#[tokio::test]
async fn a_try_waits_for_its_callback_before_it_touches_its_row() {
    let outbox = Outbox::new(0, []).await;
    let callback = outbox.callback("a", CallbackKind::Ready, "/ready").await;
    outbox.queue(callback, CallbackKind::Ready, None).await;
    let id = outbox.entries().await[0].id;
    let url = outbox.fixture.database.url();
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT FROM meeting_callbacks FOR UPDATE").await.unwrap();
    let remove = async {
        until_blocked(&client).await;
        // As a removal of its frontend does, by the cascade.
        client
            .batch_execute("DELETE FROM deliveries; DELETE FROM meeting_callbacks; COMMIT")
            .await
            .expect("no deadlock");
    };
    let (begun, ()) = tokio::join!(outbox.fixture.store.deliveries().begin(id, Duration::from_secs(100)), remove);
    assert!(matches!(begun, Ok(Begun::Settled)));
}
