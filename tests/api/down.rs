//! Going down without losing a call.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Reply;
use b3scale_middleware::bbb::CallKind;
use b3scale_support::eventually;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::log::Lines;
use crate::rig::{Answer, Plan, Rig, head, school, signed, within};

/// Clients that knock at once.
const KNOCKING: u32 = 6;

/// Defect 48 of the original: a server that was stopped dropped its calls.
#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_server_goes() {
    let (started, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (starting, opening) = (Arc::clone(&started), Arc::clone(&open));
    let plan = Plan::new(&school()).route(CallKind::GetMeetings, move |_| {
        let (starting, opening) = (Arc::clone(&starting), Arc::clone(&opening));
        async move {
            starting.notify_one();
            opening.notified().await;
            Ok(Reply::xml(Bytes::from_static(b"<response><returncode>SUCCESS</returncode></response>")))
        }
    });
    let rig = plan.serve().await;
    let mut client = rig.connect().await;
    client.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    within(started.notified()).await;
    rig.stop();
    let address = rig.address;
    within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
    open.notify_one();
    assert!(Answer::whole(&mut client).await.is_success());
    rig.gone().await;
}

#[tokio::test]
async fn the_grace_time_ends_even_if_a_call_does_not() {
    let (lines, _guard) = Lines::catch();
    let started = Arc::new(Notify::new());
    let starting = Arc::clone(&started);
    let plan = Plan::new(&school()).settings(|settings| settings.grace = Duration::from_millis(50));
    let plan = plan.route(CallKind::GetMeetings, move |_| {
        starting.notify_one();
        std::future::pending()
    });
    let rig = plan.serve().await;
    let mut client = rig.connect().await;
    client.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    within(started.notified()).await;
    rig.stop();
    rig.gone().await;
    eventually("it is told", async || !lines.calls().is_empty()).await;
    assert_eq!(lines.calls()[0]["outcome"], "cut", "nobody hung up");
}

/// Clients that do as a load balancer in front does: they ask whether the server is ready before they call it.
#[tokio::test]
async fn a_drain_under_load_loses_no_call() {
    let plan = Plan::new(&school()).settings(|settings| settings.drain_delay = Duration::from_secs(2));
    let rig = plan.serve().await;
    let clients = (0..8).map(|client| {
        let rig = &rig;
        async move {
            let mut calls = 0;
            while rig.get("/health/ready").await.status == 200 {
                let query = format!("meetingID=m{client}-{calls}&name=x");
                assert!(rig.get(&signed(CallKind::Create, &query)).await.is_success());
                calls += 1;
                if calls == 3 {
                    rig.stop();
                }
            }
            calls
        }
    });
    let calls = within(join_all(clients)).await;
    assert!(calls.iter().sum::<i32>() >= 3);
    rig.gone().await;
}

/// Connections that the system has made and the server has not taken yet, or on which nothing has come yet, were reset with their
/// first call on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_connected_when_the_port_is_closed_is_answered() {
    for _ in 0..3 {
        let rig = Rig::new(&school()).await;
        let address = rig.address;
        let answered = Arc::new(Semaphore::new(0));
        let knocking: Vec<_> = (0..KNOCKING)
            .map(|_| {
                let answered = Arc::clone(&answered);
                tokio::task::spawn_blocking(move || knock_until_refused(address, &answered))
            })
            .collect();
        let _all = within(answered.acquire_many(KNOCKING)).await.unwrap();
        rig.gone_after_stop().await;
        for outcome in within(join_all(knocking)).await {
            outcome.unwrap();
        }
    }
}

/// Calls on one fresh connection after the other. An accepted connection must be answered; the first one is signalled.
fn knock_until_refused(address: SocketAddr, answered: &Semaphore) {
    let mut count = 0;
    while let Ok(mut stream) = std::net::TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let call = head("POST", &signed(CallKind::Create, "meetingID=m1&name=x"), "Content-Length: 0\r\n");
        stream.write_all(call.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("after {count} answers: {error}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "after {count} answers: {answer:?}");
        count += 1;
        if count == 1 {
            answered.add_permits(1);
        }
    }
}
