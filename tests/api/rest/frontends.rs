//! Frontends by the REST API.

use b3scale::ledger::Lookups;
use b3scale_middleware::bbb::{Algorithm, CallKind, Secret, sign};
use b3scale_middleware::ports::Directory as _;
use b3scale_support::{Answer, SECRET, TestCluster, eventually};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use super::{has_keys, message, validation};

/// Adds a frontend and gives its path.
async fn added(cluster: &TestCluster, body: &Value) -> (String, Value) {
    let frontend = cluster.operator().post("/frontends", body).await.granted();
    (format!("/frontends/{}", frontend["id"].as_str().unwrap()), frontend)
}

fn named(key: &str) -> Value {
    json!({"bbb": {"key": key, "secret": SECRET}})
}

#[tokio::test]
async fn a_frontend_is_added_with_everything_that_the_original_shows() {
    let cluster = TestCluster::start().await;
    let answer = cluster.operator().post("/frontends", &json!({"bbb": {"key": " fe1 ", "secret": " s "}})).await;
    assert_eq!(answer.status, StatusCode::OK, "the original does not say 201");
    let frontend = answer.json();
    has_keys(&frontend, &["id", "active", "bbb", "settings", "account_ref", "description", "created_at", "updated_at"]);
    assert_eq!((&frontend["bbb"]["key"], &frontend["bbb"]["secret"]), (&json!("fe1"), &json!("s")));
    assert_eq!((&frontend["active"], &frontend["account_ref"]), (&json!(true), &Value::Null));
    let settings = &frontend["settings"];
    let known = [
        "required_tags",
        "default_presentation",
        "attendees_limit",
        "create_default_params",
        "create_override_params",
        "join_default_params",
        "join_override_params",
        "recordings",
        "allowed_tags",
        "webhooks",
    ];
    has_keys(settings, &known);
    assert_eq!((&settings["required_tags"], &settings["create_default_params"]), (&Value::Null, &json!({})));
    for time in ["created_at", "updated_at"] {
        assert!(
            frontend[time].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')),
            "{frontend}"
        );
    }
    let shown = cluster.operator().fetch(&format!("/frontends/{}", frontend["id"].as_str().unwrap())).await.granted();
    assert_eq!(shown, frontend);
}

#[tokio::test]
async fn a_description_is_kept_until_it_is_cleared() {
    let cluster = TestCluster::start().await;
    let mut body = named("described");
    body["description"] = " Classes 5 to 10 ".into();
    let (path, frontend) = added(&cluster, &body).await;
    assert_eq!(frontend["description"], "Classes 5 to 10");
    let patch = async |body: Value| cluster.operator().patch(&path, &body).await;
    assert_eq!(patch(json!({"active": false})).await.granted()["description"], "Classes 5 to 10");
    let refused = patch(json!({"description": "a".repeat(1001)})).await;
    let wrong = json!({"description": ["should have at most 1000 characters"]});
    assert_eq!(refused.refused(), (400, &*validation(&wrong)));
    for none in [Value::Null, json!(" ")] {
        assert_eq!(patch(json!({"description": none})).await.granted()["description"], Value::Null);
    }
}

/// As b3scale-operator does it, which sends the whole object with an empty id and times of zero.
#[tokio::test]
async fn what_is_read_only_is_ignored() {
    let cluster = TestCluster::start().await;
    let body = json!({"id": "", "active": true, "bbb": {"key": "k8s", "secret": SECRET},
        "settings": {"required_tags": [], "default_presentation": null, "attendees_limit": null,
            "create_default_params": {}, "create_override_params": {}, "recordings": null},
        "account_ref": null, "created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z"});
    let (path, frontend) = added(&cluster, &body).await;
    assert!(!frontend["id"].as_str().unwrap().is_empty());
    let patch = json!({"settings": {"required_tags": ["gpu"], "attendees_limit": null,
        "create_default_params": {"record": "true"}, "create_override_params": {}, "recordings": null}});
    let patched = cluster.operator().patch(&path, &patch).await.granted();
    assert_eq!(patched["settings"]["required_tags"], json!(["gpu"]));
}

#[tokio::test]
async fn a_patch_is_merged_as_the_original_does_it() {
    let cluster = TestCluster::start().await;
    let settings = json!({"required_tags": ["a", "b"], "attendees_limit": {"limit": 7},
        "default_presentation": {"url": "https://x.example/a.pdf", "force": true},
        "create_default_params": {"record": "true", "welcome": "<b>&"}, "recordings": {"visibility_override": "public"}});
    let (path, _) = added(&cluster, &json!({"bbb": {"key": "m", "secret": SECRET}, "settings": settings})).await;
    let patch = async |body: Value| cluster.operator().patch(&path, &body).await.granted();

    let merged = patch(
        json!({"settings": {"required_tags": ["c"], "create_default_params": {"record": "", "muteOnStart": "true"}}}),
    )
    .await;
    assert_eq!(merged["settings"]["required_tags"], json!(["c"]));
    assert_eq!(merged["settings"]["create_default_params"], json!({"welcome": "<b>&", "muteOnStart": "true"}));
    assert_eq!(merged["settings"]["attendees_limit"], json!({"limit": 7}), "what is not said stays");

    let deep = patch(json!({"settings": {"default_presentation": {"force": false}}, "BBB": {"Secret": "new"}})).await;
    assert_eq!(deep["settings"]["default_presentation"], json!({"url": "https://x.example/a.pdf", "force": false}));
    let named = patch(json!({"settings": {"default_presentation": {"filename": "Welcome.pdf"}}})).await;
    assert_eq!(named["settings"]["default_presentation"]["filename"], json!("Welcome.pdf"));
    let deep = patch(json!({"settings": {"default_presentation": {"filename": ""}}, "BBB": {"Secret": "new"}})).await;
    assert_eq!(deep["settings"]["default_presentation"], json!({"url": "https://x.example/a.pdf", "force": false}));
    assert_eq!((&deep["bbb"]["key"], &deep["bbb"]["secret"]), (&json!("m"), &json!("new")));

    let nulls = patch(json!({"settings": null, "active": null})).await;
    assert_eq!((&nulls["settings"], &nulls["active"]), (&deep["settings"], &json!(true)), "null does nothing here");

    let cleared =
        patch(json!({"settings": {"required_tags": null, "default_presentation": null, "attendees_limit": null,
        "create_default_params": null, "recordings": null}}))
        .await;
    assert_eq!(cleared["settings"]["create_default_params"], json!({}));
    for name in ["required_tags", "default_presentation", "attendees_limit", "recordings"] {
        assert_eq!(cleared["settings"][name], Value::Null);
    }
    let refused = cluster.operator().patch(&path, &json!({"bbb": null})).await;
    assert_eq!(refused.refused(), (400, &*validation(&json!({"bbb": ["this field is required"]}))));
    let empty = cluster.operator().send(http::Method::PATCH, &path, "application/json", "").await.granted();
    assert_eq!(empty["settings"], cleared["settings"]);
}

#[tokio::test]
async fn a_text_with_markup_is_written_as_go_writes_it() {
    let cluster = TestCluster::start().await;
    let body =
        json!({"bbb": {"key": "html", "secret": SECRET}, "settings": {"create_default_params": {"welcome": "<b>&"}}});
    let answer = cluster.operator().post("/frontends", &body).await;
    assert!(answer.text.contains(r#""welcome":"\u003cb\u003e\u0026""#) && answer.text.ends_with("}\n"), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
}

/// Defect 46 of the original: `active` was ignored.
#[tokio::test]
async fn a_frontend_may_be_added_switched_off() {
    let cluster = TestCluster::start().await;
    let (_, frontend) = added(&cluster, &json!({"active": false, "bbb": {"key": "off", "secret": SECRET}})).await;
    assert_eq!(frontend["active"], false);
}

#[tokio::test]
async fn what_cannot_be_kept_is_told_by_field() {
    let cluster = TestCluster::start().await;
    let required = "this field is required";
    for (body, fields) in [
        (json!({}), json!({"bbb": [required]})),
        (json!({"bbb": {}}), json!({"bbb.key": [required], "bbb.secret": [required]})),
        (json!({"bbb": {"key": " ", "secret": "x"}}), json!({"bbb.key": [required]})),
    ] {
        let answer = cluster.operator().post("/frontends", &body).await;
        assert_eq!(answer.refused(), (400, &*validation(&fields)), "{body}");
    }
    for (body, field) in [
        (json!({"bbb": {"key": "a/b", "secret": "x"}}), "bbb.key"),
        (json!({"bbb": {"key": "k".repeat(4000), "secret": "x"}}), "bbb.key"),
        (json!({"bbb": {"key": "a", "secret": "x".repeat(4000)}}), "bbb.secret"),
        (json!({"bbb": {"key": "a", "secret": "x"}, "account_ref": "a".repeat(4000)}), "account_ref"),
        (json!({"bbb": {"key": "a", "secret": "x", "checksum_algorithms": ["md5"]}}), "bbb.checksum_algorithms[0]"),
        (json!({"bbb": {"key": "a", "secret": "x", "checksum_algorithms": []}}), "bbb.checksum_algorithms"),
        (
            json!({"bbb": {"key": "a", "secret": "x"}, "settings": {"attendees_limit": {"limit": -1}}}),
            "settings.attendees_limit.limit",
        ),
        (
            json!({"bbb": {"key": "a", "secret": "x"}, "settings": {"default_presentation": {"filename": "slides"}}}),
            "settings.default_presentation.filename",
        ),
    ] {
        let answer = cluster.operator().post("/frontends", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.json()["fields"][field].is_array(), "{answer:?}");
    }
    let body =
        json!({"bbb": {"key": "a", "secret": "x"}, "settings": {"recordings": {"visibility_override": "bogus"}}});
    let answer = cluster.operator().post("/frontends", &body).await;
    assert_eq!(answer.refused(), (400, &*message("unknown recording visibility: 'bogus'")));
    assert_eq!(
        cluster.operator().fetch("/frontends").await.granted().as_array().unwrap().len(),
        1,
        "nothing was added"
    );
}

/// Defect 45 of the original: a duplicate key was a 500.
#[tokio::test]
async fn a_key_that_is_in_use_is_a_conflict() {
    let cluster = TestCluster::start().await;
    let wanted = json!({"error": "conflict", "message": "a frontend with this key exists already"}).to_string();
    assert_eq!(cluster.operator().post("/frontends", &named("school")).await.refused(), (409, &*wanted));
    let (path, _) = added(&cluster, &named("other")).await;
    let answer = cluster.operator().patch(&path, &json!({"bbb": {"key": "school"}})).await;
    assert_eq!(answer.refused(), (409, &*wanted));
}

#[tokio::test]
async fn a_list_is_narrowed() {
    let cluster = TestCluster::start().await;
    for (key, account) in [("alpha", "one"), ("Alphabet", "two"), ("beta", "one")] {
        let mut body = named(key);
        body["account_ref"] = account.into();
        added(&cluster, &body).await;
    }
    let keys_of = |answer: Answer| -> Vec<String> {
        let list = answer.granted();
        list.as_array().unwrap().iter().map(|one| one["bbb"]["key"].as_str().unwrap().to_owned()).collect()
    };
    let operator = cluster.operator();
    assert_eq!(keys_of(operator.fetch("/frontends?key=alpha").await), ["alpha"]);
    assert_eq!(keys_of(operator.fetch("/frontends?key=alph").await), [""; 0], "it is exact");
    assert_eq!(keys_of(operator.fetch("/frontends?key__like=alpha").await), ["alpha"]);
    assert_eq!(keys_of(operator.fetch("/frontends?key__like=l%25a").await), ["Alphabet", "alpha"]);
    assert_eq!(keys_of(operator.fetch("/frontends?account_ref=one&key__like=t").await), ["beta"]);
    let customer = cluster.tool("one", "b3scale");
    assert_eq!(keys_of(customer.fetch("/frontends").await), ["alpha", "beta"]);
    for query in ["key=", "key__like=", "account_ref=", "key=&key=beta", "account_ref=&key__like=&key="] {
        let all = keys_of(operator.fetch(&format!("/frontends?{query}")).await).len();
        assert_eq!(all, 4, "an empty filter is ignored: {query}");
        assert_eq!(keys_of(customer.fetch(&format!("/frontends?{query}")).await), ["alpha", "beta"], "{query}");
    }
    assert_eq!(keys_of(cluster.tool("", "b3scale").fetch("/frontends?account_ref=").await), [""; 0]);
    assert_eq!(keys_of(customer.fetch("/frontends?account_ref=two").await), [""; 0]);
}

#[tokio::test]
async fn a_customer_sees_and_changes_what_is_its_own_and_nothing_else() {
    let cluster = TestCluster::start().await;
    let mut body = named("mine");
    body["account_ref"] = "one".into();
    let (mine, _) = added(&cluster, &body).await;
    body["bbb"]["key"] = "theirs".into();
    body["account_ref"] = "two".into();
    let (theirs, before) = added(&cluster, &body).await;
    let (nobodys, _) = added(&cluster, &named("nobodys")).await;
    let customer = cluster.tool("one", "b3scale");
    let fenced = json!({"settings": {"allowed_tags": ["gpu"], "webhooks": {"most": 3}}});
    cluster.operator().patch(&mine, &fenced).await.granted();
    let body =
        json!({"active": false, "account_ref": "two", "settings": {"allowed_tags": null, "webhooks": {"raw": true}}});
    let changed = customer.patch(&mine, &body).await.granted();
    assert_eq!((&changed["active"], &changed["account_ref"]), (&json!(false), &json!("one")));
    assert_eq!(changed["settings"]["allowed_tags"], json!(["gpu"]), "that fence is the operator's");
    let webhooks = json!({"most": 3, "raw": false, "algorithm": null, "domain": null, "permanent": []});
    assert_eq!(changed["settings"]["webhooks"], webhooks, "that one too");
    let not_found = message("Not Found");
    for path in [&theirs, &nobodys] {
        assert_eq!(customer.fetch(path).await.refused(), (404, &*not_found));
        assert_eq!(customer.patch(path, &json!({"active": false})).await.refused(), (404, &*not_found));
        assert_eq!(customer.delete(path).await.refused(), (403, &*message("b3scale:admin scope required")));
    }
    assert_eq!(cluster.operator().fetch(&theirs).await.granted(), before);
}

/// Defect 12 of the original: of changes at once all but one were lost.
#[tokio::test]
async fn changes_at_once_are_all_kept() {
    let cluster = TestCluster::start().await;
    let (path, _) = added(&cluster, &named("busy")).await;
    let operator = cluster.operator();
    let patches = (0..100).map(|number| {
        let body = json!({"settings": {"create_default_params": {format!("p{number}"): "1"}}});
        let (operator, path) = (&operator, &path);
        async move { operator.patch(path, &body).await.granted() }
    });
    join_all(patches).await;
    let params = cluster.operator().fetch(&path).await.granted()["settings"]["create_default_params"].clone();
    assert_eq!(params.as_object().unwrap().len(), 100, "{params}");
}

#[tokio::test]
async fn both_secrets_and_only_the_named_algorithms_hold() {
    let cluster = TestCluster::start().await;
    let body =
        json!({"bbb": {"key": "moving", "secret": "old", "next_secret": "new", "checksum_algorithms": ["sha256"]}});
    let (path, _) = added(&cluster, &body).await;
    cluster.until("the server knows the frontend", || cluster.cluster.frontend("moving").is_some()).await;
    let call = async |algorithm, secret: &str| {
        let checksum = sign(algorithm, "getMeetings", "", &Secret::new(secret).unwrap());
        cluster.get(&format!("/bbb/moving/api/getMeetings?checksum={checksum}"), &[]).await.is_success()
    };
    assert!(call(Algorithm::Sha256, "old").await && call(Algorithm::Sha256, "new").await);
    assert!(!call(Algorithm::Sha1, "old").await);
    // A client that knows nothing of them leaves them alone.
    let kept = cluster.operator().patch(&path, &json!({"bbb": {"key": "moving", "secret": "old"}})).await.granted();
    assert_eq!((&kept["bbb"]["next_secret"], &kept["bbb"]["checksum_algorithms"]), (&json!("new"), &json!(["sha256"])));
    let done = json!({"bbb": {"secret": "new", "next_secret": null, "checksum_algorithms": null}});
    cluster.operator().patch(&path, &done).await.granted();
    eventually("the old secret is worth nothing", async || !call(Algorithm::Sha256, "old").await).await;
    assert!(call(Algorithm::Sha1, "new").await);
}

/// Defect 38 of the original: a frontend took the rows of its meetings along, and the meetings ran on.
#[tokio::test]
async fn a_frontend_that_is_removed_leaves_no_meeting_behind() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let id = cluster.cluster.frontend("school").unwrap().id.0;
    let removed = cluster.operator().delete(&format!("/frontends/{id}")).await.granted();
    assert_eq!((&removed["active"], &removed["bbb"]["key"]), (&json!(false), &json!("school")));
    cluster.until_node(home, "its meeting is ended", |node| node.meetings().is_empty()).await;
    assert!(cluster.database.store().load_meetings().await.unwrap().is_empty());
    assert_eq!(cluster.operator().delete(&format!("/frontends/{id}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_key_is_not_changed_under_running_meetings() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let path = format!("/frontends/{}", cluster.cluster.frontend("school").unwrap().id.0);
    let rename = json!({"bbb": {"key": "academy"}});
    let answer = cluster.operator().patch(&path, &rename).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    assert!(answer.json()["message"].as_str().unwrap().contains("meetings run under the old key"));
    cluster.operator().patch(&path, &json!({"bbb": {"key": "school", "secret": "x"}})).await.granted();
}

/// A key is a part of URLs, and of metrics in which it must not be mistaken for another.
#[tokio::test]
async fn a_key_has_nothing_in_it_that_means_something_elsewhere() {
    let cluster = TestCluster::start().await;
    for key in ["a/b", "a\"b", "a\\b", "a\nb"] {
        let answer = cluster.operator().post("/frontends", &json!({"bbb": {"key": key, "secret": SECRET}})).await;
        let (status, text) = answer.refused();
        assert!(status == 400 && text.contains("no slash, backslash, quote or control character"), "{key:?}: {text}");
    }
}

/// A text that no URL reaches, or that a client changes, is no key. An older key of this kind may stay.
#[tokio::test]
async fn a_key_stands_in_a_url_as_it_is() {
    let cluster = TestCluster::start().await;
    let create =
        async |key: &str| cluster.operator().post("/frontends", &json!({"bbb": {"key": key, "secret": SECRET}})).await;
    for key in [".", "..", "metrics", "a?b", "a b", "a#b", "a%20b", "ü", " metrics "] {
        let answer = create(key).await;
        let (status, text) = answer.refused();
        assert!(status == 400 && text.contains("should stand in a URL as it is"), "{key:?}: {text}");
    }
    for key in ["a.b", "metrics-2", "a:b@c"] {
        create(key).await.granted();
    }
    let path = format!("/frontends/{}", cluster.cluster.frontend("school").unwrap().id.0);
    let answer = cluster.operator().patch(&path, &json!({"bbb": {"key": ".."}})).await;
    assert!(answer.refused().1.contains("bbb.key"), "{answer:?}");
}
