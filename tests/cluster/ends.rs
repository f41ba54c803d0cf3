//! Ends of meetings, and the deliveries that they queue. One test for each way in which a session ends, or only seems to.

use std::collections::BTreeSet;
use std::time::SystemTime;

use b3scale::ledger::{Copies, Ends, Places, Release};
use b3scale_middleware::cluster::{Callback, CallbackKind, Claim, Meeting, Size};
use b3scale_middleware::ports::Born;

use crate::fixture::{Fixture, born, scoped};

/// A node's answer to a create with both callbacks of an end, and with one for recordings.
fn called(internal_id: &str) -> Born {
    let callback = |name: &str, kind: CallbackKind| Callback {
        name: name.to_owned(),
        kind,
        url: format!("https://school.example/{}", kind.word()),
        token: format!("{internal_id}-{}", kind.word()),
        address: "https://b3scale.example/never-stored".to_owned(),
    };
    let callbacks = vec![
        callback("meta_endcallbackurl", CallbackKind::End),
        callback("meetingEndedURL", CallbackKind::Ended),
        callback("meta_bbb-recording-ready-url", CallbackKind::Ready),
    ];
    Born { callbacks, ..born(internal_id, 1) }
}

impl Fixture {
    /// A meeting with callbacks that runs on backend a.
    async fn called(&self, name: &str) -> Meeting {
        let held = self.won(name).await;
        let live = self.store.record_live(&held, &called(&format!("internal-{name}"))).await;
        live.expect("the record is answered").expect("the claim is ours")
    }

    /// How many ends of a session are queued, each with its job.
    async fn ends(&self, internal_id: &str) -> i64 {
        self.database
            .count(&format!(
                "SELECT count(*) FROM deliveries JOIN meeting_callbacks AS kept ON kept.id = callback_id
                JOIN jobs ON jobs.kind = 'deliver' AND payload->>'id' = deliveries.id::text
                WHERE internal_id = '{internal_id}' AND subject = ''"
            ))
            .await
    }

    async fn claimed(&self, name: &str, backend: b3scale_middleware::cluster::BackendId) -> Meeting {
        let Claim::Won(held) = self.claim(name, backend).await else { panic!("nobody has it") };
        (*held).clone()
    }
}

#[tokio::test]
async fn each_end_queues_one_delivery_to_each_callback() {
    let cluster = Fixture::new().await;
    let store = &cluster.store;
    let forgotten = cluster.called("forgotten").await;
    assert!(store.forget_meeting(&forgotten).await.unwrap());
    assert!(!store.forget_meeting(&forgotten).await.unwrap());
    let let_go = cluster.called("let-go").await;
    assert!(store.let_go_of_meeting(&let_go).await.unwrap());
    let renewed = cluster.called("renewed").await;
    assert!(store.renew_meeting(&renewed, &born("renewed-2", 2)).await.unwrap().is_some());
    let ending = cluster.called("ending").await;
    store.record_ending(&ending).await.unwrap().expect("it was live");
    assert_eq!(cluster.ends("internal-ending").await, 0, "an accepted end is none yet");
    assert_eq!(store.forget_ending(cluster.a).await.unwrap().len(), 1);
    for name in ["forgotten", "let-go", "renewed", "ending"] {
        assert_eq!(cluster.ends(&format!("internal-{name}")).await, 2, "{name}");
    }
}

#[tokio::test]
async fn a_node_that_is_given_up_ends_its_meetings_after_ten_minutes() {
    let cluster = Fixture::new().await;
    cluster.called("algebra").await;
    let after = async |minutes: u32| {
        let detached = cluster.store.detach_meetings(cluster.a).await.unwrap().remove(0);
        let sql = format!("UPDATE meetings SET updated_at = now() - interval '{minutes} minutes'");
        cluster.database.execute(&sql).await;
        (cluster.store.callbacks().queue_missed_ends().await.unwrap(), detached)
    };
    let (found, detached) = after(9).await;
    assert_eq!((found, cluster.ends("internal-algebra").await), (0, 0), "it may come back");
    cluster.store.attach_meeting(&detached).await.unwrap().expect("it has come back");
    let (found, detached) = after(11).await;
    assert_eq!((found, cluster.ends("internal-algebra").await), (1, 2));
    assert_eq!(cluster.store.callbacks().queue_missed_ends().await.unwrap(), 0);
    cluster.store.attach_meeting(&detached).await.unwrap().expect("it has come back");
    assert_eq!(cluster.ends("internal-algebra").await, 0, "no try has begun");
    let (found, _) = after(11).await;
    cluster.database.execute("DELETE FROM meetings WHERE state = 'detached'").await;
    assert_eq!((found, cluster.ends("internal-algebra").await), (1, 2));
}

/// Nodes report none.
#[tokio::test]
async fn a_breakout_has_no_end() {
    let cluster = Fixture::new().await;
    let held = cluster.won("room").await;
    let held = Meeting { size: Size { breakout: true, ..held.size }, ..held };
    cluster.database.execute("DELETE FROM meetings").await;
    let live = cluster.store.record_live(&held, &called("room")).await.unwrap().expect("its claim was released");
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    cluster.database.execute("UPDATE meeting_history SET ended_at = now() - interval '6 minutes'").await;
    assert_eq!(cluster.store.callbacks().queue_missed_ends().await.unwrap(), 0);
    assert_eq!(cluster.ends("room").await, 0);
}

#[tokio::test]
async fn an_end_that_the_node_has_reported_waits_for_no_word_of_it() {
    let cluster = Fixture::new().await;
    let live = cluster.called("algebra").await;
    cluster.database.execute("UPDATE meeting_callbacks SET marks = true WHERE kind = 'end'").await;
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    let due = "SELECT count(*) FROM jobs JOIN deliveries ON payload->>'id' = deliveries.id::text WHERE run_after <= now() AND marks";
    assert_eq!(cluster.database.count(due).await, 1, "the other one waits");
}

#[tokio::test]
async fn a_create_that_a_node_answers_with_a_new_session_ends_the_one_before() {
    let cluster = Fixture::new().await;
    let live = cluster.called("algebra").await;
    let again = cluster.store.record_live(&live, &called("second")).await.unwrap().expect("its place is the same");
    assert_eq!(cluster.ends("internal-algebra").await, 2);
    assert_eq!(again.callbacks.first().map(|callback| callback.token.as_str()), Some("second-end"));
    assert!(cluster.store.forget_meeting(&again).await.unwrap());
    assert_eq!((cluster.ends("internal-algebra").await, cluster.ends("second").await), (2, 2));
}

#[tokio::test]
async fn a_place_taken_over_is_no_end() {
    let cluster = Fixture::new().await;
    cluster.called("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let held = cluster.claimed("algebra", cluster.b).await;
    let live = cluster.store.record_live(&held, &called("second")).await.unwrap().expect("the claim is ours");
    assert_eq!((cluster.ends("internal-algebra").await, cluster.ends("second").await), (0, 0));
    let copies = cluster.store.load_copies().await.unwrap();
    let swapped = cluster.store.swap_copy(&live, &copies[0], &born("internal-algebra", 1)).await.unwrap();
    let swapped = swapped.expect("they change places");
    assert_eq!((cluster.ends("internal-algebra").await, cluster.ends("second").await), (0, 0));
    assert!(swapped.callbacks.iter().any(|callback| callback.token == "internal-algebra-end"), "as it was there");
    assert!(cluster.store.forget_meeting(&swapped).await.unwrap());
    assert_eq!((cluster.ends("internal-algebra").await, cluster.ends("second").await), (2, 0));
}

#[tokio::test]
async fn a_meeting_that_comes_back_has_not_ended() {
    let cluster = Fixture::new().await;
    let live = cluster.called("algebra").await;
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    assert_eq!(cluster.ends("internal-algebra").await, 2);
    let held = cluster.claimed("algebra", cluster.a).await;
    let again =
        cluster.store.record_live(&held, &called("internal-algebra")).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.ends("internal-algebra").await, 0, "its node has it still");
    let tokens = |meeting: &Meeting| meeting.callbacks.iter().map(|one| one.token.clone()).collect::<BTreeSet<_>>();
    assert_eq!(tokens(&again), tokens(&live), "nodes pass over the callbacks of a repeated create");

    assert!(cluster.store.forget_meeting(&again).await.unwrap());
    cluster.database.execute("UPDATE meeting_history SET ended_at = now() - interval '1 minute'").await;
    let id = scoped("algebra");
    let new = cluster.new_meeting(&id, &live.meeting_id, cluster.a);
    let seen = born("internal-algebra", 1);
    let adopted = cluster.store.adopt_meeting(new, &seen, false, SystemTime::now()).await.unwrap();
    let adopted = adopted.expect("its node reports it");
    assert_eq!((cluster.ends("internal-algebra").await, adopted.callbacks.len()), (0, 3));

    assert!(cluster.store.forget_meeting(&adopted).await.unwrap());
    cluster.database.execute("UPDATE deliveries SET attempts = 1").await;
    let held = cluster.claimed("algebra", cluster.a).await;
    cluster.store.record_live(&held, &called("internal-algebra")).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.ends("internal-algebra").await, 2, "its frontend may have heard of it");
}

#[tokio::test]
async fn a_lost_session_is_announced_by_the_sweep() {
    let cluster = Fixture::new().await;
    cluster.called("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let held = cluster.claimed("algebra", cluster.b).await;
    cluster.store.doom_copies(cluster.a, None).await.unwrap();
    assert_eq!(cluster.store.release_claim(&held, false).await.unwrap(), Release::Gone);
    let queued = async || cluster.store.callbacks().queue_missed_ends().await.unwrap();
    assert_eq!((queued().await, cluster.ends("internal-algebra").await), (0, 0), "its result may still come");
    cluster.database.execute("UPDATE meeting_history SET ended_at = now() - interval '6 minutes'").await;
    assert_eq!((queued().await, cluster.ends("internal-algebra").await), (1, 2));
    assert_eq!(queued().await, 0);
}

#[tokio::test]
async fn the_sweep_passes_over_a_session_that_another_one_followed() {
    let cluster = Fixture::new().await;
    cluster.called("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let held = cluster.claimed("algebra", cluster.b).await;
    let live = cluster.store.record_live(&held, &called("second")).await.unwrap().expect("the claim is ours");
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    cluster.database.execute("UPDATE meeting_history SET ended_at = now() - interval '6 minutes'").await;
    assert_eq!(cluster.store.callbacks().queue_missed_ends().await.unwrap(), 0);
    assert_eq!((cluster.ends("internal-algebra").await, cluster.ends("second").await), (0, 2));
}

#[tokio::test]
async fn a_removed_frontend_hears_nothing() {
    let cluster = Fixture::new().await;
    cluster.called("algebra").await;
    assert!(cluster.store.frontends().remove(cluster.frontend).await.unwrap());
    assert_eq!(cluster.database.count("SELECT count(*) FROM deliveries").await, 0);
    assert_eq!(cluster.database.count("SELECT count(*) FROM meeting_callbacks").await, 0);
}

#[tokio::test]
async fn a_callback_is_kept_byte_for_byte_and_without_our_address() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    let url = "https://school.example/end?salt=%242y%2410%24a%2Fb.&x=ü \"'";
    let mut callbacks = called("internal").callbacks;
    url.clone_into(&mut callbacks[0].url);
    let live = cluster.store.record_live(&held, &Born { callbacks, ..born("internal", 1) }).await.unwrap().unwrap();
    assert_eq!((live.callbacks[0].url.as_str(), live.callbacks[0].address.as_str()), (url, ""));
    let found = cluster.found("algebra").await.expect("it runs");
    assert_eq!(found.callbacks, live.callbacks);
    let kept = format!("SELECT count(*) FROM meeting_callbacks WHERE url = '{}'", url.replace('\'', "''"));
    assert_eq!(cluster.database.count(&kept).await, 1);
}
