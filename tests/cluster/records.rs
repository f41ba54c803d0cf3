//! Frontends, backends and settings: loaded as recorded.

use std::time::{Duration, SystemTime};

use b3scale::ledger::{Ends, Lookups};
use b3scale::store::StoreError;
use b3scale_middleware::bbb::{Algorithm, Secret};
use b3scale_middleware::cluster::{AdminState, BackendId, DefaultPresentation, Secrets};
use b3scale_support::TestDatabase;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, new_backend, new_frontend, secret};

#[tokio::test]
async fn a_frontend_comes_back_as_it_was_recorded() {
    let database = TestDatabase::new().await;
    let mut new = new_frontend("school");
    new.secrets = Secrets::new(secret("s3cret"), Some(secret("n3xt")));
    new.algorithms = [Algorithm::Sha256, Algorithm::Sha512].into_iter().collect();
    new.settings.required_tags = Some(["eu"].iter().collect());
    new.settings.default_presentation =
        Some(DefaultPresentation { url: "https://x/y.pdf".to_owned(), force: true, ..DefaultPresentation::default() });
    let recorded = database.store().frontends().record(&new).await.unwrap();
    let found = database.store().frontends().find(recorded.id).await.unwrap().expect("it is there");
    assert_eq!((found.key.as_str(), found.active, found.version), ("school", true, recorded.version));
    assert_eq!((found.algorithms, &found.settings), (new.algorithms, &new.settings));
    assert_eq!(found.secrets.iter().map(Secret::expose).collect::<Vec<_>>(), ["s3cret", "n3xt"]);
}

#[tokio::test]
async fn a_frontend_recorded_again_is_changed_and_keeps_settings_we_do_not_know() {
    let cluster = Fixture::new().await;
    let before = cluster.store.frontends().find(cluster.frontend).await.unwrap().unwrap();
    cluster.database.execute(r#"UPDATE frontends SET settings = '{"theirs": 9}'"#).await;
    let mut new = new_frontend("school");
    new.active = false;
    let changed = cluster.store.frontends().record(&new).await.unwrap();
    assert_eq!((changed.id, changed.active), (cluster.frontend, false));
    assert!(changed.version > before.version);
    cluster.database.execute("DELETE FROM frontends WHERE settings->>'theirs' = '9'").await;
    assert!(cluster.store.frontends().load().await.unwrap().is_empty(), "the unknown setting was still there");
}

#[tokio::test]
async fn versions_only_grow_when_a_row_is_deleted_and_made_again() {
    let cluster = Fixture::new().await;
    let before = cluster.store.frontends().find(cluster.frontend).await.unwrap().unwrap();
    assert!(cluster.store.frontends().remove(cluster.frontend).await.unwrap());
    let again = cluster.store.frontends().record(&new_frontend("school")).await.unwrap();
    assert!(again.version > before.version);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_hide_the_others() {
    let cluster = Fixture::new().await;
    let broken = cluster.store.frontends().record(&new_frontend("broken")).await.unwrap();
    cluster.database.execute("UPDATE frontends SET checksum_algorithms = '{md5}' WHERE key = 'broken'").await;
    let readable = cluster.store.frontends().load().await.unwrap();
    assert_eq!(readable.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["school"]);
    let error = cluster.store.frontends().find(broken.id).await.expect_err("md5 is unknown");
    assert!(error.to_string().contains("row `broken` of table frontends"), "{error}");
}

#[tokio::test]
async fn a_backend_comes_back_as_it_was_recorded() {
    let cluster = Fixture::new().await;
    let mut new = new_backend("https://a.example/api/");
    new.load_factor = 2.5;
    let changed = cluster.store.backends().record(&new).await.unwrap();
    assert_eq!((changed.id, changed.load_factor), (cluster.a, 2.5));
    let stopped = cluster
        .store
        .backends()
        .record_admin_state(cluster.a, AdminState::Stopped)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(stopped.admin_state, AdminState::Stopped);
    assert_eq!((stopped.secret.expose(), stopped.tags), ("n0de", ["eu"].iter().collect()));
    assert_eq!(cluster.store.backends().load().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_value_that_breaks_a_rule_is_refused_without_quoting_the_row() {
    let database = TestDatabase::new().await;
    let error = database.store().backends().record(&new_backend("https://no.slash")).await.expect_err("no slash");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("n0de") && !format!("{error:?}").contains("n0de"), "{error:?}");
}

#[tokio::test]
async fn a_decommissioned_backend_goes_when_its_last_meeting_has_ended() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    cluster.store.backends().record_admin_state(cluster.b, AdminState::Stopped).await.unwrap();
    cluster.store.backends().record_admin_state(cluster.a, AdminState::Decommissioned).await.unwrap();
    let clear = [(cluster.a, SystemTime::UNIX_EPOCH)];
    assert_eq!(cluster.store.backends().remove_decommissioned(&clear).await.unwrap(), []);
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    assert_eq!(
        cluster.store.backends().remove_decommissioned(&clear).await.unwrap(),
        [],
        "its node may come back with it"
    );
    let detached = cluster.found("algebra").await.unwrap();
    cluster.store.attach_meeting(&detached).await.unwrap().expect("it is back");
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    assert_eq!(cluster.store.backends().remove_decommissioned(&clear).await.unwrap(), [cluster.a]);
    assert_eq!(cluster.store.backends().load().await.unwrap().len(), 1, "one that is merely stopped stays");
}

#[tokio::test]
async fn a_decommissioned_backend_goes_when_its_node_has_said_since_then_that_it_runs_nothing_else() {
    let cluster = Fixture::new().await;
    cluster.store.backends().record_admin_state(cluster.a, AdminState::Decommissioned).await.unwrap();
    let status = |status: &str| format!("UPDATE backend_status SET synced_at = now(), {status}");
    let removed =
        async |clear: &[(BackendId, SystemTime)]| cluster.store.backends().remove_decommissioned(clear).await.unwrap();
    cluster.database.execute(&status("node_state = 'ready'")).await;
    assert_eq!(removed(&[]).await, [], "something else runs there");
    assert_eq!(removed(&[(cluster.a, SystemTime::UNIX_EPOCH)]).await, [], "that was before");
    cluster.database.execute(&status("node_state = 'error'")).await;
    assert_eq!(removed(&[]).await, [], "it was there a moment ago");
    let now = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(removed(&[(cluster.b, now)]).await, [], "that is another node");
    cluster.database.execute(&status("node_state = 'ready'")).await;
    assert_eq!(removed(&[(cluster.a, now)]).await, [cluster.a]);
}

/// A lost node reports no meetings.
#[tokio::test]
async fn a_decommissioned_backend_whose_node_is_lost_is_not_waited_for_longer_than_ten_minutes() {
    let cluster = Fixture::new().await;
    cluster.store.backends().record_admin_state(cluster.a, AdminState::Decommissioned).await.unwrap();
    let lost = "UPDATE backend_status SET node_state = 'error', synced_at = now() - interval '11 minutes'";
    cluster.database.execute(lost).await;
    assert_eq!(cluster.store.backends().remove_decommissioned(&[]).await.unwrap(), [cluster.a]);
}

/// Defect 38 of the original: the rows of meetings went with their frontend, and the meetings ran on.
#[tokio::test]
async fn the_meetings_of_a_frontend_that_is_removed_are_left_to_be_ended() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    assert!(cluster.store.frontends().remove(cluster.frontend).await.unwrap());
    assert_eq!(cluster.found("algebra").await, None);
    assert_eq!(cluster.copies().await, [(live.id.clone(), cluster.a)]);
    let past = cluster.store.find_history(&live.id).await.unwrap().expect("it is noted");
    assert!(past.ended);
}

#[tokio::test]
async fn servers_that_start_at_once_share_one_secret() {
    let database = TestDatabase::new().await;
    let mut askers = JoinSet::new();
    for _ in 0..10 {
        let store = database.store().clone();
        askers.spawn(async move { b3scale::store::shared_secret(&store, "jwt").await.unwrap() });
    }
    let secrets = askers.join_all().await;
    assert!(secrets.iter().all(|one| *one == secrets[0] && one.len() == 64));
    assert_ne!(b3scale::store::shared_secret(database.store(), "other").await.unwrap(), secrets[0]);
}
