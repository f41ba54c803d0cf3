//! One line for each call, and nothing in it that is secret.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b3scale::telemetry::Bounded;
use b3scale_middleware::Reply;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::fault::NodeFailure;
use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tracing::subscriber::DefaultGuard;

use crate::rig::{Plan, Rig, head, school, signed, within};

/// Log lines.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        b3scale_support::keep(bytes);
        self.0.lock().expect("nobody panics while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Catches the log of this thread, on which a test and its server run.
    pub(crate) fn catch() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let sink = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).map_event_format(Bounded::new);
        let subscriber = subscriber.with_writer(move || sink.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics while writing").clone()).expect("a log is text")
    }

    /// The lines about one call.
    pub(crate) fn of(&self, request_id: &str) -> Vec<Value> {
        self.all().filter(|line| line["request.id"] == request_id).collect()
    }

    /// The lines about calls.
    pub(crate) fn calls(&self) -> Vec<Value> {
        self.all().filter(|line| line["target"] == "b3scale::server::log").collect()
    }

    fn all(&self) -> impl Iterator<Item = Value> {
        let lines: Vec<Value> =
            self.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        lines.into_iter()
    }
}

#[tokio::test]
async fn every_call_is_one_line() {
    let (lines, _guard) = Lines::catch();
    let cluster = school();
    let rig = Rig::new(&cluster).await;
    rig.fetch_with(&signed(CallKind::Create, "meetingID=m1&name=Ada+Lovelace"), "X-Request-Id: call-1\r\n").await;
    rig.get("/bbb/%0a%1b[0m/bigbluebutton/api/create?checksum=5ec4e7").await;
    rig.get("/bbb/school/bigbluebutton/api/getDefaultConfigXML?checksum=5ec4e7").await;
    rig.send(head("POST", "/bbb/school/api/join", "Content-Length: 0\r\n")).await;
    rig.get("/bbb/school/api/join&fullName=Lovelace&checksum=5ec4e7").await;
    let calls = lines.calls();
    let told: Vec<_> =
        calls.iter().map(|line| (line["level"].as_str(), line["call"].as_str(), line["outcome"].as_str())).collect();
    assert_eq!(
        told,
        [
            (Some("INFO"), Some("create"), Some("success")),
            (Some("INFO"), Some("create"), Some("checksumError")),
            (Some("INFO"), Some("(unknown)"), Some("unsupportedRequest")),
            (Some("INFO"), Some("join"), Some("unsupportedRequest")),
            (Some("INFO"), Some("(unknown)"), Some("unsupportedRequest")),
        ]
    );
    assert_eq!(calls[0]["request.id"], "call-1");
    assert_eq!(calls[0]["frontend.key"], "school");
    assert_eq!(calls[0]["backend.id"], cluster.backend_id("n1").to_string());
    assert!(calls[0]["milliseconds"].is_u64());
    assert_eq!((&calls[1]["frontend.key"], &calls[1]["blame"]), (&"(odd)".into(), &"frontend".into()));
    for secret in ["5ec4e7", "Lovelace", "checksum="] {
        assert!(!lines.text().contains(secret), "{secret} is in the log");
    }
}

/// 72,000 of them were 72,000 lines at ERROR.
#[tokio::test]
async fn strangers_write_a_bounded_number_of_lines_and_tenants_have_all_of_theirs() {
    let (lines, _guard) = Lines::catch();
    let rig = Rig::new(&school()).await;
    for number in 0..150 {
        rig.get(&format!("/bbb/school/bigbluebutton/api/create?meetingID=m{number}&checksum=1")).await;
        rig.get(&signed(CallKind::IsMeetingRunning, &format!("meetingID=m{number}"))).await;
    }
    let count = |call: &str| lines.calls().iter().filter(|line| line["call"] == call).count();
    assert_eq!((count("create"), count("isMeetingRunning")), (100, 150));
    assert!(lines.calls().iter().all(|line| line["level"] == "INFO"));
}

#[tokio::test]
async fn a_line_names_the_trace_of_the_client() {
    let (lines, _guard) = Lines::catch();
    let rig = Rig::new(&school()).await;
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    rig.fetch_with(&signed(CallKind::Create, "meetingID=m1&name=x"), trace).await;
    assert_eq!(lines.calls()[0]["trace.id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn a_line_says_whose_fault_it_was() {
    let (lines, _guard) = Lines::catch();
    let rig = Rig::new(&school().node_fails("n1", NodeFailure::Status(502))).await;
    let answer = rig.get(&signed(CallKind::Create, "meetingID=m1&name=x")).await;
    assert_eq!(answer.failed(), "internalError");
    let calls = lines.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0]["level"], &calls[0]["blame"]), (&"WARN".into(), &"backend".into()));
    assert!(calls[0]["fault"].as_str().is_some_and(|fault| fault.contains("502")));
}

/// The answer that the client got counts, not the later outcome of the call.
#[tokio::test]
async fn a_call_that_ends_after_its_time_is_one_line_and_that_says_so() {
    let (lines, _guard) = Lines::catch();
    let open = Arc::new(Notify::new());
    let opening = Arc::clone(&open);
    let plan = Plan::new(&school()).settings(|settings| settings.call = Duration::from_millis(50));
    let plan = plan.route(CallKind::End, move |_| {
        let opening = Arc::clone(&opening);
        async move {
            opening.notified().await;
            Ok(Reply::xml(Bytes::from_static(b"<response><returncode>SUCCESS</returncode></response>")))
        }
    });
    let rig = plan.serve().await;
    assert_eq!(rig.get(&signed(CallKind::End, "meetingID=m1")).await.failed(), "internalError");
    open.notify_one();
    rig.gone_after_stop().await;
    let calls = lines.calls();
    let told: Vec<_> = calls.iter().map(|line| (line["outcome"].as_str(), line["blame"].as_str())).collect();
    assert_eq!(told, [(Some("internalError"), Some("us"))]);
}

#[tokio::test]
async fn a_client_that_hangs_up_is_a_line_too() {
    let (lines, _guard) = Lines::catch();
    let started = Arc::new(Notify::new());
    let starting = Arc::clone(&started);
    let plan = Plan::new(&school()).route(CallKind::GetMeetings, move |_| {
        starting.notify_one();
        std::future::pending()
    });
    let rig = plan.serve().await;
    let mut client = rig.connect().await;
    client.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    within(started.notified()).await;
    client.shutdown().await.unwrap();
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
    assert!(matches!(&lines.calls()[..], [line] if line["outcome"] == "abandoned"));
}
