//! Order, filters, and servers that are lost.

use b3scale_middleware::bbb::MeetingId;
use b3scale_support::{Reaction, eventually, until_blocked};
use serde_json::json;
use tokio::sync::oneshot;

use super::rig::{Hooks, event, numbers};
use crate::fixture::{new_frontend, scoped};

#[tokio::test]
async fn events_arrive_one_at_a_time_and_in_order_however_many_servers_run() {
    const MANY: usize = 120;
    let hooks = Hooks::new(3, [Reaction::Status(500), Reaction::Close]).await;
    hooks.hook("h1", "").await;
    for _ in 0..4 {
        hooks.tell(MANY / 4).await;
    }
    hooks.done().await;
    let heard = hooks.receiver.heard();
    let sequence: Vec<i64> =
        heard.iter().map(|one| one.header("X-B3scale-Sequence").unwrap().parse().unwrap()).collect();
    let expected: Vec<i64> = [1, 1].into_iter().chain(1..=MANY as i64).collect();
    assert_eq!(sequence, expected);
    assert_eq!(hooks.standing("h1").await.delivered, MANY as i64);
}

#[tokio::test]
async fn a_kill_between_answer_and_record_repeats_with_the_same_id() {
    // The answer never comes to the first server, as if it had been killed at its arrival.
    let (_tell, told) = oneshot::channel();
    let mut hooks = Hooks::new(0, [Reaction::Told(told)]).await;
    let victim = hooks.add_server().await;
    hooks.hook("h1", "").await;
    hooks.tell(3).await;
    hooks.receiver.hears(1).await;
    victim.stop();
    hooks.add_server().await;
    let lose =
        "UPDATE servers SET beat = now() - interval '9 seconds' WHERE id = '00000000-0000-0000-0000-000000000064'";
    hooks.execute(lose).await;
    hooks.done().await;
    let heard = hooks.receiver.heard();
    assert_eq!(numbers(&heard), [1, 1, 2, 3]);
    assert_eq!(heard[0].header("Webhook-Id"), heard[1].header("Webhook-Id"));
    assert_eq!(heard[0].body, heard[1].body);
}

#[tokio::test]
async fn each_hook_hears_what_it_asked_for() {
    let hooks = Hooks::new(2, []).await;
    hooks.hook("all", "").await;
    hooks.hook("left", "events = '{user-left}'").await;
    hooks.hook("other", "meeting_id = 'b'").await;
    let mut elsewhere = hooks.event("user-left", 3);
    elsewhere["meeting_id"] = "b".into();
    hooks.tell_of(json!([hooks.event("user-joined", 1), hooks.event("user-left", 2), elsewhere])).await;
    hooks.done().await;
    let of = |path: &str| {
        let heard = hooks.receiver.heard();
        let theirs: Vec<_> =
            heard.into_iter().filter(|one| one.path().starts_with(&format!("/secret-of-{path}?"))).collect();
        numbers(&theirs)
    };
    assert_eq!((of("all"), of("left"), of("other")), (vec![1, 2, 3], vec![2, 3], vec![3]));
    hooks.tell_of(json!([hooks.event("user-joined", 4)])).await;
    hooks.done().await;
    hooks.mend().await;
    for hook in ["all", "left", "other"] {
        assert_eq!(hooks.standing(hook).await.cursor, 4, "{hook}");
    }
    assert_eq!(hooks.count("SELECT count(*) FROM jobs").await, 0, "passing events takes no job");
}

#[tokio::test]
async fn a_slow_hook_holds_up_no_other() {
    let (tell, told) = oneshot::channel();
    let hooks = Hooks::new(1, [Reaction::Told(told)]).await;
    hooks.hook("slow", "").await;
    hooks.tell(1).await;
    hooks.receiver.hears(1).await;
    hooks.hook("quick", "").await;
    hooks.tell(5).await;
    hooks.receiver.hears(6).await;
    assert_eq!(hooks.standing("slow").await.delivered, 0);
    tell.send(200).expect("the receiver waits");
    hooks.done().await;
    assert_eq!(hooks.standing("slow").await.delivered, 6);
}

#[tokio::test]
async fn frontends_with_one_meeting_id_hear_their_own() {
    let hooks = Hooks::new(1, []).await;
    let other = hooks.fixture.store.frontends().record(&new_frontend("college")).await.expect("a frontend").id;
    hooks.hook("school", "").await;
    hooks.begin_feed(other.0).await;
    let url = hooks.receiver.url("/secret-of-college");
    let made =
        format!("INSERT INTO hooks (id, frontend_id, url, cursor) VALUES ('college', '{}', '{url}', 0)", other.0);
    hooks.execute(&made).await;
    let mut theirs = hooks.event("user-joined", 2);
    theirs["frontend"] = other.0.to_string().into();
    hooks.tell_of(json!([hooks.event("user-joined", 1), theirs])).await;
    hooks.done().await;
    let mut heard = hooks.receiver.heard();
    heard.sort_by_key(|one| one.path().to_owned());
    assert_eq!(numbers(&heard), [2, 1]);
    assert!(heard.iter().all(|one| one.header("X-B3scale-Sequence") == Some("1")), "each frontend counts its own");
}

#[tokio::test]
async fn without_an_agent_a_meeting_is_told_by_its_record() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "").await;
    let live = hooks.fixture.live("a").await;
    let told_again = json!([{"frontend": hooks.fixture.frontend.0, "name": "meeting-created", "meeting": scoped("a").to_string(),
        "meeting_id": "a", "internal_id": "internal-a", "ts": 1, "attributes": {}}]);
    hooks.tell_of(told_again).await;
    hooks.execute(&format!("UPDATE meetings SET internal_id = 'internal-2' WHERE id = '{}'", live.id)).await;
    hooks.execute("DELETE FROM meetings").await;
    hooks.wake();
    hooks.done().await;
    let names: Vec<_> = hooks
        .receiver
        .heard()
        .iter()
        .map(|one| {
            let event = event(one);
            let meeting = &event["data"]["attributes"]["meeting"];
            assert_eq!(meeting["external-meeting-id"], MeetingId::new("a").as_ref());
            format!("{} {}", event["data"]["id"].as_str().unwrap(), meeting["internal-meeting-id"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        names,
        [
            "meeting-created internal-a",
            "meeting-ended internal-a",
            "meeting-created internal-2",
            "meeting-ended internal-2"
        ]
    );
}

/// A batch locks the feeds of its events in one order, too: a second order would deadlock.
#[tokio::test]
async fn a_statement_that_ends_meetings_of_two_frontends_locks_their_feeds_in_one_order() {
    let hooks = Hooks::new(0, []).await;
    hooks.fixture.store.frontends().record(&new_frontend("college")).await.expect("a frontend");
    let made = "INSERT INTO hook_feeds (frontend_id) SELECT id FROM frontends;
        INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id, create_time, claim, version)
        SELECT key, frontends.id, key, backends.id, 1, 'live', key, 1, 0, nextval('versions')
        FROM frontends, (SELECT id FROM backends LIMIT 1) AS backends ORDER BY frontends.id DESC";
    hooks.execute(made).await;
    let (client, connection) =
        tokio_postgres::connect(hooks.fixture.database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT FROM hook_feeds ORDER BY frontend_id LIMIT 1 FOR UPDATE").await.unwrap();
    let waits = async {
        until_blocked(&client).await;
        client.batch_execute("SELECT FROM hook_feeds FOR UPDATE NOWAIT; COMMIT").await.expect("the other feed is free");
    };
    tokio::join!(hooks.execute("DELETE FROM meetings"), waits);
    assert_eq!(hooks.count("SELECT count(*) FROM hook_events WHERE name = 'meeting-ended'").await, 2);
}

#[tokio::test]
async fn hooks_go_with_their_frontend() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "paused_at = now()").await;
    hooks.tell(2).await;
    hooks.fixture.store.frontends().remove(hooks.fixture.frontend).await.expect("it is removed");
    hooks.sweep().await;
    eventually("nothing is left", async || {
        hooks.count("SELECT (SELECT count(*) FROM hooks) + (SELECT count(*) FROM hook_feeds) + (SELECT count(*) FROM hook_events)").await == 0
    })
    .await;
}
