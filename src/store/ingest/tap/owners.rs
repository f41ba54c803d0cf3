//! Whose meetings the events of a batch are of.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::rows::column;
use crate::store::transaction::Transaction;

use super::heard::Heard;

const TABLE: &str = "meetings";

/// The owner of a meeting, whose webhooks hear of it.
pub(super) struct Owner {
    pub(super) frontend: Uuid,
    /// The scoped id of the meeting.
    pub(super) id: String,
    /// The frontend's own id of it.
    pub(super) meeting_id: String,
    /// Whether a webhook of the frontend gets BBB's own messages.
    pub(super) wants_raw: bool,
}

/// The owners by the node's ids of the meetings. Meetings of frontends without webhooks are left out.
pub(super) async fn owners(
    transaction: &Transaction<'_>,
    backend: Uuid,
    heard: &[Heard<'_>],
) -> Result<HashMap<String, Owner>, StoreError> {
    let mut meetings = BTreeMap::new();
    for event in heard {
        let known = meetings.entry(event.meeting).or_default();
        *known = event.breakout.as_ref().or(*known);
    }
    let (names, breakouts): (Vec<&str>, Vec<_>) = meetings.into_iter().unzip();
    let ids: Vec<Option<&str>> = breakouts.iter().map(|one| one.map(|one| &*one.id)).collect();
    let parents: Vec<Option<&str>> = breakouts.iter().map(|one| one.map(|one| &*one.parent)).collect();
    let params: [&(dyn ToSql + Sync); 4] = [&backend, &names, &ids, &parents];
    let rows = transaction.rows(OWNERS, &params).await?;
    let owner = |row| {
        let owner = Owner {
            frontend: column(TABLE, row, "frontend_id")?,
            id: column(TABLE, row, "id")?,
            meeting_id: column(TABLE, row, "meeting_id")?,
            wants_raw: column(TABLE, row, "wants_raw")?,
        };
        Ok((column(TABLE, row, "meeting")?, owner))
    };
    rows.iter().map(owner).collect()
}

/// How owners are found.
//
// 1. `given` holds the meetings, of new breakouts with their own ids and their parents.
// 2. `named` holds the meetings to be found, parents included.
// 3. `placed` finds each by its place on this backend. A claimed one is found, too: its node may speak before it has answered
//    the create. A meeting that is over is found by its internal id in the history.
// 4. `made` finds the owners of new breakouts by their parents. No server may have listed them yet.
// 5. `noted` keeps these in the history, for the events to come.
const OWNERS: &str = "WITH given AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::text[], $4::text[]) AS given (meeting, breakout, parent)),
    named AS (
        SELECT meeting FROM given UNION SELECT parent FROM given WHERE parent IS NOT NULL),
    placed AS MATERIALIZED (
        SELECT named.meeting, found.id, found.frontend_id, found.meeting_id FROM named CROSS JOIN LATERAL (
            (SELECT 1 AS rank, meetings.id, meetings.frontend_id, meetings.meeting_id FROM node_meetings AS there
                JOIN meetings ON meetings.id = there.id AND meetings.backend_id = $1
                WHERE there.backend_id = $1 AND there.internal_id = named.meeting)
            UNION ALL
            (SELECT 2, past.id, past.frontend_id, past.meeting_id FROM meeting_history AS past
                WHERE past.internal_id = named.meeting AND past.internal_id <> '' AND past.backend_id = $1
                ORDER BY past.created_at LIMIT 1)
            ORDER BY rank LIMIT 1) AS found),
    made AS MATERIALIZED (
        SELECT DISTINCT ON (there.internal_id) there.internal_id AS meeting, there.id, main.frontend_id
        FROM given JOIN placed AS main ON main.meeting = given.parent
            JOIN node_meetings AS there ON there.backend_id = $1 AND there.internal_id = given.meeting
                AND there.id = given.breakout AND there.breakout
        WHERE NOT EXISTS (SELECT FROM placed WHERE placed.meeting = given.meeting)
            AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = there.id)),
    noted AS (
        INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
        SELECT id, meeting, frontend_id, id, $1 FROM made ON CONFLICT DO NOTHING),
    owned AS (
        SELECT meeting, id, frontend_id, meeting_id FROM placed
        UNION ALL
        SELECT meeting, id, frontend_id, id FROM made)
    SELECT owned.*, wants_raw FROM owned JOIN hook_feeds USING (frontend_id)";
