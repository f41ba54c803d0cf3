//! The schema: migrated once, by the first server.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use b3scale::ledger::{Lookups, Polls};
use b3scale::store::{Store, StoreError};
use b3scale_middleware::cluster::MeetingState;
use b3scale_support::TestDatabase;

/// Names and texts of all migrations, the oldest first.
fn migrations() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = fs::read_dir(folder).expect("it is there").flatten().map(|file| file.path());
    let read = |file: PathBuf| {
        let stem = file.file_stem().and_then(OsStr::to_str).expect("a name");
        let name = format!("V{}", stem.trim_start_matches(['V', '0']));
        (stem.to_owned(), (name, fs::read_to_string(&file).expect("it can be read")))
    };
    let mut migrations: Vec<_> = files.map(read).collect();
    migrations.sort();
    migrations.into_iter().map(|(_, migration)| migration).collect()
}

/// Defect 37 of the original: migrations ran without a lock.
#[tokio::test]
async fn of_two_servers_that_start_at_once_one_migrates_and_the_other_waits() {
    let database = TestDatabase::empty().await;
    let other = Store::connect(database.url(), 1).await.unwrap();
    let all: Vec<_> = migrations().into_iter().map(|(name, _)| name).collect();
    assert_eq!(database.store().schema().pending().await.unwrap(), all);
    let (one, two) = tokio::join!(database.store().schema().migrate(), other.schema().migrate());
    let mut applied = [one.unwrap(), two.unwrap()];
    applied.sort();
    assert_eq!(applied, [vec![], all]);
    assert_eq!(database.store().schema().pending().await.unwrap(), [""; 0]);
    assert!(database.store().frontends().load().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_database_of_the_original_is_refused_and_left_as_it_was() {
    let database = TestDatabase::empty().await;
    let original = "CREATE TABLE __meta__ (version int UNIQUE, description text, applied_at timestamp);
        CREATE TABLE frontends (id uuid PRIMARY KEY, key varchar(255), secret varchar(255));";
    database.execute(original).await;
    let error = database.store().schema().migrate().await.expect_err("it is not ours");
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("`b3scalectl import b3scale`"), "{error}");
    assert!(matches!(database.store().schema().pending().await, Err(StoreError::Foreign { .. })));
    database.execute("DO $$ BEGIN ASSERT to_regclass('refinery_schema_history') IS NULL; END $$").await;
}

#[tokio::test]
async fn a_database_that_is_newer_than_the_program_is_refused() {
    let database = TestDatabase::new().await;
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (9999, 'later', '2030-01-01T00:00:00Z', '1')";
    database.execute(newer).await;
    let error = database.store().schema().migrate().await.expect_err("its schema is unknown");
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
}

/// Defect 37 of the original: each look at the schema leaked a connection.
#[tokio::test]
async fn looking_at_the_schema_leaves_no_connection_behind() {
    let database = TestDatabase::new().await;
    for _ in 0..50 {
        assert_eq!(database.store().schema().pending().await.unwrap(), [""; 0]);
    }
    // PostgreSQL needs a moment to notice that a client is gone.
    let settled = "DO $$
        BEGIN
            FOR look IN 1..1000 LOOP
                PERFORM pg_stat_clear_snapshot();
                EXIT WHEN (SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()) <= 8;
                ASSERT look < 1000, 'they stay';
                PERFORM pg_sleep(0.01);
            END LOOP;
        END $$";
    database.execute(settled).await;
}

/// A cluster of one server that is to become one of many.
#[tokio::test]
async fn what_there_is_stays_when_a_cluster_is_brought_up_to_date() {
    let database = TestDatabase::empty().await;
    let migrations = migrations();
    let ((_, first), later) = migrations.split_first().expect("there are several");
    database.execute(first).await;
    let before =
        "INSERT INTO frontends (id, key, secret) VALUES ('00000000-0000-0000-0000-000000000001', 'school', 's');
        INSERT INTO backends (id, url, secret, admin_state) VALUES
            ('00000000-0000-0000-0000-00000000000a', 'https://a.example/', 's', 'ready'),
            ('00000000-0000-0000-0000-00000000000b', 'https://b.example/', 's', 'ready');
        INSERT INTO backend_status (backend_id, node_state, latency_ns, attendees, seq)
            VALUES ('00000000-0000-0000-0000-00000000000a', 'ready', 1, 7, 41);
        INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id, claim, version)
            VALUES ('m', '00000000-0000-0000-0000-000000000001', 'm', '00000000-0000-0000-0000-00000000000a', 1,
                'live', 'internal', 1, 1);";
    database.execute(before).await;
    for (_, sql) in later {
        database.execute(sql).await;
    }
    let store = database.store();
    let meetings = store.load_meetings().await.unwrap();
    assert_eq!(
        meetings.iter().map(|one| (one.state, one.entry.clone())).collect::<Vec<_>>(),
        [(MeetingState::Live, None)]
    );
    let mut statuses = store.statuses_since(&[]).await.unwrap();
    statuses.sort_by_key(|status| status.backend);
    assert_eq!(statuses.iter().map(|status| (status.attendees, status.seq)).collect::<Vec<_>>(), [(7, 41), (0, 1)]);
    assert_eq!(
        store.take_polls(10, std::time::Duration::from_secs(60), uuid::Uuid::nil()).await.unwrap().len(),
        2,
        "both are asked at once"
    );
}
