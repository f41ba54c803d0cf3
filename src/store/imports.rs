//! The table of imports: recordings on their way in, and their outcomes.

use std::collections::BTreeMap;

use b3scale_middleware::bbb::Secret;
use std::time::Duration;

use b3scale_middleware::cluster::RecordId;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::rows::{column, readable, spelling, word};
use super::{Store, StoreError};

const TABLE: &str = "recording_imports";

/// The kind of the jobs that take imports in.
pub const IMPORT_JOB: &str = "import_recording";

/// Removes the outcomes of imports that settled a month ago. Until then a node may ask.
pub(super) const SWEEP: &str = "DELETE FROM recording_imports
    WHERE state IN ('imported', 'refused') AND updated_at < now() - interval '30 days'
        AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = recording_imports.id)";

/// How a recording comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportSource {
    /// In chunks, from a node.
    Upload,
    /// As an archive in scalelite's spool.
    Spool,
    /// As a `metadata.xml` next to folders of the inbox.
    Folder,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Chunks of its archive are missing.
    Receiving,
    /// It is queued.
    Waiting,
    /// A server takes it in.
    Running,
    /// Its files are in their place and listed. The sender may delete its copy.
    Imported,
    /// It cannot be taken in as it is.
    Refused,
}

/// A recording on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its id, which is the id of its job.
    pub id: Uuid,
    /// How it comes in.
    pub source: ImportSource,
    /// The URL of the node, or the subject of an operator's token.
    pub sender: String,
    /// For people: the recording and its format, or the file.
    pub name: String,
    /// The recording, if it is known before the archive is read.
    pub record_id: Option<String>,
    /// The format, if it is known before the archive is read.
    pub format: Option<String>,
    /// The size of the archive in bytes.
    pub length: Option<u64>,
    /// The SHA-256 of the archive, in hexadecimal digits.
    pub sha256: Option<String>,
    /// The `metadata.xml` of a folder.
    pub document: Option<String>,
    /// The frontend's id of the meeting, instead of that in the `metadata.xml`.
    pub meeting_id: Option<String>,
    /// The key of the frontend, instead of that of the meeting.
    pub frontend: Option<String>,
    /// How far it is.
    pub state: ImportState,
    /// Why it is refused, or why the last attempt failed.
    pub reason: Option<String>,
    /// The formats that were taken in, as `<format>/<record id>`.
    pub formats: Vec<String>,
}

impl Import {
    /// An import that has not begun.
    pub fn new(id: Uuid, source: ImportSource, name: impl Into<String>) -> Self {
        let (sender, name, state) = (String::new(), name.into(), ImportState::Waiting);
        let (record_id, format, sha256, document, meeting_id, frontend, reason) = Default::default();
        let (length, formats) = (None, Vec::new());
        Self {
            id,
            source,
            sender,
            name,
            record_id,
            format,
            length,
            sha256,
            document,
            meeting_id,
            frontend,
            state,
            reason,
            formats,
        }
    }
}

/// Recordings on their way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Uploads that had a chunk in the last minutes, and lack others.
    pub uploads: i64,
    /// Imports that are queued or taken in.
    pub waiting: i64,
    /// How long ago the oldest of them was queued.
    pub oldest: Duration,
}

/// The table of imports.
#[derive(Clone, Copy)]
pub struct Imports<'s>(pub(super) &'s Store);

impl Imports<'_> {
    /// Announces the upload of an archive, or finds that of the same archive by the same sender, if it was not refused. `None`: the
    /// sender has more than `most` open ones. The files of an imported one may have been lost since.
    pub async fn announce(self, new: &Import, most: i64) -> Result<Option<Import>, StoreError> {
        let known =
            "SELECT * FROM recording_imports WHERE record_id = $1 AND sender = $2 AND format IS NOT DISTINCT FROM $3
            AND sha256 = $4 AND length = $5 AND state <> 'refused' ORDER BY created_at DESC LIMIT 1";
        let length = new.length.map(signed);
        let params: [&(dyn ToSql + Sync); 5] = [&new.record_id, &new.sender, &new.format, &new.sha256, &length];
        if let Some(row) = self.0.row("find an upload", known, &params).await? {
            return import(&row).map(Some);
        }
        let sql = "INSERT INTO recording_imports (id, source, sender, name, record_id, format, length, sha256, state)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, 'receiving'
            WHERE (SELECT count(*) FROM recording_imports WHERE sender = $3 AND state = 'receiving') < $9 RETURNING *";
        let Import { id, sender, name, record_id, format, sha256, .. } = new;
        let source = spelling(new.source);
        let params: [&(dyn ToSql + Sync); 9] = [id, &source, sender, name, record_id, format, &length, sha256, &most];
        self.0.row("announce an upload", sql, &params).await?.as_ref().map(import).transpose()
    }

    /// Queues an import whose files are here. `false`: it was queued before.
    pub async fn admit(self, new: &Import) -> Result<bool, StoreError> {
        let sql = "WITH admitted AS (
                INSERT INTO recording_imports (id, source, sender, name, record_id, format, length, document, meeting_id,
                    frontend, state)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting') ON CONFLICT (id) DO NOTHING RETURNING id),
            job AS (
                INSERT INTO jobs (id, kind, lane, payload)
                SELECT id, $11, $5, jsonb_build_object('id', id) FROM admitted)
            SELECT id FROM admitted";
        let Import { id, sender, name, record_id, format, document, meeting_id, frontend, .. } = new;
        let (source, length) = (spelling(new.source), new.length.map(signed));
        let params: [&(dyn ToSql + Sync); 11] =
            [id, &source, sender, name, record_id, format, &length, document, meeting_id, frontend, &IMPORT_JOB];
        Ok(self.0.row("queue an import", sql, &params).await?.is_some())
    }

    /// Queues an upload with all its chunks. `false`: it was queued before, or is none.
    pub async fn complete(self, id: Uuid) -> Result<bool, StoreError> {
        let sql = "WITH complete AS (
                UPDATE recording_imports SET state = 'waiting', updated_at = now()
                WHERE id = $1 AND state = 'receiving' RETURNING id, record_id),
            job AS (
                INSERT INTO jobs (id, kind, lane, payload)
                SELECT id, $2, record_id, jsonb_build_object('id', id) FROM complete)
            SELECT id FROM complete";
        Ok(self.0.row("queue an upload", sql, &[&id, &IMPORT_JOB]).await?.is_some())
    }

    /// One import.
    pub async fn find(self, id: Uuid) -> Result<Option<Import>, StoreError> {
        let sql = "SELECT * FROM recording_imports WHERE id = $1";
        self.0.row("find an import", sql, &[&id]).await?.as_ref().map(import).transpose()
    }

    /// Notes that a chunk of an upload arrived.
    pub async fn touch(self, id: Uuid) -> Result<(), StoreError> {
        let sql = "UPDATE recording_imports SET updated_at = now() WHERE id = $1 AND state = 'receiving'";
        self.0.rows("note a chunk of an upload", sql, &[&id]).await.map(drop)
    }

    /// Notes that a server takes an import in, unless it is imported. `None`: there is no such import, or chunks are missing.
    pub async fn begin(self, id: Uuid) -> Result<Option<Import>, StoreError> {
        let sql = "UPDATE recording_imports
            SET state = CASE state WHEN 'imported' THEN state ELSE 'running' END, updated_at = now()
            WHERE id = $1 AND state <> 'receiving' RETURNING *";
        self.0.row("begin an import", sql, &[&id]).await?.as_ref().map(import).transpose()
    }

    /// Records the outcome of an import, or of an attempt at it.
    pub async fn settle(
        self,
        id: Uuid,
        state: ImportState,
        reason: Option<&str>,
        formats: &[String],
    ) -> Result<(), StoreError> {
        let sql =
            "UPDATE recording_imports SET state = $2, reason = $3, formats = $4, updated_at = now() WHERE id = $1";
        self.0.rows("record the outcome of an import", sql, &[&id, &spelling(state), &reason, &formats]).await.map(drop)
    }

    /// Another node that sent another content of that format within the last month, and sent it last. An operator is no rival.
    pub async fn rival(self, format: &str, mine: &Import) -> Result<Option<String>, StoreError> {
        let sql = "SELECT sender FROM recording_imports WHERE $1 = ANY(formats) AND source = 'upload' AND id <> $2
            AND sender NOT LIKE 'operator %' AND $3 NOT LIKE 'operator %' ORDER BY updated_at DESC LIMIT 1";
        let row = self.0.row("find another sender of a recording", sql, &[&format, &mine.id, &mine.sender]).await?;
        let sender: Option<String> = row.map(|row| column(TABLE, &row, "sender")).transpose()?;
        Ok(sender.filter(|sender| *sender != mine.sender))
    }

    /// The secret of a node by its URL, if an operator has ever enabled it. Until then its address is an agent's word.
    pub async fn secret_of(self, node: &str) -> Result<Option<Secret>, StoreError> {
        let sql = "SELECT secret FROM backends WHERE url = $1 AND enabled_at IS NOT NULL";
        let row = self.0.row("find the secret of a node", sql, &[&node]).await?;
        let secret: Option<String> = row.map(|row| column("backends", &row, "secret")).transpose()?;
        Ok(secret.and_then(|secret| Secret::new(&secret)))
    }

    /// Imports without further use for their files: uploads without a chunk for two days, and imports without a job. Of an archive
    /// from a spool there is no other copy, so it goes only if it was refused.
    pub async fn abandoned(self) -> Result<Vec<Import>, StoreError> {
        let sql = "SELECT * FROM recording_imports
            WHERE state = 'receiving' AND updated_at < now() - interval '2 days'
                OR (state = 'refused' OR state IN ('waiting', 'running') AND source <> 'spool')
                    AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = recording_imports.id)
            ORDER BY id LIMIT 100";
        Ok(readable(&self.0.rows("list abandoned imports", sql, &[]).await?, import))
    }

    /// Removes an import.
    pub async fn remove(self, id: Uuid) -> Result<(), StoreError> {
        self.0.rows("remove an import", "DELETE FROM recording_imports WHERE id = $1", &[&id]).await.map(drop)
    }

    /// Imports that wait, and uploads under way.
    pub async fn backlog(self) -> Result<Backlog, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM recording_imports
                WHERE state = 'receiving' AND updated_at > now() - interval '5 minutes') AS uploads,
            count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
            FROM jobs WHERE kind = $1 AND poisoned_at IS NULL";
        let Some(row) = self.0.row("count imports of recordings", sql, &[&IMPORT_JOB]).await? else {
            return Ok(Backlog::default());
        };
        let oldest: f64 = column("jobs", &row, "oldest")?;
        Ok(Backlog {
            uploads: column("jobs", &row, "uploads")?,
            waiting: column("jobs", &row, "waiting")?,
            oldest: Duration::try_from_secs_f64(oldest.max(0.0)).unwrap_or(Duration::MAX),
        })
    }

    /// Recordings without a frontend that may have one by now, a hundred of those after one: their meeting or their parent is in the
    /// history, or the frontend that the id of the meeting names exists.
    pub async fn adoptable(self, after: Option<&RecordId>) -> Result<Vec<RecordId>, StoreError> {
        // A part of a recording that was cut into chapters has a second time at the end of its meeting's id.
        let sql = "SELECT record_id FROM recordings
            WHERE frontend_id IS NULL AND state <> 'deleted' AND ($1::text IS NULL OR record_id > $1)
                AND (EXISTS (SELECT FROM frontends WHERE key = named_frontend)
                    OR EXISTS (SELECT FROM meeting_history AS past JOIN frontends ON frontends.id = past.frontend_id
                        WHERE past.internal_id <> '' AND past.internal_id IN (internal_meeting_id,
                            substring(internal_meeting_id FROM '^[^-]*-[^-]*'), breakout->>'parent_id')))
            ORDER BY record_id LIMIT 100";
        let rows = self.0.rows("list recordings to adopt", sql, &[&after.map(RecordId::as_str)]).await?;
        Ok(readable(&rows, record))
    }

    /// Changes metadata of a recording.
    pub async fn rename(self, id: &RecordId, metadata: &BTreeMap<&String, &String>) -> Result<(), StoreError> {
        let sql = "UPDATE recordings SET metadata = metadata || $2::jsonb WHERE record_id = $1 AND $2::jsonb <> '{}'";
        self.0.rows("rename a recording", sql, &[&id.as_str(), &Json(metadata)]).await.map(drop)
    }

    /// Drops metadata of those names.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn drop_metadata(self, id: &RecordId, names: &[String]) -> Result<(), StoreError> {
        let sql =
            "UPDATE recordings SET metadata = metadata - $2::text[] WHERE record_id = $1 AND metadata ?| $2::text[]";
        self.0.rows("drop metadata of a recording", sql, &[&id.as_str(), &names]).await.map(drop)
    }

    /// Whether a recording is unpublished for want of a frontend alone.
    pub async fn is_held(self, id: &RecordId) -> Result<bool, StoreError> {
        let sql = "SELECT FROM recordings WHERE record_id = $1 AND held AND state = 'unpublished'";
        Ok(self.0.row("find a held recording", sql, &[&id.as_str()]).await?.is_some())
    }
}

fn import(row: &Row) -> Result<Import, StoreError> {
    Ok(Import {
        id: column(TABLE, row, "id")?,
        source: word(TABLE, row, "source")?,
        sender: column(TABLE, row, "sender")?,
        name: column(TABLE, row, "name")?,
        record_id: column(TABLE, row, "record_id")?,
        format: column(TABLE, row, "format")?,
        length: column::<Option<i64>>(TABLE, row, "length")?.map(i64::unsigned_abs),
        sha256: column(TABLE, row, "sha256")?,
        document: column(TABLE, row, "document")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        frontend: column(TABLE, row, "frontend")?,
        state: word(TABLE, row, "state")?,
        reason: column(TABLE, row, "reason")?,
        formats: column(TABLE, row, "formats")?,
    })
}

fn record(row: &Row) -> Result<RecordId, StoreError> {
    const TABLE: &str = "recordings";
    let id = RecordId::new(column(TABLE, row, "record_id")?);
    id.ok_or_else(|| super::rows::unreadable(TABLE, row, "its id is none of a recording"))
}

fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
