//! How meetings get their places, as `store/meetings/places.rs` says it in SQL.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Callback, Claim, Meeting, MeetingState, Move, NewMeeting, Size};
use b3scale_middleware::ports::Born;
use uuid::Uuid;

use super::rows::{end_past, locked_copy, meetings_where, write_announced};
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
        if let Some(placed) = self.run(|statement| claim(statement, new, ticket)).await? {
            let won = placed.claim == ticket.number;
            return Ok(if won { Claim::Won(Arc::new(placed)) } else { Claim::Taken(Arc::new(placed)) });
        }
        let placed = self.find_meeting(new.id).await?.filter(|there| there.state != MeetingState::Detached);
        Ok(placed.map_or(Claim::Barred, |placed| Claim::Taken(Arc::new(placed))))
    }

    async fn find_claims(&self, numbers: &[i64]) -> Result<Vec<Meeting>, StoreError> {
        let is_wanted =
            |row: &MeetingRow| row.meeting.state == MeetingState::Claimed && numbers.contains(&row.meeting.claim);
        self.read(|statement| meetings_where(statement, is_wanted)).await
    }

    async fn move_claim(&self, held: &Meeting, to: BackendId, sent: bool) -> Result<Move, StoreError> {
        self.run(|statement| Ok(move_claim(statement, held, to, sent))).await
    }

    async fn orphaned_claims(&self, observer: Uuid) -> Result<Vec<Meeting>, StoreError> {
        let mut orphaned = self.read(|statement| orphaned_claims(statement, observer)).await?;
        orphaned.sort_by_key(|claim| claim.placed_at);
        Ok(orphaned)
    }

    async fn inherit_claim(&self, held: &Meeting, ticket: Ticket) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(inherit_claim(statement, held, ticket))).await
    }

    async fn record_live(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| record_live(statement, held, born)).await
    }

    async fn renew_meeting(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(renew(statement, held, born))).await
    }

    async fn release_claim(&self, held: &Meeting, sent: bool) -> Result<Release, StoreError> {
        self.run(|statement| Ok(release_claim(statement, held, sent))).await
    }

    async fn adopt_meeting(
        &self,
        new: NewMeeting<'_>,
        born: &Born,
        by_parent: bool,
        asked_at: SystemTime,
    ) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| adopt(statement, new, born, by_parent, asked_at)).await
    }
}

/// `None`: the place is barred, or the backend is gone.
fn claim(statement: &mut Statement, new: NewMeeting<'_>, ticket: Ticket) -> Result<Option<Meeting>, StoreError> {
    let (now, at) = (statement.now, (new.id.clone(), new.backend));
    if statement.seen.copies.contains_key(&at) {
        let there = statement.locked(new.id, |_| true).map(|row| row.meeting.state);
        let may_be_spared = there.is_none_or(|state| state == MeetingState::Detached);
        let spared = if may_be_spared { spare(statement, &at) } else { false };
        if !spared {
            return Ok(None);
        }
    }
    if !statement.has_place(new.backend) {
        return Ok(None);
    }
    let version = statement.version();
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
        callbacks: Arc::default(),
        version,
    };
    let there = statement.tables.meetings.get(new.id).cloned();
    let claimed = match &there {
        Some(there) if there.meeting.state != MeetingState::Detached => return Ok(Some(there.meeting.clone())),
        Some(MeetingRow { meeting: held, .. }) => fresh(held.meeting_id.clone(), held.attempt + 1, held.frontend),
        None if !statement.tables.frontends.contains_key(&new.frontend) => return Err(no_frontend("claim a meeting")),
        None => fresh(new.meeting_id.clone(), 1, new.frontend),
    };
    let row =
        MeetingRow { meeting: claimed.clone(), create_time: None, claimed_by: Some(ticket.server), updated_at: now };
    statement.tables.meetings.insert(new.id.clone(), row);
    if let Some(detached) = there {
        statement.tables.leave_detached_copy(&detached, now);
    }
    statement.announce(new.id);
    Ok(Some(claimed))
}

fn move_claim(statement: &mut Statement, held: &Meeting, to: BackendId, sent: bool) -> Move {
    let Some(ours) = statement.locked(&held.id, |row| row.is_claim(held)) else { return Move::NotOurs };
    let at = (held.id.clone(), to);
    let barred = statement.seen.copies.contains_key(&at) && !spare(statement, &at);
    if barred || !statement.has_place(to) {
        return Move::Barred;
    }
    let (now, version) = (statement.now, statement.version());
    let Meeting { id, attempt, .. } = held.clone();
    let meeting = Meeting { backend: to, attempt: attempt + 1, placed_at: now, version, ..ours.meeting };
    statement.tables.meetings.insert(id, MeetingRow { meeting: meeting.clone(), updated_at: now, ..ours });
    if sent {
        statement.tables.leave_copy(&held.id, held.backend, attempt, now);
    }
    statement.announce(&held.id);
    Move::Moved(Arc::new(meeting))
}

/// Spares a copy, unless it is being ended.
fn spare(statement: &mut Statement, at: &(ScopedId, BackendId)) -> bool {
    let now = statement.now;
    let Some(copy) = locked_copy(statement, at, |copy| copy.ending_until.is_none_or(|until| until <= now)) else {
        return false;
    };
    copy.spared_until = Some(now + SPARED);
    true
}

fn orphaned_claims(statement: &Statement, observer: Uuid) -> Vec<Meeting> {
    let is_lost = |server| statement.seen.is_lost(server, Some(observer), statement.now);
    meetings_where(statement, |row| row.meeting.state == MeetingState::Claimed && is_lost(row.claimed_by))
}

fn inherit_claim(statement: &mut Statement, held: &Meeting, ticket: Ticket) -> Option<Meeting> {
    let (seen, now) = (Arc::clone(&statement.seen), statement.now);
    let is_lost = |server| seen.is_lost(server, Some(ticket.server), now);
    let ours = statement.locked(&held.id, |row| row.is_claim(held) && is_lost(row.claimed_by))?;
    let meeting = Meeting {
        attempt: ours.meeting.attempt + 1,
        claim: ticket.number,
        placed_at: now,
        version: statement.version(),
        ..ours.meeting
    };
    let row = MeetingRow { meeting, claimed_by: Some(ticket.server), updated_at: now, ..ours };
    Some(write_announced(statement, row))
}

fn record_live(statement: &mut Statement, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
    if !statement.has_place(held.backend) {
        return Ok(None);
    }
    let (now, version) = (statement.now, statement.version());
    let there = statement.tables.meetings.get(&held.id).cloned();
    let is_again = there.is_none();
    let session = (held.id.clone(), born.internal_id.clone());
    let known = statement.seen.callbacks.get(&session).cloned();
    let callbacks = known.unwrap_or_else(|| stored(&born.callbacks));
    let live = |row: MeetingRow| MeetingRow {
        meeting: Meeting {
            state: MeetingState::Live,
            internal_id: Some(born.internal_id.clone()),
            entry: born.entry.clone(),
            callbacks: Arc::clone(&callbacks),
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
            leave_unless_home(statement, held);
            return Ok(None);
        }
        None if !statement.tables.frontends.contains_key(&held.frontend) => {
            return Err(no_frontend("record a live meeting"));
        }
        None => {
            let meeting = Meeting { placed_at: now, ..held.clone() };
            live(MeetingRow { meeting, create_time: None, claimed_by: None, updated_at: now })
        }
    };
    statement.tables.meetings.insert(held.id.clone(), row.clone());
    if !callbacks.is_empty() {
        statement.tables.callbacks.insert(session, callbacks);
    }
    statement.tables.begin_past(&row.meeting, now);
    settle_copies(statement, held);
    let was_there = statement.seen.meetings.get(&held.id).is_some_and(|row| row.meeting.state != MeetingState::Claimed);
    if is_again || was_there {
        statement.announce(&held.id);
    }
    Ok(Some(row.meeting))
}

/// Callbacks as the table keeps them: without our addresses.
fn stored(callbacks: &[Callback]) -> Arc<[Callback]> {
    callbacks.iter().map(|callback| Callback { address: String::new(), ..callback.clone() }).collect()
}

/// The create was carried out for a meeting that lives elsewhere.
fn leave_unless_home(statement: &mut Statement, held: &Meeting) {
    let is_home = statement.seen.meetings.get(&held.id).is_some_and(|row| row.meeting.backend == held.backend);
    if !is_home {
        statement.tables.leave_copy(&held.id, held.backend, held.attempt, statement.now);
    }
}

/// The copy at a meeting's home is the meeting itself. Its other copies are mere copies.
fn settle_copies(statement: &mut Statement, held: &Meeting) {
    let copies: Vec<_> = statement.seen.copies.keys().filter(|(id, _)| *id == held.id).cloned().collect();
    for at in copies {
        if at.1 == held.backend {
            statement.tables.copies.remove(&at);
        } else if let Some(copy) = locked_copy(statement, &at, |copy| copy.internal_id.is_some()) {
            (copy.internal_id, copy.create_time) = (None, None);
        }
    }
}

fn renew(statement: &mut Statement, held: &Meeting, born: &Born) -> Option<Meeting> {
    let row = statement.locked(&held.id, |row| row.is_same(held) && row.runs())?;
    if let Some(before) = &held.internal_id {
        end_past(statement, &held.id, before);
    }
    let meeting = Meeting {
        state: MeetingState::Live,
        internal_id: Some(born.internal_id.clone()),
        entry: None,
        callbacks: statement.tables.callbacks_of(&held.id, &born.internal_id),
        version: statement.version(),
        ..row.meeting
    };
    let create_time = Some(born.create_time);
    statement.tables.begin_past(&meeting, statement.now);
    Some(write_announced(statement, MeetingRow { meeting, create_time, updated_at: statement.now, ..row }))
}

pub(super) fn release_claim(statement: &mut Statement, held: &Meeting, sent: bool) -> Release {
    let Some(ours) = statement.locked(&held.id, |row| row.is_claim(held)) else { return Release::NotOurs };
    let (now, before) = (statement.now, detached_before(statement, held, sent));
    let released = match before {
        Some((backend, internal_id, create_time)) => {
            statement.tables.copies.remove(&(held.id.clone(), backend));
            let session = internal_id.as_deref().unwrap_or_default();
            let meeting = Meeting {
                state: MeetingState::Detached,
                backend,
                attempt: ours.meeting.attempt + 1,
                callbacks: statement.tables.callbacks_of(&held.id, session),
                internal_id,
                version: statement.version(),
                ..ours.meeting
            };
            let row = MeetingRow { meeting: meeting.clone(), create_time, updated_at: now, ..ours };
            statement.tables.meetings.insert(held.id.clone(), row);
            Release::Detached(meeting)
        }
        None => {
            statement.tables.meetings.remove(&held.id);
            Release::Gone
        }
    };
    if sent {
        statement.tables.leave_copy(&held.id, held.backend, held.attempt, now);
    }
    statement.announce(&held.id);
    released
}

/// Where a claimed meeting was detached when it was claimed, if it may be detached there again.
fn detached_before(
    statement: &Statement,
    held: &Meeting,
    sent: bool,
) -> Option<(BackendId, Option<String>, Option<i64>)> {
    let is_it =
        |at: &BackendId, copy: &CopyRow| copy.internal_id.is_some() && !copy.doomed && !(sent && *at == held.backend);
    let mut seen: Vec<_> = statement
        .seen
        .copies
        .iter()
        .filter(|((id, at), copy)| *id == held.id && is_it(at, copy))
        .map(|(at, copy)| (copy.created_at, at))
        .collect();
    seen.sort_by(|one, other| other.cmp(one));
    seen.into_iter().find_map(|(_, at)| {
        let copy = statement.tables.copies.get(at).filter(|copy| is_it(&at.1, copy))?;
        Some((at.1, copy.internal_id.clone(), copy.create_time))
    })
}

fn adopt(
    statement: &mut Statement,
    new: NewMeeting<'_>,
    born: &Born,
    by_parent: bool,
    asked_at: SystemTime,
) -> Result<Option<Meeting>, StoreError> {
    let is_explained = by_parent || explains(statement, &new, born);
    if !is_explained || contradicts(statement, &new, born, asked_at) || !statement.has_place(new.backend) {
        return Ok(None);
    }
    let (now, claim, version) = (statement.now, statement.version(), statement.version());
    let row = match statement.tables.meetings.get(new.id) {
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
        None if !statement.tables.frontends.contains_key(&new.frontend) => return Err(no_frontend("adopt a meeting")),
        None => {
            let callbacks = statement.tables.callbacks_of(new.id, &born.internal_id);
            let found = found(&new, born, now, claim, version);
            MeetingRow { meeting: Meeting { callbacks, ..found.meeting }, ..found }
        }
    };
    statement.tables.begin_past(&row.meeting, now);
    Ok(Some(write_announced(statement, row)))
}

/// Whether the history says why a node runs a meeting: it ran there of late, on a backend that is gone, or elsewhere.
fn explains(statement: &Statement, new: &NewMeeting<'_>, born: &Born) -> bool {
    statement.seen.history.iter().filter(|((id, _), _)| id == new.id).any(|((_, internal_id), past)| {
        let is_it = internal_id.is_empty() || *internal_id == born.internal_id;
        let is_young = past.ended_at.is_none_or(|ended| ended > statement.now - EXPLAINED);
        let is_place_gone = past.backend.is_none_or(|backend| !statement.seen.backends.contains_key(&backend));
        is_it && is_young && (past.backend == Some(new.backend) || is_place_gone)
    })
}

/// Whether a meeting that a node runs is known to be something else.
fn contradicts(statement: &Statement, new: &NewMeeting<'_>, born: &Born, asked_at: SystemTime) -> bool {
    let is_copy = statement.seen.copies.contains_key(&(new.id.clone(), new.backend));
    let past = statement.seen.history.get(&(new.id.clone(), born.internal_id.clone()));
    let ended_since = past.and_then(|past| past.ended_at).is_some_and(|ended| ended >= asked_at);
    let mut pasts = statement.seen.history.iter().filter(|((id, _), _)| id == new.id);
    is_copy || ended_since || pasts.any(|(_, past)| past.frontend != new.frontend)
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
        callbacks: Arc::default(),
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
