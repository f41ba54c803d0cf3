//! Polls and the status of nodes, as `store/polls.rs` says it in SQL.

use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::{AdminState, AgentReport, BackendId, Health, NodeState};
use bytes::Bytes;
use uuid::Uuid;

use super::{Model, Statement, StatusRow};
use crate::ledger::{BackendStatus, Poll, PollOutcome, Polls};
use b3scale_postgres::StoreError;

/// A status that was not recorded for longer is stale, and the failures before it are forgotten.
const STALE_AFTER: Duration = Duration::from_secs(40);

/// An agent that reports has done so within this time.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// Until a node is asked again on which something changed while it was asked, or that could not be asked.
const SOON: Duration = Duration::from_secs(1);

#[async_trait]
impl Polls for Model {
    async fn take_polls(&self, most: u32, lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError> {
        self.run(|statement| {
            let mut due = due(statement, server);
            due.sort_by_key(|(poll_due, _)| *poll_due);
            let take = |(_, id): (SystemTime, BackendId)| {
                let is_forgotten = statement.seen.statuses.get(&id).is_some_and(|row| row.is_forgotten(statement.now));
                let poll = take_poll(statement, id, lease, server)?;
                Some(if is_forgotten { Poll { health: Health::default(), ..poll } } else { poll })
            };
            Ok(due.into_iter().take(most as usize).filter_map(take).collect())
        })
        .await
    }

    async fn take_poll(&self, id: BackendId, lease: Duration, server: Uuid) -> Result<Option<Poll>, StoreError> {
        self.run(|statement| {
            let is_enabled = statement.seen.backends.get(&id).is_some_and(|row| row.enabled_at.is_some());
            Ok(if is_enabled { take_poll(statement, id, lease, server) } else { None })
        })
        .await
    }

    async fn seize_polls(&self, ids: &[BackendId], lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let is_asked =
                |row: &StatusRow| row.polled_until.is_some_and(|until| until > now) && row.polled_by != Some(server);
            let seize = |id: &BackendId| {
                status(statement, *id, is_asked)?;
                take_poll(statement, *id, lease, server)
            };
            Ok(ids.iter().filter_map(seize).collect())
        })
        .await
    }

    async fn return_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        self.run(|statement| {
            let now = statement.now;
            if let Some(row) = status(statement, poll.backend, |row| row.lease == poll.lease) {
                (row.polled_until, row.polled_by, row.poll_due) = (None, None, now + SOON);
            }
            Ok(())
        })
        .await
    }

    async fn hasten_poll(&self, id: BackendId, pause: Duration) -> Result<(), StoreError> {
        self.run(|statement| {
            let now = statement.now;
            if let Some(row) = status(statement, id, |_| true) {
                row.hastened_at = Some(now);
                if row.polled_until.is_none_or(|until| until <= now) {
                    let earliest = row.asked_at.map_or(now, |asked| now.max(asked + pause));
                    row.poll_due = row.poll_due.min(earliest);
                }
            }
            Ok(())
        })
        .await
    }

    async fn record_poll(&self, poll: &Poll, outcome: &PollOutcome<'_>) -> Result<Option<i64>, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let row = status(statement, poll.backend, |row| row.lease == poll.lease);
            Ok(row.map(|row| row.record(poll, outcome, now)))
        })
        .await
    }

    async fn record_heartbeat(
        &self,
        id: BackendId,
        figures: Option<(f32, f32)>,
    ) -> Result<Option<SystemTime>, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let Some(row) = status(statement, id, |_| true) else { return Ok(None) };
            let is_share = |figure: f32| (0.0..=1.0).contains(&figure);
            if figures.is_some_and(|(cpu, memory)| !is_share(cpu) || !is_share(memory)) {
                return Err(no_share());
            }
            (row.cpu, row.memory) = figures.unzip();
            (row.heartbeat, row.seq) = (Some(now), row.seq + 1);
            Ok(Some(now))
        })
        .await
    }

    async fn statuses_since(&self, known: &[(BackendId, i64)]) -> Result<Vec<BackendStatus>, StoreError> {
        let clock = self.0.clock.now();
        self.read(|statement| {
            let known = |id| known.iter().find(|(known, _)| *known == id).map_or(0, |(_, seq)| *seq);
            let rows = statement.seen.statuses.iter().filter(|(id, row)| row.seq > known(**id));
            rows.map(|(id, row)| row.status(*id, known(*id), statement.now, clock)).collect()
        })
        .await
    }
}

/// A status that matched when the statement began and, locked, still does.
fn status(statement: &mut Statement, id: BackendId, matches: impl Fn(&StatusRow) -> bool) -> Option<&mut StatusRow> {
    statement.seen.statuses.get(&id).filter(|row| matches(row))?;
    statement.tables.statuses.get_mut(&id).filter(|row| matches(row))
}

/// The nodes that a server may take, with the time at which each is due.
fn due(statement: &Statement, server: Uuid) -> Vec<(SystemTime, BackendId)> {
    let is_due = |row: &StatusRow| {
        let is_left_by_lost = row.polled_until.is_some_and(|until| until > statement.now)
            && statement.seen.is_lost(row.polled_by, Some(server), statement.now);
        row.poll_due <= statement.now || row.has_silent_agent(statement.now) || is_left_by_lost
    };
    let seen = statement.seen.statuses.iter().filter(|(id, row)| is_due(row) && may_be_asked(statement, **id));
    let locked = seen.filter(|(id, _)| statement.tables.statuses.get(id).is_some_and(is_due));
    locked.map(|(id, row)| (row.poll_due, *id)).collect()
}

fn may_be_asked(statement: &Statement, id: BackendId) -> bool {
    let seen = &statement.seen;
    let Some(row) = seen.backends.get(&id).filter(|row| row.enabled_at.is_some()) else { return false };
    row.backend.admin_state != AdminState::Init
        || seen.meetings.values().any(|row| row.meeting.backend == id)
        || seen.copies.keys().any(|(_, at)| *at == id)
}

fn take_poll(statement: &mut Statement, id: BackendId, lease: Duration, server: Uuid) -> Option<Poll> {
    let (now, number) = (statement.now, statement.version());
    let row = status(statement, id, |_| true)?;
    (row.lease, row.polled_by) = (number, Some(server));
    (row.poll_due, row.polled_until) = (now + lease, Some(now + lease));
    Some(Poll { backend: id, health: row.health, asked_at: now, digest: row.digest.clone(), lease: number })
}

impl StatusRow {
    /// The node has another address: nothing that was observed at the old one counts.
    pub(super) fn forget_node(&mut self, lease: i64, now: SystemTime) {
        let kept = self.clone();
        let seq = kept.seq + 1;
        *self = Self { attendees: 0, seq, report_seq: seq, lease, latency: kept.latency, ..Self::new(now) };
        (self.polled_until, self.polled_by, self.hastened_at) = (kept.polled_until, kept.polled_by, kept.hastened_at);
        (self.synced_at, self.seen_at, self.told_at) = (kept.synced_at, kept.seen_at, kept.told_at);
        self.health.unlisted = kept.health.unlisted;
    }

    /// Whether the node was down and has not been asked for a while.
    fn is_forgotten(&self, now: SystemTime) -> bool {
        self.health.state == NodeState::Error && self.is_stale(now)
    }

    fn is_stale(&self, now: SystemTime) -> bool {
        self.seen_at.is_none_or(|seen| seen < now - STALE_AFTER)
    }

    /// Whether its agent reported when it was asked, and has fallen silent.
    fn has_silent_agent(&self, now: SystemTime) -> bool {
        let reported = self.heartbeat.zip(self.asked_at).is_some_and(|(heartbeat, asked)| heartbeat >= asked);
        self.polled_until.is_none() && reported && self.heartbeat.is_some_and(|last| last < now - SILENT_AFTER)
    }

    fn record(&mut self, poll: &Poll, outcome: &PollOutcome<'_>, now: SystemTime) -> i64 {
        let is_hastened = self.hastened_at.is_some_and(|hastened| hastened >= poll.asked_at);
        self.seq += 1;
        self.health = outcome.health;
        self.last_error = outcome.last_error.map(str::to_owned);
        (self.latency, self.attendees) = (outcome.latency, outcome.attendees);
        (self.polled_until, self.seen_at) = (None, Some(now));
        self.poll_due = now + if is_hastened { outcome.next.min(SOON) } else { outcome.next };
        if outcome.health.answers > 0 {
            (self.synced_at, self.asked_at) = (Some(now), Some(poll.asked_at));
        }
        if let Some((report, digest)) = outcome.report {
            (self.report, self.digest) = (Some(report.to_vec()), Some(digest.to_vec()));
            self.report_seq = self.seq;
        }
        self.seq
    }

    fn status(&self, id: BackendId, known: i64, now: SystemTime, clock: Instant) -> BackendStatus {
        let ago = |time: SystemTime| now.duration_since(time).unwrap_or_default();
        let agent = self.heartbeat.map(|heartbeat| AgentReport {
            heartbeat: clock.checked_sub(ago(heartbeat)).unwrap_or(clock),
            cpu: self.cpu.unwrap_or_default(),
            memory: self.memory.unwrap_or_default(),
        });
        let report = || Bytes::from(self.report.clone().unwrap_or_default());
        BackendStatus {
            backend: id,
            health: self.health,
            stale: self.is_stale(now),
            last_error: self.last_error.clone(),
            latency: self.latency,
            attendees: self.attendees,
            age: self.synced_at.map(ago),
            agent,
            told: self.told_at.map(ago),
            asked_at: self.asked_at,
            report: (self.report_seq > known).then(report),
            seq: self.seq,
        }
    }
}

/// PostgreSQL's answer to a figure that is no share.
fn no_share() -> StoreError {
    let message = "new row for relation \"backend_status\" violates check constraint".to_owned();
    StoreError::Refused { task: "record a heartbeat", message, code: "23514".to_owned() }
}
