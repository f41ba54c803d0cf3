//! The order in which statements lock rows: no two statements wait for each other.
use b3scale::ledger::{Copies, Ends, Places};
use b3scale_middleware::bbb::MeetingId;
use b3scale_middleware::cluster::{Claim, FrontendId, NewMeeting, Size};
use b3scale_support::{eventually, new_frontend};
use futures_util::future::join_all;

use crate::fixture::{Fixture, SERVER, born, scoped, ticket};

/// How often a frontend is removed in the middle of its meetings' lives.
const ROUNDS: usize = 20;

/// Meetings claimed, ended, released, moved and lost while their frontend is removed.
const MEETINGS: usize = 6;

#[tokio::test]
async fn a_frontend_is_removed_in_the_middle_of_its_meetings_lives_without_a_deadlock() {
    let cluster = Fixture::new().await;
    for round in 0..ROUNDS {
        let key = format!("school-{round}");
        let frontend = cluster.store.frontends().record(&new_frontend(&key)).await.unwrap().id;
        collide(&cluster, &key, frontend).await;
        assert_eq!(cluster.database.count("SELECT count(*) FROM meetings").await, 0, "round {round}");
    }
    // A connection tells of its deadlocks when it ends at the latest.
    cluster.store.close();
    eventually("only this connection is left", async || cluster.database.connections().await == 1).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(cluster.database.count(deadlocks).await, 0);
}

/// Removes a frontend, and does all that befalls meetings at the same time. Who comes too late is told so.
async fn collide(cluster: &Fixture, key: &str, frontend: FrontendId) {
    let (store, a, b) = (&cluster.store, cluster.a, cluster.b);
    let claim = async |number: usize, backend| {
        let (id, meeting_id) = (scoped(&format!("{key}-{number}")), MeetingId::new(&number.to_string()));
        let new = NewMeeting { id: &id, meeting_id: &meeting_id, frontend, backend, size: Size::default() };
        store.claim_meeting(new, ticket(SERVER)).await
    };
    let mut held = Vec::new();
    for number in 0..MEETINGS {
        let Ok(Claim::Won(claimed)) = claim(number, a).await else { panic!("nobody has it") };
        // Each leaves a copy on backend a.
        let moved = cluster.moved(&claimed, b, true).await.expect("it is ours");
        held.push(moved);
    }
    let mut live = Vec::new();
    for claimed in held.drain(..MEETINGS / 2) {
        let born = born(&format!("internal-{}", claimed.id), 1);
        live.push(store.record_live(&claimed, &born).await.expect("the record is answered").expect("it is ours"));
    }
    let ends = join_all(live.iter().rev().map(|one| store.record_ending(one)));
    let releases = join_all(held.iter().rev().map(|one| store.release_claim(one, true)));
    let claims = join_all((MEETINGS..2 * MEETINGS).map(|number| claim(number, a)));
    let (removed, ends, releases, _claims, doomed, lost) = tokio::join!(
        store.frontends().remove(frontend),
        ends,
        releases,
        claims,
        store.doom_copies(a, None),
        store.detach_meetings(b)
    );
    assert!(removed.expect("the removal is answered"));
    ends.into_iter().for_each(|end| drop(end.expect("the end is answered")));
    releases.into_iter().for_each(|release| drop(release.expect("the release is answered")));
    doomed.expect("the doom is answered");
    lost.expect("the loss is answered");
}
