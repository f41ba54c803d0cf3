//! Meetings imported from another system: running and past ones.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::normal;
use super::tables::instant;
use crate::rest::{Change, ChangeKind, HistoryRow, ImportedMeeting};
use crate::store::rows::column;
use crate::store::{StoreError, Transaction};

/// Owners and places of meetings: frontends by their keys, backends by their URLs.
pub(super) struct Places<'a> {
    pub(super) frontends: HashMap<&'a str, Uuid>,
    pub(super) backends: HashMap<&'a str, Uuid>,
}

/// Notes meetings that run, unless they are known.
//
// A copy is never adopted, and a meeting that has ended here does not return because the other system has not noticed.
pub(super) async fn meetings(
    transaction: &Transaction<'_>,
    meetings: &[ImportedMeeting],
    places: &Places<'_>,
) -> Result<Vec<Change>, StoreError> {
    let sql = "WITH given AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::int8[], $7::bool[])
                AS given (id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout)),
        placed AS (
            INSERT INTO meetings (id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout, attempt,
                state, claim, claimed_at, version)
            SELECT id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout, 1, 'live',
                nextval('versions'),
                CASE WHEN create_time BETWEEN 1 AND extract(epoch FROM now()) * 1000
                    THEN to_timestamp(create_time / 1000.0) ELSE now() END, nextval('versions')
            FROM given
            WHERE NOT EXISTS (
                    SELECT FROM meeting_copies AS copies
                    WHERE copies.id = given.id AND copies.backend_id = given.backend_id)
                AND NOT EXISTS (
                    SELECT FROM meeting_history AS past
                    WHERE past.id = given.id AND past.internal_id = given.internal_id AND ended_at IS NOT NULL)
            ON CONFLICT (id) DO NOTHING RETURNING *),
        noted AS (
            INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
            SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM placed WHERE internal_id IS NOT NULL
            ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL)
        SELECT id, pg_notify('b3scale', 'meeting:' || id)::text FROM placed";
    let of = |text: fn(&ImportedMeeting) -> &str| meetings.iter().map(text).collect::<Vec<_>>();
    let (ids, meeting_ids) = (of(|one| &one.id), of(|one| &one.meeting_id));
    let owners: Vec<_> = meetings.iter().map(|one| places.frontends.get(&*one.frontend)).collect();
    let backends: Vec<_> = meetings.iter().map(|one| places.backends.get(&*normal::host(&one.backend))).collect();
    let internal_ids: Vec<_> = meetings.iter().map(|one| one.internal_id.as_deref()).collect();
    let create_times: Vec<_> = meetings.iter().map(|one| one.create_time).collect();
    let breakouts: Vec<_> = meetings.iter().map(|one| one.breakout).collect();
    let params: [&(dyn ToSql + Sync); 7] =
        [&ids, &meeting_ids, &owners, &backends, &internal_ids, &create_times, &breakouts];
    let placed = added(&transaction.rows(sql, &params).await?, "meetings")?;
    let change = |one: &ImportedMeeting| Change {
        kind: ChangeKind::Add,
        what: "meeting".to_owned(),
        name: one.id.clone(),
        details: vec![format!("frontend: {}", one.frontend), format!("backend: {}", one.backend)],
    };
    Ok(meetings.iter().filter(|one| placed.contains(&one.id)).map(change).collect())
}

/// Notes meetings that ran, unless something is known to have run under their ids.
pub(super) async fn history(
    transaction: &Transaction<'_>,
    history: &[HistoryRow],
    places: &Places<'_>,
) -> Result<Vec<Change>, StoreError> {
    let sql = "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, created_at, ended_at)
        SELECT id, '', frontend_id, meeting_id, seen_at, seen_at
        FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[]) AS given (id, meeting_id, frontend_id, seen_at)
        WHERE NOT EXISTS (SELECT FROM meeting_history AS past WHERE past.id = given.id)
        ON CONFLICT DO NOTHING RETURNING id";
    let of = |text: fn(&HistoryRow) -> &str| history.iter().map(text).collect::<Vec<_>>();
    let (ids, meeting_ids) = (of(|one| &one.id), of(|one| &one.meeting_id));
    let owners: Vec<_> = history.iter().map(|one| places.frontends.get(&*one.frontend)).collect();
    let seen: Vec<SystemTime> = history.iter().map(|one| instant(one.seen_at)).collect();
    let params: [&(dyn ToSql + Sync); 4] = [&ids, &meeting_ids, &owners, &seen];
    let noted = added(&transaction.rows(sql, &params).await?, "meeting_history")?;
    let change = |one: &HistoryRow| Change {
        kind: ChangeKind::Add,
        what: "history".to_owned(),
        name: one.id.clone(),
        details: vec![format!("frontend: {}", one.frontend)],
    };
    Ok(history.iter().filter(|one| noted.contains(&one.id)).map(change).collect())
}

fn added(rows: &[tokio_postgres::Row], table: &str) -> Result<HashSet<String>, StoreError> {
    rows.iter().map(|row| column(table, row, "id")).collect()
}
