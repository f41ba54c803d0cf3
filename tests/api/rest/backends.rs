//! Backends by the REST API.

use b3scale_middleware::bbb::{CallKind, Secret};
use b3scale_middleware::cluster::{AdminState, Backend, NodeState};
use b3scale_middleware::ports::Directory as _;
use b3scale_node::{Misbehaviour, NodeOptions};
use b3scale_support::{ClusterOptions, Counted, TestCluster};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{has_keys, message, validation};
use crate::log::Lines;

const HOST: &str = "http://127.0.0.1:9/bigbluebutton/api/";

fn located(host: &str) -> Value {
    json!({"bbb": {"host": host, "secret": "node-secret"}})
}

async fn added(cluster: &TestCluster, body: &Value) -> (String, Value) {
    let backend = cluster.operator().post("/backends", body).await.granted();
    (format!("/backends/{}", backend["id"].as_str().unwrap()), backend)
}

#[tokio::test]
async fn a_backend_is_added_with_everything_that_the_original_shows() {
    let cluster = TestCluster::start().await;
    let (path, backend) = added(&cluster, &located("http://127.0.0.1:9/bigbluebutton/api")).await;
    let known = [
        "id",
        "node_state",
        "admin_state",
        "agent_heartbeat",
        "agent_ref",
        "last_error",
        "latency",
        "meetings_count",
        "attendees_count",
        "load_factor",
        "bbb",
        "settings",
        "created_at",
        "updated_at",
        "synced_at",
    ];
    has_keys(&backend, &known);
    assert_eq!((&backend["node_state"], &backend["admin_state"]), (&json!("init"), &json!("ready")));
    assert_eq!((&backend["load_factor"], &backend["agent_ref"]), (&json!(1.0), &Value::Null));
    assert_eq!(backend["bbb"]["host"], HOST, "calls are made by appending to it");
    assert_eq!(backend["settings"], json!({"tags": []}), "a list is never null");
    assert_eq!(backend["agent_heartbeat"], "2000-01-01T00:00:00Z");
    assert_eq!(backend["synced_at"], "0001-01-01T00:00:00Z");
    assert_eq!(cluster.operator().fetch(&path).await.granted()["bbb"], backend["bbb"]);
}

#[tokio::test]
async fn zeros_and_nothing_have_their_defaults_when_a_backend_is_added() {
    let cluster = TestCluster::start().await;
    let body = json!({"id": "", "node_state": "init", "admin_state": "", "load_factor": 0, "latency": 0,
        "bbb": {"host": HOST, "secret": "x"}, "settings": {"tags": null}, "created_at": "0001-01-01T00:00:00Z"});
    let (_, backend) = added(&cluster, &body).await;
    assert_eq!((&backend["admin_state"], &backend["load_factor"]), (&json!("ready"), &json!(1.0)));
}

#[tokio::test]
async fn what_was_seen_of_a_node_is_shown() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.cluster.catch_up().await;
    let list = cluster.operator().fetch("/backends").await.granted();
    let list = list.as_array().unwrap();
    let hosts: Vec<&str> = list.iter().map(|backend| backend["bbb"]["host"].as_str().unwrap()).collect();
    assert!(hosts.is_sorted() && hosts.len() == 2, "{hosts:?}");
    assert!(list.iter().all(|backend| backend["node_state"] == "ready" && backend["latency"].as_i64().unwrap() > 0));
    let meetings: i64 = list.iter().map(|backend| backend["meetings_count"].as_i64().unwrap()).sum();
    assert_eq!(meetings, 1);
}

#[tokio::test]
async fn a_latency_fits_into_32_bits() {
    let cluster = TestCluster::start().await;
    cluster.database.execute("UPDATE backend_status SET latency_ns = 60000000000, seq = seq + 1").await;
    let list = cluster.operator().fetch("/backends").await.granted();
    assert_eq!(list[0]["latency"], i32::MAX);
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_by_field() {
    let cluster = TestCluster::start().await;
    let required = "this field is required";
    for (body, fields) in [
        (json!({}), json!({"bbb": [required]})),
        (json!({"bbb": {}}), json!({"bbb.host": [required], "bbb.secret": [required]})),
        (located("node1.example"), json!({"bbb.host": ["should start with http(s)://"]})),
        (located("ftp://node1.example/"), json!({"bbb.host": ["should start with http(s)://"]})),
        (located("http:// odd/"), json!({"bbb.host": ["should be a URL that calls can be appended to"]})),
    ] {
        let answer = cluster.operator().post("/backends", &body).await;
        assert_eq!(answer.refused(), (400, &*validation(&fields)), "{body}");
    }
    let path = format!("/backends/{}", cluster.backends[0].id);
    for (body, field) in [
        (json!({"admin_state": "bogus"}), "admin_state"),
        (json!({"admin_state": ""}), "admin_state"),
        (json!({"admin_state": "destroyed"}), "admin_state"),
        (json!({"load_factor": -1.5}), "load_factor"),
        (json!({"bbb": {"checksum_algorithm": "md5"}}), "bbb.checksum_algorithm"),
        (json!({"bbb": {"host": "http://h/?q"}}), "bbb.host"),
        (json!({"bbb": {"host": format!("http://h/{}", "x".repeat(4000))}}), "bbb.host"),
    ] {
        let answer = cluster.operator().patch(&path, &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.json()["fields"][field].is_array(), "{answer:?}");
    }
}

/// Defect 45 of the original: a duplicate was a 500.
#[tokio::test]
async fn a_host_or_an_agent_that_is_there_already_is_a_conflict() {
    let cluster = TestCluster::start().await;
    let taken = cluster.backends[0].url.trim_end_matches('/').to_owned();
    let answer = cluster.operator().post("/backends", &located(&taken)).await;
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (StatusCode::CONFLICT, Some("a backend with this host exists already"))
    );
    cluster.agent("node-1").post("/backends", &located(HOST)).await.granted();
    let answer = cluster.agent("node-1").post("/backends", &located("http://127.0.0.1:8/")).await;
    assert_eq!(answer.json()["message"], "another backend has this agent_ref");
}

#[tokio::test]
async fn a_patch_takes_what_an_operator_sets_and_nothing_else() {
    let cluster = TestCluster::start().await;
    let (path, before) = added(&cluster, &located(HOST)).await;
    let body = json!({"admin_state": "stopped", "load_factor": 2.5, "settings": {"tags": ["a", "", "b"]},
        "node_state": "ready", "agent_ref": "me", "latency": 7, "id": "other", "backend": {"host": "http://x/"}});
    let after = cluster.operator().patch(&path, &body).await.granted();
    assert_eq!((&after["admin_state"], &after["load_factor"]), (&json!("stopped"), &json!(2.5)));
    assert_eq!(after["settings"]["tags"], json!(["a", "b"]));
    for name in ["id", "agent_ref", "bbb", "created_at"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let kept = cluster.operator().patch(&path, &json!({"settings": {"tags": null}})).await.granted();
    assert_eq!((&kept["settings"]["tags"], &kept["admin_state"]), (&json!([]), &json!("stopped")));
}

/// The original keeps it, and the node then draws every meeting.
#[tokio::test]
async fn a_load_factor_of_zero_is_refused_by_patch_and_named() {
    let cluster = TestCluster::start().await;
    let (path, before) = added(&cluster, &located(HOST)).await;
    let both = cluster.tool("b3scale-admin", "b3scale:node b3scale:admin");
    for zero in [json!(0), json!(0.0), json!(-0.0)] {
        for tool in [&cluster.operator(), &both] {
            let answer = tool.patch(&path, &json!({"load_factor": zero, "admin_state": "stopped"})).await;
            let fields = json!({"load_factor": ["should be from 0.01 to 100"]});
            assert_eq!(answer.refused(), (400, &*validation(&fields)));
        }
    }
    let unsaid = cluster.operator().patch(&path, &json!({"load_factor": null})).await.granted();
    assert_eq!((&unsaid["load_factor"], &unsaid["admin_state"]), (&before["load_factor"], &before["admin_state"]));
}

#[tokio::test]
async fn a_list_is_narrowed() {
    let cluster = TestCluster::start().await;
    added(&cluster, &located("http://Node-A.example/api/")).await;
    let count = async |query: &str| {
        cluster.operator().fetch(&format!("/backends?{query}")).await.granted().as_array().unwrap().len()
    };
    assert_eq!(count("host=http://Node-A.example/api/").await, 1);
    assert_eq!(count("host=http://Node-A.example/api").await, 1);
    assert_eq!(count("host=http://node-a.example/api/").await, 0);
    assert_eq!(count("host__like=node-a").await, 0);
    assert_eq!(count("host__ilike=node-a").await, 1);
    assert_eq!(count("host__ilike=node_a&host__like=Node").await, 1);
    for query in ["host=", "host__like=", "host__ilike=", "host=&host__like=&host__ilike="] {
        assert_eq!(count(query).await, 3, "an empty filter is ignored: {query}");
    }
    assert_eq!(count("host=&host__like=Node-A").await, 1);
}

#[tokio::test]
async fn an_agent_sees_and_changes_its_own_backend_and_no_other() {
    let cluster = TestCluster::start().await;
    let agent = cluster.agent("node-1");
    let backend = agent.post("/backends", &json!({"admin_state": "init", "bbb": {"host": HOST, "secret": "x"}})).await;
    let backend = backend.granted();
    assert_eq!((&backend["agent_ref"], &backend["admin_state"]), (&json!("node-1"), &json!("init")));
    let own = format!("/backends/{}", backend["id"].as_str().unwrap());
    assert_eq!(agent.fetch(&own).await.granted()["id"], backend["id"]);
    // As the agent of the original has it, with a key that no program reads.
    let patch = json!({"backend": {"host": HOST, "secret": "y"}, "load_factor": 3.0});
    let patched = agent.patch(&own, &patch).await.granted();
    assert_eq!((&patched["load_factor"], &patched["bbb"]), (&json!(3.0), &backend["bbb"]));
    for path in [format!("/backends/{}", cluster.backends[0].id), "/backends/no-uuid".to_owned()] {
        assert_eq!(agent.fetch(&path).await.refused(), (404, &*message("Not Found")));
        assert_eq!(agent.patch(&path, &json!({"load_factor": 9})).await.refused(), (404, &*message("Not Found")));
    }
}

/// Defect 47 of the original, and how b3scale-admin makes its token: with both scopes it lost its way to single backends.
#[tokio::test]
async fn an_operator_who_is_an_agent_too_is_an_operator() {
    let cluster = TestCluster::start().await;
    let both = cluster.tool("b3scale-admin", "b3scale b3scale:node b3scale:admin");
    for host in [HOST, "http://127.0.0.1:8/"] {
        let backend = both.post("/backends", &located(host)).await.granted();
        assert_eq!(backend["agent_ref"], Value::Null);
    }
    let path = format!("/backends/{}", cluster.backends[0].id);
    assert_eq!(both.fetch(&path).await.status, StatusCode::OK);
    assert_eq!(both.patch(&path, &json!({"load_factor": 2})).await.status, StatusCode::OK);
    assert_eq!(both.fetch("/backends/00000000-0000-0000-0000-000000000000").await.status, StatusCode::NOT_FOUND);
}

/// As the agent of the original registers its node, word by word.
fn registration(host: &str) -> Value {
    json!({"id": "", "node_state": "init", "admin_state": "init", "agent_heartbeat": "0001-01-01T00:00:00Z", "agent_ref": null,
        "last_error": null, "latency": 0, "meetings_count": 0, "attendees_count": 0, "load_factor": 1,
        "bbb": {"host": host, "secret": "node-secret"}, "settings": {"tags": null},
        "created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z", "synced_at": "0001-01-01T00:00:00Z"})
}

/// The documentation of the original makes agents such a token, and b3scale-admin makes itself one.
#[tokio::test]
async fn a_token_with_node_and_admin_scope_registers_an_agent_by_the_agents_body() {
    let cluster = TestCluster::start().await;
    for (sub, body) in [("node-1", registration(HOST)), ("node-2", registration("http://127.0.0.1:8/"))] {
        let both = cluster.tool(sub, "b3scale b3scale:admin b3scale:node");
        assert_eq!(both.fetch("/agent/backend").await.status, StatusCode::NOT_FOUND);
        let backend = both.post("/backends", &body).await.granted();
        assert_eq!((&backend["agent_ref"], &backend["admin_state"]), (&json!(sub), &json!("init")));
        assert_eq!(both.fetch("/agent/backend").await.granted()["id"], backend["id"]);
        assert_eq!(both.post("/agent/heartbeat", &json!({})).await.granted()["backend_id"], backend["id"]);
        let again = both.post("/backends", &registration("http://127.0.0.1:7/")).await;
        assert_eq!(again.json()["message"], "another backend has this agent_ref");
        // A change by an operator stays an operator's.
        let path = format!("/backends/{}", backend["id"].as_str().unwrap());
        let enabled = both.patch(&path, &json!({"admin_state": "ready", "load_factor": 4})).await.granted();
        assert_eq!((&enabled["admin_state"], &enabled["load_factor"]), (&json!("ready"), &json!(4.0)));
        assert_eq!(both.patch(&path, &json!({"admin_state": "init"})).await.granted()["admin_state"], "init");
    }
    let operator = cluster.operator().post("/backends", &registration("http://127.0.0.1:6/")).await.granted();
    assert_eq!((&operator["agent_ref"], &operator["admin_state"]), (&Value::Null, &json!("init")), "no agent's token");
}

/// The agent of the original sends its load factor at every start, which must not undo an operator's setting.
#[tokio::test]
async fn an_agent_that_starts_again_is_an_agent_whatever_else_its_token_may() {
    let cluster = TestCluster::start().await;
    let both = cluster.tool("node-1", "b3scale b3scale:admin b3scale:node");
    let backend = both.post("/backends", &registration(HOST)).await.granted();
    let path = format!("/backends/{}", backend["id"].as_str().unwrap());
    cluster.operator().patch(&path, &json!({"admin_state": "ready", "load_factor": 4})).await.granted();
    let again = json!({"backend": {"host": HOST, "secret": "node-secret"}, "load_factor": 1});
    assert_eq!(both.patch(&path, &again).await.granted()["load_factor"], 4.0);
    let by_operator = cluster.operator().patch(&path, &again).await.granted();
    assert_eq!(by_operator["load_factor"], 1.0);
}

#[tokio::test]
async fn an_operator_who_is_an_agent_too_adds_backends_that_wait_to_be_enabled() {
    let cluster = TestCluster::start().await;
    let both = cluster.tool("b3scale-admin", "b3scale b3scale:node b3scale:admin");
    let settings = [Value::Null, json!({}), json!({"tags": null}), json!({"tags": []})];
    for (port, settings) in settings.into_iter().enumerate() {
        let mut body = located(&format!("http://127.0.0.1:{}/", port + 5));
        (body["admin_state"], body["settings"]) = (json!("init"), settings);
        let backend = both.post("/backends", &body).await.granted();
        assert_eq!((&backend["agent_ref"], &backend["admin_state"]), (&Value::Null, &json!("init")));
    }
}

#[tokio::test]
async fn our_agent_is_an_agent_whatever_else_its_token_may() {
    let cluster = TestCluster::start().await;
    let both = || cluster.tool("node-1", "b3scale b3scale:admin b3scale:node");
    let agent = both().with("b3scaleagent/1.0.0");
    let record = json!({"bbb": {"host": HOST, "secret": "node-secret"}, "load_factor": 1.0});
    let mut registration = record.clone();
    registration["admin_state"] = json!("init");
    let backend = agent.post("/backends", &registration).await.granted();
    assert_eq!((&backend["agent_ref"], &backend["admin_state"]), (&json!("node-1"), &json!("init")));
    let path = format!("/backends/{}", backend["id"].as_str().unwrap());
    both().patch(&path, &json!({"admin_state": "ready", "load_factor": 4})).await.granted();
    assert_eq!(agent.patch(&path, &record).await.granted()["load_factor"], 4.0, "it starts again");
    let [stop, start] = ["stopped", "ready"].map(|state| json!({"admin_state": state}));
    agent.patch(&path, &stop).await.granted();
    assert_eq!(agent.patch(&path, &start).await.granted()["admin_state"], "ready", "it ends its own drain");
    both().patch(&path, &stop).await.granted();
    let refused = agent.patch(&path, &start).await;
    assert!(refused.status == 403 && refused.text.contains("only operators enable a backend"), "{refused:?}");
    assert_eq!(both().patch(&path, &record).await.granted()["load_factor"], 1.0, "an operator's tool may");
    let others = format!("/backends/{}", cluster.backends[0].id);
    assert_eq!(agent.patch(&others, &stop).await.status, StatusCode::NOT_FOUND);
}

/// Defect 26 of the original: a stopped backend went on.
#[tokio::test]
async fn a_backend_is_drained_and_goes_when_its_last_meeting_has_ended() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let id = cluster.backends[home].id;
    let path = format!("/backends/{id}");
    cluster.operator().patch(&path, &json!({"admin_state": "stopped"})).await.granted();
    cluster.until("the server knows", || cluster.cluster.backend(id).unwrap().admin_state == AdminState::Stopped).await;
    cluster.call(CallKind::Create, "name=Next&meetingID=m2").await.success();
    assert_eq!(cluster.homes("Next"), [1 - home]);
    let gone = cluster.operator().delete(&path).await.granted();
    assert_eq!(gone["admin_state"], "decommissioned");
    assert_eq!(cluster.operator().fetch(&path).await.granted()["admin_state"], "decommissioned", "it has a meeting");
    cluster.call(CallKind::End, "meetingID=m1").await.success();
    cluster.until("the backend is removed", || cluster.cluster.backend(id).is_none()).await;
}

#[tokio::test]
async fn a_backend_is_removed_by_force_and_its_meetings_may_be_created_anew() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let id = cluster.backends[home].id;
    let gone = cluster.operator().delete(&format!("/backends/{id}?force=TRUE")).await.granted();
    assert_eq!(gone["admin_state"], "destroyed");
    cluster.until("the backend is removed", || cluster.cluster.backend(id).is_none()).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(cluster.homes("Lesson"), [0, 1], "what is left there is not ours any more");
}

#[tokio::test]
async fn a_backend_that_is_enabled_is_asked_at_once() {
    let cluster = TestCluster::start().await;
    let url = cluster.nodes[0].url().replace("127.0.0.1", "localhost");
    let secret = Secret::new(cluster.nodes[0].secret()).unwrap();
    let new = Backend { admin_state: AdminState::Init, ..Backend::new(Uuid::now_v7(), url, secret) };
    let id = cluster.database.store().backends().record(&new).await.unwrap().id;
    cluster.operator().patch(&format!("/backends/{id}"), &json!({"admin_state": "ready"})).await.granted();
    let up = || cluster.cluster.backend(id).is_some_and(|known| known.vitals.health().state == NodeState::Ready);
    cluster.until("the node is up", up).await;
}

#[tokio::test]
async fn a_backend_may_have_an_algorithm_of_its_own() {
    let node = NodeOptions { checksum_digits: Some(128), ..NodeOptions::default() };
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, node, ..ClusterOptions::default() }).await;
    let (operator, id) = (cluster.operator(), cluster.backends[0].id);
    let own = async |name: Value| {
        let changed = operator.patch(&format!("/backends/{id}"), &json!({"bbb": {"checksum_algorithm": name}})).await;
        let shown = changed.granted()["bbb"]["checksum_algorithm"].clone();
        let known = || cluster.cluster.backend(id).unwrap().algorithm.map(|own| json!(own.to_string()));
        cluster.until("the server knows", || known().unwrap_or_default() == shown).await;
        shown
    };
    assert_eq!(own(json!("sha1")).await, json!("sha1"));
    assert_eq!(cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.failed(), "internalError");
    let exported = operator.fetch("/state").await.granted();
    assert_eq!(exported["backends"][0]["checksum_algorithm"], json!("sha1"));
    assert_eq!(own(json!("sha512")).await, json!("sha512"));
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(own(json!("")).await, Value::Null);
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m2").await.success();
}

#[tokio::test]
async fn a_password_in_a_url_is_refused_and_one_in_the_table_is_shown_nowhere() {
    let counted = Counted::here();
    let options = ClusterOptions { nodes: 1, counted: Some(counted.handle.clone()), ..ClusterOptions::default() };
    let (lines, _guard) = Lines::catch();
    let cluster = TestCluster::with(options).await;
    let operator = cluster.operator();
    let refused = operator.post("/backends", &located("http://user:geheim@127.0.0.1:9/bigbluebutton/api/")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("should name no user and no password") && !refused.text.contains("geheim"));

    let (id, version) = (cluster.backends[0].id, cluster.backends[0].version);
    cluster.database.execute("UPDATE backends SET url = replace(url, '://', '://user:geheim@')").await;
    cluster.until("the server knows", || cluster.cluster.backend(id).unwrap().version > version).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let joined = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER").await;
    cluster.nodes[0].misbehave(Misbehaviour::CutConnection);
    for _ in 0..5 {
        cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed();
    }
    cluster.cluster.catch_up().await;
    operator.patch(&format!("/backends/{id}"), &json!({"load_factor": 2.0})).await.granted();
    let explained = operator.fetch("/explain/create?frontend=school").await;
    let shown = operator.fetch("/backends").await;
    let metrics = cluster.get("/metrics", &[]).await;
    assert!(lines.text().contains("Circuit opened") && lines.text().contains("a backend was changed"));
    for said in [joined.location(), &explained.text, &shown.text, &metrics.text, &lines.text()] {
        assert!(!said.contains("geheim"), "{said}");
    }
}
