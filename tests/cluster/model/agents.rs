//! Reports of agents, and seats of attendees on their way.

use b3scale::ledger::{Crowd, Ingest, Seats};
use b3scale::store::StoreError;
use b3scale_middleware::cluster::{Attendee, AttendeeChange, Link, NodeBatch, NodeEvent, NodeFigures, NodeMeeting};
use b3scale_middleware::ports::{NewSeat, Seat};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::steps::{Belief, Kind, Learned, Op, backend, frontend, meeting_id};

/// Seats of each frontend.
const LIMIT: i64 = 3;

pub(super) async fn ask(
    op: &Op,
    db: &(impl Ingest + Seats),
    belief: &Belief,
    number: i64,
    learned: &mut Learned,
) -> Result<String, StoreError> {
    match op.kind {
        Kind::Batch => report(op, db, belief).await,
        Kind::Presence => {
            let found = db.presence_since(&[(backend(op.backend), 2 * op.number as i64), (backend(0), 0)]).await?;
            Ok(format!("{found:?}"))
        }
        Kind::TakeSeat => take_seat(op, db, belief, number, learned).await,
        _ => match belief.seat {
            Some(seat) => db.return_seat(seat).await.map(|()| String::new()),
            None => Ok(String::new()),
        },
    }
}

/// The start of the agent that an operation is by.
pub(super) fn boot(op: &Op) -> Uuid {
    Uuid::from_u128(0xa1 + op.server as u128)
}

async fn report(op: &Op, db: &impl Ingest, belief: &Belief) -> Result<String, StoreError> {
    let meeting = NodeMeeting {
        internal_id: internal_id(op),
        id: meeting_id(op.meeting).0.as_ref().to_owned(),
        create_time: 1,
        breakout: op.number == 2,
        recording: op.flag,
    };
    let people = [attendee(op.number), attendee((op.number + 1) % 3)];
    let events = events(op, &meeting);
    let node = NodeFigures { cpu: 0.5, memory: 0.25, ..NodeFigures::default() };
    let batch = NodeBatch {
        boot: boot(op),
        seq: belief.batch + [1, 1, 0, 3][op.number + usize::from(op.flag)],
        snapshot: op.flag.then(|| vec![(&meeting, &people[..op.number])]),
        redis_connected: op.age < 2,
        events: &events,
        mapped: None,
        node: &node,
    };
    let ingested = db.ingest(backend(op.backend), &batch).await?;
    let mut ended = ingested.ended.clone();
    ended.sort();
    Ok(format!("{:?} {} {} {ended:?}", ingested.receipt, ingested.counts, ingested.strangers))
}

fn events(op: &Op, there: &NodeMeeting) -> Vec<NodeEvent> {
    let meeting = there.internal_id.clone();
    let one = attendee(op.number);
    match (op.age, op.flag) {
        (0, false) => vec![
            NodeEvent::MeetingCreated { meeting: there.clone() },
            NodeEvent::AttendeeJoined { meeting, attendee: one },
        ],
        (0, true) => vec![NodeEvent::AttendeeJoined { meeting, attendee: one }],
        (1, false) => vec![NodeEvent::AttendeeLeft { meeting, attendee: one.internal_id }],
        (1, true) => vec![NodeEvent::RecordingChanged { meeting, recording: false }],
        (_, false) => {
            let change = AttendeeChange { presenter: Some(true), ..AttendeeChange::default() };
            vec![NodeEvent::AttendeeChanged { meeting, attendee: one.internal_id, change }]
        }
        (_, true) => vec![NodeEvent::MeetingEnded { meeting }],
    }
}

/// The id that a node gave the meeting, as it is by the operation that created it.
fn internal_id(op: &Op) -> String {
    format!("internal-{}-{}", op.meeting, op.server)
}

/// The last one has no id from the frontend.
fn attendee(number: usize) -> Attendee {
    let internal_id = format!("w_{number}");
    let user_id = if number == 2 { internal_id.clone() } else { format!("user-{number}") };
    Attendee { internal_id, user_id, full_name: name(number), ..Attendee::default() }
}

fn name(number: usize) -> String {
    format!("Name {number}")
}

async fn take_seat(
    op: &Op,
    db: &impl Seats,
    belief: &Belief,
    number: i64,
    learned: &mut Learned,
) -> Result<String, StoreError> {
    let Some(meeting) = &belief.meeting else { return Ok(String::new()) };
    let id = Uuid::from_u128(number.unsigned_abs().into());
    let user = format!("user-{}", op.number);
    let digest = Sha256::digest(name(op.backend)).into();
    let link = (!op.flag).then(|| Link { digest, name: Sha256::digest(name(op.number)).into() });
    let user = op.flag.then_some(&*user);
    let wanted = NewSeat { frontend: frontend(op.meeting), limit: LIMIT, meeting, user, link };
    let people = [(backend(0), op.server as i64), (backend(1), 1)];
    let crowd = Crowd { people: &people, namesakes: op.age as i64 };
    let seat = db.take_seat(id, wanted, crowd).await?;
    if let Seat::Taken(id) = seat {
        learned.seats.push(id);
    }
    Ok(format!("{seat:?}"))
}
