//! Bodies: posted, held back, slow, cut off, too large.

use std::sync::Arc;
use std::time::Duration;

use b3scale::budget::Budget;
use b3scale_middleware::Reply;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::call::Room;
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::rig::{Answer, Plan, Rig, checksum, head, school, signed, within};

const FORM: &str = "application/x-www-form-urlencoded";
const CREATE: &str = "/bbb/school/bigbluebutton/api/create";

#[tokio::test]
async fn a_form_may_carry_the_checksum() {
    let rig = Rig::new(&school()).await;
    let form = format!("meetingID=m1&name=x&checksum={}", checksum(CallKind::Create, "meetingID=m1&name=x"));
    assert!(rig.post(CREATE, &format!("{FORM}; charset=utf-8"), &form).await.is_success());
}

#[tokio::test]
async fn a_form_that_is_not_utf_8_refuses_no_create() {
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    let form = [&b"meetingID=m1&name=Gr"[..], b"\xfc\xdfe"].concat();
    let headers = format!("Content-Type: {FORM}\r\nContent-Length: {}\r\n", form.len());
    let head = head("POST", &signed(CallKind::Create, ""), &headers);
    assert!(rig.send([head.as_bytes(), &form].concat()).await.is_success());
    let sent = &cluster.requests()[0].unsigned;
    assert!(sent.contains("&name=Gr%EF%BF%BD%EF%BF%BDe"), "{sent}");
}

#[tokio::test]
async fn parts_are_read_as_a_form() {
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    let body = "--x\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nm 1\r\n\
                --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nnot a parameter\r\n\
                --x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nGrüße\r\n--x--\r\n";
    let target = signed(CallKind::Create, "");
    assert!(rig.post(&target, "multipart/form-data; boundary=x", body).await.is_success());
    assert!(cluster.meeting_named("school", "m 1").is_some());
    for broken in ["multipart/form-data", "multipart/form-data; boundary=y"] {
        assert_eq!(rig.post(&target, broken, body).await.failed(), "invalidRequestBody", "{broken}");
    }
}

#[tokio::test]
async fn parts_take_up_the_room_of_the_form_that_they_become() {
    let body =
        format!("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--x--\r\n", "ü".repeat(100 << 10));
    let target = signed(CallKind::Create, "meetingID=m1&name=x");
    for (limit, status) in [(1 << 20, 503), (32 << 20, 200)] {
        let budget = Budget::of(limit);
        let rig = Plan::new(&school()).budget(&budget).serve().await;
        assert_eq!(rig.post(&target, "multipart/form-data; boundary=x", &body).await.status, status);
        assert_eq!(budget.peak() > 4 * (200 << 10), status == 200, "{}", budget.peak());
        rig.gone_after_stop().await;
        assert_eq!(budget.held(), 0);
    }
}

#[tokio::test]
async fn slides_are_posted_as_xml() {
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    let slides =
        "<modules><module name=\"presentation\"><document url=\"https://x.example/a.pdf\"/></module></modules>";
    let target = signed(CallKind::Create, "meetingID=m1&name=x");
    assert!(rig.post(&target, "text/xml; charset=utf-8", slides).await.is_success());
    let sent = cluster.requests().pop().and_then(|request| request.content).expect("the node got the slides");
    assert_eq!(sent.bytes, slides);
    for broken in ["<modules>", "<x:modules/>", "<1/>", "<modules>\u{b}</modules>", "<!DOCTYPE m><m/>"] {
        assert_eq!(rig.post(&target, "application/xml", broken).await.failed(), "invalidRequestBody", "{broken}");
    }
}

#[tokio::test]
async fn a_type_that_the_call_does_not_take_is_refused() {
    let rig = Rig::new(&school()).await;
    let target = signed(CallKind::Create, "meetingID=m1&name=x");
    assert_eq!(rig.post(&target, "application/json", "{}").await.failed(), "unsupportedContentType");
    let unnamed = head("POST", &target, "Content-Length: 2\r\n") + "{}";
    assert_eq!(rig.send(unnamed).await.failed(), "unsupportedContentType");
}

/// Defect 8 of the original: a body was read before the checksum was looked at.
#[tokio::test]
async fn a_wrong_checksum_is_answered_while_the_body_is_held_back() {
    let rig = Rig::new(&school()).await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let headers = format!("Content-Type: application/xml\r\nContent-Length: 1000\r\n{expect}");
        let answer = rig.send(head("POST", &format!("{CREATE}?meetingID=m1&checksum=00"), &headers)).await;
        assert_eq!((answer.status, answer.failed()), (200, "checksumError"));
    }
}

#[tokio::test]
async fn a_client_that_sends_its_body_all_the_same_reads_the_answer() {
    let rig = Rig::new(&school()).await;
    let answer = rig.post(&format!("{CREATE}?meetingID=m1&checksum=00"), "text/xml", &"x".repeat(20 << 20)).await;
    assert_eq!(answer.failed(), "checksumError");
}

#[tokio::test]
async fn a_body_is_asked_for_once_the_checksum_holds() {
    let rig = Rig::new(&school()).await;
    let mut stream = rig.connect().await;
    let body = "<modules/>";
    let headers = format!("Content-Type: text/xml\r\nContent-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    stream
        .write_all(head("POST", &signed(CallKind::Create, "meetingID=m1&name=x"), &headers).as_bytes())
        .await
        .unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(Answer::whole(&mut stream).await.is_success());
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_however_it_is_announced() {
    let plan = Plan::new(&school()).settings(|settings| (settings.largest_form, settings.largest_body) = (10, 20));
    let rig = plan.serve().await;
    let target = signed(CallKind::Create, "meetingID=m1&name=x");
    let announced = rig.post(&target, FORM, "a=45678901").await;
    assert!(announced.is_success());
    assert_eq!(rig.post(&target, FORM, "a=456789012").await.failed(), "invalidRequestBody");
    assert_eq!(rig.post(&target, "text/xml", &"x".repeat(21)).await.failed(), "invalidRequestBody");
    let chunked = head("POST", &target, &format!("Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n"));
    assert_eq!(rig.send(chunked + "b\r\na=456789012\r\n0\r\n\r\n").await.failed(), "invalidRequestBody");
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_turned_away() {
    let budget = Budget::of(80 << 10);
    let rig = Plan::new(&school()).budget(&budget).serve().await;
    let target = signed(CallKind::Create, "meetingID=m1&name=x");
    let answer = rig.post(&target, FORM, &format!("a={}", "x".repeat(80 << 10))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    assert!(budget.peak() <= budget.limit());
    assert!(rig.post(&target, FORM, "a=b").await.is_success(), "what was held is given back");
    rig.gone_after_stop().await;
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_given_up() {
    let plan = Plan::new(&school()).settings(|settings| settings.body_pause = Duration::from_millis(50));
    let rig = plan.serve().await;
    let headers = format!("Content-Type: {FORM}\r\nContent-Length: 100\r\n");
    let started = head("POST", &signed(CallKind::Create, "meetingID=m1&name=x"), &headers) + "a=";
    assert_eq!(rig.send(started).await.failed(), "invalidRequestBody");
}

#[tokio::test]
async fn a_body_that_is_cut_off_creates_nothing() {
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    let mut stream = rig.connect().await;
    let headers = format!("Content-Type: {FORM}\r\nContent-Length: 100\r\n");
    let started = head("POST", &signed(CallKind::Create, "meetingID=m1&name=x"), &headers) + "a=";
    stream.write_all(started.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    rig.gone_after_stop().await;
    assert!(cluster.requests().is_empty());
}

#[tokio::test]
async fn an_answer_keeps_its_room_until_the_client_has_read_it() {
    /// Says when it is dropped.
    struct Kept(Arc<Notify>);
    impl Drop for Kept {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    // More than the system takes over.
    const LENGTH: usize = 32 << 20;
    let given_back = Arc::new(Notify::new());
    let notify = Arc::clone(&given_back);
    let plan = Plan::new(&school()).route(CallKind::GetMeetings, move |_| {
        let room = Room::of(Kept(Arc::clone(&notify)));
        async move { Ok(Reply { room, ..Reply::xml(vec![b' '; LENGTH].into()) }) }
    });
    let rig = plan.serve().await;
    let mut stream = rig.connect().await;
    stream.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    let mut first = [0; 4096];
    within(stream.read_exact(&mut first)).await.unwrap();
    assert!(given_back.notified().now_or_never().is_none(), "most of it still waits in memory");
    within(tokio::io::copy(&mut stream, &mut tokio::io::sink())).await.unwrap();
    within(given_back.notified()).await;
}
