//! The queue: commands, duties, and the servers that share them.

use std::time::Duration;

use b3scale::ledger::COMMAND_JOB;
use b3scale::ledger::{Command, CommandState, Commands, NewServer, Queue, Roster as _, Servers};
use b3scale::store::Store;
use b3scale_support::TestDatabase;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fixture::SERVER;

const MINUTE: Duration = Duration::from_secs(60);

/// A server's steps for a command: it takes the job, and then begins the command.
async fn begin(store: &Store, lease: Duration) -> Option<Command> {
    let job = store.take_jobs(COMMAND_JOB, 1, lease, SERVER).await.expect("the queue answers").pop()?;
    store.begin_command(job.id).await.expect("the database answers")
}

#[tokio::test]
async fn a_command_is_done_by_one_server_and_keeps_its_result() {
    let database = TestDatabase::new().await;
    let asked = database.store().commands().record("end_all_meetings", Some(&json!({"BackendID": "x"}))).await.unwrap();
    assert_eq!((asked.state, &asked.result), (CommandState::Requested, &None));
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let store = database.store().clone();
        servers.spawn(async move { begin(&store, MINUTE).await });
    }
    let mut taken: Vec<_> = servers.join_all().await.into_iter().flatten().collect();
    let taken = taken.pop().filter(|_| taken.is_empty()).expect("exactly one server has it");
    assert_eq!((taken.id, taken.state), (asked.id, CommandState::Running));
    assert!(database.store().finish_command(&taken, Ok(json!(true))).await.unwrap());
    let done = database.store().commands().find(asked.id).await.unwrap().expect("it is kept for a while");
    assert_eq!((done.state, done.result), (CommandState::Success, Some(json!(true))));
    assert!(done.stopped_at >= done.started_at && done.started_at.is_some());
    assert_eq!(database.store().begin_command(asked.id).await.unwrap(), None, "it is done");
}

#[tokio::test]
async fn a_command_whose_server_is_lost_is_taken_again_and_the_lost_result_comes_too_late() {
    let database = TestDatabase::new().await;
    database.store().commands().record("collect_garbage", None).await.unwrap();
    let lost = begin(database.store(), Duration::ZERO).await.expect("it waits");
    let again = begin(database.store(), MINUTE).await.expect("its lease is over");
    assert!(!database.store().finish_command(&lost, Ok(json!(1))).await.unwrap());
    assert!(database.store().finish_command(&again, Err("no".to_owned())).await.unwrap());
    let done = database.store().commands().find(again.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.result), (CommandState::Error, Some(json!("no"))));
}

#[tokio::test]
async fn a_command_past_its_deadline_is_not_begun() {
    let database = TestDatabase::new().await;
    let late = database.store().commands().record("collect_garbage", None).await.unwrap();
    database.execute("UPDATE commands SET deadline = now() - interval '1 second'").await;
    let begun = begin(database.store(), MINUTE).await.expect("it is taken, to say so");
    assert_eq!((begun.state, begun.started_at), (CommandState::Error, None));
    let late = database.store().commands().find(late.id).await.unwrap().unwrap();
    assert_eq!((late.state, late.result), (CommandState::Error, Some(json!("timedout"))));
}

/// Defect 20 of the original: every instance queued the same background work.
#[tokio::test]
async fn a_duty_is_done_once_in_its_time_however_many_servers_there_are() {
    let database = TestDatabase::new().await;
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let store = database.store().clone();
        servers.spawn(async move { store.take_duty("clear-up", MINUTE, SERVER).await.unwrap() });
    }
    assert_eq!(servers.join_all().await.into_iter().filter(|taken| *taken).count(), 1);
    assert!(database.store().take_duty("another", Duration::ZERO, SERVER).await.unwrap());
    assert!(database.store().take_duty("another", Duration::ZERO, SERVER).await.unwrap(), "its time has come again");
}

#[tokio::test]
async fn a_duty_under_way_is_not_due_and_that_of_a_lost_server_is() {
    let database = TestDatabase::new().await;
    let (store, other) = (database.store(), Uuid::from_u128(2));
    let overdue = "UPDATE duties SET due = now() - interval '1 second'";
    assert!(store.take_duty("retention", MINUTE, SERVER).await.unwrap());
    database.execute(overdue).await;
    assert!(store.renew_duty("retention", MINUTE, SERVER).await.unwrap(), "it is still at work");
    assert!(!store.take_duty("retention", MINUTE, other).await.unwrap());
    database.execute(overdue).await;
    assert!(store.take_duty("retention", MINUTE, other).await.unwrap(), "the first is silent");
    assert!(!store.renew_duty("retention", MINUTE, SERVER).await.unwrap(), "which has lost it");
}

#[tokio::test]
async fn garbage_is_removed_and_nothing_else() {
    let database = TestDatabase::new().await;
    let store = database.store();
    for name in ["old", "new"] {
        store.commands().record(name, None).await.unwrap();
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
    let commands = store.commands().load().await.unwrap();
    assert_eq!(commands.iter().map(|one| one.action.as_str()).collect::<Vec<_>>(), ["new"]);
    let servers = store.load_servers().await.unwrap();
    assert_eq!(servers.iter().map(|one| one.server.address.as_str()).collect::<Vec<_>>(), ["new"]);
    store.leave(servers[0].server.id).await.unwrap();
    assert_eq!(store.load_servers().await.unwrap(), []);
}
