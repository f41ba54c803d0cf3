//! The cluster of the default run: its lock, its restarts, and every way it can fail to start.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use b3scale::ledger::{Announcements, Change};
use b3scale::store::Store;
use b3scale::store::private::{PrivateError, PrivatePostgres};
use b3scale_support::TestFolder;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::tls::Postgres;

/// The process number of the server in the folder.
fn server(folder: &Path) -> Pid {
    let note = fs::read_to_string(folder.join("pgdata/postmaster.pid")).expect("a server runs");
    let pid = note.lines().next().expect("its first line").parse().expect("a number");
    Pid::from_raw(pid).expect("not zero")
}

#[tokio::test]
async fn it_keeps_what_it_was_given_over_a_restart() {
    let folder = TestFolder::new();
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    let store = Store::connect(cluster.url(), 2).await.expect("it takes connections");
    store.schema().migrate().await.expect("it is empty");
    let secret = b3scale::store::shared_secret(&store, "jwt").await.expect("it writes");
    cluster.stop().await;
    assert!(store.ping().await.expect_err("it is stopped").is_away());

    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts again");
    assert_eq!(b3scale::store::shared_secret(&store, "jwt").await.expect("the old pool connects anew"), secret);
    cluster.stop().await;
}

#[tokio::test]
async fn a_second_start_in_the_same_folder_is_refused() {
    let folder = TestFolder::new();
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    let error = PrivatePostgres::start(folder.path()).await.expect_err("the folder is taken");
    assert!(matches!(error, PrivateError::InUse(_)), "{error}");
    assert!(error.to_string().contains("set B3SCALE_DATA_DIR to another folder"), "{error}");
    cluster.stop().await;
    PrivatePostgres::start(folder.path()).await.expect("the folder is free again").stop().await;
}

#[tokio::test]
async fn it_is_started_again_when_it_is_killed() {
    let folder = TestFolder::new();
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    let store = Store::connect(cluster.url(), 2).await.expect("it takes connections");
    let mut feed = store.feed();
    assert_eq!(feed.recv().await, Some(Change::Reconnected));
    let killed = server(folder.path());
    kill_process(killed, Signal::KILL).expect("it runs");
    let back = timeout(Duration::from_secs(30), feed.recv()).await.expect("it is back");
    assert_eq!(back, Some(Change::Reconnected));
    store.ping().await.expect("the pool connects anew");
    assert_ne!(server(folder.path()), killed);
    cluster.stop().await;
}

#[tokio::test]
async fn a_server_that_outlived_its_owner_is_ended_and_not_joined() {
    let folder = TestFolder::new();
    PrivatePostgres::start(folder.path()).await.expect("it starts").stop().await;
    let mut orphan = Postgres::run(&folder.path().join("pgdata"), &["listen_addresses=".to_owned()]).await;
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    assert!(orphan.ended().await, "it was asked to stop");
    Store::connect(cluster.url(), 1).await.expect("it takes connections");
    cluster.stop().await;
}

#[tokio::test]
async fn a_process_that_got_the_number_of_an_old_server_does_not_bar_the_start() {
    let folder = TestFolder::new();
    PrivatePostgres::start(folder.path()).await.expect("it starts").stop().await;
    let owner = fs::metadata(folder.path().join("pgdata")).expect("it is there");
    let mut command = tokio::process::Command::new("sleep");
    command.arg("600").kill_on_drop(true);
    if rustix::process::geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = command.spawn().expect("it runs");
    let note = folder.path().join("pgdata/postmaster.pid");
    let pid = other.id().expect("it runs");
    fs::write(&note, format!("{pid}\n{}/pgdata\n1\n5432\n\n\n0 0\nready\n", folder.path().display())).expect("a note");
    std::os::unix::fs::chown(&note, Some(owner.uid()), Some(owner.gid())).expect("the file is ours");
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    assert!(other.try_wait().expect("it is a child").is_none(), "it has nothing to do with us");
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_half_made_is_made_again() {
    let folder = TestFolder::new();
    fs::create_dir(folder.path().join("pgdata.new")).expect("the folder is ours");
    fs::write(folder.path().join("pgdata.new/PG_VERSION"), "15").expect("the folder is ours");
    let cluster = PrivatePostgres::start(folder.path()).await.expect("it starts");
    assert!(!folder.path().join("pgdata.new").exists());
    cluster.stop().await;
}

#[tokio::test]
async fn a_folder_with_a_long_name_gets_its_socket_elsewhere() {
    let folder = TestFolder::new();
    let long = folder.path().join("long".repeat(30));
    let cluster = PrivatePostgres::start(&long).await.expect("it starts");
    Store::connect(cluster.url(), 1).await.expect("it takes connections");
    assert!(!long.join("socket").exists());
    let socket = percent_encoding::percent_decode_str(cluster.url()).decode_utf8().expect("it is text").into_owned();
    let socket = socket.split(['=', '&']).find(|part| part.starts_with('/')).expect("a path").to_owned();
    assert!(Path::new(&socket).exists());
    cluster.stop().await;
    assert!(!Path::new(&socket).exists(), "nothing is left in the shared folder");
}

#[tokio::test]
async fn a_socket_folder_that_others_may_enter_is_refused() {
    let folder = TestFolder::new();
    fs::create_dir(folder.path().join("socket")).expect("the folder is ours");
    fs::set_permissions(folder.path().join("socket"), Permissions::from_mode(0o777)).expect("the folder is ours");
    let error = PrivatePostgres::start(folder.path()).await.expect_err("anybody could connect");
    assert!(matches!(error, PrivateError::ForeignFolder { .. }), "{error}");
}

#[tokio::test]
async fn a_cluster_of_another_version_names_the_version_to_install() {
    let folder = TestFolder::new();
    fs::create_dir(folder.path().join("pgdata")).expect("the folder is ours");
    fs::write(folder.path().join("pgdata/PG_VERSION"), "9\n").expect("the folder is ours");
    let error = PrivatePostgres::start(folder.path()).await.expect_err("no such version");
    assert!(error.to_string().contains("install PostgreSQL 9, or set PG_BIN"), "{error}");
}

#[tokio::test]
async fn as_root_a_folder_that_bars_the_way_is_named() {
    let folder = TestFolder::new();
    if fs::metadata(folder.path()).expect("it is there").uid() != 0 {
        // Only root runs PostgreSQL as another user.
        return;
    }
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).expect("the folder is ours");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("the folder is ours");
    let error = PrivatePostgres::start(&closed.join("data")).await.expect_err("nobody else may enter");
    let PrivateError::NotEnterable { folder: barred, .. } = &error else { panic!("{error}") };
    assert_eq!(*barred, fs::canonicalize(closed).expect("it is there"));
}

#[tokio::test]
async fn a_file_where_the_folder_should_be_is_named() {
    let folder = TestFolder::new();
    let file = folder.path().join("file");
    fs::write(&file, "").expect("the folder is ours");
    let error = PrivatePostgres::start(&file).await.expect_err("it is no folder");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}
