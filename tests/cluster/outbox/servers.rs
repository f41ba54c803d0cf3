//! Many servers, and servers that are lost.

use std::collections::HashMap;

use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use b3scale_support::Reaction;
use tokio::sync::oneshot;

use super::rig::Outbox;

#[tokio::test]
async fn a_delivery_is_sent_once_however_many_servers_run() {
    const MANY: usize = 60;
    let outbox = Outbox::new(3, []).await;
    for number in 0..MANY {
        outbox.callback(&format!("m{number}"), CallbackKind::End, &format!("/{number}")).await;
    }
    outbox.execute("INSERT INTO deliveries (callback_id, subject, kind, marks) SELECT id, '', kind, false FROM meeting_callbacks").await;
    outbox.wake();
    outbox.jobs_are(0).await;
    let mut heard: HashMap<_, usize> = HashMap::new();
    for request in outbox.receiver.heard() {
        *heard.entry(request.path().to_owned()).or_default() += 1;
    }
    assert_eq!(heard.len(), MANY);
    assert!(heard.values().all(|count| *count == 1), "{heard:?}");
}

#[tokio::test]
async fn a_kill_between_answer_and_record_repeats_with_the_same_id() {
    // The answer never comes to the first server, as if it had been killed at its arrival.
    let (_tell, told) = oneshot::channel();
    let mut outbox = Outbox::new(0, [Reaction::Told(told)]).await;
    let victim = outbox.add_server().await;
    outbox.end("a", "/end").await;
    outbox.receiver.hears(1).await;
    victim.stop();
    outbox.execute("UPDATE servers SET beat = now() - interval '9 seconds'").await;
    outbox.add_server().await;
    outbox
        .execute(
            "UPDATE servers SET beat = now() - interval '9 seconds' WHERE id = '00000000-0000-0000-0000-000000000064'",
        )
        .await;
    let entry = outbox.settled().await;
    let heard = outbox.receiver.heard();
    let names: Vec<_> = heard.iter().map(|heard| heard.header("Webhook-Id")).collect();
    assert_eq!(names, [Some(&*entry.id.to_string()); 2]);
    assert_eq!((entry.state, entry.attempts), (DeliveryState::Delivered, 2));
}

#[tokio::test]
async fn a_settled_delivery_is_never_sent_again() {
    let outbox = Outbox::new(2, []).await;
    outbox.end("a", "/end").await;
    let entry = outbox.settled().await;
    let stray = "INSERT INTO jobs (kind, payload)
        SELECT 'deliver', jsonb_build_object('id', deliveries.id, 'frontend', frontend_id)
        FROM deliveries, meeting_callbacks, generate_series(1, 10)";
    outbox.execute(stray).await;
    outbox.wake();
    outbox.jobs_are(0).await;
    assert_eq!(outbox.receiver.heard().len(), 1);
    assert_eq!(outbox.entries().await, [entry]);
}

#[tokio::test]
async fn deliveries_go_with_their_frontend() {
    let outbox = Outbox::new(1, [Reaction::Status(500)]).await;
    outbox.end("a", "/end").await;
    outbox.failed(1).await;
    outbox.fixture.store.frontends().remove(outbox.fixture.frontend).await.expect("it is removed");
    outbox.pass_pauses().await;
    outbox.jobs_are(0).await;
    assert_eq!(outbox.receiver.heard().len(), 1);
}
