//! The OpenAPI document, held against the server. That it lists every status, and that bodies are as it says, each request of the other
//! tests shows, too.

use std::collections::{BTreeMap, BTreeSet};

use b3scale_middleware::bbb::CallKind;
use b3scale_support::{SECRET, TestCluster, Tool};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// The refusals of any request. Some need a cluster that is not well.
const ALWAYS: [&str; 4] = ["401", "429", "500", "503"];

/// The refusals that other tests provoke.
const ELSEWHERE: [(&str, &str, &str); 13] = [
    ("delete", "/api/v1/hooks/{id}", "409"),
    ("delete", "/api/v1/meetings/{id}", "409"),
    ("patch", "/api/v1/meetings/{id}", "409"),
    ("post", "/api/v1/agent/ingest", "413"),
    ("post", "/api/v1/deliveries/{id}/retry", "409"),
    ("post", "/api/v1/pipeline/reload", "409"),
    ("post", "/api/v1/recordings-import", "404"),
    ("post", "/api/v1/recordings-import", "409"),
    ("post", "/api/v1/recordings-import", "413"),
    ("post", "/api/v1/recordings/{id}/assign", "409"),
    ("post", "/api/v1/recordings/{id}/move", "409"),
    ("post", "/api/v1/recordings/{id}/ready", "409"),
    ("post", "/api/v1/state", "413"),
];

fn document() -> Value {
    serde_json::from_str(&b3scale::admin::openapi()).unwrap()
}

/// Every operation by its method and its path.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

#[tokio::test]
async fn the_server_shows_the_document_that_is_exported() {
    let cluster = TestCluster::start().await;
    let shown = cluster.get("/api/v1/openapi.json", &[]).await.granted();
    assert!(shown["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(shown, document());
}

#[test]
fn every_operation_has_a_summary_and_an_id_that_no_other_has() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path} shares its id");
    }
    assert!(ids.contains("frontends_list") && ids.contains("backends_list"), "{ids:?}");
}

/// Answers have every field always, but for a few; requests need few.
#[test]
fn what_is_always_sent_is_required_and_what_may_be_left_out_of_a_request_is_not() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| schemas[name]["required"].as_array().map_or(0, Vec::len);
    let known = |name: &str| schemas[name]["properties"].as_object().unwrap().len();
    for name in
        ["Frontend", "FrontendSettings", "Backend", "BackendReport", "Meeting", "MeetingInfo", "Attendee", "Command"]
    {
        assert_eq!(required(name), known(name), "{name}");
    }
    assert_eq!(schemas["Problem"]["required"], json!(["message"]));
    for name in ["FrontendChange", "FrontendSettingsInput", "BackendChange", "BackendSettingsInput", "MeetingInfoInput"]
    {
        assert_eq!((required(name), known(name) > 0), (0, true), "{name}");
    }
    let settings = &schemas["FrontendChange"]["properties"]["settings"];
    assert!(settings.to_string().contains("/FrontendSettingsInput\""), "{settings}");
}

/// Answers by method and path.
#[derive(Default)]
struct Seen(BTreeMap<(String, String), BTreeSet<String>>);

impl Seen {
    /// Sends a request to a path of the document, with something in place of what it leaves open, and behind it.
    async fn send(&mut self, tool: &Tool<'_>, route: (&str, &str), filled: (&str, &str), sent: (&str, &str)) {
        let method: Method = route.0.to_uppercase().parse().unwrap();
        let path = route.1.replace("{id}", filled.0).replace("{key}", filled.0) + filled.1;
        let answer = tool.send_anywhere(method, &path, sent.0, sent.1).await;
        let seen = self.0.entry((route.0.to_owned(), route.1.to_owned())).or_default();
        seen.insert(answer.status.as_str().to_owned());
    }
}

#[tokio::test]
async fn every_status_that_is_listed_is_answered_and_no_other() {
    const JSON: &str = "application/json";
    let cluster = TestCluster::start().await;
    let (operator, agent, nobody) =
        (cluster.operator(), cluster.agent("node-1"), cluster.tool("x", "b3scale:recordings"));
    let mut seen = Seen::default();
    let (document, large) = (document(), format!("\"{}\"", "x".repeat(1 << 20)));
    for (method, path, operation) in operations(&document) {
        let (route, tool) = ((method, path), if path.contains("/agent/") { &agent } else { &operator });
        seen.send(&nobody, route, (NO_ID, ""), (JSON, "{}")).await;
        for sent in [(JSON, "{}"), (JSON, "["), ("text/plain", "x"), (JSON, &*large)] {
            // A body that the route does not read must not make it change something.
            if operation["requestBody"].is_object() || sent.1 == "{}" {
                seen.send(tool, route, (NO_ID, ""), sent).await;
            }
        }
        seen.send(tool, route, (NO_ID, "?x=%00"), (JSON, "")).await;
    }
    special(&cluster, &mut seen).await;
    for (method, path, operation) in operations(&document) {
        let seen = &seen.0[&(method.to_owned(), path.to_owned())];
        let listed = operation["responses"].as_object().unwrap().keys();
        let missing: Vec<_> = listed
            .filter(|status| !seen.contains(*status) && !ALWAYS.contains(&status.as_str()))
            .filter(|status| !status.starts_with('2') && !ELSEWHERE.contains(&(method, path, status)))
            .collect();
        assert!(missing.is_empty(), "{method} {path} lists {missing:?} and answers {seen:?}");
    }
}

/// Requests that are refused because of what is there.
async fn special(cluster: &TestCluster, seen: &mut Seen) {
    let (operator, agent) = (cluster.operator(), cluster.agent("node-1"));
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let other = operator.post("/frontends", &json!({"bbb": {"key": "other", "secret": SECRET}})).await.granted();
    let (other, backend) = (other["id"].as_str().unwrap(), cluster.backends[0].id.to_string());
    let key = json!({"bbb": {"key": "school", "secret": SECRET}}).to_string();
    let host = json!({"bbb": {"host": cluster.backends[1].url, "secret": "x"}}).to_string();
    let (batch, event) = (
        json!({"boot": uuid::Uuid::nil(), "seq": 1}).to_string(),
        json!({"action": "meeting_set_running", "payload": {"internal_meeting_id": "m"}}).to_string(),
    );
    let state = json!({"version": 1, "frontends": [{"key": "new", "secret": "x"}]}).to_string();
    for (tool, method, path, filled, body) in [
        (&operator, "post", "/api/v1/frontends", ("", ""), &*key),
        (&operator, "patch", "/api/v1/frontends/{id}", (other, ""), &*key),
        (&operator, "post", "/api/v1/backends", ("", ""), &*host),
        (&operator, "patch", "/api/v1/backends/{id}", (&*backend, ""), &*host),
        (&operator, "get", "/api/v1/meetings", ("", "?frontend_key=nobody"), ""),
        (&operator, "get", "/api/v1/recordings", ("", "?frontend_key=nobody"), ""),
        (&operator, "get", "/api/v1/recordings-files", ("", "?frontend_key=nobody"), ""),
        (&operator, "get", "/api/v1/explain/create", ("", "?frontend=nobody"), ""),
        (&operator, "get", "/api/v1/explain/create", ("", "?frontend=school&meetingID=a,b"), ""),
        (&operator, "post", "/api/v1/state", ("", "?fingerprint=another"), &*state),
        (&operator, "get", "/bbb/{key}/metrics", ("nobody", ""), ""),
        (&agent, "post", "/api/v1/agent/ingest", ("", ""), &*batch),
        (&agent, "post", "/api/v1/agent/rpc", ("", ""), &*event),
    ] {
        seen.send(tool, (method, path), filled, ("application/json", body)).await;
    }
}

#[tokio::test]
async fn the_document_is_shown_as_a_page_also_at_the_addresses_of_the_original() {
    let cluster = TestCluster::start().await;
    let page = cluster.get("/docs/api/v1/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("swagger-ui"), "{page:?}");
    for file in page.text.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        let part = cluster.get(&format!("/docs/api/v1/{}", file.trim_start_matches("./")), &[]).await;
        assert!(part.status == StatusCode::OK && !part.text.is_empty(), "{file} is not left out");
    }
    let script = cluster.get("/docs/api/v1/swagger-initializer.js", &[]).await;
    assert!(script.text.contains("/api/v1/openapi.json"), "{script:?}");
    for (path, place) in [
        ("/docs/api/v1", "/docs/api/v1/"),
        ("/static/docs/api-v1.html", "/docs/api/v1/"),
        ("/static/docs/b3scale-openapi-v1.json", "/api/v1/openapi.json"),
    ] {
        let redirect = cluster.get(path, &[]).await;
        assert!(redirect.status.is_redirection() && redirect.location().ends_with(place), "{redirect:?}");
        assert_eq!(cluster.get(place, &[]).await.status, StatusCode::OK);
    }
}
