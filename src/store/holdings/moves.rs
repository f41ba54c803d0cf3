//! Files that come to another spot.

use b3scale_middleware::cluster::RecordId;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Holding, Holdings, MOVE, REMOVAL, Spot};
use crate::store::rows::column;
use crate::store::{IMPORT_JOB, StoreError};

impl Holdings<'_> {
    /// Queues the move of a recording to a shelf, and returns the id of the job. One that waits already is not queued again. `None`:
    /// no format of the recording lies elsewhere.
    pub async fn queue_move(self, id: &RecordId, to: &str) -> Result<Option<Uuid>, StoreError> {
        let sql = "WITH waiting AS (
                SELECT id FROM jobs
                WHERE kind = $3 AND lane = $1 AND payload->>'to' = $2 AND poisoned_at IS NULL ORDER BY seq LIMIT 1),
            forgotten AS (DELETE FROM jobs WHERE kind = $3 AND lane = $1 AND poisoned_at IS NOT NULL),
            queued AS (
                INSERT INTO jobs (kind, lane, payload)
                SELECT $3, $1, jsonb_build_object('record_id', $1, 'to', $2) WHERE NOT EXISTS (SELECT FROM waiting)
                    AND EXISTS (SELECT FROM recording_formats WHERE record_id = $1 AND shelf <> $2 AND place IS NOT NULL)
                RETURNING id)
            SELECT id FROM waiting UNION ALL SELECT id FROM queued";
        let row = self.0.row("queue the move of a recording", sql, &[&id.as_str(), &to, &MOVE]).await?;
        row.map(|row| column("jobs", &row, "id")).transpose()
    }

    /// Names the copy of a format instead of its source, which a job then removes, as long as it has that stamp. `false`: the row has
    /// changed since it was read.
    pub async fn switch(self, from: &Holding, to: &Spot, stamp: &str) -> Result<bool, StoreError> {
        let sql = "WITH switched AS (
                UPDATE recording_formats SET shelf = $5, place = $6
                WHERE record_id = $1 AND format = $2 AND shelf = $3 AND place = $4 AND imported_at = $7
                RETURNING record_id, format),
            queued AS (
                INSERT INTO jobs (kind, payload)
                SELECT $8, jsonb_build_object('record_id', record_id, 'format', format, 'shelf', $3::text, 'place', $4::text,
                    'stamp', $9::text)
                FROM switched)
            SELECT FROM switched";
        let Holding { record, format, spot, imported_at, .. } = from;
        let Some(Spot { shelf, place }) = spot else { return Ok(false) };
        let params: [&(dyn ToSql + Sync); 9] =
            [&record.as_str(), format, shelf, place, &to.shelf, &to.place, imported_at, &REMOVAL, &stamp];
        Ok(self.0.row("switch a format to its copy", sql, &params).await?.is_some())
    }

    /// Records that the files of a format lie elsewhere. `false`: the row has changed since it was read.
    pub async fn relocate(self, from: &Holding, to: &Spot) -> Result<bool, StoreError> {
        let sql = "UPDATE recording_formats SET shelf = $5, place = $6
            WHERE record_id = $1 AND format = $2 AND shelf IS NOT DISTINCT FROM $3 AND place IS NOT DISTINCT FROM $4
                AND imported_at = $7 RETURNING format";
        let Holding { record, format, spot, imported_at, .. } = from;
        let (shelf, place) = (spot.as_ref().map(|spot| &spot.shelf), spot.as_ref().map(|spot| &spot.place));
        let params: [&(dyn ToSql + Sync); 7] =
            [&record.as_str(), format, &shelf, &place, &to.shelf, &to.place, imported_at];
        Ok(self.0.row("relocate the files of a format", sql, &params).await?.is_some())
    }

    /// Whether a row is as it was read, and neither an import nor a move of its recording is under way.
    pub async fn is_quiet(self, row: &Holding) -> Result<bool, StoreError> {
        let sql = "SELECT FROM recording_formats AS formats
            WHERE record_id = $1 AND format = $2 AND shelf IS NOT DISTINCT FROM $3 AND place IS NOT DISTINCT FROM $4
                AND imported_at = $5 AND NOT EXISTS (SELECT FROM jobs
                    WHERE kind IN ($6, $7) AND (lane = formats.record_id OR lane IS NULL) AND poisoned_at IS NULL)";
        let Holding { record, format, spot, imported_at, .. } = row;
        let (shelf, place) = (spot.as_ref().map(|spot| &spot.shelf), spot.as_ref().map(|spot| &spot.place));
        let params: [&(dyn ToSql + Sync); 7] =
            [&record.as_str(), format, &shelf, &place, imported_at, &IMPORT_JOB, &MOVE];
        Ok(self.0.row("look for work on a format", sql, &params).await?.is_some())
    }

    /// Records the number and the size of a format's files. `false`: the row names other files by now.
    pub async fn measure(self, of: &Holding, [files, bytes]: [i64; 2]) -> Result<bool, StoreError> {
        let sql = "UPDATE recording_formats SET files = $5, bytes = $6
            WHERE record_id = $1 AND format = $2 AND shelf = $3 AND place = $4 RETURNING format";
        let Holding { record, format, spot, .. } = of;
        let Some(Spot { shelf, place }) = spot else { return Ok(false) };
        let params: [&(dyn ToSql + Sync); 6] = [&record.as_str(), format, shelf, place, &files, &bytes];
        Ok(self.0.row("measure the files of a format", sql, &params).await?.is_some())
    }
}
