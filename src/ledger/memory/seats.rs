//! Seats, as `store/seats.rs` gives them in SQL.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::BackendId;
use b3scale_middleware::ports::{NewSeat, Seat};
use b3scale_postgres::StoreError;
use uuid::Uuid;

use super::{MeetingRow, Model, SeatRow, Statement, no_frontend};
use crate::ledger::{Crowd, Seats};

/// How recent a complete account of an agent must be, for it to speak for its node.
const SPEAKS_FOR: Duration = Duration::from_secs(30);

/// How long a seat is kept on a node whose agent says who has come, and on any other.
const PATIENCE: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(30)];

#[async_trait]
impl Seats for Model {
    async fn take_seat(&self, id: Uuid, wanted: NewSeat<'_>, crowd: Crowd<'_>) -> Result<Seat, StoreError> {
        self.run(|statement| take_seat(statement, id, wanted, crowd)).await
    }

    async fn return_seat(&self, id: Uuid) -> Result<(), StoreError> {
        self.run(|statement| {
            let is_returned = statement.tables.seats.get(&id).is_some_and(|seat| !seat.reopened);
            if is_returned {
                statement.tables.seats.remove(&id);
            }
            Ok(())
        })
        .await
    }
}

/// Under the lock of the frontend's seats, so that the rows are those that are committed.
fn take_seat(statement: &mut Statement, id: Uuid, wanted: NewSeat<'_>, crowd: Crowd<'_>) -> Result<Seat, StoreError> {
    let NewSeat { frontend, limit, meeting, user, link } = wanted;
    let (now, at) = (statement.now, meeting.backend);
    let patience = PATIENCE[usize::from(!speaks(statement, at))];
    let namesakes = if speaks(statement, at) { namesakes(statement, &wanted) } else { crowd.namesakes };
    let people = people_of(statement, &wanted) + people_elsewhere(statement, &crowd);
    let expected = statement.tables.seats.values().filter(|seat| {
        seat.frontend == frontend && seat.expires_at > now && statement.tables.meetings.contains_key(&seat.meeting)
    });
    let is_full = people + i64::try_from(expected.count()).unwrap_or(i64::MAX) >= limit;
    let is_theirs = |seat: &SeatRow| {
        let is_same_user = user.is_some() && seat.user.as_deref() == user;
        let is_same_link = link.is_some_and(|link| seat.link == Some(link.digest));
        seat.frontend == frontend && seat.meeting == meeting.id && (is_same_user || is_same_link)
    };
    statement.tables.seats.retain(|_, seat| seat.frontend != frontend || seat.expires_at > now);
    let theirs = statement.tables.seats.values_mut().filter(|seat| namesakes < 2 && is_theirs(seat));
    let reopened = theirs.map(|seat| seat.reopen(now + patience)).count();
    if reopened > 0 || namesakes == 1 {
        return Ok(Seat::Held);
    }
    if is_full {
        return Ok(Seat::Full);
    }
    if !statement.tables.frontends.contains_key(&frontend) {
        return Err(no_frontend("take a seat"));
    }
    let (user, name) = (user.map(str::to_owned), link.map(|link| link.name));
    let (meeting, link) = (meeting.id.clone(), link.map(|link| link.digest));
    let seat = SeatRow { frontend, meeting, user, link, name, expires_at: now + patience, reopened: false };
    statement.tables.seats.insert(id, seat);
    Ok(Seat::Taken(id))
}

/// Whether an agent speaks for a node.
fn speaks(statement: &Statement, backend: BackendId) -> bool {
    let told_at = statement.tables.statuses.get(&backend).and_then(|row| row.told_at);
    told_at.is_some_and(|told| told > statement.now - SPEAKS_FOR)
}

/// How many people in the meeting have the attendee's id.
fn namesakes(statement: &Statement, wanted: &NewSeat<'_>) -> i64 {
    let (Some(user), Some(internal_id)) = (wanted.user, &wanted.meeting.internal_id) else { return 0 };
    count_there(statement, wanted.meeting.backend, internal_id, |user_id| user_id == user)
}

fn count_there(statement: &Statement, backend: BackendId, internal_id: &str, matches: impl Fn(&str) -> bool) -> i64 {
    let attendees = statement.tables.attendees.iter().filter(|((at, meeting, _), row)| {
        *at == backend && meeting == internal_id && row.gone_at.is_none() && matches(&row.attendee.user_id)
    });
    i64::try_from(attendees.count()).unwrap_or(i64::MAX)
}

/// People of the frontend on nodes whose agents speak. Those in a breakout are in its parent, unless its frontend created
/// it.
fn people_of(statement: &Statement, wanted: &NewSeat<'_>) -> i64 {
    let own = statement.tables.meetings.values().filter(|row| row.meeting.frontend == wanted.frontend && row.runs());
    let counts = own.filter(|row| speaks(statement, row.meeting.backend)).map(|row| {
        let meeting = &row.meeting;
        let Some(internal_id) = &meeting.internal_id else { return 0 };
        let running = statement.tables.node_meetings.get(&(meeting.backend, internal_id.clone()));
        let has_own_people = |breakout: bool| !breakout || meeting.size.breakout && !is_native(&meeting.id, row);
        let counts = running.is_some_and(|row| row.gone_at.is_none() && has_own_people(row.meeting.breakout));
        if counts { count_there(statement, meeting.backend, internal_id, |_| true) } else { 0 }
    });
    counts.sum()
}

fn people_elsewhere(statement: &Statement, crowd: &Crowd<'_>) -> i64 {
    crowd.people.iter().filter(|(backend, _)| !speaks(statement, *backend)).map(|(_, people)| people).sum()
}

/// Whether a meeting has one id on both sides.
fn is_native(id: &ScopedId, row: &MeetingRow) -> bool {
    id.as_ref() == row.meeting.meeting_id.as_ref()
}

impl SeatRow {
    /// Each time a link is opened its seat lasts as long as at first.
    fn reopen(&mut self, until: SystemTime) {
        self.reopened = true;
        self.expires_at = self.expires_at.max(until);
    }
}
