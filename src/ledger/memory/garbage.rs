//! Garbage, as `store/garbage.rs` collects it in SQL.

use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, MeetingState};

use super::rows::meetings_where;
use super::{MeetingRow, ServerEntry, Statement};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All sweeps at once. Each is a statement of its own in SQL.
pub(super) fn collect_garbage(statement: &mut Statement) {
    let now = statement.now;
    statement.tables.commands.retain(|_, row| row.deadline >= now - HOUR);
    let is_unheard =
        |row: &ServerEntry| row.server.address.is_empty() && statement.seen.is_lost(Some(row.server.id), None, now);
    statement.tables.servers.retain(|_, row| row.beat >= now - HOUR && !is_unheard(row));
    drop_detached(statement);
    let backends = &statement.tables.backends;
    statement.tables.copies.retain(|(_, backend), _| backends.contains_key(backend));
    statement.tables.history.retain(|_, row| row.ended_at.is_none_or(|ended| ended >= now - 730 * DAY));
    statement.tables.seats.retain(|_, row| row.expires_at >= now);
    statement.tables.agents.retain(|_, row| row.heard_at >= now - DAY);
    statement.tables.attendees.retain(|_, row| row.gone_at.is_none_or(|gone| gone >= now - 10 * MINUTE));
    statement.tables.node_meetings.retain(|_, row| row.gone_at.is_none_or(|gone| gone >= now - 10 * MINUTE));
    let running = &statement.tables.node_meetings;
    let is_of = |backend: &BackendId, meeting: &String| running.contains_key(&(*backend, meeting.clone()));
    statement.tables.attendees.retain(|(backend, meeting, _), _| is_of(backend, meeting));
    statement.tables.jobs.retain(|_, row| row.job.poisoned_at.is_none_or(|poisoned| poisoned >= now - 30 * DAY));
}

/// A meeting that has been detached for a day becomes a copy.
fn drop_detached(statement: &mut Statement) {
    let bound = statement.now - DAY;
    let is_old = |row: &MeetingRow| row.meeting.state == MeetingState::Detached && row.updated_at < bound;
    let old: Vec<ScopedId> = meetings_where(statement, is_old).into_iter().map(|meeting| meeting.id).collect();
    for id in old {
        if let Some(gone) = super::ends::remove(statement, &id, is_old) {
            statement.tables.leave_copy(&id, gone.backend, gone.attempt, statement.now);
        }
    }
}
