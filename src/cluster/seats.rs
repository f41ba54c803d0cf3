//! Who may still come in: the seats of frontends that may have only so many people in their meetings.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::{BackendId, FrontendId, Meeting, MeetingState};
use b3scale_middleware::ports::{NewSeat, Seat};
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Cluster;
use super::ports::fault;
use crate::ledger::{Crowd, Seats};
use crate::store::StoreError;

/// How many joins of one server are given seats at a time. More than there are connections would only wait for each other.
const GATES: usize = 4;

/// How long a join waits for its turn, since a whole school may join at once.
const TURN_LIMIT: Duration = Duration::from_secs(20);

/// How long a join waits for the store to say whether a seat is left.
const SEAT_LIMIT: Duration = Duration::from_secs(5);

/// Where joins wait for their turn. Those of one frontend wait at the same gate, so that a burst of one holds one connection
/// and not all that this server has: the store serves them one after the other anyway.
#[derive(Default)]
pub(super) struct Gates([Mutex<()>; GATES]);

impl Gates {
    fn of(&self, frontend: FrontendId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        frontend.hash(&mut hasher);
        let at = hasher.finish() % GATES as u64;
        // There are that many.
        &self.0[usize::try_from(at).unwrap_or_default()]
    }
}

impl Cluster {
    /// Takes a seat for a join, by the store or, while that is away, by what memory knows.
    pub(super) async fn seat(&self, wanted: NewSeat<'_>) -> Result<Seat, Fault> {
        let Ok(_turn) = timeout(TURN_LIMIT, self.0.gates.of(wanted.frontend).lock()).await else {
            return Err(Fault::StoreAway(format!("no seat was given out within {} s", TURN_LIMIT.as_secs())));
        };
        let people = self.people(wanted.frontend);
        let namesakes = wanted.user.map_or(0, |user| self.namesakes(wanted.meeting, user));
        if !self.0.pulse.borrow().is_away() {
            let crowd = Crowd { people: &people, namesakes };
            match timeout(SEAT_LIMIT, self.0.store.take_seat(self.0.chance.id(), wanted, crowd))
                .await
                .map(|taken| self.noted(taken))
            {
                Ok(Ok(seat)) => return Ok(seat),
                Ok(Err(error @ StoreError::Busy { .. })) => return Err(fault(&error)),
                Ok(Err(error)) if !error.is_away() => return Err(fault(&error)),
                Err(_) | Ok(Err(_)) => {}
            }
        }
        tracing::debug!(frontend.id = %wanted.frontend.0, "Counting seats from memory: the database is away");
        let full = namesakes != 1 && people.iter().map(|(_, people)| people).sum::<i64>() >= wanted.limit;
        Ok(if full { Seat::Full } else { Seat::Held })
    }

    /// People in a frontend's meetings on each backend. Those in a breakout that its node made are counted in its parent.
    fn people(&self, frontend: FrontendId) -> Vec<(BackendId, i64)> {
        let runs = |one: &Meeting| matches!(one.state, MeetingState::Live | MeetingState::Ending);
        let counts = |one: &Meeting| one.frontend == frontend && runs(one) && !one.shares_people();
        let mut people: HashMap<BackendId, i64> = HashMap::new();
        for meeting in self.0.view.meetings_where(counts) {
            *people.entry(meeting.backend).or_default() += i64::from(self.attendees(&meeting));
        }
        people.into_iter().collect()
    }

    /// How many people in a meeting have that id, as its node last said.
    fn namesakes(&self, meeting: &Meeting, user: &str) -> i64 {
        let Some(entry) = self.reported(meeting) else { return 0 };
        let people = xml::elements(&entry, &["meeting", "attendees", "attendee"]).unwrap_or_default();
        let has_id = |one: &&Bytes| xml::fields(one, ["userID"]).is_ok_and(|[id]| id.as_deref() == Some(user));
        i64::try_from(people.iter().filter(has_id).count()).unwrap_or(i64::MAX)
    }
}
