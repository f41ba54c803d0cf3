//! Seats of frontends with a limit of attendees.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::{BackendId, FrontendId, Meeting, MeetingState};
use b3scale_middleware::ports::{NewSeat, Seat};
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use super::replica::{Replica, fault};
use crate::ledger::Crowd;
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
struct Gates([Mutex<()>; GATES]);

impl Gates {
    fn of(&self, frontend: FrontendId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        frontend.hash(&mut hasher);
        let at = hasher.finish() % GATES as u64;
        // There are that many.
        &self.0[usize::try_from(at).unwrap_or_default()]
    }
}

/// Gives out seats.
pub(super) struct Seats {
    replica: Arc<Replica>,
    gates: Gates,
}

impl Seats {
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        Self { replica, gates: Gates::default() }
    }

    /// Takes a seat for a join, by the database or, while that is away, by what memory knows.
    pub(super) async fn take(&self, wanted: NewSeat<'_>) -> Result<Seat, Fault> {
        let Ok(_turn) = timeout(TURN_LIMIT, self.gates.of(wanted.frontend).lock()).await else {
            return Err(Fault::StoreAway(format!("no seat was given out within {} s", TURN_LIMIT.as_secs())));
        };
        let people = self.people(wanted.frontend);
        let namesakes = wanted.user.map_or(0, |user| self.namesakes(wanted.meeting, user));
        if !self.replica.trust().is_away() {
            let crowd = Crowd { people: &people, namesakes };
            match timeout(SEAT_LIMIT, self.replica.store.take_seat(self.replica.chance.id(), wanted, crowd))
                .await
                .map(|taken| self.replica.observe(taken))
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

    /// Gives a seat back.
    pub(super) async fn give_back(&self, id: Uuid) {
        if let Err(error) = self.replica.observe(self.replica.store.return_seat(id).await) {
            tracing::debug!(%error, "Returning a seat failed; it expires by itself");
        }
    }

    /// People in a frontend's meetings on each backend. Those in a breakout that its node made are counted in its parent.
    fn people(&self, frontend: FrontendId) -> Vec<(BackendId, i64)> {
        let runs = |one: &Meeting| matches!(one.state, MeetingState::Live | MeetingState::Ending);
        let counts = |one: &Meeting| one.frontend == frontend && runs(one) && !one.shares_people();
        let mut people: BTreeMap<BackendId, i64> = BTreeMap::new();
        for meeting in self.replica.view.meetings.filtered(counts) {
            *people.entry(meeting.backend).or_default() += i64::from(self.replica.view.crowd(&meeting).people);
        }
        people.into_iter().collect()
    }

    /// How many people in a meeting have that id, by its last entry.
    fn namesakes(&self, meeting: &Meeting, user: &str) -> i64 {
        let Some(entry) = self.replica.view.entry(meeting) else { return 0 };
        let people = xml::elements(&entry, &["meeting", "attendees", "attendee"]).unwrap_or_default();
        let has_id = |one: &&Bytes| xml::fields(one, ["userID"]).is_ok_and(|[id]| id.as_deref() == Some(user));
        i64::try_from(people.iter().filter(has_id).count()).unwrap_or(i64::MAX)
    }
}
