//! Seats: a frontend never gets more people into its meetings than its limit, on any server.

use b3scale::ledger::{Crowd, Ends, Ingest, Seats};
use b3scale::rest::Batch;
use b3scale::store::Store;
use b3scale_middleware::bbb::Params;
use b3scale_middleware::cluster::{BackendId, Link, Meeting};
use b3scale_middleware::ports::{NewSeat, Seat};
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, new_backend};

const NOBODY: Crowd<'static> = Crowd { people: &[], namesakes: 0 };

fn wanted<'a>(meeting: &'a Meeting, limit: i64, user: Option<&'a str>) -> NewSeat<'a> {
    NewSeat { frontend: meeting.frontend, limit, meeting, user, link: None }
}

async fn seat(store: &Store, meeting: &Meeting, limit: i64, user: Option<&str>) -> Seat {
    store.take_seat(Uuid::new_v4(), wanted(meeting, limit, user), NOBODY).await.expect("it is answered")
}

async fn is_full(cluster: &Fixture, meeting: &Meeting, limit: i64) -> bool {
    match seat(&cluster.store, meeting, limit, None).await {
        Seat::Full => true,
        Seat::Held => panic!("whoever it is says not who"),
        Seat::Taken(id) => {
            cluster.store.return_seat(id).await.expect("it is given back");
            false
        }
    }
}

/// The agent of backend a says who is in the meeting: some by the frontend's id, some by none.
async fn says(cluster: &Fixture, seq: u64, meeting: &Meeting, people: &[&str]) {
    let internal: Vec<_> = people.iter().map(|id| format!("w_{id}")).collect();
    let people: Vec<_> = internal.iter().map(String::as_str).zip(people.iter().copied()).collect();
    says_internal(cluster, seq, meeting, &people).await;
}

/// The same, with the node's ids of them.
async fn says_internal(cluster: &Fixture, seq: u64, meeting: &Meeting, people: &[(&str, &str)]) {
    let people: Vec<Value> =
        people.iter().map(|(internal_id, id)| json!({"internal_id": internal_id, "user_id": id})).collect();
    let internal_id = meeting.internal_id.as_ref().expect("it runs");
    let there = json!([{"internal_id": internal_id, "id": meeting.id.as_ref(), "attendees": people}]);
    let batch = json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": seq, "snapshot": {"meetings": there}});
    let batch: Batch = serde_json::from_value(batch).expect("it is a batch");
    assert!(cluster.store.ingest(cluster.a, &batch.report()).await.expect("it is taken").counts);
}

#[tokio::test]
async fn of_many_who_come_at_once_to_two_servers_no_more_get_a_seat_than_there_are() {
    let cluster = Fixture::new().await;
    let other = Store::connect(cluster.database.url(), 4).await.unwrap();
    let (algebra, latin) = (cluster.live("algebra").await, cluster.live("latin").await);
    let users: Vec<_> = (0..90).map(|number| format!("user-{number}")).collect();
    let coming = users.iter().enumerate().map(|(number, user)| {
        let store = if number % 2 == 0 { &cluster.store } else { &other };
        let meeting = if number % 3 == 0 { &algebra } else { &latin };
        // Some say who they are.
        seat(store, meeting, 40, Some(user.as_str()).filter(|_| number % 5 > 0))
    });
    let seats = join_all(coming).await;
    assert_eq!(seats.iter().filter(|seat| matches!(seat, Seat::Taken(_))).count(), 40, "{seats:?}");
    assert!(is_full(&cluster, &algebra, 40).await && !is_full(&cluster, &algebra, 41).await);
}

#[tokio::test]
async fn whoever_says_who_they_are_takes_one_seat_in_a_meeting() {
    let cluster = Fixture::new().await;
    let (algebra, latin) = (cluster.live("algebra").await, cluster.live("latin").await);
    assert!(matches!(seat(&cluster.store, &algebra, 2, Some("ada")).await, Seat::Taken(_)));
    assert_eq!(seat(&cluster.store, &algebra, 2, Some("ada")).await, Seat::Held);
    assert!(matches!(seat(&cluster.store, &latin, 2, Some("ada")).await, Seat::Taken(_)));
    assert_eq!(seat(&cluster.store, &algebra, 2, Some("grace")).await, Seat::Full);
    assert_eq!(seat(&cluster.store, &algebra, 2, Some("ada")).await, Seat::Held, "also when all are taken");
}

#[tokio::test]
async fn a_seat_is_free_again_when_its_time_is_over_or_its_meeting_is_gone() {
    let cluster = Fixture::new().await;
    let (algebra, latin) = (cluster.live("algebra").await, cluster.live("latin").await);
    seat(&cluster.store, &algebra, 2, Some("ada")).await;
    seat(&cluster.store, &latin, 2, Some("ada")).await;
    assert!(is_full(&cluster, &algebra, 2).await);
    cluster
        .database
        .execute("UPDATE seats SET expires_at = now() WHERE meeting = (SELECT max(meeting) FROM seats)")
        .await;
    assert!(!is_full(&cluster, &algebra, 2).await && is_full(&cluster, &algebra, 1).await);
    for gone in [&algebra, &latin] {
        assert!(cluster.store.forget_meeting(gone).await.unwrap());
    }
    let again = cluster.live("greek").await;
    assert!(!is_full(&cluster, &again, 1).await);
}

#[tokio::test]
async fn a_seat_of_a_node_without_an_agent_is_free_again_sooner() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    seat(&cluster.store, &algebra, 5, Some("by report")).await;
    says(&cluster, 1, &algebra, &[]).await;
    seat(&cluster.store, &algebra, 5, Some("by agent")).await;
    let later =
        "SELECT count(*) FROM seats WHERE (expires_at > now() + interval '31 seconds') = (user_id = 'by agent')";
    assert_eq!(cluster.database.count(later).await, 2);
}

#[tokio::test]
async fn people_are_counted_by_the_word_of_agents_and_a_seat_becomes_its_owner() {
    let cluster = Fixture::new().await;
    let (algebra, latin) = (cluster.live("algebra").await, cluster.live("latin").await);
    let college = cluster.store.backends().record(&new_backend("https://c.example/api/")).await.unwrap().id;
    says(&cluster, 1, &algebra, &["ada"]).await;
    seat(&cluster.store, &algebra, 9, Some("grace")).await;
    // Backend a has an agent, so the servers' own count matters only for the others.
    let people: [(BackendId, i64); 3] = [(cluster.a, 100), (cluster.b, 3), (college, 2)];
    let crowd = Crowd { people: &people, namesakes: 0 };
    let full = async |limit| {
        cluster.store.take_seat(Uuid::new_v4(), wanted(&latin, limit, None), crowd).await.unwrap() == Seat::Full
    };
    assert!(full(7).await, "one is there, one is coming, five are elsewhere");
    assert_eq!(seat(&cluster.store, &algebra, 1, Some("ada")).await, Seat::Held, "she is there");
    says(&cluster, 2, &algebra, &["ada", "grace"]).await;
    assert!(full(7).await && !full(8).await, "grace has come, and is counted once");
    cluster.database.execute("DELETE FROM seats").await;
    says(&cluster, 3, &algebra, &["grace"]).await;
    assert!(full(6).await && !full(7).await, "ada has left");
}

/// A frontend that signs every join with the same `userID` gets no more people in than it may have.
#[tokio::test]
async fn people_of_one_id_are_counted_each_and_only_one_of_them_joins_again_without_a_seat() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    says_internal(&cluster, 1, &algebra, &[("w_1", "x")]).await;
    assert_eq!(seat(&cluster.store, &algebra, 1, Some("x")).await, Seat::Held, "the page is loaded again");
    says_internal(&cluster, 2, &algebra, &[("w_1", "x"), ("w_2", "x")]).await;
    assert!(is_full(&cluster, &algebra, 2).await && !is_full(&cluster, &algebra, 3).await, "they are two people");
    assert_eq!(seat(&cluster.store, &algebra, 2, Some("x")).await, Seat::Full);
    assert!(matches!(seat(&cluster.store, &algebra, 4, Some("x")).await, Seat::Taken(_)));
    assert!(matches!(seat(&cluster.store, &algebra, 4, Some("x")).await, Seat::Taken(_)), "each has a seat");
    assert_eq!(seat(&cluster.store, &algebra, 4, Some("x")).await, Seat::Full);
    says_internal(&cluster, 3, &algebra, &[("w_1", "x"), ("w_2", "x"), ("w_3", "x")]).await;
    assert_eq!(seat(&cluster.store, &algebra, 4, Some("x")).await, Seat::Full, "one has come, one is on the way");
    cluster.database.execute("UPDATE backend_status SET told_at = now() - interval '31 seconds'").await;
    cluster.database.execute("DELETE FROM seats").await;
    let people = [(cluster.a, 2)];
    for (namesakes, seat) in [(1, Seat::Held), (2, Seat::Full)] {
        let (wanted, crowd) = (wanted(&algebra, 2, Some("x")), Crowd { people: &people, namesakes });
        assert_eq!(
            cluster.store.take_seat(Uuid::new_v4(), wanted, crowd).await.unwrap(),
            seat,
            "by the servers' count"
        );
    }
}

#[tokio::test]
async fn an_agent_that_has_fallen_silent_is_not_asked() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    says(&cluster, 1, &algebra, &["ada", "grace"]).await;
    assert!(is_full(&cluster, &algebra, 2).await);
    cluster.database.execute("UPDATE backend_status SET told_at = now() - interval '31 seconds'").await;
    assert!(!is_full(&cluster, &algebra, 2).await);
    let crowd = Crowd { people: &[(cluster.a, 4)], namesakes: 1 };
    let known = wanted(&algebra, 1, Some("ada"));
    assert_eq!(
        cluster.store.take_seat(Uuid::new_v4(), known, crowd).await.unwrap(),
        Seat::Held,
        "the servers know her"
    );
    let stranger = wanted(&algebra, 4, Some("eve"));
    assert_eq!(
        cluster.store.take_seat(Uuid::new_v4(), stranger, Crowd { namesakes: 0, ..crowd }).await.unwrap(),
        Seat::Full
    );
}

#[tokio::test]
async fn people_in_breakouts_are_in_their_parents_already() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    says(&cluster, 1, &algebra, &["ada", "grace"]).await;
    cluster.database.execute("UPDATE node_meetings SET breakout = true").await;
    assert!(!is_full(&cluster, &algebra, 1).await);
    cluster.database.execute("UPDATE meetings SET breakout = true").await;
    assert!(is_full(&cluster, &algebra, 2).await, "into one that a frontend created people come by joins of their own");
    cluster.database.execute("UPDATE meetings SET meeting_id = id").await;
    assert!(!is_full(&cluster, &algebra, 1).await, "its node made it");
}

/// Opens a link that lets in an attendee of that name.
async fn open(store: &Store, meeting: &Meeting, limit: i64, name: &str) -> Seat {
    let link = Some(Link::of(&Params::parse(&format!("meetingID=m1&fullName={name}"))));
    let wanted = NewSeat { link, ..wanted(meeting, limit, None) };
    store.take_seat(Uuid::new_v4(), wanted, NOBODY).await.expect("it is answered")
}

/// The agent of backend a says who is in the meeting by links that do not say who comes.
async fn guests(cluster: &Fixture, seq: u64, meeting: &Meeting, names: &[&str]) {
    let people = names.iter().enumerate().map(|(at, name)| {
        let id = format!("w_{at}");
        json!({"internal_id": id, "user_id": id, "full_name": name})
    });
    let people: Vec<Value> = people.collect();
    let there = json!([{"internal_id": meeting.internal_id, "id": meeting.id.as_ref(), "attendees": people}]);
    let batch = json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": seq, "snapshot": {"meetings": there}});
    let batch: Batch = serde_json::from_value(batch).expect("it is a batch");
    assert!(cluster.store.ingest(cluster.a, &batch.report()).await.expect("it is taken").counts);
}

/// A link without `userID`, opened five times, took five seats.
#[tokio::test]
async fn a_link_has_one_seat_until_somebody_has_come_by_it_over_three_servers() {
    let cluster = Fixture::new().await;
    let servers = [
        Store::connect(cluster.database.url(), 2).await.unwrap(),
        Store::connect(cluster.database.url(), 2).await.unwrap(),
        Store::connect(cluster.database.url(), 2).await.unwrap(),
    ];
    let algebra = cluster.live("algebra").await;
    guests(&cluster, 1, &algebra, &[]).await;
    let opened = join_all((0..15).map(|number| open(&servers[number % 3], &algebra, 3, "Ada"))).await;
    assert_eq!(opened.iter().filter(|seat| matches!(seat, Seat::Taken(_))).count(), 1, "{opened:?}");
    assert!(opened.iter().all(|seat| *seat != Seat::Full));
    assert!(matches!(open(&servers[1], &algebra, 3, "Grace").await, Seat::Taken(_)));
    guests(&cluster, 2, &algebra, &["Grace"]).await;
    // Grace has come, though Ada was first: her seat is hers still, and another Grace takes the last one.
    assert_eq!(open(&servers[2], &algebra, 3, "Ada").await, Seat::Held);
    assert!(matches!(open(&servers[2], &algebra, 3, "Grace").await, Seat::Taken(_)));
    assert_eq!(open(&servers[0], &algebra, 3, "Emmy").await, Seat::Full);
    assert_eq!(open(&servers[0], &algebra, 3, "Grace").await, Seat::Held);
    guests(&cluster, 3, &algebra, &["Grace", "Ada", "Grace"]).await;
    assert_eq!(cluster.database.count("SELECT count(*) FROM seats").await, 0);
    assert_eq!(open(&servers[0], &algebra, 3, "Ada").await, Seat::Full, "by BBB she would be another one");
    let kept = "SELECT count(*) FROM seats WHERE seats::text LIKE '%Ada%'";
    assert_eq!(cluster.database.count(kept).await, 0);
}

#[tokio::test]
async fn a_seat_lasts_from_the_last_time_its_link_was_opened_and_is_given_back_by_none_of_several() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    let Seat::Taken(id) = open(&cluster.store, &algebra, 1, "Ada").await else { panic!("there is one") };
    cluster.database.execute("UPDATE seats SET expires_at = now() + interval '1 second'").await;
    assert_eq!(open(&cluster.store, &algebra, 1, "Ada").await, Seat::Held);
    let lasting = "SELECT count(*) FROM seats WHERE expires_at > now() + interval '20 seconds'";
    assert_eq!(cluster.database.count(lasting).await, 1);
    cluster.store.return_seat(id).await.unwrap();
    assert!(is_full(&cluster, &algebra, 1).await, "somebody else is on the way");
}

/// With a stolen token an agent could invent a second meeting of the same name, and free its seats.
#[tokio::test]
async fn only_the_very_meeting_that_has_its_place_there_gives_up_seats() {
    let cluster = Fixture::new().await;
    let algebra = cluster.live("algebra").await;
    seat(&cluster.store, &algebra, 2, Some("ada")).await;
    open(&cluster.store, &algebra, 2, "Grace").await;
    let forged = Meeting { internal_id: Some("forged".to_owned()), ..algebra.clone() };
    says(&cluster, 1, &forged, &["ada"]).await;
    guests(&cluster, 2, &forged, &["Grace"]).await;
    assert_eq!(cluster.database.count("SELECT count(*) FROM seats").await, 2);
}
