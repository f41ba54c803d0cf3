//! Traces as a collector of OpenTelemetry gets them: a call in the trace of its client, its stages below it, its node behind it.

use b3scale_middleware::bbb::{CallKind, Secret};
use b3scale_middleware::cluster::Backend;
use b3scale_support::{JWT_SECRET, Recorder, Running, TestDatabase, Told, eventually, new_frontend, program, signed};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const EMPTY: &str = "<response><returncode>SUCCESS</returncode><meetings/></response>";
const CREATED: &str = "<response><returncode>SUCCESS</returncode><meetingID>m</meetingID>\
    <internalMeetingID>i-1</internalMeetingID><createTime>1</createTime></response>";

#[tokio::test]
async fn a_call_and_its_stages_are_told_to_the_collector() {
    let collector = Recorder::start([Told::ok("POST /v1/traces", "{}")]).await;
    let node = Recorder::start([
        Told::ok("GET /bigbluebutton/api/getMeetings?*", EMPTY),
        Told::ok("GET /bigbluebutton/api/create?*", CREATED),
    ])
    .await;
    let database = TestDatabase::new().await;
    let url = format!("{}/bigbluebutton/api/", node.url());
    let backend = Backend::new(Uuid::now_v7(), url, Secret::new("node-secret").unwrap());
    database.store().backends().record(&backend).await.unwrap();
    database.store().frontends().record(&new_frontend("school")).await.unwrap();

    let mut command = program(env!("CARGO_BIN_EXE_b3scaled"), &["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_API_JWT_SECRET", JWT_SECRET);
    command.env("B3SCALE_DRAIN_DELAY", "0").env("B3SCALE_LOG_FORMAT", "structured").env("B3SCALE_LOG_LEVEL", "info");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let mut server = Running::logging(command);
    let line: Value = serde_json::from_str(&server.line_with("b3scaled serves").await).unwrap();
    create(line["listen"].as_str().unwrap()).await;
    assert!(server.terminate().await, "what is left is sent before it ends");

    let mut spans = Vec::new();
    eventually("the call is told", async || {
        spans.extend(collector.asked().iter().flat_map(|asked| spans_of(&asked.body)));
        spans.iter().any(|span| span["name"] == "create")
    })
    .await;
    let call = spans.iter().find(|span| span["name"] == "create").unwrap();
    assert_eq!((&call["traceId"], &call["parentSpanId"]), (&TRACE.into(), &CALLER.into()));
    let first = spans.iter().find(|span| span["name"] == "frontend-resolve").unwrap();
    let last = spans.iter().find(|span| span["name"] == "proxy").unwrap();
    assert_eq!(
        (&first["parentSpanId"], &first["traceId"], &last["traceId"]),
        (&call["spanId"], &TRACE.into(), &TRACE.into())
    );
    let asked = node.asked();
    let asked = asked.iter().find(|asked| asked.request.starts_with("GET /bigbluebutton/api/create")).unwrap();
    let told = asked.headers["traceparent"].to_str().unwrap();
    assert_eq!(told, format!("00-{TRACE}-{}-01", call["spanId"].as_str().unwrap()));
    let all = serde_json::to_string(&spans).unwrap();
    assert!(!all.contains("checksum=") && !all.contains("Lovelace") && !all.contains("secret"), "{all}");
}

/// A create in the trace of its client, which is asked until the server has a node for it.
async fn create(address: &str) {
    let path = signed("school", CallKind::Create, "meetingID=m1&name=Lovelace");
    eventually("the create succeeds", async || {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: b3scale.test\r\nConnection: close\r\ntraceparent: 00-{TRACE}-{CALLER}-01\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer.contains("SUCCESS")
    })
    .await;
}

fn spans_of(body: &str) -> Vec<Value> {
    let told: Value = serde_json::from_str(body).expect("it is JSON");
    let scopes = told["resourceSpans"].as_array().into_iter().flatten().flat_map(|one| one["scopeSpans"].as_array());
    scopes.flatten().flat_map(|scope| scope["spans"].as_array()).flatten().cloned().collect()
}
