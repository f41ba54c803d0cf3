//! What waits for what.

use b3scale::store::Queued;
use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use b3scale_support::{RULES, Reaction, Receiver, eventually, new_format, record_id};
use tokio::sync::oneshot;

use super::rig::Outbox;
use crate::fixture::new_frontend;

#[tokio::test]
async fn an_end_waits_for_the_nodes_marks() {
    let outbox = Outbox::new(1, []).await;
    let callback = outbox.callback("a", CallbackKind::End, "/end").await;
    assert_eq!(outbox.queue(callback, CallbackKind::End, None).await, Queued::New);
    assert!((14..=15).contains(&outbox.pause().await));
    assert_eq!(outbox.queue(callback, CallbackKind::End, None).await, Queued::Known);
    assert!(outbox.receiver.heard().is_empty());

    assert_eq!(outbox.queue(callback, CallbackKind::End, Some(true)).await, Queued::Hastened);
    assert_eq!(outbox.settled().await.state, DeliveryState::Delivered);
    assert_eq!(outbox.queue(callback, CallbackKind::End, Some(true)).await, Queued::Known);
    let heard = outbox.receiver.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].path(), "/end?recordingmarks=true&meetingID=a");
}

#[tokio::test]
async fn an_end_without_its_nodes_word_says_that_there_is_no_recording() {
    let outbox = Outbox::new(1, []).await;
    let callback = outbox.callback("a", CallbackKind::End, "/end").await;
    outbox.queue(callback, CallbackKind::End, None).await;
    outbox.pass_pauses().await;
    outbox.settled().await;
    assert_eq!(outbox.receiver.heard()[0].path(), "/end?recordingmarks=false&meetingID=a");
}

#[tokio::test]
async fn ready_is_announced_after_the_commit_and_behind_the_end() {
    let (tell, told) = oneshot::channel();
    let outbox = Outbox::new(1, [Reaction::Status(200), Reaction::Told(told)]).await;
    let (fixture, internal) = (&outbox.fixture, record_id(1));
    for (kind, path) in [(CallbackKind::End, "/end"), (CallbackKind::Ready, "/ready")] {
        outbox.callback("a", kind, path).await;
    }
    outbox.execute(&format!("UPDATE meeting_callbacks SET internal_id = '{internal}'")).await;
    outbox.execute("INSERT INTO deliveries (callback_id, subject, kind) SELECT id, '', kind FROM meeting_callbacks WHERE kind = 'end'").await;
    let format = new_format(1, Some(fixture.frontend), "a", "presentation");
    fixture.store.recordings().add_format(&format, &RULES).await.expect("it is added");
    outbox.wake();
    let is_put_off =
        "SELECT count(*) FROM jobs WHERE kind = 'deliver' AND last_error = 'the end of its meeting goes first'
        AND attempts = 0 AND run_by IS NULL";
    eventually("it waits for the end", async || outbox.count(is_put_off).await == 1).await;
    outbox.execute("UPDATE deliveries SET marks = false").await;
    outbox.execute("UPDATE jobs SET run_after = now() WHERE last_error IS NULL").await;
    outbox.wake();
    outbox.jobs_are(1).await;
    outbox.pass_pauses().await;

    let heard = outbox.receiver.hears(2).await;
    assert_eq!((heard[1].method(), heard[1].path()), ("POST", "/ready"));
    // As Greenlight does before it answers.
    assert!(fixture.store.recordings().find(&internal).await.expect("an answer").is_some());
    tell.send(200).expect("the receiver waits");
    outbox.jobs_are(0).await;
    assert!(outbox.entries().await.iter().all(|entry| entry.state == DeliveryState::Delivered));
}

#[tokio::test]
async fn the_first_key_of_bbb_is_called_for_a_recording() {
    let outbox = Outbox::new(1, []).await;
    let (fixture, internal) = (&outbox.fixture, record_id(1));
    for name in ["meta_other-recording-ready-url", "meta_bn-recording-ready-url", "meta_bbb-recording-ready-url"] {
        let id = outbox.callback(name, CallbackKind::Ready, &format!("/{name}")).await;
        let row = format!("meeting = 'school-a', internal_id = '{internal}', name = '{name}'");
        outbox.execute(&format!("UPDATE meeting_callbacks SET {row} WHERE id = '{id}'")).await;
    }
    let format = new_format(1, Some(fixture.frontend), "a", "presentation");
    fixture.store.recordings().add_format(&format, &RULES).await.expect("it is added");
    outbox.settled().await;
    let paths: Vec<_> = outbox.receiver.heard().iter().map(|heard| heard.path().to_owned()).collect();
    assert_eq!(paths, ["/meta_bbb-recording-ready-url"]);
}

#[tokio::test]
async fn messages_to_one_callback_go_one_at_a_time() {
    let (tell, told) = oneshot::channel();
    let outbox = Outbox::new(2, [Reaction::Told(told), Reaction::Status(500)]).await;
    outbox.callback("a", CallbackKind::Analytics, "/analytics").await;
    let three = "INSERT INTO deliveries (callback_id, subject, kind, body)
        SELECT id, number::text, kind, '{}' FROM meeting_callbacks, generate_series(1, 3) AS number";
    outbox.execute(three).await;
    outbox.wake();
    outbox.receiver.hears(1).await;
    let is_put_off = "SELECT count(*) FROM jobs WHERE last_error = 'another message to its callback is under way'
        AND attempts = 0 AND run_by IS NULL";
    eventually("the others wait", async || outbox.count(is_put_off).await == 2).await;
    assert_eq!(outbox.receiver.heard().len(), 1);

    // Neither a delivered one nor a failed one holds up the others.
    tell.send(200).expect("the receiver waits");
    eventually("they go in turn", async || {
        outbox.pass_pauses().await;
        outbox.count("SELECT count(*) FROM jobs").await == 0
    })
    .await;
    assert!(outbox.entries().await.iter().all(|entry| entry.state == DeliveryState::Delivered));
    assert_eq!(outbox.receiver.heard().len(), 4);
}

#[tokio::test]
async fn a_try_that_fails_inside_holds_up_no_other_to_its_callback() {
    let outbox = Outbox::new(1, []).await;
    outbox.callback("a", CallbackKind::Analytics, "/analytics").await;
    outbox.execute("ALTER TABLE frontends RENAME TO others").await;
    let two = "INSERT INTO deliveries (callback_id, subject, kind, body)
        SELECT id, number::text, kind, '{}' FROM meeting_callbacks, generate_series(1, 2) AS number";
    outbox.execute(two).await;
    outbox.wake();
    let have_failed = "SELECT count(*) FROM jobs WHERE attempts > 0 AND run_by IS NULL";
    eventually("both have failed", async || outbox.count(have_failed).await == 2).await;
    assert_eq!(outbox.count("SELECT count(held_by) FROM meeting_callbacks").await, 0);
    outbox.execute("ALTER TABLE others RENAME TO frontends").await;
    outbox.pass_pauses().await;
    outbox.jobs_are(0).await;
    assert_eq!(outbox.receiver.heard().len(), 2);
}

#[tokio::test]
async fn thousands_of_messages_to_a_hanging_tenant_hold_up_no_other() {
    let outbox = Outbox::new(1, (0..100).map(|_| Reaction::Hang)).await;
    outbox.callback("a", CallbackKind::End, "/slow").await;
    let thousands = "INSERT INTO deliveries (callback_id, subject, kind, marks)
        SELECT id, number::text, kind, false FROM meeting_callbacks, generate_series(1, 10000) AS number";
    outbox.execute(thousands).await;
    outbox.wake();
    outbox.receiver.hears(8).await;
    let other = outbox.fixture.store.frontends().record(&new_frontend("college")).await.expect("a frontend").id;
    let quick = Receiver::start().await;
    let callback = outbox.callback_of(other, "b", CallbackKind::End, "/quick").await;
    outbox
        .execute(&format!("UPDATE meeting_callbacks SET url = '{}' WHERE id = '{callback}'", quick.url("/quick")))
        .await;
    outbox.queue(callback, CallbackKind::End, Some(false)).await;
    assert_eq!(quick.hears(1).await[0].path(), "/quick?recordingmarks=false&meetingID=b");
    assert_eq!(outbox.receiver.heard().len(), 8, "no more of a tenant at a time, and none is given up yet");
}
