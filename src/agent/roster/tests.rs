//! Events and lists, in the orders in which they may come.

use b3scale_base::rest::{AttendeeChange, NodeAttendee};

use super::*;

const MEETING: &str = "m-1";

fn created() -> Heard {
    Heard::Created(NodeMeeting { internal_id: MEETING.to_owned(), id: "abc".to_owned(), ..NodeMeeting::default() })
}

fn ended() -> Heard {
    Heard::Ended { meeting: MEETING.to_owned() }
}

fn attendee(id: &str, user_id: &str) -> NodeAttendee {
    NodeAttendee { internal_id: id.to_owned(), user_id: user_id.to_owned(), ..NodeAttendee::default() }
}

fn about(id: &str, what: About) -> Heard {
    Heard::Attendee { meeting: MEETING.to_owned(), id: id.to_owned(), what }
}

fn joined(id: &str, user_id: &str) -> Heard {
    about(id, About::Joined(attendee(id, user_id)))
}

fn left(id: &str) -> Heard {
    about(id, About::Left)
}

fn camera(id: &str, stream: &str, on: bool) -> Heard {
    about(id, About::Camera { stream: stream.to_owned(), on })
}

/// The meeting as a node lists it, with these people by their frontends' ids.
fn listed(people: &[&str]) -> Vec<SnapshotMeeting> {
    let Heard::Created(meeting) = created() else { unreachable!() };
    vec![SnapshotMeeting { meeting, attendees: people.iter().map(|user_id| attendee("", user_id)).collect() }]
}

/// A roster, with a clock of its own.
struct World {
    roster: Roster,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { roster: Roster::default(), now: Instant::now() }
    }

    fn hear(&mut self, heard: Heard) -> Option<Event> {
        self.now += Duration::from_millis(1);
        self.roster.hear(heard, self.now)
    }

    fn hear_all<const N: usize>(&mut self, heard: [Heard; N]) {
        for heard in heard {
            self.hear(heard);
        }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn ask(&mut self) {
        self.roster.asking(self.now);
    }

    fn survey(&mut self, people: &[&str]) {
        self.ask();
        self.roster.told(listed(people)).unwrap();
    }

    /// The node's ids of who is there.
    fn people(&self) -> Vec<String> {
        let meetings = self.roster.picture().meetings;
        meetings.into_iter().flat_map(|meeting| meeting.attendees).map(|attendee| attendee.internal_id).collect()
    }
}

#[test]
fn events_are_told_once_and_only_if_they_change_something() {
    let mut world = World::new();
    assert!(matches!(world.hear(created()), Some(Event::MeetingCreated { .. })));
    assert_eq!(world.hear(created()), None);
    assert!(matches!(world.hear(joined("w_1", "gl-1")), Some(Event::AttendeeJoined { .. })));
    assert_eq!(world.hear(joined("w_1", "gl-1")), None);
    let presents = || about("w_1", About::Is(AttendeeChange { presenter: Some(true), ..AttendeeChange::default() }));
    assert!(matches!(world.hear(presents()), Some(Event::AttendeeChanged { .. })));
    assert_eq!(world.hear(presents()), None);
    assert!(matches!(world.hear(left("w_1")), Some(Event::AttendeeLeft { .. })));
    assert_eq!(world.hear(left("w_1")), None);
    assert!(matches!(world.hear(ended()), Some(Event::MeetingEnded { .. })));
    assert_eq!([world.hear(ended()), world.hear(joined("w_2", "gl-2"))], [None, None]);
    assert!(!world.roster.is_unsure());
}

#[test]
fn a_camera_is_on_until_the_last_one_is_off() {
    let mut world = World::new();
    world.hear_all([created(), joined("w_1", "gl-1")]);
    assert!(world.hear(camera("w_1", "a", true)).is_some());
    assert_eq!([world.hear(camera("w_1", "b", true)), world.hear(camera("w_1", "a", false))], [None, None]);
    let off = AttendeeChange { has_video: Some(false), ..AttendeeChange::default() };
    let told = world.hear(camera("w_1", "b", false));
    assert_eq!(
        told,
        Some(Event::AttendeeChanged { meeting: MEETING.to_owned(), attendee: "w_1".to_owned(), change: off })
    );
}

#[test]
fn who_telephones_comes_and_goes_by_voice_alone() {
    let mut world = World::new();
    world.hear(created());
    let call = || about("v_1", About::InVoice { listens: false, name: "613".to_owned() });
    let Some(Event::AttendeeJoined { attendee, .. }) = world.hear(call()) else { panic!() };
    assert!(attendee.joined_voice && attendee.client_type == "DIAL-IN");
    assert!(matches!(world.hear(about("v_1", About::OutOfVoice)), Some(Event::AttendeeLeft { .. })));
    assert_eq!(world.hear(about("w_9", About::OutOfVoice)), None);
}

#[test]
fn people_in_breakouts_are_counted_once() {
    let mut world = World::new();
    let breakout = NodeMeeting { internal_id: "b-1".to_owned(), breakout: true, ..NodeMeeting::default() };
    let inside = Heard::Attendee {
        meeting: "b-1".to_owned(),
        id: "w_2".to_owned(),
        what: About::Joined(attendee("w_2", "w_1-1")),
    };
    world.hear_all([created(), joined("w_1", "gl-1"), Heard::Created(breakout), inside]);
    assert_eq!((world.roster.meetings(), world.roster.attendees()), (2, 1));
}

#[test]
fn a_list_that_lags_undoes_no_event() {
    let mut world = World::new();
    world.hear_all([created(), joined("w_1", "gl-1"), joined("w_2", "gl-2")]);
    world.pass(60);
    world.hear_all([left("w_1"), joined("w_3", "gl-3")]);
    world.ask();
    world.hear_all([left("w_2"), joined("w_4", "gl-4")]);
    // Neither who left is missing in it, nor who came is in it.
    world.roster.told(listed(&["gl-1", "gl-2"])).unwrap();
    assert_eq!(world.people(), ["w_3", "w_4"]);
    assert!(!world.roster.is_unsure());
    // A list that does not lag has the same result.
    world.pass(1);
    world.survey(&["gl-3", "gl-4"]);
    assert_eq!(world.people(), ["w_3", "w_4"]);
}

#[test]
fn a_meeting_that_has_ended_never_comes_back() {
    let mut world = World::new();
    world.hear_all([created(), ended()]);
    world.pass(60);
    world.survey(&["gl-1"]);
    assert_eq!(world.roster.meetings(), 0);
}

#[test]
fn one_whose_creation_was_heard_is_there_before_the_node_lists_it() {
    let mut world = World::new();
    world.ask();
    world.hear_all([created(), joined("w_1", "gl-1")]);
    world.roster.told(Vec::new()).unwrap();
    assert_eq!(world.people(), ["w_1"]);
    world.pass(60);
    world.ask();
    world.roster.told(Vec::new()).unwrap();
    assert_eq!(world.roster.meetings(), 0);
}

#[test]
fn strangers_are_kept_until_the_node_lists_them_no_more() {
    let mut world = World::new();
    world.survey(&["gl-1", "gl-1", "w_7"]);
    assert_eq!(world.people(), ["gl-1", "gl-1#2", "w_7"]);
    assert!(world.roster.is_unsure());
    // One of them leaves, and which one is not known.
    assert_eq!(world.hear(left("w_1")), None);
    world.pass(10);
    world.survey(&["gl-1", "w_7"]);
    assert_eq!(world.people(), ["gl-1", "w_7"]);
    // Who comes back is known from then on.
    world.hear(left("w_2"));
    world.hear(joined("w_3", "gl-1"));
    world.survey(&["gl-1", "w_7"]);
    assert_eq!(world.people(), ["w_3", "w_7"]);
    assert!(!world.roster.is_unsure());
    assert!(world.hear(left("w_7")).is_some());
}

#[test]
fn without_redis_for_a_while_everybody_is_a_stranger() {
    let mut world = World::new();
    world.hear_all([created(), joined("w_1", "gl-1"), joined("w_2", "gl-2")]);
    world.roster.doubt();
    world.survey(&["gl-1", "gl-3"]);
    assert_eq!(world.people(), ["gl-3", "w_1"]);
    assert!(world.roster.is_unsure());
    // Who does something is one no more.
    world.survey(&["gl-1"]);
    assert!(world.roster.is_unsure());
    world.hear(camera("w_1", "a", true));
    assert!(!world.roster.is_unsure());
}

#[test]
fn a_recording_goes_on_whatever_a_list_says() {
    let mut world = World::new();
    world.hear(created());
    let on = || Heard::Recording { meeting: MEETING.to_owned(), on: true };
    assert!(world.hear(on()).is_some() && world.hear(on()).is_none());
    world.pass(60);
    world.survey(&[]);
    assert!(world.roster.picture().meetings[0].meeting.recording);
}

#[test]
fn a_list_is_refused_when_more_was_heard_meanwhile_than_can_be_kept() {
    let mut world = World::new();
    world.ask();
    for _ in 0..=MOST_RECENT {
        world.roster.hear(left("w_1"), world.now);
    }
    assert_eq!(world.roster.told(listed(&[])), Err(Overrun));
    world.pass(60);
    world.survey(&[]);
    assert_eq!(world.roster.meetings(), 1);
}

#[test]
fn someone_in_a_meeting_that_nobody_knows_is_a_reason_to_ask() {
    let mut world = World::new();
    assert_eq!(world.hear(joined("w_1", "gl-1")), None);
    assert!(world.roster.is_unsure());
    world.survey(&["gl-1"]);
    assert_eq!(world.people(), ["w_1"]);
}
