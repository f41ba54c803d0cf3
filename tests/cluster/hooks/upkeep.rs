//! Events that wait, and events that have waited for too long.

use b3scale::ledger::Ends;

use super::rig::{Hooks, Standing, event, numbers};

const EVENTS: &str = "SELECT count(*) FROM hook_events";

#[tokio::test]
async fn an_event_without_a_job_is_posted_all_the_same() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "paused_at = now()").await;
    hooks.tell(2).await;
    hooks.execute("UPDATE hooks SET paused_at = NULL").await;
    hooks.mend().await;
    hooks.done().await;
    assert_eq!(numbers(&hooks.receiver.heard()), [1, 2]);
}

/// A burst is there before its statistics are.
#[tokio::test]
async fn of_a_long_backlog_only_the_next_events_are_read() {
    let hooks = Hooks::new(0, []).await;
    hooks.hook("h1", "").await;
    hooks.tell(5_000).await;
    let (mut client, connection) =
        tokio_postgres::connect(hooks.fixture.database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let next = transaction.query("SELECT seq FROM hooks, next_events(hooks, 20)", &[]).await.unwrap();
    assert_eq!(next.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'hook_events'";
    let read: i64 = transaction.query_one(read, &[]).await.unwrap().get(0);
    assert!(read <= 40, "{read} events were read");
}

#[tokio::test]
async fn events_stay_for_an_hour_and_for_hooks_that_are_behind() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("quick", "").await;
    hooks.hook("paused", "paused_at = now()").await;
    hooks.tell(3).await;
    hooks.done().await;
    hooks.execute("UPDATE hook_events SET at = now() - interval '2 hours'").await;
    hooks.sweep().await;
    assert_eq!(hooks.count(EVENTS).await, 3, "a hook is behind");
    hooks.execute("UPDATE hooks SET cursor = 2 WHERE id = 'paused'").await;
    hooks.execute("UPDATE hook_events SET at = now() WHERE seq = 1").await;
    hooks.sweep().await;
    assert_eq!(hooks.count("SELECT sum(seq)::int8 FROM hook_events").await, 1 + 3);
}

#[tokio::test]
async fn a_hook_that_is_behind_for_too_long_loses_events_and_knows_how_many() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("all", "").await;
    hooks.hook("h1", "paused_at = now(), events = '{user-joined}'").await;
    hooks.tell(3).await;
    hooks.tell_of(serde_json::json!([hooks.event("user-left", 4), hooks.event("user-left", 5)])).await;
    hooks.done().await;
    hooks.execute("UPDATE hook_events SET at = now() - interval '3 days 1 minute' WHERE seq < 3 OR seq = 4").await;
    hooks.sweep().await;
    let expected = Standing { cursor: 4, tries: 0, is_paused: true, delivered: 0, lost: 3 };
    assert_eq!(hooks.standing("h1").await, expected);
    assert_eq!(hooks.count(EVENTS).await, 2);

    // As if a hundred thousand others had followed.
    hooks.execute("UPDATE hook_events SET seq = seq + 100000 WHERE seq = 5").await;
    hooks.execute("UPDATE hook_feeds SET last = 100005").await;
    hooks.tell(1).await;
    hooks.done().await;
    hooks.sweep().await;
    assert_eq!(hooks.standing("h1").await.cursor, 6);
    assert_eq!(hooks.count(EVENTS).await, 2);
}

#[tokio::test]
async fn a_meeting_has_ended_ten_minutes_after_its_node_was_lost() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "events = '{meeting-ended}'").await;
    hooks.fixture.live("m").await;
    assert_eq!(hooks.fixture.store.detach_meetings(hooks.fixture.a).await.expect("it is answered").len(), 1);
    for (minutes, ends) in [(9, 0), (11, 1), (12, 1)] {
        let lost = format!("UPDATE meetings SET updated_at = now() - interval '{minutes} minutes'");
        hooks.execute(&lost).await;
        hooks.mend().await;
        hooks.done().await;
        let heard = hooks.receiver.heard();
        assert_eq!(heard.len(), ends, "{minutes}");
        assert!(heard.iter().all(|heard| event(heard)["data"]["id"] == "meeting-ended"));
    }
}
