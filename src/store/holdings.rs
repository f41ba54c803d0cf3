//! Files of recordings as the rows know them: which there are, where they lie, which are to go.

mod moves;
mod retention;

use std::time::SystemTime;

use b3scale_middleware::cluster::{FrontendId, RecordId, RecordingState};
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{column, readable, unreadable, word};
use super::{Store, StoreError};

pub use retention::{Overdue, OverdueRecording, OverdueTotal};

/// The kind of the jobs that remove files.
pub const REMOVAL: &str = "remove_files";

/// The kind of the jobs that move recordings to another shelf.
pub const MOVE: &str = "move_recording";

/// The files of recordings, as the tables have them.
#[derive(Clone, Copy)]
pub struct Holdings<'s>(pub(super) &'s Store);

/// The files of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Its recording.
    pub record: RecordId,
    /// Its format.
    pub format: String,
    /// The state of the recording, which tells the tree of its files.
    pub state: RecordingState,
    /// Whether background work is under way that moves its files.
    pub is_settling: bool,
    /// The shelf and the place there. `None`: there are no files.
    pub spot: Option<Spot>,
    /// How many files there are. 0: unknown.
    pub files: i64,
    /// Their size. 0: unknown.
    pub bytes: i64,
    /// When the format arrived last.
    pub imported_at: SystemTime,
}

/// Which files to list. By default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which<'a> {
    /// Those of that frontend.
    pub frontend: Option<FrontendId>,
    /// Those on that shelf.
    pub shelf: Option<&'a str>,
}

/// A place on a shelf.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The shelf: `local` or `s3`.
    pub shelf: String,
    /// The place there.
    pub place: String,
}

/// What the rows say of a content on a shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStanding {
    /// A row names it.
    Named,
    /// Background work of its recording is under way.
    Moving,
    /// The row of its format names another content, or its recording is deleted.
    LeftOver,
    /// There is no row of its format, or one without files.
    Unlisted,
}

/// Formats and bytes on a shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stock {
    /// The shelf: `local` or `s3`.
    pub shelf: String,
    /// The format.
    pub format: String,
    /// How many there are.
    pub formats: i64,
    /// The size of their files.
    pub bytes: i64,
}

const COLUMNS: &str =
    "record_id, format, state, is_settling(record_id) AS is_settling, shelf, place, files, bytes, imported_at";

impl Holdings<'_> {
    /// The formats of recordings that follow an id, in the order of their ids: whole recordings, about `most` formats.
    pub async fn page(self, after: &str, most: i64, which: &Which<'_>) -> Result<Vec<Holding>, StoreError> {
        let table = "recording_formats AS formats JOIN recordings USING (record_id)
            WHERE record_id > $1 AND ($3::uuid IS NULL OR frontend_id = $3) AND ($4::text IS NULL OR shelf = $4)";
        let sql = format!(
            "SELECT {COLUMNS} FROM {table} AND record_id <= (
                SELECT max(record_id) FROM (SELECT record_id FROM {table} ORDER BY record_id LIMIT $2) AS page)
            ORDER BY record_id, format"
        );
        let params: [&(dyn ToSql + Sync); 4] =
            [&after, &most, &which.frontend.map(|frontend| frontend.0), &which.shelf];
        Ok(readable(&self.0.rows("list the files of recordings", &sql, &params).await?, holding))
    }

    /// How many formats there are in all.
    pub async fn count(self) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) AS total FROM recording_formats";
        let row = self.0.row("count formats of recordings", sql, &[]).await?;
        row.map_or(Ok(0), |row| column("recording_formats", &row, "total"))
    }

    /// The formats of a recording.
    pub async fn of(self, id: &RecordId) -> Result<Vec<Holding>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM recording_formats AS formats JOIN recordings USING (record_id)
            WHERE record_id = $1 ORDER BY format"
        );
        Ok(readable(&self.0.rows("list the files of a recording", &sql, &[&id.as_str()]).await?, holding))
    }

    /// What the rows say of contents on a shelf, in their order.
    pub async fn judge(self, shelf: &str, contents: &[(&str, &str, &str)]) -> Result<Vec<FileStanding>, StoreError> {
        let sql = "SELECT CASE
                WHEN formats.shelf = $1 AND formats.place = wanted.place THEN 'named'
                WHEN is_settling(wanted.record_id) OR EXISTS (
                    SELECT FROM jobs WHERE kind = $5 AND poisoned_at IS NULL
                        AND payload @> jsonb_build_object('record_id', wanted.record_id, 'format', wanted.format)) THEN 'moving'
                WHEN formats.place IS NOT NULL OR recordings.state = 'deleted' THEN 'left_over'
                ELSE 'unlisted' END AS standing
            FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS wanted (record_id, format, place, number)
            LEFT JOIN recording_formats AS formats USING (record_id, format) LEFT JOIN recordings USING (record_id)
            ORDER BY number";
        let records: Vec<_> = contents.iter().map(|(record, ..)| *record).collect();
        let formats: Vec<_> = contents.iter().map(|(_, format, _)| *format).collect();
        let places: Vec<_> = contents.iter().map(|(.., place)| *place).collect();
        let params: [&(dyn ToSql + Sync); 5] = [&shelf, &records, &formats, &places, &REMOVAL];
        let rows = self.0.rows("judge files of recordings", sql, &params).await?;
        rows.iter().map(|row| word("recording_formats", row, "standing")).collect()
    }

    /// Whether a row names that spot.
    pub async fn names(self, id: &RecordId, format: &str, spot: &Spot) -> Result<bool, StoreError> {
        let sql = "SELECT FROM recording_formats WHERE record_id = $1 AND format = $2 AND shelf = $3 AND place = $4";
        let params: [&(dyn ToSql + Sync); 4] = [&id.as_str(), &format, &spot.shelf, &spot.place];
        Ok(self.0.row("look for the files of a format", sql, &params).await?.is_some())
    }

    /// Formats and bytes by shelf and format. Those in the trash count, too.
    pub async fn stock(self) -> Result<Vec<Stock>, StoreError> {
        let sql = "SELECT shelf, format, count(*) AS formats, sum(bytes)::bigint AS bytes FROM recording_formats
            WHERE place IS NOT NULL GROUP BY shelf, format ORDER BY shelf, format";
        Ok(readable(&self.0.rows("count files of recordings", sql, &[]).await?, stock))
    }
}

fn holding(row: &Row) -> Result<Holding, StoreError> {
    const TABLE: &str = "recording_formats";
    let id = RecordId::new(column(TABLE, row, "record_id")?);
    let (shelf, place): (Option<String>, Option<String>) = (column(TABLE, row, "shelf")?, column(TABLE, row, "place")?);
    Ok(Holding {
        record: id.ok_or_else(|| unreadable(TABLE, row, "its id is none of a recording"))?,
        format: column(TABLE, row, "format")?,
        state: word(TABLE, row, "state")?,
        is_settling: column(TABLE, row, "is_settling")?,
        spot: shelf.zip(place).map(|(shelf, place)| Spot { shelf, place }),
        files: column(TABLE, row, "files")?,
        bytes: column(TABLE, row, "bytes")?,
        imported_at: column(TABLE, row, "imported_at")?,
    })
}

fn stock(row: &Row) -> Result<Stock, StoreError> {
    const TABLE: &str = "recording_formats";
    Ok(Stock {
        shelf: column(TABLE, row, "shelf")?,
        format: column(TABLE, row, "format")?,
        formats: column(TABLE, row, "formats")?,
        bytes: column(TABLE, row, "bytes")?,
    })
}
