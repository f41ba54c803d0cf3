//! Copies with people in them: kept, moved to, or ended on purpose.
use b3scale::ledger::{Copies, Ends, MeetingCopy, Places, Release};
use b3scale_middleware::cluster::{Claim, Meeting, MeetingState};

use crate::fixture::{Fixture, born, scoped};

/// A meeting that was lost with backend a and created again on backend b, and the copy that is left on a.
async fn returned(cluster: &Fixture) -> (Meeting, MeetingCopy) {
    cluster.live("algebra").await;
    cluster.store.detach_meetings(cluster.a).await.expect("it is lost");
    let Claim::Won(held) = cluster.claim("algebra", cluster.b).await else { panic!("nobody has it") };
    let live = cluster
        .store
        .record_live(&held, &born("second", 2))
        .await
        .expect("the record is answered")
        .expect("the claim is ours");
    let copies = cluster.store.load_copies().await.expect("they are loaded");
    let [copy] = &copies[..] else { panic!("there is one copy: {copies:?}") };
    (live, copy.clone())
}

#[tokio::test]
async fn a_meeting_without_people_changes_places_with_its_copy() {
    let cluster = Fixture::new().await;
    let (live, copy) = returned(&cluster).await;
    assert!(!copy.doomed);
    let swapped =
        cluster.store.swap_copy(&live, &copy, &born("internal-algebra", 1)).await.unwrap().expect("as it was");
    assert_eq!((swapped.backend, swapped.state), (cluster.a, MeetingState::Live));
    assert_eq!((swapped.internal_id.as_deref(), swapped.attempt), (Some("internal-algebra"), live.attempt + 1));
    assert_eq!(cluster.copies().await, [], "another server may just have sent someone to the empty one");
    cluster.database.execute("UPDATE meeting_copies SET spared_until = now() - interval '1 second'").await;
    assert_eq!(cluster.copies().await, [(scoped("algebra"), cluster.b)], "the empty one is to be ended");
    assert!(
        !cluster.store.forget_meeting(&live).await.unwrap(),
        "a late end of the empty one does not end the meeting"
    );
}

/// Of two servers that see the same, one swaps. A copy or a meeting that has changed meanwhile stays where it is.
#[tokio::test]
async fn places_change_only_if_both_are_what_they_were() {
    let cluster = Fixture::new().await;
    let (live, copy) = returned(&cluster).await;
    let swap = async |held: &Meeting, copy: &MeetingCopy, internal: &str| {
        cluster.store.swap_copy(held, copy, &born(internal, 1)).await.unwrap()
    };
    assert_eq!(swap(&live, &copy, "made-up").await, None, "it never ran there under that id");
    assert_eq!(swap(&live, &MeetingCopy { attempt: copy.attempt + 1, ..copy.clone() }, "internal-algebra").await, None);
    assert!(cluster.store.take_copy(&copy).await.unwrap());
    assert_eq!(swap(&live, &copy, "internal-algebra").await, None, "its end may be on the way");
    cluster.database.execute("UPDATE meeting_copies SET ending_until = NULL").await;
    let renewed = cluster.store.renew_meeting(&live, &born("third", 3)).await.unwrap().expect("it is what it was");
    assert_eq!(swap(&live, &copy, "internal-algebra").await, None, "it was made again by its node");
    let both = tokio::join!(swap(&renewed, &copy, "internal-algebra"), swap(&renewed, &copy, "internal-algebra"));
    assert!(both.0.is_some() != both.1.is_some(), "{both:?}");
}

#[tokio::test]
async fn the_end_of_a_meeting_dooms_its_copies() {
    let cluster = Fixture::new().await;
    let (live, copy) = returned(&cluster).await;
    let ending = cluster.store.record_ending(&live).await.unwrap().expect("it was live");
    assert_eq!(cluster.store.swap_copy(&live, &copy, &born("internal-algebra", 1)).await.unwrap(), None);
    assert!(cluster.store.forget_meeting(&ending).await.unwrap());
    let copies = cluster.store.load_copies().await.unwrap();
    assert_eq!(copies.iter().map(|copy| copy.doomed).collect::<Vec<_>>(), [true]);
}

/// Its people may still be there, and a copy with people would take the place of the new meeting.
#[tokio::test]
async fn an_ending_meeting_whose_place_is_needed_is_left_to_be_ended() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    let ending = cluster.store.record_ending(&live).await.unwrap().expect("it was live");
    assert!(cluster.store.let_go_of_meeting(&ending).await.unwrap());
    assert!(!cluster.store.let_go_of_meeting(&ending).await.unwrap(), "it is gone");
    let copies = cluster.store.load_copies().await.unwrap();
    let [copy] = &copies[..] else { panic!("there is one copy: {copies:?}") };
    assert!(copy.doomed && copy.backend == cluster.a);
    let Claim::Won(held) = cluster.claim("algebra", cluster.b).await else { panic!("its place is free") };
    let live = cluster.store.record_live(&held, &born("second", 2)).await.unwrap().expect("the claim is ours");
    assert_eq!(cluster.store.swap_copy(&live, copy, &born("internal-algebra", 1)).await.unwrap(), None);
}

#[tokio::test]
async fn the_removal_of_a_frontend_and_the_loss_of_an_ending_meeting_doom_copies() {
    let cluster = Fixture::new().await;
    returned(&cluster).await;
    let geometry = cluster.live("geometry").await;
    cluster.store.record_ending(&geometry).await.unwrap().expect("it was live");
    assert_eq!(cluster.store.forget_ending(cluster.a).await.unwrap().len(), 1);
    assert!(cluster.store.frontends().remove(cluster.frontend).await.unwrap());
    let copies = cluster.store.load_copies().await.unwrap();
    assert_eq!(copies.iter().filter(|copy| copy.doomed).count(), 3, "{copies:?}");
}

/// A doomed copy is ended, and never taken for the meeting again.
#[tokio::test]
async fn a_doomed_copy_does_not_come_back_when_the_claim_of_its_meeting_is_given_up() {
    for doomed in [false, true] {
        let cluster = Fixture::new().await;
        cluster.live("algebra").await;
        cluster.store.detach_meetings(cluster.a).await.unwrap();
        let Claim::Won(held) = cluster.claim("algebra", cluster.b).await else { panic!("nobody has it") };
        if doomed {
            assert_eq!(cluster.store.doom_copies(cluster.a, None).await.unwrap(), 1);
        }
        let released = cluster.store.release_claim(&held, false).await.unwrap();
        let expected = if doomed { [(scoped("algebra"), cluster.a)].to_vec() } else { Vec::new() };
        assert_eq!(matches!(released, Release::Detached(_)), !doomed, "{released:?}");
        assert_eq!(cluster.copies().await, expected);
    }
}

#[tokio::test]
async fn an_operator_dooms_one_copy_or_all_of_a_backend() {
    let cluster = Fixture::new().await;
    returned(&cluster).await;
    assert_eq!(cluster.store.doom_copies(cluster.b, None).await.unwrap(), 0);
    assert_eq!(cluster.store.doom_copies(cluster.a, Some(&scoped("geometry"))).await.unwrap(), 0);
    assert_eq!(cluster.store.doom_copies(cluster.a, Some(&scoped("algebra"))).await.unwrap(), 1);
    assert!(cluster.store.load_copies().await.unwrap()[0].doomed);
    assert_eq!(cluster.store.doom_copies(cluster.a, None).await.unwrap(), 1);
}
