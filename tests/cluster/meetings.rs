//! The life of a meeting: each transition, and late statements.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale::ledger::{Copies, Ends, Lookups, MeetingCopy, Places, Release};
use b3scale::store::Store;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{Claim, MeetingState, Move, NewMeeting, Size};
use b3scale_support::until_blocked;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fixture::{Fixture, born, new_frontend, scoped, ticket};

#[tokio::test]
async fn a_claim_gives_a_place_and_the_next_one_finds_it() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert_eq!((held.state, held.attempt, held.backend), (MeetingState::Claimed, 1, cluster.a));
    assert_eq!((held.meeting_id.as_ref(), held.frontend), ("algebra", cluster.frontend));
    assert_eq!(cluster.claim("algebra", cluster.b).await, Claim::Taken(held.clone().into()));
    assert_eq!(cluster.found("algebra").await, Some(held));
}

#[tokio::test]
async fn of_fifty_simultaneous_claims_one_wins_and_the_others_see_its_place() {
    let cluster = Arc::new(Fixture::new().await);
    let mut claims = JoinSet::new();
    for number in 0..50 {
        let cluster = Arc::clone(&cluster);
        let backend = if number % 2 == 0 { cluster.a } else { cluster.b };
        claims.spawn(async move { cluster.claim("rush", backend).await });
    }
    let (mut won, mut taken) = (Vec::new(), Vec::new());
    for claim in claims.join_all().await {
        match claim {
            Claim::Won(meeting) => won.push(meeting),
            Claim::Taken(meeting) => taken.push(meeting),
            Claim::Barred => panic!("there is no copy that could bar it"),
        }
    }
    assert_eq!((won.len(), taken.len()), (1, 49));
    assert!(taken.iter().all(|meeting| *meeting == won[0]));
}

#[tokio::test]
async fn a_claim_moves_and_leaves_a_copy_if_the_call_was_sent() {
    let cluster = Fixture::new().await;
    let first = cluster.won("algebra").await;
    let second = cluster.moved(&first, cluster.b, true).await.expect("the claim is ours");
    assert_eq!((second.backend, second.attempt, second.state), (cluster.b, 2, MeetingState::Claimed));
    assert!(second.version > first.version);
    let third = cluster.moved(&second, cluster.a, false).await.expect("the claim is ours");
    cluster.store.record_live(&third, &born("internal", 1)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.copies().await, [], "the meeting itself runs where its copy was");
}

#[tokio::test]
async fn a_copy_is_ended_only_while_its_meeting_is_live_elsewhere_or_gone() {
    let cluster = Fixture::new().await;
    let first = cluster.won("algebra").await;
    let second = cluster.moved(&first, cluster.b, true).await.unwrap();
    assert_eq!(cluster.copies().await, [], "the claim may yet move back");
    let live = cluster.store.record_live(&second, &born("internal", 1)).await.unwrap().unwrap();
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)]);
    cluster.store.forget_meeting(&live).await.unwrap();
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)]);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    assert!(cluster.store.forget_copy(&copy, Duration::ZERO).await.unwrap());
    assert!(!cluster.store.forget_copy(&copy, Duration::ZERO).await.unwrap());
    assert_eq!(cluster.copies().await, []);
}

#[tokio::test]
async fn what_belongs_to_an_older_attempt_comes_too_late() {
    let cluster = Fixture::new().await;
    let stale = cluster.won("algebra").await;
    let held = cluster.moved(&stale, cluster.b, false).await.unwrap();
    assert_eq!(cluster.store.record_live(&stale, &born("late", 1)).await.unwrap(), None);
    assert_eq!(cluster.moved(&stale, cluster.a, true).await, None);
    assert!(!cluster.released(&stale, true).await);
    assert_eq!(cluster.store.find_history(&scoped("algebra")).await.unwrap(), None);
    assert_eq!(cluster.found("algebra").await, Some(held.clone()));

    let live = cluster.store.record_live(&held, &born("internal", 1)).await.unwrap().unwrap();
    assert_eq!(cluster.store.record_ending(&stale).await.unwrap(), None);
    assert!(!cluster.store.forget_meeting(&stale).await.unwrap());
    assert_eq!(cluster.store.attach_meeting(&stale).await.unwrap(), None);
    assert_eq!(cluster.found("algebra").await, Some(live));
    assert_eq!(
        cluster.copies().await,
        [(scoped("algebra"), cluster.a)],
        "the late answer says that it runs there, too"
    );
}

#[tokio::test]
async fn the_nodes_answer_makes_a_meeting_live() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    let live = cluster.store.record_live(&held, &born("internal", 17)).await.unwrap().expect("the claim is ours");
    assert_eq!((live.state, live.internal_id.as_deref()), (MeetingState::Live, Some("internal")));
    let past = cluster.store.find_history(&scoped("algebra")).await.unwrap().expect("it is noted");
    assert_eq!((past.internal_id.as_str(), past.backend, past.ended), ("internal", Some(cluster.a), false));
}

/// Defect 17 of the original: a meeting that was created again kept its old internal id, and was then deleted as an orphan.
#[tokio::test]
async fn a_report_about_the_meeting_before_does_not_remove_the_one_made_anew() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    let first = cluster.store.record_live(&held, &born("first", 17)).await.unwrap().unwrap();
    let second = cluster.store.record_live(&first, &born("second", 18)).await.unwrap().expect("the node made it anew");
    assert!(!cluster.store.forget_meeting(&first).await.unwrap());
    assert_eq!(cluster.found("algebra").await, Some(second.clone()));
    assert!(cluster.store.forget_meeting(&second).await.unwrap());
}

#[tokio::test]
async fn a_meeting_that_was_made_after_it_was_given_up_is_there_again() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let live = cluster.store.record_live(&held, &born("internal", 17)).await.unwrap().expect("its place is free");
    assert_eq!(cluster.found("algebra").await, Some(live));
    assert_eq!(cluster.copies().await, [], "what was a copy is the meeting itself");
}

#[tokio::test]
async fn a_copy_is_not_ended_while_its_meeting_is_created_there_again() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    let again = cluster.won("algebra").await;
    assert!(!cluster.store.take_copy(&copy).await.unwrap(), "its meeting is being created");
    assert!(cluster.released(&again, false).await);
    assert_eq!(cluster.copies().await, [], "it is spared for a moment, and not for as long as a create may take");
    cluster.database.execute("UPDATE meeting_copies SET spared_until = spared_until - interval '10 seconds'").await;
    assert!(cluster.store.take_copy(&copy).await.unwrap());
}

#[tokio::test]
async fn a_meeting_is_not_created_where_a_copy_of_it_is_being_ended() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    assert!(cluster.store.take_copy(&copy).await.unwrap());
    assert_eq!(cluster.claim("algebra", cluster.a).await, Claim::Barred);
    assert!(matches!(cluster.claim("algebra", cluster.b).await, Claim::Won(_)));
}

/// Found by a cluster with one node, in which a room could not be created for as long as a copy of it was watched.
#[tokio::test]
async fn between_two_ends_of_a_copy_its_meeting_can_be_created_there() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    assert!(cluster.store.take_copy(&copy).await.unwrap());
    assert_eq!(cluster.claim("algebra", cluster.a).await, Claim::Barred);
    cluster.store.rest_copy(&copy, false).await.unwrap();
    assert!(!cluster.store.take_copy(&copy).await.unwrap(), "it is left alone for a moment");
    assert!(matches!(cluster.claim("algebra", cluster.a).await, Claim::Won(_)));
}

#[tokio::test]
async fn a_node_that_may_still_be_at_work_is_not_believed_at_once_that_it_has_no_copy() {
    const SETTLED: Duration = Duration::from_secs(5);
    let cluster = Fixture::new().await;
    let forgotten = async |copy| cluster.store.forget_copy(copy, SETTLED).await.unwrap();
    let time_passes = async || {
        let age = "UPDATE meeting_copies SET created_at = created_at - interval '6 seconds',
            missing_since = missing_since - interval '6 seconds'";
        cluster.database.execute(age).await;
    };
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    time_passes().await;
    assert!(!forgotten(&copy).await, "however old it is, the node has only just begun to answer");
    assert!(!forgotten(&copy).await);
    let again = cluster.won("algebra").await;
    time_passes().await;
    assert!(cluster.released(&again, true).await, "another create may be under way there");
    assert!(!forgotten(&copy).await);
    time_passes().await;
    assert!(forgotten(&copy).await);
}

#[tokio::test]
async fn a_node_that_has_ended_a_copy_is_believed_at_once_that_it_has_none() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    cluster.store.rest_copy(&copy, true).await.unwrap();
    assert!(cluster.store.forget_copy(&copy, Duration::from_secs(5)).await.unwrap());
}

#[tokio::test]
async fn a_released_claim_is_gone_and_leaves_a_copy_if_the_call_was_sent() {
    let cluster = Fixture::new().await;
    let unsent = cluster.won("unsent").await;
    assert!(cluster.released(&unsent, false).await);
    assert!(!cluster.released(&unsent, false).await);
    let sent = cluster.won("sent").await;
    assert!(cluster.released(&sent, true).await);
    assert_eq!((cluster.found("unsent").await, cluster.found("sent").await), (None, None));
    assert_eq!(cluster.copies().await, [(scoped("sent"), cluster.a)]);
}

#[tokio::test]
async fn a_live_meeting_is_not_a_claim_that_can_be_given_up() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    assert!(!cluster.released(&live, true).await);
    assert_eq!(cluster.moved(&live, cluster.b, true).await, None);
    assert_eq!(cluster.store.reap_claims(Duration::ZERO).await.unwrap(), []);
    assert_eq!(cluster.found("algebra").await, Some(live));
}

#[tokio::test]
async fn an_end_is_recorded_and_then_the_meeting_forgotten_but_not_its_history() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    let ending = cluster.store.record_ending(&live).await.unwrap().expect("it is live");
    assert_eq!(ending.state, MeetingState::Ending);
    assert_eq!(cluster.claim("algebra", cluster.b).await, Claim::Taken(ending.clone().into()));
    assert!(cluster.store.forget_meeting(&ending).await.unwrap());
    assert!(!cluster.store.forget_meeting(&ending).await.unwrap());
    assert_eq!(cluster.found("algebra").await, None);
    let past = cluster.store.find_history(&scoped("algebra")).await.unwrap().expect("it is noted");
    assert!(past.ended);
}

#[tokio::test]
async fn a_claim_is_not_forgotten() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert!(!cluster.store.forget_meeting(&held).await.unwrap());
    assert_eq!(cluster.store.record_ending(&held).await.unwrap(), None);
}

#[tokio::test]
async fn a_meeting_made_again_has_a_higher_version_than_it_ever_had() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    let ending = cluster.store.record_ending(&live).await.unwrap().unwrap();
    assert!(cluster.store.forget_meeting(&ending).await.unwrap());
    let again = cluster.won("algebra").await;
    assert_eq!(again.attempt, 1);
    assert!(again.version > ending.version && ending.version > live.version);
}

#[tokio::test]
async fn a_detached_meeting_is_attached_again_when_its_node_is_back() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    let claimed = cluster.won("geometry").await;
    let detached = cluster.store.detach_meetings(cluster.a).await.unwrap();
    assert_eq!(detached.len(), 1);
    assert_eq!((&detached[0].id, detached[0].state), (&live.id, MeetingState::Detached));
    assert_eq!(cluster.found("geometry").await, Some(claimed), "a claim finds another node by itself");
    let back = cluster.store.attach_meeting(&detached[0]).await.unwrap().expect("nobody created it elsewhere");
    assert_eq!((back.state, back.internal_id), (MeetingState::Live, live.internal_id));
}

#[tokio::test]
async fn a_detached_meeting_created_elsewhere_leaves_a_copy_and_cannot_come_back() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    let detached = cluster.store.detach_meetings(cluster.a).await.unwrap().remove(0);
    let Claim::Won(held) = cluster.claim("algebra", cluster.b).await else { panic!("a detached meeting is free") };
    assert_eq!((held.backend, held.attempt, held.state), (cluster.b, 2, MeetingState::Claimed));
    assert_eq!(held.internal_id, None);
    assert!(held.version > detached.version);
    assert_eq!(cluster.store.attach_meeting(&detached).await.unwrap(), None);
    cluster.store.record_live(&held, &born("anew", 2)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)]);
    let past = cluster.store.find_history(&scoped("algebra")).await.unwrap().expect("it is noted");
    assert_eq!(past.internal_id, "anew");
}

#[tokio::test]
async fn a_detached_meeting_created_on_its_own_node_is_a_copy_until_that_answers() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let held = cluster.won("algebra").await;
    assert!(cluster.released(&held, true).await);
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)], "the node may still run it");

    let again = cluster.won("algebra").await;
    cluster.store.record_live(&again, &born("internal", 17)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.copies().await, [], "what was a copy is the meeting itself");
}

#[tokio::test]
async fn a_detached_meeting_is_not_claimed_where_a_copy_of_it_is_being_ended() {
    let cluster = Fixture::new().await;
    let first = cluster.won("algebra").await;
    let second = cluster.moved(&first, cluster.b, true).await.unwrap();
    cluster.store.record_live(&second, &born("internal", 1)).await.unwrap().unwrap();
    let copy = cluster.store.load_copies().await.unwrap().remove(0);
    assert!(cluster.store.take_copy(&copy).await.unwrap());
    cluster.store.detach_meetings(cluster.b).await.unwrap();
    assert_eq!(cluster.claim("algebra", cluster.a).await, Claim::Barred, "the lost node is not to be asked instead");
}

#[tokio::test]
async fn a_claim_does_not_move_to_where_a_copy_is_being_ended_and_spares_any_other() {
    let cluster = Fixture::new().await;
    for (name, ending) in [("taken", true), ("spared", false)] {
        let first = cluster.won(name).await;
        assert!(cluster.released(&first, true).await);
        let copy = MeetingCopy { id: scoped(name), backend: cluster.a, attempt: 1, doomed: false };
        assert!(!ending || cluster.store.take_copy(&copy).await.unwrap());
        let Claim::Won(held) = cluster.claim(name, cluster.b).await else { panic!("nobody has it") };
        let moved = cluster.moved(&held, cluster.a, false).await;
        assert_eq!(moved.is_none(), ending);
        assert!(!cluster.store.take_copy(&copy).await.unwrap(), "it is being created");
        assert!(cluster.released(moved.as_ref().unwrap_or(&held), false).await);
        assert_eq!(cluster.store.take_copy(&copy).await.unwrap(), ending, "what was not spared may be ended");
    }
}

/// A claim that locked the copy first would deadlock with the statement that writes the create's result.
#[tokio::test]
async fn a_claim_waits_for_the_meeting_before_it_touches_a_copy() {
    let cluster = Fixture::new().await;
    let first = cluster.won("algebra").await;
    assert!(cluster.released(&first, true).await);
    cluster.won("algebra").await;
    let (client, connection) = tokio_postgres::connect(cluster.database.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT FROM meetings FOR UPDATE").await.unwrap();
    let waits = async {
        until_blocked(&client).await;
        client.batch_execute("SELECT FROM meeting_copies FOR UPDATE NOWAIT; COMMIT").await.expect("the copy is free");
    };
    let (claim, ()) = tokio::join!(cluster.claim("algebra", cluster.a), waits);
    assert!(matches!(claim, Claim::Taken(_)));
}

#[tokio::test]
async fn a_lost_backends_ending_meetings_are_gone_and_leave_copies() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    cluster.store.record_ending(&live).await.unwrap().expect("it runs");
    assert_eq!(cluster.store.forget_ending(cluster.a).await.unwrap().len(), 1);
    assert_eq!(cluster.found("algebra").await, None);
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)]);
}

/// Found by two statements that took their locks in opposite orders.
#[tokio::test]
async fn rivals_that_wait_for_each_other_all_come_to_an_end() {
    let cluster = Arc::new(Fixture::new().await);
    let mut rivals = JoinSet::new();
    for _ in 0..4 {
        let cluster = Arc::clone(&cluster);
        rivals.spawn(async move {
            for _ in 0..25 {
                if let Claim::Won(held) = cluster.claim("algebra", cluster.a).await {
                    cluster.store.release_claim(&held, true).await.expect("nobody's fault is ours to see");
                }
            }
        });
    }
    rivals.join_all().await;
}

#[tokio::test]
async fn of_simultaneous_claims_of_a_detached_meeting_one_wins() {
    let cluster = Arc::new(Fixture::new().await);
    cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let mut claims = JoinSet::new();
    for _ in 0..20 {
        let cluster = Arc::clone(&cluster);
        claims.spawn(async move { cluster.claim("algebra", cluster.b).await });
    }
    let claims = claims.join_all().await;
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Claim::Won(_))).count(), 1);
    assert!(claims.iter().all(|claim| matches!(claim, Claim::Won(one) | Claim::Taken(one) if one.attempt == 2)));
}

#[tokio::test]
async fn claims_that_nobody_finished_are_reaped() {
    let cluster = Fixture::new().await;
    let old = cluster.won("old").await;
    let fresh = cluster.won("fresh").await;
    let age = "UPDATE meetings SET claimed_at = now() - interval '2 minutes' WHERE meeting_id = 'old'";
    cluster.database.execute(age).await;
    let reaped = cluster.store.reap_claims(Duration::from_secs(60)).await.unwrap();
    assert_eq!(reaped.iter().map(|(claim, _)| &claim.id).collect::<Vec<_>>(), [&old.id]);
    assert_eq!(cluster.store.load_meetings().await.unwrap(), [fresh]);
    assert_eq!(cluster.copies().await, [(old.id, cluster.a)], "its create may have been sent");
}

#[tokio::test]
async fn a_claim_on_a_backend_that_was_removed_is_for_the_next_candidate() {
    let cluster = Fixture::new().await;
    assert!(cluster.store.backends().remove(cluster.b).await.unwrap());
    assert_eq!(cluster.claim("algebra", cluster.b).await, Claim::Barred);
    let held = cluster.won("algebra").await;
    assert_eq!(cluster.moved(&held, cluster.b, false).await, None);
    assert_eq!(cluster.found("algebra").await, Some(held));
}

/// Defect 21 of the original: a meeting on a backend that was removed could never be made again.
#[tokio::test]
async fn a_backend_that_is_removed_leaves_its_meetings_free_for_another() {
    let cluster = Fixture::new().await;
    let (live, ending) = (cluster.live("algebra").await, cluster.live("geometry").await);
    cluster.store.record_ending(&ending).await.unwrap().expect("it runs");
    let held = cluster.won("logic").await;
    assert!(cluster.store.backends().remove(cluster.a).await.unwrap());
    let detached = cluster.found("algebra").await.expect("it is waited for");
    assert_eq!((detached.state, &detached.internal_id), (MeetingState::Detached, &live.internal_id));
    assert_eq!(cluster.found("geometry").await, None, "its end was accepted");
    assert_eq!(cluster.store.record_live(&held, &born("late", 1)).await.unwrap(), None, "its node is no longer ours");
    assert!(cluster.released(&held, true).await);
    assert!(matches!(cluster.claim("algebra", cluster.b).await, Claim::Won(_)));
}

#[tokio::test]
async fn the_claim_of_a_server_that_is_gone_is_inherited_once() {
    let cluster = Fixture::new().await;
    let (gone, heir) = (cluster.server(2).await, cluster.server(3).await);
    let Claim::Won(held) = cluster.claim_for(gone, "algebra", cluster.a).await else { panic!("nobody has it") };
    assert_eq!(cluster.store.inherit_claim(&held, ticket(heir)).await.unwrap(), None, "its server is there");
    assert_eq!(
        cluster.store.inherit_claim(&held, ticket(gone)).await.unwrap(),
        None,
        "a server does not inherit from itself"
    );
    cluster.lose(gone).await;
    let inherited = cluster.store.inherit_claim(&held, ticket(heir)).await.unwrap().expect("its server is gone");
    assert_eq!((inherited.backend, inherited.attempt), (held.backend, held.attempt + 1));
    assert_eq!(cluster.store.inherit_claim(&held, ticket(heir)).await.unwrap(), None, "its attempt has changed");
    assert_eq!(cluster.store.record_live(&held, &born("late", 1)).await.unwrap(), None);
    cluster.store.record_live(&inherited, &born("internal", 1)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.copies().await, [], "it was always the same node");
}

/// Found by a release that was retried after a lost answer, when another server had the meeting.
#[tokio::test]
async fn what_belongs_to_an_earlier_claim_does_nothing_to_a_later_one() {
    let cluster = Fixture::new().await;
    let earlier = cluster.won("algebra").await;
    assert!(cluster.released(&earlier, false).await);
    let later = cluster.won("algebra").await;
    assert_eq!((later.backend, later.attempt), (earlier.backend, earlier.attempt));
    assert!(!cluster.released(&earlier, false).await);
    assert_eq!(cluster.store.move_claim(&earlier, cluster.b, true).await.unwrap(), Move::NotOurs);
    assert_eq!(cluster.found("algebra").await, Some(later));
}

/// Found by a create that came to nothing a day after the lost meeting had been created elsewhere, and had ended.
#[tokio::test]
async fn what_was_created_elsewhere_is_not_detached_again() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let Claim::Won(anew) = cluster.claim("algebra", cluster.b).await else { panic!("a detached meeting is free") };
    let live = cluster.store.record_live(&anew, &born("anew", 2)).await.unwrap().expect("the claim is ours");
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    let Claim::Won(later) = cluster.claim("algebra", cluster.b).await else { panic!("nobody has it") };
    assert_eq!(cluster.store.release_claim(&later, false).await.unwrap(), Release::Gone);
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.a)], "that is what is left of the first one");
}

#[tokio::test]
async fn a_claim_that_nobody_finished_leaves_a_lost_meeting_as_it_was() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    assert!(matches!(cluster.claim("algebra", cluster.b).await, Claim::Won(_)));
    cluster.store.reap_claims(Duration::ZERO).await.unwrap();
    let back = cluster.found("algebra").await.expect("its node may come back");
    assert_eq!((back.state, back.backend, back.internal_id), (MeetingState::Detached, cluster.a, live.internal_id));
}

#[tokio::test]
async fn a_claim_of_which_nobody_knows_is_found_by_its_number() {
    let cluster = Fixture::new().await;
    let (id, name, ticket) = (scoped("algebra"), MeetingId::new("algebra"), ticket(Uuid::from_u128(2)));
    let claim = cluster.store.claim_meeting(cluster.new_meeting(&id, &name, cluster.a), ticket).await.unwrap();
    let Claim::Won(held) = claim else { panic!("nobody has it") };
    assert_eq!(cluster.store.find_claims(&[ticket.number, -1]).await.unwrap(), std::slice::from_ref(&*held));
    cluster.store.record_live(&held, &born("internal", 1)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.store.find_claims(&[ticket.number]).await.unwrap(), [], "it has come to its end");
}

#[tokio::test]
async fn a_create_that_comes_to_nothing_leaves_a_lost_meeting_as_it_was() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let Claim::Won(held) = cluster.claim("algebra", cluster.b).await else { panic!("a detached meeting is free") };
    let Release::Detached(back) = cluster.store.release_claim(&held, true).await.unwrap() else {
        panic!("it was lost")
    };
    assert_eq!((back.backend, back.state, &back.internal_id), (cluster.a, MeetingState::Detached, &live.internal_id));
    assert!(back.version > held.version);
    assert_eq!(cluster.copies().await, [], "the one that may have been made is for later");
    let attached = cluster.store.attach_meeting(&back).await.unwrap().expect("its node is back");
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.b)]);
    assert_eq!(attached.internal_id, live.internal_id);
}

#[tokio::test]
async fn a_meeting_that_was_forgotten_is_adopted_unless_it_is_a_copy_or_has_just_ended() {
    let cluster = Fixture::new().await;
    let before = SystemTime::now() - Duration::from_secs(60);
    let after = SystemTime::now() + Duration::from_secs(60);
    let (id, name) = (scoped("algebra"), MeetingId::new("algebra"));
    let adopt = async |asked_at| {
        let new = cluster.new_meeting(&id, &name, cluster.a);
        cluster.store.adopt_meeting(new, &born("internal-algebra", 1_700_000_000_000), false, asked_at).await.unwrap()
    };
    let live = cluster.live("algebra").await;
    assert_eq!(adopt(after).await, None, "it is known");
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    assert_eq!(adopt(before).await, None, "the node was asked before it ended");
    cluster.database.execute("UPDATE meeting_history SET ended_at = now() - interval '2 hours'").await;
    assert_eq!(adopt(after).await, None, "that is no oversight of ours any more");
    cluster.database.execute("UPDATE meeting_history SET ended_at = now()").await;
    let again = adopt(after).await.expect("it runs all the same");
    assert_eq!((again.state, again.internal_id.as_deref()), (MeetingState::Live, Some("internal-algebra")));
    assert_eq!(again.placed_at, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert!(cluster.store.forget_meeting(&again).await.unwrap());
    let held = cluster.won("algebra").await;
    assert_eq!(adopt(after).await, None, "it is being created");
    assert!(cluster.released(&held, true).await);
    assert_eq!(adopt(after).await, None, "a copy is never adopted");
}

/// A node, or a stolen token of its agent, may report any id.
#[tokio::test]
async fn a_meeting_that_nothing_explains_is_not_adopted() {
    let cluster = Fixture::new().await;
    let (id, name) = (scoped("algebra"), MeetingId::new("algebra"));
    let after = SystemTime::now() + Duration::from_secs(60);
    let other = cluster.store.frontends().record(&new_frontend("other")).await.unwrap().id;
    let adopt = async |backend, frontend, internal: &str, breakout| {
        let size = Size { breakout, ..Size::default() };
        let new = NewMeeting { frontend, size, ..cluster.new_meeting(&id, &name, backend) };
        cluster.store.adopt_meeting(new, &born(internal, 1), breakout, after).await.unwrap()
    };
    assert_eq!(adopt(cluster.a, cluster.frontend, "made-up", false).await, None, "no create of ours explains it");
    let live = cluster.live("algebra").await;
    assert!(cluster.store.forget_meeting(&live).await.unwrap());
    assert_eq!(
        adopt(cluster.a, cluster.frontend, "made-up", false).await,
        None,
        "its internal id is not that of the create"
    );
    assert_eq!(adopt(cluster.b, cluster.frontend, "internal-algebra", false).await, None, "it never ran there");
    assert_eq!(adopt(cluster.a, other, "internal-algebra", false).await, None, "it is another frontend's");
    assert_eq!(adopt(cluster.a, other, "breakout", true).await, None, "not as a breakout either");
    adopt(cluster.a, cluster.frontend, "internal-algebra", false).await.expect("it is the very meeting");
}

#[tokio::test]
async fn a_lost_meeting_is_not_adopted_for_another_frontend() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.unwrap();
    let (id, name) = (scoped("algebra"), MeetingId::new("algebra"));
    let frontend = cluster.store.frontends().record(&new_frontend("other")).await.unwrap().id;
    let new = NewMeeting { frontend, ..cluster.new_meeting(&id, &name, cluster.b) };
    let adopted =
        cluster.store.adopt_meeting(new, &born("internal-algebra", 1), false, SystemTime::now()).await.unwrap();
    assert_eq!(adopted, None);
}

#[tokio::test]
async fn a_meeting_whose_backend_was_removed_is_adopted_by_the_one_that_has_its_node() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    cluster.store.backends().remove(cluster.a).await.unwrap();
    let (id, name, now) = (scoped("algebra"), MeetingId::new("algebra"), SystemTime::now());
    let adopt = async |internal: &str| {
        cluster
            .store
            .adopt_meeting(cluster.new_meeting(&id, &name, cluster.b), &born(internal, 1), false, now)
            .await
            .unwrap()
    };
    assert_eq!(adopt("another").await, None, "that is not the one that was lost");
    let adopted = adopt("internal-algebra").await.expect("it is the very meeting");
    assert_eq!((adopted.backend, adopted.state, adopted.attempt), (cluster.b, MeetingState::Live, live.attempt + 1));
}

/// Found by a report that was read after the meeting in it had ended.
#[tokio::test]
async fn a_late_report_of_a_meeting_made_anew_does_not_bring_it_back() {
    let cluster = Fixture::new().await;
    let first = cluster.live("algebra").await;
    let renewed = cluster.store.renew_meeting(&first, &born("second", 18)).await.unwrap().expect("it is what it was");
    assert_eq!(renewed.internal_id.as_deref(), Some("second"));
    assert_eq!(cluster.store.renew_meeting(&first, &born("third", 19)).await.unwrap(), None);
    assert!(cluster.store.forget_meeting(&renewed).await.unwrap());
    assert_eq!(cluster.store.renew_meeting(&renewed, &born("third", 19)).await.unwrap(), None);
    assert_eq!(cluster.found("algebra").await, None);
}

#[tokio::test]
async fn what_runs_where_it_should_not_is_a_copy() {
    let cluster = Fixture::new().await;
    cluster.live("algebra").await;
    assert!(!cluster.store.record_stray(&scoped("algebra"), cluster.a).await.unwrap(), "it lives there");
    assert!(cluster.store.record_stray(&scoped("algebra"), cluster.b).await.unwrap());
    assert!(!cluster.store.record_stray(&scoped("algebra"), cluster.b).await.unwrap(), "that is known");
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.b)]);
}

/// Defect 19 of the original: the history that a late recording needs was dropped after seven days.
#[tokio::test]
async fn a_hashed_id_is_read_back_from_the_history() {
    let cluster = Fixture::new().await;
    let name = "long ".repeat(49);
    let live = cluster.live(&name).await;
    assert!(live.id.is_hashed());
    cluster.store.forget_meeting(&live).await.unwrap();
    cluster
        .database
        .execute("UPDATE meeting_history SET created_at = now() - interval '1 year', ended_at = created_at")
        .await;
    let id = ScopedId::verbatim(live.id.as_ref());
    let past = cluster.store.find_history(&id).await.unwrap().expect("it is noted");
    assert_eq!((past.meeting_id, past.frontend), (MeetingId::new(&name), cluster.frontend));
}

/// Defect 34 of the original: times were wrong in any time zone but UTC.
#[tokio::test]
async fn the_age_of_a_claim_has_nothing_to_do_with_the_time_zone() {
    for zone in ["America/New_York", "Asia/Tokyo"] {
        let mut cluster = Fixture::new().await;
        let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''ZONE''', current_database()); END $$";
        cluster.database.execute(&set.replace("ZONE", zone)).await;
        cluster.store = Store::connect(cluster.database.url(), 1).await.unwrap();
        cluster.database.execute(&format!("DO $$ BEGIN ASSERT current_setting('timezone') = '{zone}'; END $$")).await;
        let fresh = cluster.won("fresh").await;
        let old = cluster.won("old").await;
        let age = "UPDATE meetings SET claimed_at = claimed_at - interval '200 seconds' WHERE meeting_id = 'old'";
        cluster.database.execute(age).await;
        let reaped = cluster.store.reap_claims(Duration::from_secs(180)).await.unwrap();
        assert_eq!(reaped.iter().map(|(claim, _)| &claim.id).collect::<Vec<_>>(), [&old.id], "{zone}");
        assert_eq!(cluster.found("fresh").await, Some(fresh), "{zone}");
    }
}

/// Defect 38 of the original: a meeting that had no internal id yet could not be read.
#[tokio::test]
async fn a_meeting_without_an_internal_id_is_loaded() {
    let cluster = Fixture::new().await;
    let held = cluster.won("algebra").await;
    assert_eq!(held.internal_id, None);
    assert_eq!(cluster.store.load_meetings().await.unwrap(), [held]);
}
