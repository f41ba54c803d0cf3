//! From a database of the original b3scale.

use std::collections::BTreeMap;

use b3scale::ledger::Lookups;
use b3scale::rest::{HistoryRow, ImportedMeeting, StateDocument};
use b3scale::state::{self, ImportOptions};
use b3scale::store::StoreError;
use b3scale_ctl::import::b3scale::read;
use b3scale_ctl::import::{ImportError, Imported};
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{BackendId, FrontendId, MeetingState, RecordId, Visibility};
use b3scale_support::TestDatabase;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::bring_over;

const ORIGINAL: &str = include_str!("original.sql");

async fn original() -> TestDatabase {
    let database = TestDatabase::empty().await;
    database.execute(ORIGINAL).await;
    database
}

async fn read_whole() -> Imported {
    read(original().await.url()).await.expect("it can be read")
}

/// Why a database is refused.
async fn refused(database: &TestDatabase) -> String {
    match read(database.url()).await {
        Err(error @ ImportError::Stranger { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The id that nodes know.
fn scoped(key: &str, id: &str) -> String {
    ScopedId::new(key, &MeetingId::new(id)).to_string()
}

#[tokio::test]
async fn every_frontend_and_backend_is_read_with_the_times_of_its_sessions() {
    let read = read_whole().await.document;
    let id = |text: &str| format!("00000000-0000-0000-0000-0000000000{text}");
    let expected = json!({
        "version": 1,
        "frontends": [
            {"key": "academy", "secret": "other-secret", "active": false, "id": id("f2"), "created_at": "2024-01-01T13:00:00Z"},
            {"key": "museum", "secret": "third-secret", "id": id("f3")},
            {"key": "school", "secret": "frontend-secret", "account_ref": "customer-1", "id": id("f1"),
                "created_at": "2024-07-01T12:00:00Z", "settings": {
                    "required_tags": ["eu"], "default_presentation": {"url": "https://slides.example/a.pdf", "force": true},
                    "attendees_limit": {"limit": 40}, "create_default_params": {"logo": "x"},
                    "create_override_params": {"record": "false"},
                    "recordings": {"visibility_override": "public_protected"}}}
        ],
        "backends": [
            {"host": "http://n3.example/", "secret": "n3", "admin_state": "decommissioned", "id": id("b3"),
                "created_at": "2024-01-01T13:00:00Z"},
            {"host": "http://n4.example/", "secret": "n4", "admin_state": "stopped", "id": id("b4"),
                "created_at": "2024-01-01T13:00:00Z"},
            {"host": "https://n1.example/bigbluebutton/api/", "secret": "n1", "tags": ["eu", "gpu"], "load_factor": 1.1,
                "agent_ref": "agent-1", "id": id("b1"), "created_at": "2024-07-01T12:00:00Z"},
            {"host": "https://n2.example/bigbluebutton/api/", "secret": "n2", "admin_state": "stopped", "id": id("b2")}
        ]
    });
    let expected: StateDocument = serde_json::from_value(expected).expect("it is a document");
    assert_eq!(read.frontends, expected.frontends);
    assert_eq!(read.backends, expected.backends);
}

#[tokio::test]
async fn every_meeting_is_read_under_the_id_that_its_node_knows() {
    let read = read_whole().await.document;
    let meeting = |key: &str, id: &str, meeting_id: &str, node: &str| ImportedMeeting {
        id: id.to_owned(),
        meeting_id: meeting_id.to_owned(),
        frontend: key.to_owned(),
        backend: format!("https://{node}.example/bigbluebutton/api/"),
        internal_id: None,
        create_time: None,
        breakout: false,
        callbacks: BTreeMap::new(),
    };
    let expected = [
        meeting("academy", &scoped("academy", "m 1"), "m 1", "n2"),
        ImportedMeeting {
            internal_id: Some("internal-1".to_owned()),
            create_time: Some(1_719_835_200_000),
            ..meeting("school", &scoped("school", "m 1"), "m 1", "n1")
        },
        ImportedMeeting {
            internal_id: Some("internal-3".to_owned()),
            create_time: Some(1_719_835_200_001),
            breakout: true,
            ..meeting("school", "breakout-of-ours", "breakout-of-ours", "n1")
        },
    ];
    assert_eq!(read.meetings, expected);
    let past =
        |row: &HistoryRow| (row.id.clone(), row.meeting_id.clone(), row.frontend.clone(), row.seen_at.unix_timestamp());
    let (january, july) = (1_704_114_000, 1_719_835_200);
    let row = |key: &str, id: &str, seen| (scoped(key, id), id.to_owned(), key.to_owned(), seen);
    let expected = [row("academy", "m 1", january), row("school", "m 1", july), row("school", "m 2", july)];
    assert_eq!(read.history.iter().map(past).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_does_not_come_over_is_said() {
    let expected = [
        "The frontend `nobody` (00000000-0000-0000-0000-0000000000f4) was left out: it has no key or no secret.",
        "The setting `theirs` of the frontend `school` was left out: it is not known here.",
        "The backend `http` (00000000-0000-0000-0000-0000000000b5) was left out: it has no usable URL or no secret.",
        "The setting `theirs` of the backend `https://n1.example/bigbluebutton/api/` was left out: it is not known here.",
        "The load factor of `https://n2.example/bigbluebutton/api/` is 0 there and 1 here: it should be from 0.01 to 100.",
        "Left out: 1 meeting without a frontend that comes over (breakouts are found again on their nodes).",
        "Left out: 1 meeting without a backend that comes over.",
        "Left out: 1 past meeting without a frontend that comes over.",
        "Left out: 1 recording without a frontend that comes over.",
        "Left out: 1 recording with an id that is none of a recording.",
        "Of 2 recordings only the records come over: their files lie where they are: take the folders over, or copy them.",
    ];
    assert_eq!(read_whole().await.notes, expected);
}

#[tokio::test]
async fn what_is_wrong_with_the_url_is_said_of_the_flag_and_not_of_our_settings() {
    let database = TestDatabase::empty().await;
    let failed = async |url: &str| {
        let error = read(url).await.expect_err("it cannot be read").to_string();
        assert!(error.contains("(--from)") && !error.contains("B3SCALE_DB_URL"), "{error}");
        error
    };
    let said = failed(&database.url().replacen('?', "x?", 1)).await;
    assert!(said.ends_with("; check the name of the database"), "{said}");
    let said = failed(&format!("{}&user=nobody", database.url())).await;
    assert!(said.ends_with("; check user, password and rights, and the pg_hba.conf there"), "{said}");
    let said = failed("host=127.0.0.1 port=1 user=u dbname=d").await;
    assert!(said.ends_with("; check host and port, and whether PostgreSQL runs there"), "{said}");
}

/// The clock of the test goes on by itself while nothing happens.
#[tokio::test(start_paused = true)]
async fn a_port_where_no_postgresql_answers_is_given_up_soon_and_named() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = read(&format!("host=127.0.0.1 port={port} user=u dbname=d")).await.expect_err("it is silent");
    let expected = format!(
        "PostgreSQL did not take a connection within 10 s, database `d` on `127.0.0.1:{port}` as user `u` (--from)"
    );
    let advice = "check host and port, and whether it is PostgreSQL that answers there";
    assert_eq!(error.to_string(), format!("{expected}; {advice}"));
}

#[tokio::test]
async fn what_is_odd_in_the_database_is_named_in_plain_words() {
    let original = original().await;
    original.execute("DROP TABLE recordings CASCADE").await;
    assert_eq!(read(original.url()).await.expect("recordings are not brought over anyway").document.frontends.len(), 3);
    original.execute("ALTER TABLE frontends ALTER COLUMN account_ref TYPE integer USING NULL::integer").await;
    let error = read(original.url()).await.expect_err("that is no text").to_string();
    assert!(error.ends_with("its column `account_ref` has the type int4, which is not the expected one"), "{error}");
    original.execute("INSERT INTO __meta__ (version, description) VALUES (3, '')").await;
    assert!(refused(&original).await.ends_with("3 and not 2; it is newer than this program; take a newer one"));
}

/// Adds a frontend that the original would keep, and returns its line in the import's report.
async fn left_out(key: &str, settings: &str) -> String {
    let (original, database) = (original().await, TestDatabase::new().await);
    let sql = format!(
        "INSERT INTO frontends (id, key, secret, settings, active) VALUES (gen_random_uuid(), '{key}', 's', '{settings}', true)"
    );
    original.execute(&sql).await;
    let read = read(original.url()).await.expect("it can be read");
    let keys: Vec<_> = read.document.frontends.iter().map(|frontend| frontend.key.as_str()).collect();
    assert_eq!(keys, ["academy", "museum", "school"], "the others come over");
    bring_over(database.store(), &read).await;
    assert_eq!(database.store().frontends().load().await.expect("they can be read").len(), 3);
    let note = read.notes.iter().find(|note| note.starts_with(&format!("The frontend `{key}` (")));
    note.unwrap_or_else(|| panic!("nothing is said of {key}: {:?}", read.notes)).clone()
}

#[tokio::test]
async fn a_frontend_whose_key_cannot_stand_in_a_url_is_left_out_by_name_and_the_rest_comes_over() {
    for key in ["a/b", "a b", "ü", "..", "metrics", "a?b", "a%62", "a|b"] {
        let said = left_out(key, "{}").await;
        assert!(said.contains("was left out: `key` should"), "{said}");
    }
    let long = "k".repeat(200);
    assert!(left_out(&long, "{}").await.contains("`key` should have at most 128 characters"));
}

/// The original refuses every join under a negative limit. To pass over it would lift the limit.
#[tokio::test]
async fn a_frontend_with_a_limit_out_of_range_is_left_out_by_name_and_the_rest_comes_over() {
    for limit in ["-1", "2147483648"] {
        let said = left_out("club", &format!(r#"{{"attendees_limit": {{"limit": {limit}}}}}"#)).await;
        assert!(
            said.ends_with("was left out: `settings.attendees_limit.limit` should be from 0 to 2147483647."),
            "{said}"
        );
    }
    let said = left_out("club", r#"{"attendees_limit": -1}"#).await;
    assert!(said.ends_with("was left out: `settings.attendees_limit` cannot be read."), "{said}");
}

#[tokio::test]
async fn a_backend_that_cannot_be_kept_is_left_out_by_name_and_the_rest_comes_over() {
    let (original, database) = (original().await, TestDatabase::new().await);
    let backends = "INSERT INTO backends (id, host, secret, settings) VALUES
        (gen_random_uuid(), 'https://tagged.example/', 's', '{\"tags\": \"eu\"}'),
        (gen_random_uuid(), 'https://listed.example/', 's', '[]'),
        (gen_random_uuid(), 'node.example/bigbluebutton/api/', 's', '{}'),
        (gen_random_uuid(), 'https://node.example/?a', 's', '{}'),
        (gen_random_uuid(), 'https://secret.example/', repeat('s', 2000), '{}')";
    original.execute(backends).await;
    let read = read(original.url()).await.unwrap();
    bring_over(database.store(), &read).await;
    assert_eq!(database.store().backends().load().await.unwrap().len(), 4);
    for (host, why) in [
        ("https://tagged.example/", "`settings.tags` cannot be read"),
        ("https://listed.example/", "`settings` should be an object"),
        ("node.example/bigbluebutton/api/", "it has no usable URL or no secret"),
        ("https://node.example/?a", "it has no usable URL or no secret"),
        ("https://secret.example/", "`secret` should have at most 1024 characters"),
    ] {
        let is_said = |note: &String| note.starts_with(&format!("The backend `{host}` (")) && note.contains(why);
        assert!(read.notes.iter().any(is_said), "{host}: {:?}", read.notes);
    }
}

/// A clock that was wrong once would keep everything from coming over.
#[tokio::test]
async fn a_time_of_the_future_is_none() {
    let (original, database) = (original().await, TestDatabase::new().await);
    original
        .execute("UPDATE frontends SET created_at = '2999-01-01'; UPDATE frontend_meetings SET seen_at = '2999-01-01'")
        .await;
    let read = read(original.url()).await.unwrap();
    assert!(read.document.frontends.iter().all(|frontend| frontend.created_at.is_none()));
    bring_over(database.store(), &read).await;
}

#[tokio::test]
async fn every_row_comes_over_and_a_second_time_changes_nothing() {
    let (original, database) = (original().await, TestDatabase::new().await);
    let store = database.store();
    let imported = read(original.url()).await.unwrap();
    let foreseen =
        state::import(store, &imported.document, ImportOptions { dry_run: true, ..ImportOptions::default() })
            .await
            .unwrap();
    assert!(store.frontends().load().await.unwrap().is_empty(), "that was only asked");
    let changes = bring_over(store, &imported).await;
    assert_eq!(changes.changes, foreseen.changes);
    // Of three past meetings one is noted with its node already.
    assert_eq!(changes.changes.len(), 3 + 4 + 3 + 2 + 2);
    let school = store.frontends().find(FrontendId(Uuid::from_u128(0xf1))).await.unwrap().expect("it has its id");
    assert_eq!((school.key.as_str(), school.secrets.current().expose()), ("school", "frontend-secret"));
    let n1 = store.backends().find(BackendId(Uuid::from_u128(0xb1))).await.unwrap().expect("it has its id");
    assert_eq!((n1.url.as_str(), n1.load_factor), ("https://n1.example/bigbluebutton/api/", 1.1));
    let live = store.find_meeting(&ScopedId::new("school", &MeetingId::new("m 1"))).await.unwrap().expect("it runs");
    assert_eq!((live.frontend, live.backend, live.state), (school.id, n1.id, MeetingState::Live));
    assert_eq!(live.meeting_id.as_ref(), "m 1");
    let past = store.find_history(&ScopedId::new("school", &MeetingId::new("m 2"))).await.unwrap().expect("it ran");
    assert_eq!((past.frontend, past.backend), (school.id, None));
    let table = store.recordings();
    let recording = table.find(&RecordId::new("r-1719835200000").unwrap()).await.unwrap().expect("it came over");
    assert_eq!((recording.frontend, &*recording.meeting_id, &*recording.name), (Some(school.id), "m 1", "Biology"));
    assert_eq!((recording.visibility(), recording.end_time), (Visibility::PublicProtected, 1_719_838_800_000));
    let metadata = [("gl-listed", "true"), ("meetingId", "m 1"), ("meetingName", "Biology")];
    assert!(recording.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(metadata));
    let [format] = &*recording.formats else { panic!("{recording:?}") };
    assert_eq!((&*format.link, format.duration), ("/playback/presentation/2.3/r-1719835200000", 3_600_000));
    assert_eq!(format.images[0].link, "/presentation/r-1719835200000/presentation/d2/thumbnails/thumb-1.png");
    let odd = table.find(&RecordId::new("r-1719835200001").unwrap()).await.unwrap().expect("it came over");
    assert_eq!((odd.start_time, odd.visibility()), (1_719_835_200_001, Visibility::Unpublished));
    let exported = state::export(store).await.unwrap();

    let again = read(original.url()).await.unwrap();
    assert_eq!(again, imported);
    assert_eq!(bring_over(store, &again).await.changes, []);
    assert_eq!(state::export(store).await.unwrap(), exported);
}

/// The node of a running meeting calls the addresses that it got, or is lost, and then nobody else calls the frontend.
#[tokio::test]
async fn callbacks_of_running_meetings_come_over() {
    let (original, database) = (original().await, TestDatabase::new().await);
    let claims = URL_SAFE_NO_PAD.encode(
        json!({"scope": "b3scale:callback", "sub": Uuid::from_u128(0xf1), "aud": ["https://school.example/end?salt=%242y"]})
            .to_string(),
    );
    let address = format!("https://old.example/api/v1/callbacks/proxy/eyJhbGciOiJIUzM4NCJ9.{claims}.c2ln");
    let metadata = json!({"endcallbackurl": address, "bbb-origin": "greenlight"});
    let sql = format!(
        "UPDATE meetings SET state = jsonb_set(state, '{{Metadata}}', '{metadata}') WHERE internal_id = 'internal-1'"
    );
    original.execute(&sql).await;
    let read = read(original.url()).await.unwrap();
    bring_over(database.store(), &read).await;
    let kept = "SELECT count(*) FROM meeting_callbacks WHERE kind = 'end' AND internal_id = 'internal-1'
        AND url = 'https://school.example/end?salt=%242y' AND token LIKE '%:internal-1'";
    assert_eq!(database.count(kept).await, 1);
    assert_eq!(database.count("SELECT count(*) FROM meeting_callbacks").await, 1);
    database.execute("DELETE FROM meetings").await;
    assert_eq!(database.count("SELECT count(*) FROM deliveries WHERE subject = ''").await, 1);
}

#[tokio::test]
async fn a_recording_is_as_it_is_here_and_gets_only_formats_that_it_lacks() {
    let (original, database) = (original().await, TestDatabase::new().await);
    let store = database.store();
    bring_over(store, &read(original.url()).await.unwrap()).await;
    let id = RecordId::new("r-1719835200000").unwrap();
    store.recordings().set_visibility(&id, Visibility::Unpublished).await.unwrap().expect("it is there");
    original
        .execute(
            "UPDATE recordings SET state = jsonb_set(state, '{Formats,1}', '{\"Type\": \"video\", \"Length\": 59}')
            WHERE record_id = 'r-1719835200000'",
        )
        .await;
    let changes = bring_over(store, &read(original.url()).await.unwrap()).await.changes;
    assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(changes[0].details, ["frontend: school", "format: video"]);
    let found = store.recordings().find(&id).await.unwrap().expect("it is there");
    assert_eq!((found.visibility(), found.formats.len()), (Visibility::Unpublished, 2));
    store.recordings().delete(&id).await.unwrap().expect("it is there");
    assert_eq!(bring_over(store, &read(original.url()).await.unwrap()).await.changes, [], "it does not return");
}

/// Moving in takes days, and the old system goes on.
#[tokio::test]
async fn what_changes_in_the_original_meanwhile_comes_over_the_next_time() {
    let (original, database) = (original().await, TestDatabase::new().await);
    bring_over(database.store(), &read(original.url()).await.unwrap()).await;
    let later = "UPDATE frontends SET active = true WHERE key = 'academy';
        INSERT INTO backends (host, secret) VALUES ('https://n9.example/', 'n9');";
    original.execute(later).await;
    let changes = bring_over(database.store(), &read(original.url()).await.unwrap()).await;
    let names: Vec<_> = changes.changes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["academy", "https://n9.example/"]);
    assert_eq!(changes.changes[0].details, ["active: false → true"]);
}

/// A frontend renamed there is new here. It takes nothing from the earlier import.
#[tokio::test]
async fn what_was_renamed_in_the_original_comes_over_beside_what_it_was() {
    let (original, database) = (original().await, TestDatabase::new().await);
    let store = database.store();
    bring_over(store, &read(original.url()).await.unwrap()).await;
    let renamed = "UPDATE frontends SET key = 'lyceum' WHERE key = 'school';
        UPDATE backends SET host = 'https://moved.example/' WHERE agent_ref = 'agent-1'";
    original.execute(renamed).await;
    let moving = ImportOptions { moving: true, ..ImportOptions::default() };
    let changes = state::import(store, &read(original.url()).await.unwrap().document, moving).await.unwrap();
    let names: Vec<_> = changes.changes.iter().map(|change| change.name.as_str()).take(2).collect();
    assert_eq!(names, ["lyceum", "https://moved.example/"]);
    let n1 = "the backend `https://n1.example/bigbluebutton/api/` has it here.";
    let notes = [
        format!(
            "The id {} of the frontend `lyceum` was left out: the frontend `school` has it here.",
            Uuid::from_u128(0xf1)
        ),
        format!("The id {} of the backend `https://moved.example/` was left out: {n1}", Uuid::from_u128(0xb1)),
        format!("The agent `agent-1` of the backend `https://moved.example/` was left out: {n1}"),
    ];
    assert_eq!(changes.notes, notes);
    let school = store.frontends().find(FrontendId(Uuid::from_u128(0xf1))).await.unwrap().expect("it keeps its id");
    assert_eq!(school.key, "school");
    let n1 = store.backends().find(BackendId(Uuid::from_u128(0xb1))).await.unwrap().expect("it keeps its id");
    assert_eq!(n1.url, "https://n1.example/bigbluebutton/api/");
    let agents = database.count("SELECT count(*) FROM backends WHERE agent_ref = 'agent-1' AND url LIKE '%n1%'").await;
    assert_eq!(agents, 1, "an agent has one backend");
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused_in_a_line() {
    let error = refused(&TestDatabase::empty().await).await;
    assert!(error.contains("is not the original b3scale's: it has no tables `__meta__` and `frontends`"), "{error}");
    let error = refused(&TestDatabase::new().await).await;
    assert!(error.contains("this program's own tables are in it"), "{error}");
    let old = original().await;
    old.execute("DELETE FROM __meta__ WHERE version = 2").await;
    let error = refused(&old).await;
    assert!(error.contains("the version of its schema is 1 and not 2; bring it up to date first"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_out_of_reach_is_named_without_its_password() {
    let error = read("postgres://u:hunter2@127.0.0.1:1/b3scale").await.expect_err("nobody listens there");
    assert!(matches!(error, ImportError::Postgres(StoreError::Away { .. })), "{error:?}");
    let error = error.to_string();
    assert!(error.starts_with("cannot reach PostgreSQL, database `b3scale` on `127.0.0.1:1`"), "{error}");
    assert!(!error.contains("hunter2") && error.lines().count() == 1, "{error}");
}
