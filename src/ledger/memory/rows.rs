//! Steps on rows that several statements share.

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting};

use super::{CopyRow, MeetingRow, Statement};

/// The meetings that match, as they were when the statement began.
pub(super) fn meetings_where(statement: &Statement, matches: impl Fn(&MeetingRow) -> bool) -> Vec<Meeting> {
    statement.seen.meetings.values().filter(|row| matches(row)).map(|row| row.meeting.clone()).collect()
}

/// Writes a meeting, and announces it.
pub(super) fn write_announced(statement: &mut Statement, row: MeetingRow) -> Meeting {
    let meeting = row.meeting.clone();
    statement.announce(&meeting.id);
    statement.tables.meetings.insert(meeting.id.clone(), row);
    meeting
}

/// A copy that matched when the statement began and, locked, still does.
pub(super) fn locked_copy<'s>(
    statement: &'s mut Statement,
    at: &(ScopedId, BackendId),
    matches: impl Fn(&CopyRow) -> bool,
) -> Option<&'s mut CopyRow> {
    statement.seen.copies.get(at).filter(|row| matches(row))?;
    statement.tables.copies.get_mut(at).filter(|row| matches(row))
}

/// Records that a meeting ended, if the history had it when the statement began.
pub(super) fn end_past(statement: &mut Statement, id: &ScopedId, internal_id: &str) {
    if statement.seen.history.contains_key(&(id.clone(), internal_id.to_owned())) {
        statement.tables.end_past(id, internal_id, statement.now);
    }
}
