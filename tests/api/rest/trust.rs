//! Fields that tokens of agents and customers may not change.

use b3scale::rest::AdminState;
use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::cluster::{BackendId, NodeState};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::Role;
use b3scale_support::{Answer, ClusterOptions, TestCluster, Tool};
use http::StatusCode;
use serde_json::{Value, json};

/// The fields that were refused, since only operators change them.
fn operators_only(answer: &Answer) -> Vec<String> {
    assert_eq!(
        (answer.status, &answer.json()["error"]),
        (StatusCode::FORBIDDEN, &json!("operators_only")),
        "{answer:?}"
    );
    answer.json()["fields"].as_object().unwrap().keys().cloned().collect()
}

/// A node of the cluster under another name, as its agent registers it.
async fn registered(cluster: &TestCluster, agent: &Tool<'_>) -> String {
    let host = cluster.nodes[0].url().replace("127.0.0.1", "localhost");
    let backend = json!({"bbb": {"host": host, "secret": cluster.nodes[0].secret()}});
    let backend = agent.post("/backends", &backend).await.granted();
    assert_eq!(backend["admin_state"], "init");
    format!("/backends/{}", backend["id"].as_str().unwrap())
}

/// Calls that the first node has had.
fn calls(cluster: &TestCluster) -> usize {
    cluster.nodes[0].calls().len()
}

#[tokio::test]
async fn nothing_is_sent_to_a_node_that_no_operator_has_enabled() {
    let cluster = TestCluster::start().await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    // Only the agent's backend leads to the first node from here on.
    operator.delete(&format!("/backends/{}?force=1", cluster.backends[0].id)).await.granted();
    cluster.until("it is gone", || cluster.cluster.backend(cluster.backends[0].id).is_none()).await;
    let path = registered(&cluster, &agent).await;
    let id: uuid::Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
    let before = calls(&cluster);
    for state in ["ready", "stopped", "decommissioned"] {
        assert_eq!(operators_only(&agent.patch(&path, &json!({"admin_state": state})).await), ["admin_state"]);
    }
    agent.post("/agent/heartbeat", &json!({})).await.granted();
    let payload = json!({"internal_meeting_id": "m"});
    agent.post("/agent/rpc", &json!({"action": "meeting_set_running", "payload": payload})).await.granted();
    let picture =
        json!({"boot": uuid::Uuid::nil(), "seq": 1, "snapshot": {"meetings": [{"internal_id": "i", "id": "m"}]}});
    agent.post("/agent/ingest", &picture).await.granted();
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.call(CallKind::GetMeetings, "").await.success();
    cluster.cluster.catch_up().await;
    assert_eq!(calls(&cluster), before);
    operator.patch(&path, &json!({"admin_state": "ready"})).await.granted();
    let up = || {
        let backend = cluster.cluster.backend(BackendId(id));
        backend.is_some_and(|known| known.vitals.health().state == NodeState::Ready)
    };
    cluster.until("the node is up", up).await;
}

#[tokio::test]
async fn an_agent_moves_its_backend_only_until_an_operator_has_enabled_it() {
    let cluster = TestCluster::start().await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    let path = registered(&cluster, &agent).await;
    let moved = json!({"bbb": {"host": "http://127.0.0.1:9/"}});
    let away = agent.patch(&path, &moved).await.granted();
    assert_eq!(away["bbb"]["host"], "http://127.0.0.1:9/");
    for state in ["stopped", "init"] {
        operator.patch(&path, &json!({"admin_state": state})).await.granted();
        let elsewhere = json!({"bbb": {"host": "http://127.0.0.1:22/", "secret": "x"}});
        assert_eq!(operators_only(&agent.patch(&path, &elsewhere).await), ["bbb.host"], "{state}");
    }
    let known = json!({"bbb": {"host": "http://127.0.0.1:9", "secret": "new"}});
    assert_eq!(agent.patch(&path, &known).await.granted()["bbb"]["secret"], "new");
    let again = agent.post("/backends", &json!({"bbb": {"host": "http://127.0.0.1:8/", "secret": "x"}})).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "an agent has one backend");
}

#[tokio::test]
async fn an_agent_does_not_move_its_backend_while_another_with_its_token_reports_for_it() {
    let cluster = TestCluster::start().await;
    let agent = cluster.agent("node-1");
    let path = registered(&cluster, &agent).await;
    agent.post("/agent/heartbeat", &json!({})).await.granted();
    let moved = json!({"bbb": {"host": "http://127.0.0.1:9/"}});
    let refused = agent.patch(&path, &moved).await;
    let advice = "give each node a token of its own (`b3scaled token --sub NODE --scopes b3scale:node`)";
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(refused.json()["message"].as_str().unwrap().contains(advice), "{refused:?}");
    assert_eq!(
        agent.fetch(&path).await.granted()["bbb"]["host"],
        cluster.nodes[0].url().replace("127.0.0.1", "localhost")
    );
    cluster.database.execute("UPDATE backend_status SET heartbeat = now() - interval '11 seconds'").await;
    agent.patch(&path, &moved).await.granted();
}

/// An operator may add a node before its agent comes, and so does an import from scalelite.
#[tokio::test]
async fn an_agent_that_registers_adopts_a_backend_with_its_host_and_secret_and_without_an_agent() {
    let cluster = TestCluster::start().await;
    let node = |secret: &str| json!({"bbb": {"host": "http://127.0.0.1:9/", "secret": secret}, "load_factor": 1.5});
    let added = json!({"bbb": {"host": "http://127.0.0.1:9/", "secret": "s"}, "load_factor": 2.5, "settings": {"tags": ["eu"]}});
    let added = cluster.operator().post("/backends", &added).await.granted();
    let refused = async |agent: &str, secret: &str, why: &str| {
        let answer = cluster.agent(agent).post("/backends", &node(secret)).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(
            said.starts_with("a backend with this host exists already, with another ") && said.contains(why),
            "{said}"
        );
    };
    refused("node-1", "wrong", "`b3scalectl set backend http://127.0.0.1:9/ --secret SECRET`").await;
    let adopted = cluster.agent("node-1").post("/backends", &node("s")).await.granted();
    for kept in ["id", "admin_state", "load_factor", "settings", "bbb"] {
        assert_eq!(adopted[kept], added[kept], "{kept}");
    }
    assert_eq!((&added["agent_ref"], &adopted["agent_ref"]), (&Value::Null, &json!("node-1")));
    assert_eq!(cluster.agent("node-1").fetch("/agent/backend").await.granted()["id"], added["id"]);
    refused("node-2", "s", "agent: use that agent's token").await;
    let second = json!({"bbb": {"host": "http://127.0.0.1:8/", "secret": "s"}});
    cluster.operator().post("/backends", &second).await.granted();
    let two = cluster.agent("node-1").post("/backends", &second).await;
    assert_eq!(two.json()["message"], "another backend has this agent_ref");
}

#[tokio::test]
async fn an_agent_starts_its_node_only_if_it_has_stopped_it() {
    let cluster = TestCluster::start().await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    let path = registered(&cluster, &agent).await;
    let set = async |tool: &Tool<'_>, state: AdminState| tool.patch(&path, &json!({"admin_state": state})).await;
    set(&operator, AdminState::Ready).await.granted();
    for _ in 0..2 {
        set(&agent, AdminState::Stopped).await.granted();
        set(&agent, AdminState::Ready).await.granted();
    }
    set(&agent, AdminState::Stopped).await.granted();
    set(&operator, AdminState::Ready).await.granted();
    set(&operator, AdminState::Stopped).await.granted();
    assert_eq!(operators_only(&set(&agent, AdminState::Ready).await), ["admin_state"]);
    set(&operator, AdminState::Decommissioned).await.granted();
    assert_eq!(operators_only(&set(&agent, AdminState::Ready).await), ["admin_state"]);
}

/// Reports with a stolen token change no meeting elsewhere, and add none.
#[tokio::test]
async fn an_agent_is_believed_about_meetings_that_have_their_place_on_its_node_and_no_others() {
    let cluster = TestCluster::start().await;
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let (internal, home) = (created.field("internalMeetingID"), cluster.homes("Lesson")[0]);
    let id = ScopedId::new("school", &MeetingId::new("m1"));
    let people = cluster.nodes[home].control().join(id.as_ref(), "Ada", Role::Viewer);
    assert!(people.is_some());
    cluster.cluster.catch_up().await;
    let other = cluster.backends[1 - home].id;
    cluster.database.execute(&format!("UPDATE backends SET agent_ref = 'thief' WHERE id = '{other}'")).await;
    let nobodys = ScopedId::new("school", &MeetingId::new("m2"));
    let crowd: Vec<_> =
        (0..50).map(|number| json!({"internal_id": format!("w_{number}"), "full_name": "Eve"})).collect();
    let meetings = json!([
        {"internal_id": internal, "id": id, "create_time": 1, "attendees": crowd},
        {"internal_id": "made-up", "id": nobodys, "create_time": 1, "attendees": crowd},
    ]);
    let thief = cluster.agent("thief");
    let batch = json!({"boot": uuid::Uuid::nil(), "seq": 1, "snapshot": {"meetings": meetings}});
    thief.post("/agent/ingest", &batch).await.granted();
    let ended = json!([{"type": "meeting_ended", "meeting": internal}]);
    thief.post("/agent/ingest", &json!({"boot": uuid::Uuid::nil(), "seq": 2, "events": ended})).await.granted();
    assert_eq!(thief.delete(&format!("/meetings/internal:{internal}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(thief.patch(&format!("/meetings/{id}"), &json!({"meeting": {}})).await.status, StatusCode::NOT_FOUND);
    cluster.cluster.catch_up().await;
    let meeting = cluster.cluster.known(id.as_ref()).unwrap();
    assert_eq!((meeting.backend, cluster.cluster.attendees(&meeting)), (cluster.backends[home].id, 1));
    assert!(cluster.cluster.known(nobodys.as_ref()).is_none());
    let listed = cluster.call(CallKind::GetMeetings, "").await.success();
    assert_eq!(listed.text.matches("<meetingID>").count(), 1, "{listed:?}");
    assert!(!listed.text.contains("Eve"), "{listed:?}");
}

/// One with `load_factor` 1e-300 drew every meeting of the cluster.
#[tokio::test]
async fn a_load_factor_has_bounds_and_an_agents_has_narrower_ones() {
    let cluster = TestCluster::start().await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    let path = registered(&cluster, &agent).await;
    for factor in ["1e-300", "0.05", "11", "-1", "1e300"] {
        let factor: Value = serde_json::from_str(factor).unwrap();
        let answer = agent.patch(&path, &json!({"load_factor": factor})).await;
        assert!(answer.json()["fields"]["load_factor"].is_array(), "{answer:?}");
        let body = json!({"bbb": {"host": "http://127.0.0.1:7/", "secret": "x"}, "load_factor": factor});
        assert!(!cluster.agent("node-2").post("/backends", &body).await.status.is_success());
    }
    for factor in [0.009, 101.0, 1e-300] {
        let answer = operator.patch(&path, &json!({"load_factor": factor})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        let document = json!({"version": 1, "backends": [{"host": "http://h/", "secret": "x", "load_factor": factor}]});
        let answer = operator.post("/state", &document).await;
        assert!(answer.json()["fields"]["backends[0].load_factor"].is_array(), "{answer:?}");
    }
    operator.patch(&path, &json!({"load_factor": 50})).await.granted();
    // Unchanged fields are not refused: tools send whole objects back.
    agent.patch(&path, &json!({"load_factor": 50, "bbb": {"secret": "y"}})).await.granted();
    agent.patch(&path, &json!({"load_factor": 0.1})).await.granted();
}

/// With a lower factor a stolen token would draw meetings to its node.
#[tokio::test]
async fn an_agent_does_not_lower_the_load_factor_of_a_backend_that_was_enabled() {
    let cluster = TestCluster::start().await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    let path = registered(&cluster, &agent).await;
    let factor = async |tool: &Tool<'_>, factor: Value| {
        tool.patch(&path, &json!({"load_factor": factor})).await.granted()["load_factor"].clone()
    };
    assert_eq!(factor(&agent, json!(2.0)).await, 2.0);
    let zero = agent.patch(&path, &json!({"load_factor": 0})).await;
    assert!(zero.status == StatusCode::BAD_REQUEST && zero.json()["fields"]["load_factor"].is_array(), "{zero:?}");
    assert_eq!(factor(&agent, json!(1.5)).await, 1.5);
    operator.patch(&path, &json!({"admin_state": "ready", "load_factor": 4.0})).await.granted();
    for lower in [json!(0.1), json!(3.9)] {
        assert_eq!(factor(&agent, lower).await, 4.0);
    }
    assert_eq!(factor(&agent, json!(5.0)).await, 5.0);
    assert_eq!(factor(&operator, json!(0.5)).await, 0.5);
}

#[tokio::test]
async fn an_agent_gives_its_node_the_tags_that_operators_let_it() {
    let options = ClusterOptions { agent_tags: vec!["eu", "gpu"], ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    let (agent, operator) = (cluster.agent("node-1"), cluster.operator());
    let path = registered(&cluster, &agent).await;
    let set = async |tool: &Tool<'_>, tags: Value| tool.patch(&path, &json!({"settings": {"tags": tags}})).await;
    set(&agent, json!(["eu"])).await.granted();
    assert_eq!(operators_only(&set(&agent, json!(["eu", "ministry"])).await), ["settings.tags"]);
    set(&operator, json!(["ministry", "eu"])).await.granted();
    set(&agent, json!(["ministry", "gpu"])).await.granted();
    for tags in [json!([]), json!(null), json!(["gpu"]), json!(["Ministry", "gpu"])] {
        assert_eq!(operators_only(&set(&agent, tags).await), ["settings.tags"]);
    }
    let body = json!({"bbb": {"host": "http://127.0.0.1:7/", "secret": "x"}, "settings": {"tags": ["ministry"]}});
    assert_eq!(operators_only(&cluster.agent("node-2").post("/backends", &body).await), ["settings.tags"]);
}

/// A customer's frontend; its fields `required_tags` and `attendees_limit` are operators'.
async fn customers(fields: Vec<&'static str>) -> (TestCluster, String) {
    let options = ClusterOptions { operator_fields: fields, ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    let settings = json!({"required_tags": ["eu"], "attendees_limit": {"limit": 30}});
    let body = json!({"bbb": {"key": "mine", "secret": "x"}, "settings": settings, "account_ref": "one"});
    let frontend = cluster.operator().post("/frontends", &body).await.granted();
    (cluster, format!("/frontends/{}", frontend["id"].as_str().unwrap()))
}

#[tokio::test]
async fn what_operators_set_stays_set() {
    let (cluster, path) = customers(vec!["required_tags", "settings.attendees_limit"]).await;
    let (customer, operator) = (cluster.tool("one", "b3scale"), cluster.operator());
    let before = operator.fetch(&path).await.granted();
    for (settings, refused) in [
        (json!({"required_tags": null}), vec!["settings.required_tags"]),
        (json!({"required_tags": []}), vec!["settings.required_tags"]),
        (json!({"Required_Tags": ["eu", "us"], "create_default_params": {"a": "1"}}), vec!["settings.required_tags"]),
        (json!({"attendees_limit": null}), vec!["settings.attendees_limit"]),
        (json!({"attendees_limit": {"limit": 0}}), vec!["settings.attendees_limit"]),
        (
            json!({"attendees_limit": {"limit": 31}, "required_tags": null}),
            vec!["settings.attendees_limit", "settings.required_tags"],
        ),
    ] {
        let answer = customer.patch(&path, &json!({"settings": settings})).await;
        assert_eq!(operators_only(&answer), refused);
        assert_eq!(operator.fetch(&path).await.granted(), before, "nothing of it is done");
    }
    for (method, body) in [(http::Method::POST, &before), (http::Method::DELETE, &json!({}))] {
        let path = if method == http::Method::POST { "/frontends" } else { &path };
        let answer = customer.send(method, path, "application/json", &body.to_string()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "neither does it come back without them");
    }
    assert_eq!(customer.post("/state", &json!({"version": 1, "frontends": []})).await.status, StatusCode::FORBIDDEN);
    // A whole object is sent back, as tools do, with one other field changed.
    let mut whole = before.clone();
    whole["settings"]["create_default_params"] = json!({"record": "true"});
    whole["bbb"]["secret"] = json!("new");
    let after = customer.patch(&path, &whole).await.granted();
    assert_eq!((&after["settings"]["required_tags"], &after["bbb"]["secret"]), (&json!(["eu"]), &json!("new")));
    let lifted = json!({"settings": {"required_tags": null, "attendees_limit": null}});
    assert_eq!(operator.patch(&path, &lifted).await.granted()["settings"]["attendees_limit"], Value::Null);
}

#[tokio::test]
async fn every_field_may_be_the_operators() {
    let (cluster, path) = customers(vec!["key", "active", "account_ref", "allowed_tags", "join_override_params"]).await;
    let customer = cluster.tool("one", "b3scale");
    for (body, refused) in [
        (json!({"bbb": {"key": "other"}}), "bbb.key"),
        (json!({"active": false}), "active"),
        (json!({"account_ref": "two"}), "account_ref"),
        (json!({"settings": {"allowed_tags": ["us"]}}), "settings.allowed_tags"),
        (json!({"settings": {"join_override_params": {"role": "MODERATOR"}}}), "settings.join_override_params"),
    ] {
        assert_eq!(operators_only(&customer.patch(&path, &body).await), [refused]);
    }
}

#[tokio::test]
async fn a_customer_changes_its_settings_as_in_the_original_unless_operators_say_otherwise() {
    let (cluster, path) = customers(Vec::new()).await;
    let body = json!({"settings": {"required_tags": null, "attendees_limit": null}});
    let changed = cluster.tool("one", "b3scale").patch(&path, &body).await.granted();
    assert_eq!(
        (&changed["settings"]["required_tags"], &changed["settings"]["attendees_limit"]),
        (&Value::Null, &Value::Null)
    );
}
