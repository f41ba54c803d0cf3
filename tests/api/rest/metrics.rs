//! `/metrics` of a whole cluster, and the page of one frontend.

use b3scale::telemetry::Sheet;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::AttendeesLimit;
use b3scale_middleware::ports::Directory as _;
use b3scale_node::{Media, Misbehaviour, NodeState, Role};
use b3scale_support::{Answer, ClusterOptions, Counted, TestCluster, eventually, token};
use http::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A cluster with a meeting of two people at `school`, one with a camera.
async fn cluster() -> (TestCluster, Counted) {
    let counted = Counted::here();
    let options = ClusterOptions { nodes: 1, counted: Some(counted.handle.clone()), ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    cluster.frontend("school", |settings| settings.attendees_limit = Some(AttendeesLimit { limit: 30 })).await;
    cluster.frontend("ministry", |_| {}).await;
    cluster.call(CallKind::Create, "meetingID=m1&name=Lesson").await.success();
    let id = cluster.nodes[0].meetings()[0].meeting_id.clone();
    let control = cluster.nodes[0].control();
    control.join(&id, "Ada Lovelace", Role::Moderator);
    let seen = control.join(&id, "Grace Hopper", Role::Viewer).unwrap();
    control.media(&id, &seen, Media { video: true, ..Media::default() });
    cluster.cluster.catch_up().await;
    (cluster, counted)
}

async fn page_of(cluster: &TestCluster, key: &str, token: &str) -> Answer {
    cluster.impostor(token).send_anywhere(Method::GET, &format!("/bbb/{key}/metrics"), "text/plain", "").await
}

fn observer(key: &str) -> String {
    token(key, "b3scale:metrics")
}

#[tokio::test]
async fn the_five_figures_of_the_original_are_there_and_count_everybody() {
    let (cluster, _counted) = cluster().await;
    let (host, meeting) = (cluster.backends[0].host(), cluster.nodes[0].meetings()[0].meeting_id.clone());
    let page = cluster.get("/metrics", &[]).await.text;
    for (series, value) in [
        (r#"b3scale_frontend_meetings{frontend="school"}"#.to_owned(), "1"),
        (r#"b3scale_frontend_meetings{frontend="ministry"}"#.to_owned(), "0"),
        (r#"b3scale_frontend_attendees{frontend="school"}"#.to_owned(), "2"),
        (format!(r#"b3scale_backend_meetings{{backend="{host}"}}"#), "1"),
        (named(host, "audio", &meeting), "1"),
        (named(host, "video", &meeting), "1"),
    ] {
        let line = format!("{series} {value}");
        assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
    }
    let durations = format!(r#"b3scale_meeting_durations{{frontend="school",backend="{host}",meeting="{meeting}"}}"#);
    assert!(page.contains(&durations), "{page}");
}

fn named(host: &str, kind: &str, meeting: &str) -> String {
    format!(r#"b3scale_meeting_attendees{{frontend="school",backend="{host}",type="{kind}",meeting="{meeting}"}}"#)
}

#[tokio::test]
async fn without_names_of_meetings_they_are_one_series() {
    let (cluster, _counted) = cluster().await;
    cluster.call(CallKind::Create, "meetingID=m2&name=Lesson").await.success();
    let mut sheet = Sheet::default();
    cluster.cluster.figures().write(&mut sheet, false);
    let page = sheet.text();
    let line = format!("{} 1", named(cluster.backends[0].host(), "video", ""));
    assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
    assert!(!page.contains("b3scale_meeting_durations"), "{page}");
}

/// Defect 10 of the original: an attendee that was `null` ended the process with the next scrape.
#[tokio::test]
async fn an_attendee_that_is_null_ends_nothing() {
    let (cluster, _counted) = cluster().await;
    let meeting = cluster.nodes[0].meetings()[0].meeting_id.clone();
    cluster.operator().patch(&format!("/meetings/{meeting}"), &json!({ "Attendees": [null] })).await;
    let agent = cluster.agent("node");
    let payload = json!({ "internal_meeting_id": "m", "attendee": null });
    agent.post("/agent/rpc", &json!({ "action": "meeting_add_attendee", "payload": payload })).await;
    assert_eq!(cluster.get("/metrics", &[]).await.status, 200);
    cluster.call(CallKind::GetMeetings, "").await.success();
}

#[tokio::test]
async fn a_frontend_sees_its_own_figures_and_nobody_elses() {
    let (cluster, _counted) = cluster().await;
    cluster.call_as("ministry", CallKind::Create, "meetingID=m9&name=Office").await.success();
    let page = page_of(&cluster, "school", &observer("school")).await;
    assert_eq!(
        (page.status.as_u16(), page.headers["content-type"].to_str().unwrap().starts_with("text/plain")),
        (200, true)
    );
    let server = cluster.cluster.server_id();
    let calls = format!(
        r#"b3scale_calls_total{{server="{server}",frontend="school",call="create",outcome="success",blame=""}} 1"#
    );
    for line in [
        r#"b3scale_frontend_meetings{frontend="school"} 1"#,
        r#"b3scale_frontend_attendees{frontend="school"} 2"#,
        r#"b3scale_frontend_attendees_limit{frontend="school"} 30"#,
        &calls,
    ] {
        assert!(page.text.lines().any(|one| one == line), "{line} is not in\n{}", page.text);
    }
    for foreign in ["ministry", "backend", "meeting=", "stage", cluster.backends[0].host()] {
        let series = page.text.lines().filter(|line| !line.starts_with('#'));
        assert!(series.into_iter().all(|line| !line.contains(foreign)), "{foreign} is in\n{}", page.text);
    }
}

#[tokio::test]
async fn a_frontends_figures_are_for_its_own_token() {
    let (cluster, _counted) = cluster().await;
    for (key, token, status) in [
        ("school", observer("ministry"), 403),
        ("school", token("school", "b3scale:node"), 403),
        ("school", token("school", "b3scale"), 403),
        ("school", "no token".to_owned(), 401),
        ("nobody", observer("school"), 403),
        ("nobody", observer("nobody"), 404),
        ("school", token("operator", "b3scale:admin"), 200),
    ] {
        assert_eq!(page_of(&cluster, key, &token).await.status, status, "{key} {token}");
    }
    assert_eq!(cluster.get("/bbb/school/metrics", &[]).await.status, 401);
    let elsewhere = cluster.tool("school", "b3scale:metrics").fetch("/frontends").await;
    assert_eq!(elsewhere.status, 403, "it is for nothing else");
}

#[tokio::test]
async fn calls_to_a_node_are_counted_by_what_it_made_of_them() {
    let (cluster, counted) = cluster().await;
    let info = async || cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await;
    info().await.success();
    for how in [Misbehaviour::WrongChecksum, Misbehaviour::BrokenXml, Misbehaviour::Status(502), Misbehaviour::CutAfter]
    {
        cluster.nodes[0].misbehave(how);
        info().await.failed();
    }
    let host = cluster.backends[0].host();
    let count = |outcome: &str| {
        counted.value(&format!(r#"b3scale_backend_calls_total{{backend="{host}",outcome="{outcome}"}}"#))
    };
    let counts = ["answered", "secret_refused", "garbled", "status", "broken"].map(count);
    // A node that refuses a checksum is asked once with each algorithm.
    assert_eq!(counts, [Some(2), Some(4), Some(1), Some(1), Some(1)], "{}", counted.text());
    assert_eq!(counted.value(&format!(r#"b3scale_placements_total{{backend="{host}"}}"#)), Some(1));
    assert_eq!(counted.value(r#"b3scale_claims_total{outcome="won"}"#), Some(1));
}

/// The reader keeps the readable part of a list that begins well.
#[tokio::test]
async fn a_list_is_counted_by_how_it_begins() {
    let (cluster, counted) = cluster().await;
    for how in [Misbehaviour::WrongChecksum, Misbehaviour::Html, Misbehaviour::Empty, Misbehaviour::BrokenXml] {
        cluster.nodes[0].misbehave(how);
        cluster.call(CallKind::GetSessions, "").await;
    }
    let host = cluster.backends[0].host();
    let count = |outcome: &str| {
        counted.value(&format!(r#"b3scale_backend_calls_total{{backend="{host}",outcome="{outcome}"}}"#))
    };
    // A create, and a list that ends too early.
    let counts = ["answered", "secret_refused", "garbled"].map(count);
    assert_eq!(counts, [Some(2), Some(4), Some(2)], "{}", counted.text());
}

/// A node that is too slow for its clients, and no slower than this server allows, was seen nowhere.
#[tokio::test]
async fn a_call_that_its_client_gives_up_is_counted_where_it_was() {
    let (cluster, counted) = cluster().await;
    let asked = |node: &NodeState| node.calls().any(|call| call.call == "getMeetingInfo");
    cluster.nodes[0].misbehave(Misbehaviour::Stall);
    let path = cluster.signed("school", CallKind::GetMeetingInfo, "meetingID=m1");
    let mut client = TcpStream::connect(cluster.url().trim_start_matches("http://")).await.unwrap();
    client.write_all(format!("GET {path} HTTP/1.1\r\nHost: b3scale.test\r\n\r\n").as_bytes()).await.unwrap();
    cluster.until_node(0, "the call has come to the node", asked).await;
    drop(client);
    let host = cluster.backends[0].host();
    let abandoned = format!(r#"b3scale_backend_calls_total{{backend="{host}",outcome="abandoned"}}"#);
    eventually("it is counted", async || counted.value(&abandoned) == Some(1)).await;
    let call = r#"b3scale_calls_total{frontend="school",call="getMeetingInfo",outcome="abandoned",blame=""}"#;
    assert_eq!(counted.value(call), Some(1));
    // The create has been there, too.
    assert_eq!(counted.value(r#"b3scale_stage_duration_seconds_count{stage="proxy"}"#), Some(2));
}

/// Each change of a key left 14 lines for good.
#[tokio::test]
async fn what_was_counted_of_a_frontend_or_a_backend_ends_with_it() {
    let (cluster, counted) = cluster().await;
    let operator = cluster.operator();
    cluster.call_as("ministry", CallKind::GetMeetings, "").await.success();
    let list = operator.fetch("/frontends?key=ministry").await.granted();
    let path = format!("/frontends/{}", list[0]["id"].as_str().unwrap());
    for number in 0..20 {
        let key = format!("ministry-{number}");
        operator.patch(&path, &json!({ "bbb": { "key": key } })).await.granted();
        cluster.until("the server knows the key", || cluster.cluster.frontend(&key).is_some()).await;
        cluster.call_as(&key, CallKind::GetMeetings, "").await.success();
    }
    let page = cluster.get("/metrics", &[]).await.text;
    let series = |what: &str| page.lines().filter(|line| line.contains(what)).count();
    assert_eq!((series("ministry-19"), series("ministry")), (16, 16), "{page}");
    assert!(!counted.text().contains(r#""ministry-18""#), "nor is it kept");
    let host = cluster.backends[0].host();
    assert!(series(&format!("_total{{backend=\"{host}\"")) > 0, "{page}");
    operator.delete(&format!("/backends/{}?force=1", cluster.backends[0].id)).await.granted();
    operator.delete(&path).await.granted();
    let gone = || cluster.cluster.frontend("ministry-19").is_none() && cluster.cluster.backends().is_empty();
    cluster.until("both are gone", gone).await;
    let page = cluster.get("/metrics", &[]).await.text;
    assert!(!page.contains("ministry") && !page.contains(host), "{page}");
}

#[tokio::test]
async fn requests_of_the_rest_api_are_counted_by_route() {
    let (cluster, counted) = cluster().await;
    cluster.operator().fetch("/backends/00000000-0000-0000-0000-000000000000").await;
    cluster.operator().fetch("/nothing-of-this-kind").await;
    cluster.stranger().fetch("/status").await;
    for (labels, count) in [
        (r#"method="GET",route="/api/v1/backends/{id}",code="404""#, 1),
        (r#"method="GET",route="(none)",code="404""#, 1),
        (r#"method="GET",route="/api/v1/status",code="401""#, 1),
    ] {
        assert_eq!(
            counted.value(&format!("b3scale_api_requests_total{{{labels}}}")),
            Some(count),
            "{}",
            counted.text()
        );
    }
}
