//! The rows of the model, and their triggers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{
    Attempt, Attendee, Backend, BackendId, Callback, Frontend, FrontendId, Health, Meeting, NodeMeeting,
};
use uuid::Uuid;

use crate::ledger::{Command, NewServer, QueuedJob};

/// How long a silent server is believed to be there.
const LOST_AFTER: Duration = Duration::from_secs(8);

/// A server whose own beat has had a gap within this time judges no other.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// All tables. Equal if all rows are.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The frontends.
    pub frontends: BTreeMap<FrontendId, Arc<Frontend>>,
    /// The backends.
    pub backends: BTreeMap<BackendId, BackendRow>,
    /// The status of each backend.
    pub statuses: BTreeMap<BackendId, StatusRow>,
    /// The meetings that have a place.
    pub meetings: BTreeMap<ScopedId, MeetingRow>,
    /// The copies of meetings.
    pub copies: BTreeMap<(ScopedId, BackendId), CopyRow>,
    /// All meetings that ever ran, by their ids and those of the nodes.
    pub history: BTreeMap<(ScopedId, String), PastRow>,
    /// The callbacks of their sessions.
    pub callbacks: BTreeMap<(ScopedId, String), Arc<[Callback]>>,
    /// The servers.
    pub servers: BTreeMap<Uuid, ServerEntry>,
    /// The starts of agents.
    pub agents: BTreeMap<(BackendId, Uuid), AgentRow>,
    /// The meetings on nodes, by the nodes' own ids.
    pub node_meetings: BTreeMap<(BackendId, String), NodeMeetingRow>,
    /// The attendees, by the nodes' own ids of their meetings and of themselves.
    pub attendees: BTreeMap<(BackendId, String, String), AttendeeRow>,
    /// The seats.
    pub seats: BTreeMap<Uuid, SeatRow>,
    /// The queue, in the order of the requests.
    pub jobs: BTreeMap<i64, JobRow>,
    /// The sequence that numbers jobs.
    pub last_job: i64,
    /// The commands.
    pub commands: BTreeMap<Uuid, Command>,
    /// The duties.
    pub duties: BTreeMap<String, DutyRow>,
    /// The sequence that numbers all changes.
    pub versions: i64,
}

/// A row of `backends`.
#[derive(Clone, Debug)]
pub struct BackendRow {
    /// As servers read it.
    pub backend: Backend,
    /// When an operator first enabled it.
    pub enabled_at: Option<SystemTime>,
    /// When it last changed.
    pub updated_at: SystemTime,
}

/// A row of `meetings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingRow {
    /// As servers read it.
    pub meeting: Meeting,
    /// When its node made it, in milliseconds since 1970 by the node's clock.
    pub create_time: Option<i64>,
    /// The server that holds the claim.
    pub claimed_by: Option<Uuid>,
    /// When it last changed.
    pub updated_at: SystemTime,
}

/// A row of `meeting_copies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// The attempt that left it there.
    pub attempt: Attempt,
    /// When it was left there.
    pub created_at: SystemTime,
    /// Until then the meeting may be created there again.
    pub spared_until: Option<SystemTime>,
    /// Until then an end may be on its way.
    pub ending_until: Option<SystemTime>,
    /// Of the meeting that was detached there, and may be detached again.
    pub internal_id: Option<String>,
    /// Of the same.
    pub create_time: Option<i64>,
    /// Whether it is ended with everyone in it.
    pub doomed: bool,
    /// When it last took an end.
    pub ended_at: Option<SystemTime>,
    /// Since when its node has said that it does not run it.
    pub missing_since: Option<SystemTime>,
}

/// A row of `meeting_history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRow {
    /// Its frontend.
    pub frontend: FrontendId,
    /// The id its frontend knew it by.
    pub meeting_id: MeetingId,
    /// Where it ran.
    pub backend: Option<BackendId>,
    /// When it was first noted.
    pub created_at: SystemTime,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
}

/// A row of `servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEntry {
    /// How it introduced itself.
    pub server: NewServer,
    /// When it was started.
    pub started_at: SystemTime,
    /// Its last sign of life.
    pub beat: SystemTime,
    /// Since when its beat has had no gap.
    pub steady_since: SystemTime,
}

/// A row of `backend_status`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusRow {
    /// The node's health.
    pub health: Health,
    /// Why it is not well.
    pub last_error: Option<String>,
    /// How long its last answer took.
    pub latency: Duration,
    /// People in its meetings.
    pub attendees: u32,
    /// Counts the records.
    pub seq: i64,
    /// When it is asked next.
    pub poll_due: SystemTime,
    /// Until then a poll is under way, unless it has come to its end.
    pub polled_until: Option<SystemTime>,
    /// The server that asks, or asked last.
    pub polled_by: Option<Uuid>,
    /// The number of the last poll.
    pub lease: i64,
    /// When a change on the node was last reported.
    pub hastened_at: Option<SystemTime>,
    /// When its last answer was recorded.
    pub synced_at: Option<SystemTime>,
    /// When it was asked for that.
    pub asked_at: Option<SystemTime>,
    /// When its health was last recorded.
    pub seen_at: Option<SystemTime>,
    /// Its last report.
    pub report: Option<Vec<u8>>,
    /// The digest of that.
    pub digest: Option<Vec<u8>>,
    /// The number with which the report last changed.
    pub report_seq: i64,
    /// When its agent last reported.
    pub heartbeat: Option<SystemTime>,
    /// How busy its processors are.
    pub cpu: Option<f32>,
    /// How full its memory is.
    pub memory: Option<f32>,
    /// When its agent's account was last complete.
    pub told_at: Option<SystemTime>,
}

/// A row of `agents`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRow {
    /// The last batch that counts.
    pub seq: i64,
    /// When it began to speak for its node.
    pub begun_at: SystemTime,
    /// When it was last heard.
    pub heard_at: SystemTime,
}

/// A row of `node_meetings`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeMeetingRow {
    /// Where it runs.
    pub backend: BackendId,
    /// The meeting.
    pub meeting: NodeMeeting,
    /// When it ended.
    pub gone_at: Option<SystemTime>,
    /// The number of the status with which it last changed.
    pub seq: i64,
}

/// A row of `attendees`.
#[derive(Clone, Debug, PartialEq)]
pub struct AttendeeRow {
    /// The node they are on.
    pub backend: BackendId,
    /// The attendee.
    pub attendee: Attendee,
    /// When they left.
    pub gone_at: Option<SystemTime>,
    /// The number of the status with which they last changed.
    pub seq: i64,
}

/// A row of `seats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRow {
    /// Its frontend.
    pub frontend: FrontendId,
    /// Where it is.
    pub meeting: ScopedId,
    /// The frontend's id of the attendee.
    pub user: Option<String>,
    /// The link that holds it.
    pub link: Option<[u8; 32]>,
    /// The name under which the attendee joins through the link.
    pub name: Option<[u8; 32]>,
    /// How long it lasts.
    pub expires_at: SystemTime,
    /// Whether it was opened more than once.
    pub reopened: bool,
}

/// A row of `jobs`.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// As a server reads it.
    pub job: QueuedJob,
    /// Until then its server is believed to be at work.
    pub lease: Option<SystemTime>,
}

/// A row of `duties`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyRow {
    /// When it is due.
    pub due: SystemTime,
    /// The server that does it, or did it last.
    pub run_by: Option<Uuid>,
}

impl Tables {
    /// Whether a server is lost, as `observer` may judge.
    pub(super) fn is_lost(&self, server: Option<Uuid>, observer: Option<Uuid>, now: SystemTime) -> bool {
        let Some(server) = server.filter(|server| Some(*server) != observer) else { return false };
        let is_silent = self.servers.get(&server).is_none_or(|row| row.beat <= now - LOST_AFTER);
        let observer = observer.and_then(|observer| self.servers.get(&observer));
        let may_judge = |row: &ServerEntry| row.beat >= now - STEADY_AFTER && row.steady_since <= now - STEADY_AFTER;
        is_silent && observer.is_none_or(may_judge)
    }

    /// A detached meeting that is claimed may still run on the node that was lost: the trigger `leave_copy`.
    pub(super) fn leave_detached_copy(&mut self, before: &MeetingRow, now: SystemTime) {
        let MeetingRow { meeting: before, create_time, .. } = before;
        let copy = self.leave_copy(&before.id, before.backend, before.attempt, now);
        (copy.internal_id, copy.create_time) = (before.internal_id.clone(), *create_time);
        copy.doomed = false;
        if let Some(internal_id) = &before.internal_id {
            self.end_past(&before.id, internal_id, now);
        }
    }

    /// Records a copy, or that another attempt has left one there.
    pub(super) fn leave_copy(
        &mut self,
        id: &ScopedId,
        backend: BackendId,
        attempt: Attempt,
        now: SystemTime,
    ) -> &mut CopyRow {
        let fresh = CopyRow {
            attempt,
            created_at: now,
            spared_until: None,
            ending_until: None,
            internal_id: None,
            create_time: None,
            doomed: false,
            ended_at: None,
            missing_since: None,
        };
        let copy = self.copies.entry((id.clone(), backend)).or_insert(fresh);
        (copy.attempt, copy.created_at) = (attempt, now);
        copy
    }

    /// Records that a meeting runs.
    pub(super) fn begin_past(&mut self, meeting: &Meeting, now: SystemTime) {
        let Some(internal_id) = meeting.internal_id.clone() else { return };
        let fresh = PastRow {
            frontend: meeting.frontend,
            meeting_id: meeting.meeting_id.clone(),
            backend: None,
            created_at: now,
            ended_at: None,
        };
        let past = self.history.entry((meeting.id.clone(), internal_id)).or_insert(fresh);
        (past.backend, past.ended_at) = (Some(meeting.backend), None);
    }

    /// The callbacks of a session of a meeting: the function `callbacks_of`.
    pub(super) fn callbacks_of(&self, id: &ScopedId, internal_id: &str) -> Arc<[Callback]> {
        self.callbacks.get(&(id.clone(), internal_id.to_owned())).cloned().unwrap_or_default()
    }

    /// Records that a meeting ended.
    pub(super) fn end_past(&mut self, id: &ScopedId, internal_id: &str, now: SystemTime) {
        if let Some(past) = self.history.get_mut(&(id.clone(), internal_id.to_owned())) {
            past.ended_at = Some(now);
        }
    }
}

impl StatusRow {
    /// The status of a node that was never asked.
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            health: Health::default(),
            last_error: None,
            latency: Duration::ZERO,
            attendees: 0,
            seq: 1,
            poll_due: now,
            polled_until: None,
            polled_by: None,
            lease: 0,
            hastened_at: None,
            synced_at: None,
            asked_at: None,
            seen_at: None,
            report: None,
            digest: None,
            report_seq: 0,
            heartbeat: None,
            cpu: None,
            memory: None,
            told_at: None,
        }
    }
}
