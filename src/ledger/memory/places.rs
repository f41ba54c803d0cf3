//! How meetings get their places, as `store/meetings/places.rs` says it in SQL.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Claim, Meeting, MeetingState, Move, NewMeeting, Size};
use b3scale_middleware::ports::Born;
use uuid::Uuid;

use super::{CopyRow, MeetingRow, Model, Statement, no_frontend};
use crate::ledger::{Lookups, Places, Release, Ticket};
use b3scale_postgres::StoreError;

/// How long a copy is spared whose meeting may be created on its node again.
const SPARED: Duration = Duration::from_secs(10);

/// How long after its end a meeting that its node still runs is explained by the history.
const EXPLAINED: Duration = Duration::from_secs(60 * 60);

#[async_trait]
impl Places for Model {
    async fn claim_meeting(&self, new: NewMeeting<'_>, ticket: Ticket) -> Result<Claim, StoreError> {
        if let Some(placed) = self.run(|statement| statement.claim(new, ticket)).await? {
            let won = placed.claim == ticket.number;
            return Ok(if won { Claim::Won(Arc::new(placed)) } else { Claim::Taken(Arc::new(placed)) });
        }
        let placed = self.find_meeting(new.id).await?.filter(|there| there.state != MeetingState::Detached);
        Ok(placed.map_or(Claim::Barred, |placed| Claim::Taken(Arc::new(placed))))
    }

    async fn find_claims(&self, numbers: &[i64]) -> Result<Vec<Meeting>, StoreError> {
        let is_wanted =
            |row: &MeetingRow| row.meeting.state == MeetingState::Claimed && numbers.contains(&row.meeting.claim);
        self.read(|statement| statement.meetings_where(is_wanted)).await
    }

    async fn move_claim(&self, held: &Meeting, to: BackendId, sent: bool) -> Result<Move, StoreError> {
        self.run(|statement| Ok(statement.move_claim(held, to, sent))).await
    }

    async fn orphaned_claims(&self, observer: Uuid) -> Result<Vec<Meeting>, StoreError> {
        let mut orphaned = self.read(|statement| statement.orphaned_claims(observer)).await?;
        orphaned.sort_by_key(|claim| claim.placed_at);
        Ok(orphaned)
    }

    async fn inherit_claim(&self, held: &Meeting, ticket: Ticket) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(statement.inherit_claim(held, ticket))).await
    }

    async fn record_live(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| statement.record_live(held, born)).await
    }

    async fn renew_meeting(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(statement.renew(held, born))).await
    }

    async fn release_claim(&self, held: &Meeting, sent: bool) -> Result<Release, StoreError> {
        self.run(|statement| Ok(statement.release_claim(held, sent))).await
    }

    async fn adopt_meeting(
        &self,
        new: NewMeeting<'_>,
        born: &Born,
        by_parent: bool,
        asked_at: SystemTime,
    ) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| statement.adopt(new, born, by_parent, asked_at)).await
    }
}

impl Statement {
    /// `None`: the place is barred, or the backend is gone.
    fn claim(&mut self, new: NewMeeting<'_>, ticket: Ticket) -> Result<Option<Meeting>, StoreError> {
        let (now, at) = (self.now, (new.id.clone(), new.backend));
        if self.seen.copies.contains_key(&at) {
            let there = self.locked(new.id, |_| true).map(|row| row.meeting.state);
            let may_be_spared = there.is_none_or(|state| state == MeetingState::Detached);
            let spared = if may_be_spared { self.spare(&at) } else { false };
            if !spared {
                return Ok(None);
            }
        }
        if !self.has_place(new.backend) {
            return Ok(None);
        }
        let version = self.version();
        let fresh = |meeting_id, attempt, frontend| Meeting {
            id: new.id.clone(),
            meeting_id,
            frontend,
            backend: new.backend,
            attempt,
            claim: ticket.number,
            state: MeetingState::Claimed,
            internal_id: None,
            size: new.size,
            placed_at: now,
            entry: None,
            version,
        };
        let there = self.tables.meetings.get(new.id).cloned();
        let claimed = match &there {
            Some(there) if there.meeting.state != MeetingState::Detached => return Ok(Some(there.meeting.clone())),
            Some(MeetingRow { meeting: held, .. }) => fresh(held.meeting_id.clone(), held.attempt + 1, held.frontend),
            None if !self.tables.frontends.contains_key(&new.frontend) => return Err(no_frontend("claim a meeting")),
            None => fresh(new.meeting_id.clone(), 1, new.frontend),
        };
        let row = MeetingRow {
            meeting: claimed.clone(),
            create_time: None,
            claimed_by: Some(ticket.server),
            updated_at: now,
        };
        self.tables.meetings.insert(new.id.clone(), row);
        if let Some(detached) = there {
            self.tables.leave_detached_copy(&detached, now);
        }
        self.announce(new.id);
        Ok(Some(claimed))
    }

    fn move_claim(&mut self, held: &Meeting, to: BackendId, sent: bool) -> Move {
        let Some(ours) = self.locked(&held.id, |row| row.is_claim(held)) else { return Move::NotOurs };
        let at = (held.id.clone(), to);
        let barred = self.seen.copies.contains_key(&at) && !self.spare(&at);
        if barred || !self.has_place(to) {
            return Move::Barred;
        }
        let (now, version) = (self.now, self.version());
        let Meeting { id, attempt, .. } = held.clone();
        let meeting = Meeting { backend: to, attempt: attempt + 1, placed_at: now, version, ..ours.meeting };
        self.tables.meetings.insert(id, MeetingRow { meeting: meeting.clone(), updated_at: now, ..ours });
        if sent {
            self.tables.leave_copy(&held.id, held.backend, attempt, now);
        }
        self.announce(&held.id);
        Move::Moved(Arc::new(meeting))
    }

    /// Spares a copy, unless it is being ended.
    fn spare(&mut self, at: &(ScopedId, BackendId)) -> bool {
        let now = self.now;
        let Some(copy) = self.locked_copy(at, |copy| copy.ending_until.is_none_or(|until| until <= now)) else {
            return false;
        };
        copy.spared_until = Some(now + SPARED);
        true
    }

    fn orphaned_claims(&self, observer: Uuid) -> Vec<Meeting> {
        let is_lost = |server| self.seen.is_lost(server, Some(observer), self.now);
        self.meetings_where(|row| row.meeting.state == MeetingState::Claimed && is_lost(row.claimed_by))
    }

    fn inherit_claim(&mut self, held: &Meeting, ticket: Ticket) -> Option<Meeting> {
        let (seen, now) = (Arc::clone(&self.seen), self.now);
        let is_lost = |server| seen.is_lost(server, Some(ticket.server), now);
        let ours = self.locked(&held.id, |row| row.is_claim(held) && is_lost(row.claimed_by))?;
        let meeting = Meeting {
            attempt: ours.meeting.attempt + 1,
            claim: ticket.number,
            placed_at: now,
            version: self.version(),
            ..ours.meeting
        };
        let row = MeetingRow { meeting, claimed_by: Some(ticket.server), updated_at: now, ..ours };
        Some(self.write_announced(row))
    }

    fn record_live(&mut self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        if !self.has_place(held.backend) {
            return Ok(None);
        }
        let (now, version) = (self.now, self.version());
        let there = self.tables.meetings.get(&held.id).cloned();
        let is_again = there.is_none();
        let live = |row: MeetingRow| MeetingRow {
            meeting: Meeting {
                state: MeetingState::Live,
                internal_id: Some(born.internal_id.clone()),
                entry: born.entry.clone(),
                version,
                ..row.meeting
            },
            create_time: Some(born.create_time),
            updated_at: now,
            ..row
        };
        let row = match there {
            Some(row) if row.is_place(held) => live(row),
            Some(_) => {
                self.leave_unless_home(held);
                return Ok(None);
            }
            None if !self.tables.frontends.contains_key(&held.frontend) => {
                return Err(no_frontend("record a live meeting"));
            }
            None => {
                let meeting = Meeting { placed_at: now, ..held.clone() };
                live(MeetingRow { meeting, create_time: None, claimed_by: None, updated_at: now })
            }
        };
        self.tables.meetings.insert(held.id.clone(), row.clone());
        self.tables.begin_past(&row.meeting, now);
        self.settle_copies(held);
        let was_there = self.seen.meetings.get(&held.id).is_some_and(|row| row.meeting.state != MeetingState::Claimed);
        if is_again || was_there {
            self.announce(&held.id);
        }
        Ok(Some(row.meeting))
    }

    /// The create was carried out for a meeting that lives elsewhere.
    fn leave_unless_home(&mut self, held: &Meeting) {
        let is_home = self.seen.meetings.get(&held.id).is_some_and(|row| row.meeting.backend == held.backend);
        if !is_home {
            self.tables.leave_copy(&held.id, held.backend, held.attempt, self.now);
        }
    }

    /// The copy at a meeting's home is the meeting itself. Its other copies are mere copies.
    fn settle_copies(&mut self, held: &Meeting) {
        let copies: Vec<_> = self.seen.copies.keys().filter(|(id, _)| *id == held.id).cloned().collect();
        for at in copies {
            if at.1 == held.backend {
                self.tables.copies.remove(&at);
            } else if let Some(copy) = self.locked_copy(&at, |copy| copy.internal_id.is_some()) {
                (copy.internal_id, copy.create_time) = (None, None);
            }
        }
    }

    fn renew(&mut self, held: &Meeting, born: &Born) -> Option<Meeting> {
        let row = self.locked(&held.id, |row| row.is_same(held) && row.runs())?;
        if let Some(before) = &held.internal_id {
            self.end_past(&held.id, before);
        }
        let meeting = Meeting {
            state: MeetingState::Live,
            internal_id: Some(born.internal_id.clone()),
            entry: None,
            version: self.version(),
            ..row.meeting
        };
        let create_time = Some(born.create_time);
        self.tables.begin_past(&meeting, self.now);
        Some(self.write_announced(MeetingRow { meeting, create_time, updated_at: self.now, ..row }))
    }

    pub(super) fn release_claim(&mut self, held: &Meeting, sent: bool) -> Release {
        let Some(ours) = self.locked(&held.id, |row| row.is_claim(held)) else { return Release::NotOurs };
        let (now, before) = (self.now, self.detached_before(held, sent));
        let released = match before {
            Some((backend, internal_id, create_time)) => {
                self.tables.copies.remove(&(held.id.clone(), backend));
                let meeting = Meeting {
                    state: MeetingState::Detached,
                    backend,
                    attempt: ours.meeting.attempt + 1,
                    internal_id,
                    version: self.version(),
                    ..ours.meeting
                };
                let row = MeetingRow { meeting: meeting.clone(), create_time, updated_at: now, ..ours };
                self.tables.meetings.insert(held.id.clone(), row);
                Release::Detached(meeting)
            }
            None => {
                self.tables.meetings.remove(&held.id);
                Release::Gone
            }
        };
        if sent {
            self.tables.leave_copy(&held.id, held.backend, held.attempt, now);
        }
        self.announce(&held.id);
        released
    }

    /// Where a claimed meeting was detached when it was claimed, if it may be detached there again.
    fn detached_before(&self, held: &Meeting, sent: bool) -> Option<(BackendId, Option<String>, Option<i64>)> {
        let is_it = |at: &BackendId, copy: &CopyRow| {
            copy.internal_id.is_some() && !copy.doomed && !(sent && *at == held.backend)
        };
        let mut seen: Vec<_> = self
            .seen
            .copies
            .iter()
            .filter(|((id, at), copy)| *id == held.id && is_it(at, copy))
            .map(|(at, copy)| (copy.created_at, at))
            .collect();
        seen.sort_by(|one, other| other.cmp(one));
        seen.into_iter().find_map(|(_, at)| {
            let copy = self.tables.copies.get(at).filter(|copy| is_it(&at.1, copy))?;
            Some((at.1, copy.internal_id.clone(), copy.create_time))
        })
    }

    fn adopt(
        &mut self,
        new: NewMeeting<'_>,
        born: &Born,
        by_parent: bool,
        asked_at: SystemTime,
    ) -> Result<Option<Meeting>, StoreError> {
        let is_explained = by_parent || self.explains(&new, born);
        if !is_explained || self.contradicts(&new, born, asked_at) || !self.has_place(new.backend) {
            return Ok(None);
        }
        let (now, claim, version) = (self.now, self.version(), self.version());
        let row = match self.tables.meetings.get(new.id) {
            Some(held) if !held.may_be_adopted(&new, born) => return Ok(None),
            Some(held) => MeetingRow {
                meeting: Meeting {
                    backend: new.backend,
                    attempt: held.meeting.attempt + 1,
                    state: MeetingState::Live,
                    version,
                    ..held.meeting.clone()
                },
                updated_at: now,
                ..held.clone()
            },
            None if !self.tables.frontends.contains_key(&new.frontend) => return Err(no_frontend("adopt a meeting")),
            None => found(&new, born, now, claim, version),
        };
        self.tables.begin_past(&row.meeting, now);
        Ok(Some(self.write_announced(row)))
    }

    /// Whether the history says why a node runs a meeting: it ran there of late, on a backend that is gone, or elsewhere.
    fn explains(&self, new: &NewMeeting<'_>, born: &Born) -> bool {
        self.seen.history.iter().filter(|((id, _), _)| id == new.id).any(|((_, internal_id), past)| {
            let is_it = internal_id.is_empty() || *internal_id == born.internal_id;
            let is_young = past.ended_at.is_none_or(|ended| ended > self.now - EXPLAINED);
            let is_place_gone = past.backend.is_none_or(|backend| !self.seen.backends.contains_key(&backend));
            is_it && is_young && (past.backend == Some(new.backend) || is_place_gone)
        })
    }

    /// Whether a meeting that a node runs is known to be something else.
    fn contradicts(&self, new: &NewMeeting<'_>, born: &Born, asked_at: SystemTime) -> bool {
        let is_copy = self.seen.copies.contains_key(&(new.id.clone(), new.backend));
        let past = self.seen.history.get(&(new.id.clone(), born.internal_id.clone()));
        let ended_since = past.and_then(|past| past.ended_at).is_some_and(|ended| ended >= asked_at);
        let mut pasts = self.seen.history.iter().filter(|((id, _), _)| id == new.id);
        is_copy || ended_since || pasts.any(|(_, past)| past.frontend != new.frontend)
    }

    pub(super) fn write_announced(&mut self, row: MeetingRow) -> Meeting {
        let meeting = row.meeting.clone();
        self.announce(&meeting.id);
        self.tables.meetings.insert(meeting.id.clone(), row);
        meeting
    }

    /// The meetings that match, as they were when the statement began.
    pub(super) fn meetings_where(&self, matches: impl Fn(&MeetingRow) -> bool) -> Vec<Meeting> {
        self.seen.meetings.values().filter(|row| matches(row)).map(|row| row.meeting.clone()).collect()
    }
}

/// A meeting that was found on a node.
fn found(new: &NewMeeting<'_>, born: &Born, now: SystemTime, claim: i64, version: i64) -> MeetingRow {
    let made = u64::try_from(born.create_time).ok().filter(|made| *made > 0);
    let made = made.map(|made| SystemTime::UNIX_EPOCH + Duration::from_millis(made));
    let meeting = Meeting {
        id: new.id.clone(),
        meeting_id: new.meeting_id.clone(),
        frontend: new.frontend,
        backend: new.backend,
        attempt: 1,
        claim,
        state: MeetingState::Live,
        internal_id: Some(born.internal_id.clone()),
        size: Size { breakout: new.size.breakout, ..Size::default() },
        placed_at: made.map_or(now, |made| made.min(now)),
        entry: None,
        version,
    };
    MeetingRow { meeting, create_time: Some(born.create_time), claimed_by: None, updated_at: now }
}

impl MeetingRow {
    /// Whether it is that place of that meeting.
    pub(super) fn is_place(&self, held: &Meeting) -> bool {
        let Meeting { backend, attempt, claim, .. } = &self.meeting;
        (*backend, *attempt, *claim) == (held.backend, held.attempt, held.claim)
    }

    fn is_claim(&self, held: &Meeting) -> bool {
        self.is_place(held) && self.meeting.state == MeetingState::Claimed
    }

    /// The same place, and the same meeting of its node.
    pub(super) fn is_same(&self, held: &Meeting) -> bool {
        self.is_place(held) && self.meeting.internal_id == held.internal_id
    }

    pub(super) fn runs(&self) -> bool {
        matches!(self.meeting.state, MeetingState::Live | MeetingState::Ending)
    }

    fn may_be_adopted(&self, new: &NewMeeting<'_>, born: &Born) -> bool {
        let Meeting { state, internal_id, frontend, .. } = &self.meeting;
        *state == MeetingState::Detached && internal_id.as_ref() == Some(&born.internal_id) && *frontend == new.frontend
    }
}
