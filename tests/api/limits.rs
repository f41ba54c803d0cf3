//! Clients and stages that misbehave.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use b3scale_middleware::Reply;
use b3scale_middleware::bbb::CallKind;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Answer, Plan, head, school, signed, within};

/// Defect 10 of the original: one panic ended the whole process.
#[tokio::test]
async fn a_panic_is_a_fault_of_ours_and_of_this_call_alone() {
    let panics = |_| async { panic!("a secret thought") };
    let plan = Plan::new(&school()).route(CallKind::GetMeetings, panics).route(CallKind::End, panics);
    let rig = plan.serve().await;
    for kind in [CallKind::GetMeetings, CallKind::End] {
        let answer = rig.get(&signed(kind, "")).await;
        assert_eq!((answer.status, answer.failed()), (200, "internalError"));
        assert!(!answer.body.contains("secret thought"));
    }
    assert_eq!(rig.get("/health/live").await.status, 200);
    assert!(rig.get("/bbb/school/").await.is_success());
}

#[tokio::test]
async fn a_call_that_never_ends_is_ended() {
    let plan = Plan::new(&school()).route(CallKind::GetMeetings, |_| pending());
    let rig = plan.settings(|settings| settings.call = Duration::from_millis(50)).serve().await;
    assert_eq!(rig.get(&signed(CallKind::GetMeetings, "")).await.failed(), "internalError");
}

#[tokio::test]
async fn one_call_too_many_is_turned_away() {
    let (started, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starting, opening) = (Arc::clone(&started), Arc::clone(&open));
    let plan = Plan::new(&school()).settings(|settings| settings.calls = 1).route(CallKind::End, move |_| {
        let (starting, opening) = (Arc::clone(&starting), Arc::clone(&opening));
        async move {
            starting.notify_one();
            opening.notified().await;
            Ok(Reply::xml(Bytes::from_static(b"<response><returncode>SUCCESS</returncode></response>")))
        }
    });
    let rig = plan.serve().await;
    let mut first = rig.connect().await;
    first.write_all(head("GET", &signed(CallKind::End, ""), "").as_bytes()).await.unwrap();
    within(started.notified()).await;
    let another = signed(CallKind::GetMeetings, "");
    let turned_away = rig.get(&another).await;
    assert_eq!((turned_away.status, turned_away.header("retry-after")), (503, Some("2")));
    assert_eq!(turned_away.failed(), "internalError");
    assert_eq!(rig.get("/health/live").await.status, 200);
    open.notify_one();
    assert!(Answer::whole(&mut first).await.is_success());
    assert!(rig.get(&another).await.is_success());
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_finished_create() {
    let (started, open, finished) =
        (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (starting, opening, finishing) = (Arc::clone(&started), Arc::clone(&open), Arc::clone(&finished));
    let plan = Plan::new(&school()).route(CallKind::Create, move |_| {
        let (starting, opening, finishing) = (Arc::clone(&starting), Arc::clone(&opening), Arc::clone(&finishing));
        async move {
            starting.notify_one();
            opening.notified().await;
            finishing.store(true, SeqCst);
            Ok(Reply::xml(Bytes::new()))
        }
    });
    let rig = plan.serve().await;
    let mut client = rig.connect().await;
    client.write_all(head("GET", &signed(CallKind::Create, ""), "").as_bytes()).await.unwrap();
    within(started.notified()).await;
    client.shutdown().await.unwrap();
    let mut nothing = Vec::new();
    within(client.read_to_end(&mut nothing)).await.unwrap();
    assert!(nothing.is_empty(), "the server has let the connection go");
    open.notify_one();
    rig.gone_after_stop().await;
    assert!(finished.load(SeqCst));
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_not_waited_for() {
    let plan = Plan::new(&school()).settings(|settings| settings.head = Duration::from_millis(50));
    let rig = plan.serve().await;
    let mut slow = rig.connect().await;
    slow.write_all(b"GET /bbb/school/ HTTP/1.1\r\nHost:").await.unwrap();
    let mut answer = Vec::new();
    within(slow.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_at_rest_is_closed_in_the_end() {
    let plan = Plan::new(&school()).settings(|settings| settings.idle = Duration::from_millis(50));
    let rig = plan.serve().await;
    let mut resting = rig.connect().await;
    resting.write_all(b"GET /bbb/school/ HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(Answer::whole(&mut resting).await.is_success());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let large = |_| async { Ok(Reply::xml(Bytes::from(vec![b' '; 64 << 20]))) };
    let plan = Plan::new(&school()).settings(|settings| {
        (settings.write_pause, settings.grace) = (Duration::from_millis(50), Duration::from_secs(3600));
    });
    let rig = plan.route(CallKind::GetMeetings, large).serve().await;
    let mut idle = rig.connect().await;
    idle.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    idle.read_u8().await.unwrap();
    rig.stop();
    rig.gone().await;
}
