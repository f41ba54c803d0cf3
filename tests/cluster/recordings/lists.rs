//! Lists of recordings: newest first, page by page, and nothing of another frontend.

use b3scale::store::Owner;
use b3scale_middleware::cluster::{RecordingChange, RecordingQuery, RecordingState};
use b3scale_support::{new_format, record_id};

use crate::fixture::Fixture;

const LISTED: [RecordingState; 2] = [RecordingState::Published, RecordingState::Unpublished];

fn query() -> RecordingQuery {
    RecordingQuery { states: LISTED.to_vec(), ..RecordingQuery::default() }
}

/// Recordings 1 to 6 of the school: the odd ones of lesson `a`, the even ones of `b`; 7 is the academy's, and 8 has no frontend.
async fn filled() -> Fixture {
    let cluster = Fixture::new().await;
    let academy = cluster.other_frontend().await;
    for number in 1..=8 {
        let frontend = match number {
            7 => Some(academy),
            8 => None,
            _ => Some(cluster.frontend),
        };
        let meeting = if number % 2 == 1 { "a" } else { "b" };
        let mut new = new_format(number, frontend, meeting, "presentation");
        new.recording.metadata.insert("course".to_owned(), format!("{meeting}%_{number}"));
        cluster.add(&new).await;
    }
    cluster
}

/// The numbers of the recordings of a list, and the count.
async fn listed(cluster: &Fixture, owner: Owner, query: &RecordingQuery) -> (Vec<u32>, u64) {
    let table = cluster.store.recordings();
    let found = table.list(owner, query, None).await.expect("they are listed").recordings;
    let number = |id: &str| (1..=8).find(|number| record_id(*number).as_str() == id).expect("it is one of them");
    let numbers = found.iter().map(|recording| number(recording.id.as_str())).collect();
    (numbers, table.count(owner, query).await.expect("they are counted"))
}

#[tokio::test]
async fn a_frontend_lists_its_own_newest_first() {
    let cluster = filled().await;
    let school = Owner::Frontend(cluster.frontend);
    assert_eq!(listed(&cluster, school, &query()).await, (vec![6, 5, 4, 3, 2, 1], 6));
    assert_eq!(listed(&cluster, Owner::Unknown, &query()).await, (vec![8], 1));
    assert_eq!(listed(&cluster, Owner::Any, &query()).await, ((1..=8).rev().collect(), 8));
    let part = RecordingQuery { offset: 1, limit: Some(2), ..query() };
    assert_eq!(listed(&cluster, school, &part).await, (vec![5, 4], 6));
    let beyond = RecordingQuery { offset: u64::MAX, limit: Some(u64::MAX), ..query() };
    assert_eq!(listed(&cluster, school, &beyond).await, (vec![], 6));
}

#[tokio::test]
async fn a_page_begins_behind_the_last_recording_of_the_page_before() {
    let cluster = filled().await;
    // Two that began at the same moment.
    cluster.database.execute("UPDATE recordings SET start_time = 1700000000003 WHERE start_time = 1700000000004").await;
    let (table, school) = (cluster.store.recordings(), Owner::Frontend(cluster.frontend));
    for meeting_ids in [vec![], vec!["a".to_owned(), "b".to_owned(), "b".to_owned()]] {
        let two = RecordingQuery { limit: Some(2), meeting_ids, ..query() };
        let (mut from, mut seen) = (None, Vec::new());
        loop {
            let page = table.list(school, &two, from.as_ref()).await.unwrap();
            seen.extend(page.recordings.into_iter().map(|recording| recording.id));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(seen, [6, 5, 4, 3, 2, 1].map(record_id));
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_meeting_beginning_state_protection_and_metadata() {
    let cluster = filled().await;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (table, ids) = (cluster.store.recordings(), [1, 2].map(record_id));
    table.change(cluster.frontend, &ids[..1], &RecordingChange::Delete).await.unwrap();
    table.change(cluster.frontend, &ids[1..], &RecordingChange::Publish(false)).await.unwrap();
    let protect = RecordingChange::Update { metadata: Vec::new(), protect: Some(true) };
    table.change(cluster.frontend, &[record_id(5)], &protect).await.unwrap();
    let of_meetings = |ids: &[&str]| RecordingQuery { meeting_ids: texts(ids), ..query() };
    let beginning = |ids: &[&str]| RecordingQuery { record_ids: texts(ids), ..query() };
    let with =
        |name: &str, value: &str| RecordingQuery { metadata: vec![(name.to_owned(), value.to_owned())], ..query() };
    let in_states = |states: &[RecordingState]| RecordingQuery { states: states.to_vec(), ..query() };
    let zeros = "0".repeat(39);
    for (query, expected) in [
        (of_meetings(&["a"]), vec![5, 3]),
        (of_meetings(&["b", "a", "b"]), vec![6, 5, 4, 3, 2]),
        (of_meetings(&["A"]), vec![]),
        (of_meetings(&["%"]), vec![]),
        (of_meetings(&["a\0"]), vec![]),
        (beginning(&["0"]), vec![6, 5, 4, 3, 2]),
        (beginning(&[&zeros, "0", "0"]), vec![6, 5, 4, 3, 2]),
        (beginning(&[record_id(5).as_str(), record_id(3).as_str(), record_id(7).as_str()]), vec![5, 3]),
        (beginning(&[&format!("{zeros}4-17"), &format!("{zeros}6-18")]), vec![4]),
        // Defect 44 of the original: `%` and `_` were wildcards.
        (beginning(&["%"]), vec![]),
        (beginning(&["_"]), vec![]),
        (beginning(&["0\0"]), vec![]),
        (RecordingQuery { meeting_ids: texts(&["a"]), ..beginning(&["0"]) }, vec![5, 3]),
        (in_states(&[RecordingState::Unpublished]), vec![2]),
        (in_states(&[RecordingState::Deleted]), vec![1]),
        (in_states(&[]), vec![]),
        (RecordingQuery { protected: Some(true), ..query() }, vec![5]),
        (RecordingQuery { protected: Some(false), ..query() }, vec![6, 4, 3, 2]),
        (with("course", "a%_3"), vec![3]),
        (with("course", "a%"), vec![5, 3]),
        (with("course", "%_3"), vec![3]),
        (with("course", "%%_%"), vec![6, 5, 4, 3, 2]),
        (with("course", "b__%"), vec![]),
        (with("course", "%"), vec![6, 5, 4, 3, 2]),
        (with("course", r"\%"), vec![]),
        (with("gone", "%"), vec![]),
        (with("course", "\0"), vec![]),
        (RecordingQuery { meeting_ids: texts(&["b"]), ..with("course", "%4") }, vec![4]),
    ] {
        let count = expected.len() as u64;
        assert_eq!(listed(&cluster, Owner::Frontend(cluster.frontend), &query).await, (expected, count), "{query:?}");
    }
}
