//! Recordings past their days or beyond their frontend's bytes, and the trash.

use std::time::{Duration, SystemTime};

use b3scale_middleware::cluster::{RecordId, TRASH_DAYS};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{Holdings, REMOVAL};
use crate::store::StoreError;
use crate::store::rows::{column, readable, unreadable, word};

/// Why retention takes a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overdue {
    /// It is older than its frontend keeps recordings. It goes to the trash.
    Age,
    /// Newer ones fill the bytes of its frontend. It goes to the trash.
    Size,
    /// It has been in the trash for its days. Its files are removed.
    Trash,
}

/// A recording that retention takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueRecording {
    /// Its id.
    pub id: RecordId,
    /// The key of its frontend. `None`: it has none.
    pub frontend: Option<String>,
    /// The name of the meeting.
    pub name: String,
    /// The end of the meeting, or when it came to the trash.
    pub since: SystemTime,
    /// The size of its files.
    pub bytes: i64,
    /// Why it is taken.
    pub why: Overdue,
}

/// How many recordings retention takes, and the size of their files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverdueTotal {
    /// How many there are.
    pub recordings: i64,
    /// The size of their files.
    pub bytes: i64,
}

/// The rules of frontends, the size of each recording, and the recordings that the rules take, as `overdue`.
//
// Times are milliseconds since 1970. A node's clock may be wrong: no meeting ended after its recording arrived.
const OVERDUE: &str = "WITH rules AS (
        SELECT id, key, (settings#>>'{recordings,keep_days}')::bigint AS keep_days,
            (settings#>>'{recordings,keep_bytes}')::bigint AS keep_bytes,
            (settings#>>'{recordings,trash_days}')::bigint AS trash_days
        FROM frontends),
    clock AS (SELECT (extract(epoch FROM now()) * 1000)::bigint AS now),
    sized AS (
        SELECT record_id, sum(CASE WHEN place IS NULL THEN 0 WHEN bytes > 0 THEN bytes ELSE size END)::bigint AS bytes
        FROM recording_formats GROUP BY record_id),
    dated AS (
        SELECT recordings.*, coalesce(sized.bytes, 0) AS bytes,
            least(coalesce(nullif(greatest(end_time, 0), 0), arrival), arrival) AS ended
        FROM recordings LEFT JOIN sized USING (record_id),
            LATERAL (SELECT (extract(epoch FROM created_at) * 1000)::bigint AS arrival) AS arrived),
    kept AS (
        SELECT dated.*, rules.*, sum(bytes) OVER (PARTITION BY frontend_id ORDER BY ended DESC, record_id DESC) AS newer
        FROM dated JOIN rules ON rules.id = frontend_id
        WHERE state <> 'deleted' AND (keep_days IS NOT NULL OR keep_bytes IS NOT NULL)),
    overdue AS (
        SELECT record_id, key, name, ended AS since, bytes,
            CASE WHEN ended < now - keep_days * 86400000 THEN 'age' ELSE 'size' END AS why
        FROM kept, clock WHERE ended < now - keep_days * 86400000 OR newer > keep_bytes
        UNION ALL
        SELECT record_id, key, name, deleted, bytes, 'trash'
        FROM dated LEFT JOIN rules ON rules.id = frontend_id, clock,
            LATERAL (SELECT (extract(epoch FROM deleted_at) * 1000)::bigint AS deleted) AS dropped
        WHERE state = 'deleted' AND purged_at IS NULL AND deleted <= now - coalesce(trash_days, $1) * 86400000)";

impl Holdings<'_> {
    /// The recordings that retention takes, first those of the longest ago.
    pub async fn overdue(self, most: i64) -> Result<Vec<OverdueRecording>, StoreError> {
        let sql = format!("{OVERDUE} SELECT * FROM overdue ORDER BY since, record_id LIMIT $2");
        Ok(readable(&self.0.rows("list overdue recordings", &sql, &[&TRASH_DAYS, &most]).await?, overdue))
    }

    /// How many recordings retention takes.
    pub async fn overdue_total(self) -> Result<OverdueTotal, StoreError> {
        let sql =
            format!("{OVERDUE} SELECT count(*) AS recordings, coalesce(sum(bytes), 0)::bigint AS bytes FROM overdue");
        let Some(row) = self.0.row("count overdue recordings", &sql, &[&TRASH_DAYS]).await? else {
            return Ok(OverdueTotal::default());
        };
        Ok(OverdueTotal {
            recordings: column("recordings", &row, "recordings")?,
            bytes: column("recordings", &row, "bytes")?,
        })
    }

    /// Moves recordings of too great an age or size to the trash, those of the longest ago first, and returns them.
    pub async fn drop_overdue(self, most: i64) -> Result<Vec<OverdueRecording>, StoreError> {
        let sql = format!(
            "{OVERDUE}, due AS (SELECT * FROM overdue WHERE why <> 'trash' ORDER BY since, record_id LIMIT $2),
            dropped AS (
                UPDATE recordings SET state = 'deleted' FROM due
                WHERE recordings.record_id = due.record_id AND recordings.state <> 'deleted'
                RETURNING recordings.record_id)
            SELECT due.* FROM due JOIN dropped USING (record_id)"
        );
        Ok(readable(&self.0.rows("drop overdue recordings", &sql, &[&TRASH_DAYS, &most]).await?, overdue))
    }

    /// Empties the trash of recordings that have been there for their days, and returns them. Jobs remove the files, which no row
    /// names from then on. A tombstone stays of each. A recording whose files are on their way has its turn later: they would come
    /// to the trash after its removal.
    pub async fn purge(self, most: i64) -> Result<Vec<OverdueRecording>, StoreError> {
        let sql = format!(
            "{OVERDUE}, due AS (
                SELECT overdue.* FROM overdue JOIN recordings USING (record_id)
                WHERE why = 'trash' AND recordings.state = 'deleted' AND purged_at IS NULL AND NOT is_settling(overdue.record_id)
                ORDER BY since, record_id LIMIT $2 FOR UPDATE OF recordings),
            cleared AS (
                DELETE FROM recording_formats AS formats USING due WHERE formats.record_id = due.record_id
                RETURNING formats.*),
            queued AS (
                INSERT INTO jobs (kind, payload)
                SELECT $3, jsonb_build_object('record_id', record_id, 'format', format, 'shelf', shelf, 'place', place)
                FROM cleared WHERE place IS NOT NULL),
            silenced AS (DELETE FROM recording_tracks AS tracks USING due WHERE tracks.record_id = due.record_id),
            purged AS (
                UPDATE recordings SET purged_at = now(), name = '', metadata = '{{}}' FROM due
                WHERE recordings.record_id = due.record_id)
            SELECT * FROM due"
        );
        Ok(readable(&self.0.rows("empty the trash", &sql, &[&TRASH_DAYS, &most, &REMOVAL]).await?, overdue))
    }
}

fn overdue(row: &Row) -> Result<OverdueRecording, StoreError> {
    const TABLE: &str = "recordings";
    let id = RecordId::new(column(TABLE, row, "record_id")?);
    let since: i64 = column(TABLE, row, "since")?;
    Ok(OverdueRecording {
        id: id.ok_or_else(|| unreadable(TABLE, row, "its id is none of a recording"))?,
        frontend: column(TABLE, row, "key")?,
        name: column(TABLE, row, "name")?,
        since: SystemTime::UNIX_EPOCH + Duration::from_millis(since.unsigned_abs()),
        bytes: column(TABLE, row, "bytes")?,
        why: word(TABLE, row, "why")?,
    })
}
