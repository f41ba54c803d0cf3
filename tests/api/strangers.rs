//! Strangers: many clients without a checksum must not displace proved calls.

use std::future::pending;
use std::sync::Arc;

use b3scale::budget::Budget;
use b3scale_middleware::Reply;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::work::Workers;
use b3scale_support::SECRET;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::rig::{Answer, Plan, Rig, checksum, head, school, signed, within};

const CREATE: &str = "/bbb/school/bigbluebutton/api/create";
const FORM: &str = "application/x-www-form-urlencoded";

/// The head of a form that carries its checksum itself, and nothing of it.
fn unsigned_form(length: usize, more: &str) -> String {
    head("POST", CREATE, &format!("Content-Type: {FORM}\r\nContent-Length: {length}\r\n{more}"))
}

/// A connection on which that was sent.
async fn begun(rig: &Rig, request: &str) -> TcpStream {
    let mut stream = rig.connect().await;
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    stream
}

/// A signed call on a connection that stays open.
async fn call(stream: &mut TcpStream, kind: CallKind) -> String {
    let request = format!("GET {} HTTP/1.1\r\nHost: b3scale.test\r\n\r\n", signed(kind, "meetingID=m1&name=x"));
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut text = String::new();
    while !text.contains("</response>") {
        let mut bytes = [0; 4096];
        let read = within(stream.read(&mut bytes)).await.expect("an answer");
        assert_ne!(read, 0, "the connection was closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
    }
    text
}

/// Waits until the server has closed a connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // It may be reset: there may be unread bytes.
    let _ = within(stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_call_takes_its_place_once_its_checksum_holds() {
    let rig = Plan::new(&school()).settings(|settings| settings.calls = 1).serve().await;
    let strangers = join_all((0..50).map(|_| async { begun(&rig, &unsigned_form(100, "")).await })).await;
    assert_eq!(rig.get("/health/ready").await.status, 200);
    assert!(rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await.is_success());
    drop(strangers);
}

#[tokio::test]
async fn readiness_tells_that_all_places_of_calls_are_taken() {
    let (open, began) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (opening, beginning) = (Arc::clone(&open), Arc::clone(&began));
    let plan = Plan::new(&school()).settings(|settings| settings.calls = 1).route(CallKind::GetMeetings, move |_| {
        let (open, began) = (Arc::clone(&opening), Arc::clone(&beginning));
        async move {
            began.notify_one();
            open.notified().await;
            Ok(Reply::xml(Bytes::new()))
        }
    });
    let rig = plan.serve().await;
    let mut first = begun(&rig, &head("GET", &signed(CallKind::GetMeetings, ""), "")).await;
    within(began.notified()).await;
    let ready = rig.get("/health/ready").await;
    assert!(ready.status == 503 && ready.body.contains("as many calls as this server takes"), "{ready:?}");
    open.notify_one();
    assert_eq!(Answer::whole(&mut first).await.status, 200);
    assert_eq!(rig.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn forms_that_never_come_keep_out_no_form_that_does() {
    let plan = Plan::new(&school()).settings(|settings| (settings.strangers, settings.strangers_of_one) = (4, 4));
    let rig = plan.serve().await;
    let mut strangers = join_all((0..20).map(|_| async { begun(&rig, &unsigned_form(100, "")).await })).await;
    let form = format!("meetingID=m1&name=x&checksum={}", checksum(CallKind::Create, "meetingID=m1&name=x"));
    assert!(rig.post(CREATE, FORM, &form).await.is_success());
    let first = Answer::whole(&mut strangers[0]).await;
    assert_eq!((first.status, first.header("retry-after")), (503, Some("2")), "it has waited longest");
}

/// Verifies nothing before it may.
#[derive(Clone, Default)]
struct Held {
    began: Arc<Notify>,
    open: Arc<Notify>,
}

impl Workers for Held {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let Self { began, open } = self.clone();
        Box::pin(async move {
            began.notify_one();
            open.notified().await;
            job();
        })
    }
}

#[tokio::test]
async fn a_form_keeps_its_place_until_its_checksum_has_been_computed() {
    let held = Held::default();
    let rig = Plan::new(&school()).settings(|settings| settings.strangers = 1).unproved(held.clone()).serve().await;
    let query = format!("meetingID=m1&name=x&a={}", "x".repeat(70_000));
    let form = format!("{query}&checksum={}", checksum(CallKind::Create, &query));
    let mut first = begun(&rig, &(unsigned_form(form.len(), "") + &form)).await;
    within(held.began.notified()).await;
    assert_eq!(rig.post(CREATE, FORM, &form).await.status, 503, "the only place is taken, and not by waiting");
    held.open.notify_one();
    assert!(Answer::whole(&mut first).await.is_success());
    held.open.notify_one();
    assert!(rig.post(CREATE, FORM, &form).await.is_success());
}

#[tokio::test]
async fn a_proxy_that_names_no_client_speaks_for_many() {
    let plan = Plan::new(&school()).settings(|settings| (settings.strangers, settings.strangers_of_one) = (100, 1));
    let rig = plan.serve().await;
    let mut one = begun(&rig, &unsigned_form(100, "Expect: 100-continue\r\n")).await;
    let mut asked = [0; 25];
    within(one.read_exact(&mut asked)).await.expect("the body is asked for");
    assert_eq!(rig.post(CREATE, FORM, "a=1").await.failed(), "checksumError");
    one.write_all("a".repeat(100).as_bytes()).await.expect("it is still waited for");
    assert_eq!(Answer::whole(&mut one).await.failed(), "checksumError");
}

#[tokio::test]
async fn clients_behind_a_proxy_are_told_apart() {
    let plan = Plan::new(&school()).settings(|settings| (settings.strangers, settings.strangers_of_one) = (100, 1));
    let rig = plan.serve().await;
    let form = |from: &str| unsigned_form(100, &format!("X-Forwarded-For: {from}\r\n"));
    let mut one = begun(&rig, &form("192.0.2.1")).await;
    let mut other = begun(&rig, &form("192.0.2.2")).await;
    let _again = begun(&rig, &form("192.0.2.1")).await;
    assert_eq!(Answer::whole(&mut one).await.status, 503, "its own next one takes its place");
    other.write_all("a".repeat(100).as_bytes()).await.expect("it is still waited for");
    assert_eq!(Answer::whole(&mut other).await.failed(), "checksumError");
}

#[tokio::test]
async fn a_form_that_carries_its_checksum_itself_is_small() {
    let rig = Plan::new(&school()).settings(|settings| settings.largest_unproved = 1000).serve().await;
    let query = format!("meetingID=m1&name=x&a={}", "x".repeat(1000));
    let form = format!("{query}&checksum={}", checksum(CallKind::Create, &query));
    let refused = rig.post(CREATE, FORM, &form).await;
    assert_eq!(refused.failed(), "invalidRequestBody");
    assert!(refused.body.contains("Send its checksum in the query"), "{refused:?}");
    let (proved, form) = (signed(CallKind::Create, "meetingID=m1&name=x"), format!("a={}", "x".repeat(1000)));
    assert!(rig.post(&proved, FORM, &form).await.is_success());
}

#[tokio::test]
async fn a_crowd_of_connections_makes_room_for_newcomers() {
    let rig = Plan::new(&school()).settings(|settings| settings.connections = 10).serve().await;
    let mut tenant = rig.connect().await;
    assert!(call(&mut tenant, CallKind::Create).await.contains("SUCCESS"));
    let head = "GET /bbb/school/ HTTP/1.1\r\nHost:";
    let mut strangers = join_all((0..40).map(|_| async { begun(&rig, head).await })).await;
    assert!(rig.get(&signed(CallKind::Create, "meetingID=m2&name=x")).await.is_success());
    closed(&mut strangers[0]).await;
    let known = call(&mut tenant, CallKind::Create).await;
    assert!(known.contains("SUCCESS"), "a connection on which a checksum held is not for others");
}

#[tokio::test]
async fn connections_between_two_calls_make_room_for_newcomers() {
    let rig = Plan::new(&school()).settings(|settings| settings.connections = 4).serve().await;
    let mut pupils = Vec::new();
    for _ in 0..12 {
        let mut pupil = rig.connect().await;
        assert!(call(&mut pupil, CallKind::Create).await.contains("SUCCESS"));
        pupils.push(pupil);
    }
    closed(&mut pupils[0]).await;
    assert_eq!(rig.get("/health/ready").await.status, 200);
    assert!(rig.get(&signed(CallKind::Create, "meetingID=m2&name=x")).await.is_success());
}

#[tokio::test]
async fn bodies_that_never_come_take_no_more_than_a_share_of_the_calls() {
    let cluster = school().frontend("other", SECRET);
    let rig = Plan::new(&cluster).settings(|settings| settings.calls = 9).serve().await;
    let create = signed(CallKind::Create, "meetingID=m1&name=x");
    let body = "Content-Type: application/xml\r\nContent-Length: 100\r\nExpect: 100-continue\r\n";
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut stream = begun(&rig, &head("POST", &create, body)).await;
        let mut asked = [0; 12];
        within(stream.read_exact(&mut asked)).await.expect("the body is asked for");
        assert_eq!(&asked, b"HTTP/1.1 100");
        waiting.push(stream);
    }
    assert_eq!(rig.send(head("POST", &create, body)).await.status, 503, "this frontend has its share");
    assert!(rig.get(&create.replace("/school/", "/other/")).await.is_success());
    assert_eq!(rig.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_head_is_no_longer_than_a_request_line_can_be() {
    let rig = Rig::new(&school()).await;
    let longest = signed(CallKind::Create, &format!("meetingID=m1&name=x&a={}", "x".repeat(63_000)));
    assert!(rig.get(&longest).await.is_success());
    let answer = rig.fetch_with("/health/live", &format!("X-Long: {}\r\n", "x".repeat(64 << 10))).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn long_heads_and_forms_take_up_the_strangers_part_of_the_budget_and_no_more() {
    let budget = Budget::of(8 << 20);
    let rig = Plan::new(&school()).budget(&budget).serve().await;
    let long_head = format!("GET /bbb/school/ HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(60_000));
    let half = unsigned_form(128 << 10, "") + &"x".repeat(100 << 10);
    let strangers = (0..80).map(|number| {
        let (rig, long_head, half) = (&rig, &long_head, &half);
        async move {
            let mut stream = rig.connect().await;
            // Bytes that the server does not take are not waited for: there is no room for them.
            let _ = stream.write_all(if number % 2 == 0 { half } else { long_head }.as_bytes()).await;
            stream
        }
    });
    let strangers = within(join_all(strangers)).await;
    let large = signed(CallKind::Create, "meetingID=m1&name=x");
    assert!(
        rig.post(&large, FORM, &format!("a={}", "x".repeat(1 << 20))).await.is_success(),
        "tenants have their part"
    );
    assert!(budget.peak() <= (1 << 20) + (8 << 20) / 8 + (64 << 10), "{}", budget.peak());
    drop(strangers);
    rig.gone_after_stop().await;
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn a_school_morning_fits_into_the_backlog() {
    let server = Plan::new(&school()).bind();
    let address = server.local_addr();
    // The server does not accept them yet.
    let pupils = within(join_all((0..2000).map(|_| TcpStream::connect(address)))).await;
    assert!(pupils.iter().all(Result::is_ok));
    let serving = tokio::spawn(server.serve(pending()));
    let mut last = pupils.into_iter().next_back().expect("one").expect("it is connected");
    assert!(call(&mut last, CallKind::Create).await.contains("SUCCESS"));
    serving.abort();
}
