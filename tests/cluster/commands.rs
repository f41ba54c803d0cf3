//! The queue: commands, duties, and the servers that share them.

use std::time::Duration;

use b3scale::ledger::{NewServer, Servers};
use b3scale::store::CommandState;
use b3scale_support::TestDatabase;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fixture::SERVER;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_command_is_done_by_one_server_and_keeps_its_result() {
    let database = TestDatabase::new().await;
    let asked = database.store().record_command("end_all_meetings", Some(&json!({"BackendID": "x"}))).await.unwrap();
    assert_eq!((asked.state, &asked.result), (CommandState::Requested, &None));
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let store = database.store().clone();
        servers.spawn(async move { store.take_command(MINUTE, SERVER).await.unwrap() });
    }
    let mut taken: Vec<_> = servers.join_all().await.into_iter().flatten().collect();
    let taken = taken.pop().filter(|_| taken.is_empty()).expect("exactly one server has it");
    assert_eq!((taken.id, taken.state), (asked.id, CommandState::Running));
    assert!(database.store().finish_command(&taken, Ok(json!(true))).await.unwrap());
    let done = database.store().find_command(asked.id).await.unwrap().expect("it is kept for a while");
    assert_eq!((done.state, done.result), (CommandState::Success, Some(json!(true))));
    assert!(done.stopped_at >= done.started_at && done.started_at.is_some());
}

#[tokio::test]
async fn a_command_whose_server_is_lost_is_taken_again_and_the_lost_result_comes_too_late() {
    let database = TestDatabase::new().await;
    database.store().record_command("collect_garbage", None).await.unwrap();
    let lost = database.store().take_command(Duration::ZERO, SERVER).await.unwrap().expect("it waits");
    let again = database.store().take_command(MINUTE, SERVER).await.unwrap().expect("its lease is over");
    assert!(!database.store().finish_command(&lost, Ok(json!(1))).await.unwrap());
    assert!(database.store().finish_command(&again, Err("no".to_owned())).await.unwrap());
    let done = database.store().find_command(again.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.result), (CommandState::Error, Some(json!("no"))));
}

#[tokio::test]
async fn a_command_past_its_deadline_is_not_begun() {
    let database = TestDatabase::new().await;
    let late = database.store().record_command("collect_garbage", None).await.unwrap();
    database.execute("UPDATE commands SET deadline = now() - interval '1 second'").await;
    assert_eq!(database.store().take_command(MINUTE, SERVER).await.unwrap(), None);
    let late = database.store().find_command(late.id).await.unwrap().unwrap();
    assert_eq!((late.state, late.result), (CommandState::Error, Some(json!("timedout"))));
}

/// Defect 20 of the original: every instance queued the same background work.
#[tokio::test]
async fn a_duty_is_done_once_in_its_time_however_many_servers_there_are() {
    let database = TestDatabase::new().await;
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let store = database.store().clone();
        servers.spawn(async move { store.take_duty("clear-up", MINUTE).await.unwrap() });
    }
    assert_eq!(servers.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    assert!(database.store().take_duty("another", Duration::ZERO).await.unwrap());
    assert!(database.store().take_duty("another", Duration::ZERO).await.unwrap(), "its time has come again");
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_removed_and_nothing_else() {
    let database = TestDatabase::new().await;
    let store = database.store();
    for name in ["old", "new"] {
        store.record_command(name, None).await.unwrap();
        let text = String::new;
        let id = Uuid::new_v4();
        let address = name.to_owned();
        let server = NewServer { id, host: text(), address, version: text(), pipeline_hash: text() };
        store.beat(&server).await.unwrap();
    }
    let age = "UPDATE commands SET deadline = now() - interval '2 hours' WHERE action = 'old';
        UPDATE servers SET beat = now() - interval '2 hours' WHERE address = 'old'";
    database.execute(age).await;
    store.collect_garbage().await.unwrap();
    let commands = store.load_commands().await.unwrap();
    assert_eq!(commands.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(), ["new"]);
    let servers = store.load_servers().await.unwrap();
    assert_eq!(servers.iter().map(|one| one.server.address.as_str()).collect::<Vec<_>>(), ["new"]);
    store.leave(servers[0].server.id).await.unwrap();
    assert_eq!(store.load_servers().await.unwrap(), []);
}
