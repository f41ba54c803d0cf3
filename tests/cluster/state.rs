//! The cluster's configuration as one document: read out, put back, all or nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use b3scale::ledger::{Announcements, Ends, Lookups, Places};
use b3scale::rest::{Change, ChangeKind, StateChanges, StateDocument};
use b3scale::state::{self, ImportOptions, StateError};
use b3scale::store::{FrontendFilter, Store};
use b3scale_middleware::cluster::{AdminState, FrontendId, MeetingState};
use b3scale_support::TestDatabase;
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, born, scoped};

fn deleting() -> ImportOptions {
    ImportOptions { delete: true, ..ImportOptions::default() }
}

fn document(value: Value) -> StateDocument {
    serde_json::from_value(value).expect("it is a document")
}

async fn import(store: &Store, value: Value) -> Result<StateChanges, StateError> {
    state::import(store, &document(value), ImportOptions::default()).await
}

/// The problems of a refused document.
async fn problems(store: &Store, value: Value) -> BTreeMap<String, Vec<String>> {
    match import(store, value).await.expect_err("it is refused") {
        StateError::Invalid { fields } => fields,
        error => panic!("{error}"),
    }
}

fn in_short(changes: &StateChanges) -> Vec<(ChangeKind, &str, &str)> {
    changes.changes.iter().map(|change| (change.kind, change.what.as_str(), change.name.as_str())).collect()
}

fn campus() -> Value {
    json!({
        "version": 1,
        "frontends": [
            {"key": "university", "secret": "s1", "next_secret": "s2", "checksum_algorithms": ["sha512", "sha256"],
                "active": false, "account_ref": "customer-7", "description": "Faculties", "id": Uuid::from_u128(7), "created_at": "2021-02-03T04:05:06Z",
                "settings": {"required_tags": ["b", "a", "a"], "attendees_limit": {"limit": 5},
                    "create_default_params": {"logo": "x", "none": ""}, "recordings": {"visibility_override": "public"}}},
            {"key": "academy", "secret": "s3"}
        ],
        "backends": [
            {"host": "https://n2.example/api", "secret": "n2", "tags": ["gpu", "eu"], "load_factor": 1.1,
                "admin_state": "stopped", "agent_ref": "agent-2"},
            {"host": "https://n1.example/api/", "secret": "n1"}
        ]
    })
}

#[tokio::test]
async fn what_is_imported_is_exported_in_order_and_a_second_time_changes_nothing() {
    let database = TestDatabase::new().await;
    let store = database.store().clone();
    // As in a server, where tasks move between threads.
    let imported = tokio::spawn(async move { import(&store, campus()).await }).await.unwrap().unwrap();
    let add = ChangeKind::Add;
    let expected = [
        (add, "frontend", "university"),
        (add, "frontend", "academy"),
        (add, "backend", "https://n2.example/api/"),
        (add, "backend", "https://n1.example/api/"),
    ];
    assert!(imported.applied);
    assert_eq!(in_short(&imported), expected);
    let exported = state::export(database.store()).await.unwrap();
    let expected = document(json!({
        "version": 1,
        "frontends": [
            {"key": "academy", "secret": "s3"},
            {"key": "university", "secret": "s1", "next_secret": "s2", "checksum_algorithms": ["sha256", "sha512"],
                "active": false, "account_ref": "customer-7", "description": "Faculties",
                "settings": {"required_tags": ["a", "b"], "attendees_limit": {"limit": 5},
                    "create_default_params": {"logo": "x"}, "recordings": {"visibility_override": "public"}}}
        ],
        "backends": [
            {"host": "https://n1.example/api/", "secret": "n1"},
            {"host": "https://n2.example/api/", "secret": "n2", "tags": ["eu", "gpu"], "load_factor": 1.1,
                "admin_state": "stopped", "agent_ref": "agent-2"}
        ]
    }));
    assert_eq!(exported, expected);
    let text = serde_json::to_value(&exported).unwrap();
    for again in [text, campus()] {
        assert_eq!(state::import(database.store(), &document(again), deleting()).await.unwrap().changes, []);
    }
    let university = database.store().frontends().find(FrontendId(Uuid::from_u128(7))).await.unwrap();
    assert_eq!(university.expect("it kept its identity").key, "university");
    database.execute("DO $$ BEGIN ASSERT (SELECT created_at FROM frontends WHERE key = 'university') = '2021-02-03T04:05:06Z'; END $$").await;
}

#[tokio::test]
async fn only_what_differs_is_touched_and_said_without_secrets() {
    let database = TestDatabase::new().await;
    let store = database.store();
    import(store, campus()).await.unwrap();
    database.execute(r#"UPDATE frontends SET settings = settings || '{"theirs": 1}' WHERE key = 'university'"#).await;
    let versions = async || {
        let frontends = store.frontends().load().await.unwrap();
        let backends = store.backends().load().await.unwrap();
        let frontends = frontends.iter().map(|one| (one.key.clone(), one.version));
        frontends.chain(backends.iter().map(|one| (one.url.clone(), one.version))).collect::<BTreeMap<_, _>>()
    };
    let before = versions().await;
    let mut changed = campus();
    changed["frontends"][0]["secret"] = json!("another");
    changed["frontends"][0]["settings"]["required_tags"] = json!(["a"]);
    changed["frontends"][0]["settings"]["attendees_limit"] = Value::Null;
    changed["backends"][1]["load_factor"] = json!(2.0);
    let dry = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let foreseen = state::import(store, &document(changed.clone()), dry).await.unwrap();
    assert!(!foreseen.applied);
    assert_eq!(versions().await, before);
    let changes = import(store, changed).await.unwrap();
    assert_eq!(changes.changes, foreseen.changes);
    let expected = [
        Change {
            kind: ChangeKind::Change,
            what: "frontend".to_owned(),
            name: "university".to_owned(),
            details: vec![
                "secret: changed".to_owned(),
                r#"settings.attendees_limit: {"limit":5} → none"#.to_owned(),
                r#"settings.required_tags: ["a","b"] → ["a"]"#.to_owned(),
            ],
        },
        Change {
            kind: ChangeKind::Change,
            what: "backend".to_owned(),
            name: "https://n1.example/api/".to_owned(),
            details: vec!["load_factor: 1.0 → 2.0".to_owned()],
        },
    ];
    assert_eq!(changes.changes, expected);
    let after = versions().await;
    let touched: Vec<_> =
        after.iter().filter(|(name, version)| before[*name] != **version).map(|(name, _)| name).collect();
    assert_eq!(touched, ["https://n1.example/api/", "university"]);
    database
        .execute(
            "DO $$ BEGIN ASSERT (SELECT settings->>'theirs' = '1' FROM frontends WHERE key = 'university'); END $$",
        )
        .await;
}

#[tokio::test]
async fn what_is_missing_goes_only_if_it_is_to_be_deleted() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    let only_b = json!({"version": 1, "backends": [
        {"host": "https://b.example/api/", "secret": "n0de", "tags": ["eu"]}]});
    assert_eq!(import(&cluster.store, only_b.clone()).await.unwrap().changes, []);
    let school = json!([{"key": "school", "secret": "s3cret"}]);
    let mut without_a = only_b.clone();
    without_a["frontends"] = school;
    let changes = state::import(&cluster.store, &document(without_a), deleting()).await.unwrap();
    assert_eq!(in_short(&changes), [(ChangeKind::Delete, "backend", "https://a.example/api/")]);
    assert_eq!(cluster.found("algebra").await.unwrap().state, MeetingState::Detached);
    let changes = state::import(&cluster.store, &document(only_b), deleting()).await.unwrap();
    assert_eq!(in_short(&changes), [(ChangeKind::Delete, "frontend", "school")]);
    assert_eq!(cluster.found("algebra").await, None);
}

/// A document that lacks a frontend would delete it.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_not_left_out() {
    let cluster = Fixture::new().await;
    let broken = r#"UPDATE frontends SET settings = '{"join_default_params": {"moderatorPW": ["hunter2"]}}'"#;
    cluster.database.execute(broken).await;
    let error = state::export(&cluster.store).await.expect_err("a parameter is a list").to_string();
    let expected =
        "row `school` of table frontends cannot be read: the setting `join_default_params` is not of its kind";
    assert_eq!(error, expected);
}

/// A client that goes away must leave neither its changes nor a transaction that others would then be in.
#[tokio::test]
async fn an_import_that_is_given_up_is_undone() {
    let cluster = Fixture::new().await;
    let before = state::export(&cluster.store).await.unwrap();
    let single = Store::connect(cluster.database.url(), 1).await.unwrap();
    for steps in 0..40 {
        let mut document = document(running());
        document.frontends[0].secret = "changed".to_owned();
        let mut importing = Box::pin(state::import(&single, &document, deleting()));
        let mut polled = 0;
        // Given up at its first, second, third … wait.
        let given_up = std::future::poll_fn(|context| {
            polled += 1;
            if polled > steps { std::task::Poll::Ready(true) } else { importing.as_mut().poll(context).map(|_| false) }
        });
        let given_up = given_up.await;
        drop(importing);
        if !given_up {
            assert!(steps > 8, "it has more steps than that");
            break;
        }
        assert_eq!(state::export(&single).await.unwrap(), before, "given up after {steps}");
    }
    assert_ne!(state::export(&single).await.unwrap(), before, "it came to its end at last");
}

#[tokio::test]
async fn agents_may_change_places() {
    let database = TestDatabase::new().await;
    let backends = |first: &str, second: &str| {
        json!({"version": 1, "backends": [
            {"host": "https://a/", "secret": "s", "agent_ref": first}, {"host": "https://b/", "secret": "s", "agent_ref": second}]})
    };
    import(database.store(), backends("one", "two")).await.unwrap();
    import(database.store(), backends("two", "one")).await.unwrap();
    assert_eq!(import(database.store(), backends("two", "one")).await.unwrap().changes, []);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let cluster = Fixture::new().await;
    cluster.database.execute("UPDATE backends SET agent_ref = 'taken' WHERE url = 'https://a.example/api/'").await;
    let wrong = json!({
        "version": 2,
        "frontends": [
            {"key": "", "secret": ""},
            {"key": "twice", "secret": "s", "next_secret": "", "checksum_algorithms": ["sha256", "md5"]},
            {"key": "twice", "secret": "s", "id": cluster.frontend.0},
            {"key": "odd\u{0}", "secret": "s", "settings": {"join_default_params": {"a": "\u{0}"}}}
        ],
        "backends": [
            {"host": "https://n/api", "secret": "", "load_factor": 0, "agent_ref": "taken"},
            {"host": "https://n/api/", "secret": "s", "load_factor": -1, "admin_state": "destroyed"},
            {"host": "node", "secret": "s", "agent_ref": "agent"},
            {"host": "https://", "secret": "s", "agent_ref": "agent"}
        ],
        "meetings": [{"id": "", "meeting_id": "m", "frontend": "nobody", "backend": "https://nowhere/", "internal_id": ""}],
        "history": [
            {"id": "h", "meeting_id": "m", "frontend": "twice", "seen_at": "2020-01-01T00:00:00Z"},
            {"id": "h", "meeting_id": "m", "frontend": "nobody", "seen_at": "2020-01-01T00:00:00Z"}
        ]
    });
    let found = problems(&cluster.store, wrong).await;
    let fields: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "backends[0].agent_ref",
        "backends[0].load_factor",
        "backends[0].secret",
        "backends[1].admin_state",
        "backends[1].host",
        "backends[1].load_factor",
        "backends[2].host",
        "backends[3].agent_ref",
        "backends[3].host",
        "frontends[0].key",
        "frontends[0].secret",
        "frontends[1].checksum_algorithms[1]",
        "frontends[1].next_secret",
        "frontends[2].id",
        "frontends[2].key",
        "frontends[3].key",
        "frontends[3].settings.join_default_params.a",
        "history[1].frontend",
        "history[1].id",
        "meetings[0].backend",
        "meetings[0].frontend",
        "meetings[0].id",
        "meetings[0].internal_id",
        "version",
    ];
    assert_eq!(fields, expected);
    assert_eq!(found["backends[1].host"], ["is that of backends[0], too"]);
    assert_eq!(found["frontends[2].id"], ["is that of the frontend `school`; delete that one, or leave the id out"]);
}

fn running() -> Value {
    json!({
        "version": 1,
        "frontends": [{"key": "school", "secret": "s3cret"}],
        "backends": [{"host": "https://a.example/api/", "secret": "n0de", "tags": ["eu"]}],
        "meetings": [
            {"id": scoped("algebra"), "meeting_id": "algebra", "frontend": "school", "backend": "https://a.example/api",
                "internal_id": "internal", "create_time": 1_600_000_000_000_i64},
            {"id": "raw", "meeting_id": "raw", "frontend": "school", "backend": "https://a.example/api/"}
        ],
        "history": [
            {"id": scoped("algebra"), "meeting_id": "algebra", "frontend": "school", "seen_at": "2022-01-01T00:00:00Z"},
            {"id": scoped("botany"), "meeting_id": "botany", "frontend": "school", "seen_at": "2022-01-01T00:00:00Z"}
        ]
    })
}

#[tokio::test]
async fn meetings_that_run_are_live_and_announced_and_those_that_ran_are_remembered() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    feed.recv().await;
    let changes = import(&cluster.store, running()).await.unwrap();
    let (add, id, past) = (ChangeKind::Add, scoped("algebra"), scoped("botany"));
    let expected = [(add, "meeting", id.as_ref()), (add, "meeting", "raw"), (add, "history", past.as_ref())];
    assert_eq!(in_short(&changes), expected);
    for announced in [id.clone(), b3scale_middleware::bbb::ScopedId::verbatim("raw")] {
        assert_eq!(feed.recv().await, Some(b3scale::ledger::Change::Meeting(announced)));
    }
    let live = cluster.found("algebra").await.unwrap();
    assert_eq!((live.state, live.attempt, live.backend), (MeetingState::Live, 1, cluster.a));
    assert_eq!(live.internal_id.as_deref(), Some("internal"));
    assert_eq!(live.placed_at.duration_since(std::time::UNIX_EPOCH).unwrap(), Duration::from_secs(1_600_000_000));
    let past = cluster.store.find_history(&scoped("botany")).await.unwrap().expect("it is noted");
    assert_eq!((past.backend, past.internal_id.as_str(), past.ended), (None, "", true));
    let now = cluster.store.find_history(&id).await.unwrap().expect("it is noted");
    assert_eq!((now.backend, now.internal_id.as_str(), now.ended), (Some(cluster.a), "internal", false));
    assert_eq!(import(&cluster.store, running()).await.unwrap().changes, []);
}

#[tokio::test]
async fn a_meeting_that_is_known_stays_as_it_is_and_one_that_has_ended_stays_ended() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    let live = cluster.store.record_live(&held, &born("internal", 1)).await.unwrap().unwrap();
    let changes = import(&cluster.store, running()).await.unwrap();
    assert!(!changes.changes.iter().any(|change| change.name == scoped("algebra").as_ref()), "{changes:?}");
    assert_eq!(cluster.found("algebra").await.as_ref(), Some(&live));
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    assert_eq!(import(&cluster.store, running()).await.unwrap().changes, []);
    assert_eq!(cluster.found("algebra").await, None);
}

#[tokio::test]
async fn an_import_that_is_killed_half_way_leaves_nothing_changed() {
    let cluster = Fixture::new().await;
    let before = state::export(&cluster.store).await.unwrap();
    for death in ["PERFORM pg_terminate_backend(pg_backend_pid())", "RAISE 'the disk is full'"] {
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {death}; RETURN NEW; END $$;
            CREATE OR REPLACE TRIGGER die BEFORE INSERT ON meeting_history FOR EACH ROW EXECUTE FUNCTION die();"
        );
        cluster.database.execute(&trigger).await;
        let mut document = document(running());
        document.frontends[0].secret = "changed".to_owned();
        let doomed = Store::connect(cluster.database.url(), 1).await.unwrap();
        let error = state::import(&doomed, &document, deleting()).await.expect_err("it is killed");
        assert!(matches!(error, StateError::Store(_)), "{error}");
        assert_eq!(state::export(&cluster.store).await.unwrap(), before);
        assert_eq!(cluster.found("algebra").await, None);
    }
    cluster.database.execute("DROP TRIGGER die ON meeting_history").await;
    import(&cluster.store, running()).await.unwrap();
    assert!(cluster.found("algebra").await.is_some());
}

/// PostgreSQL ends one of two deadlocked statements. The import starts again.
#[tokio::test]
async fn an_import_that_loses_to_rivals_is_run_again() {
    let cluster = Fixture::new().await;
    let rival = "CREATE SEQUENCE deaths;
        CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('deaths') < 3 THEN RAISE 'lost' USING ERRCODE = '40P01'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER lose BEFORE INSERT ON meeting_history FOR EACH ROW EXECUTE FUNCTION lose();";
    cluster.database.execute(rival).await;
    assert_eq!(import(&cluster.store, running()).await.unwrap().changes.len(), 3);
}

#[tokio::test]
async fn simultaneous_imports_wait_for_each_other() {
    let database = TestDatabase::new().await;
    let imports = (0..4).map(|_| import(database.store(), campus()));
    let outcomes = futures_util::future::join_all(imports).await;
    let mut counts: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().changes.len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 0, 4]);
}

#[tokio::test]
async fn any_document_comes_back_as_it_was_put_in() {
    let database = TestDatabase::new().await;
    let (strategy, mut runner) = (documents(), TestRunner::deterministic());
    for _ in 0..40 {
        let document = strategy.new_tree(&mut runner).expect("a document").current();
        state::import(database.store(), &document, deleting()).await.unwrap();
        assert_eq!(state::export(database.store()).await.unwrap(), document);
        assert_eq!(state::import(database.store(), &document, deleting()).await.unwrap().changes, []);
    }
}

/// Documents in order, with nothing in them that says nothing.
fn documents() -> impl Strategy<Value = StateDocument> {
    let word = || "[a-zäß\"\\\\<&]{1,8}";
    let words = move || btree_set(word(), 1..3);
    let params = move || btree_map(word(), word(), 0..3);
    let settings = (option::of(words()), option::of(btree_set(word(), 0..3)), params(), params(), option::of(1..9_u32));
    let algorithms = option::of(btree_set(prop::sample::select(vec!["sha1", "sha256", "sha512"]), 1..3));
    let frontend = (word(), option::of(word()), algorithms, any::<bool>(), option::of(word()), settings);
    let states = [AdminState::Init, AdminState::Ready, AdminState::Stopped, AdminState::Decommissioned];
    let backend = (word(), btree_set(word(), 0..3), 0.01..100.0, prop::sample::select(states.to_vec()), any::<bool>());
    (btree_map("[a-c]{1,2}", frontend, 0..4), btree_map("[a-c]{1,2}", backend, 0..4)).prop_map(
        |(frontends, backends)| {
            let frontends: Vec<_> = frontends
            .into_iter()
            .map(|(key, (secret, next, algorithms, active, account, (tags, allowed, defaults, overrides, limit)))| {
                let settings = json!({"required_tags": tags, "allowed_tags": allowed, "create_default_params": defaults,
                    "join_override_params": overrides, "attendees_limit": limit.map(|limit| json!({"limit": limit}))});
                json!({"key": key, "secret": secret, "next_secret": next, "checksum_algorithms": algorithms,
                    "active": active, "account_ref": account, "settings": settings})
            })
            .collect();
            let backends: Vec<_> = backends
                .into_iter()
                .map(|(name, (secret, tags, factor, state, agent))| {
                    json!({"host": format!("https://{name}/"), "secret": secret, "tags": tags, "load_factor": factor,
                    "admin_state": state, "agent_ref": agent.then_some(&name)})
                })
                .collect();
            document(json!({"version": 1, "frontends": frontends, "backends": backends}))
        },
    )
}

/// While one moves in, the old system knows nothing of what is set here.
#[tokio::test]
async fn what_comes_from_another_system_again_leaves_alone_what_only_exists_here() {
    let database = TestDatabase::new().await;
    let moving = || ImportOptions { moving: true, ..ImportOptions::default() };
    let brought = json!({"version": 1, "frontends": [{"key": "school", "secret": "old", "settings": {"required_tags": ["eu"]}}],
        "backends": [{"host": "https://n1.example/api/", "secret": "n1", "tags": ["eu"]}]});
    state::import(database.store(), &document(brought.clone()), moving()).await.unwrap();
    let here = json!({"version": 1, "frontends": [{"key": "school", "secret": "old", "next_secret": "new", "active": false,
            "account_ref": "c-7", "settings": {"required_tags": ["eu"], "allowed_tags": ["gpu"]}}],
        "backends": [{"host": "https://n1.example/api/", "secret": "n1", "tags": ["eu"], "admin_state": "stopped",
            "agent_ref": "node-1"}]});
    import(database.store(), here).await.unwrap();
    let again = state::import(database.store(), &document(brought.clone()), moving()).await.unwrap();
    assert_eq!(again.changes, []);
    let mut later = brought;
    later["frontends"][0]["secret"] = "changed there".into();
    let later = state::import(database.store(), &document(later), moving()).await.unwrap();
    assert_eq!(later.changes[0].details, ["secret: changed"]);
}

#[tokio::test]
async fn only_what_was_agreed_to_is_done() {
    let database = TestDatabase::new().await;
    let dry = ImportOptions { dry_run: true, ..deleting() };
    let shown = state::import(database.store(), &document(campus()), dry).await.unwrap();
    import(database.store(), json!({"version": 1, "frontends": [{"key": "late", "secret": "x"}]})).await.unwrap();
    let agreed = ImportOptions { fingerprint: shown.fingerprint, ..deleting() };
    let error =
        state::import(database.store(), &document(campus()), agreed.clone()).await.expect_err("it would delete");
    assert!(matches!(error, StateError::Moved), "{error}");
    assert_eq!(state::export(database.store()).await.unwrap().frontends.len(), 1);
    database.execute("DELETE FROM frontends").await;
    state::import(database.store(), &document(campus()), agreed).await.unwrap();
}

#[tokio::test]
async fn a_time_that_nobody_can_write_is_refused_and_harms_nobody() {
    let database = TestDatabase::new().await;
    let late =
        json!({"version": 1, "frontends": [{"key": "a", "secret": "x", "created_at": "9999-12-31T23:59:59-23:59"}]});
    assert!(problems(database.store(), late).await.contains_key("frontends[0].created_at"));
    import(database.store(), json!({"version": 1, "frontends": [{"key": "a", "secret": "x"}]})).await.unwrap();
    database.execute("UPDATE frontends SET created_at = 'infinity'").await;
    let listed = database.store().frontends().list(&FrontendFilter::default()).await.unwrap();
    assert_eq!(listed, [], "what cannot be read is left out of a list");
    let filter = FrontendFilter { key: Some("a".to_owned()), ..FrontendFilter::default() };
    database.store().frontends().list(&filter).await.expect_err("it is there, and is what was asked for");
}
