//! The tables of recordings: records, their formats, their text tracks.
//!
//! The epoch of a record, its last change and the announcements to other servers are a matter of triggers, so that plain SQL
//! has them, too.

mod adding;
mod changes;
mod lists;
mod moved;
mod rows;

use b3scale_middleware::cluster::{FrontendId, RecordId, Recording, RecordingFormat, TrackKind, Visibility};

use tokio_postgres::types::ToSql;

use super::rows::{column, readable};
use super::transaction::Ending;
use super::{Spot, Store, StoreError};
use rows::{COLUMNS, recording, stored, track};

pub use changes::{ChangeError, LARGEST_METADATA};
pub use lists::{Owner, PAGE, whole_list};
pub(crate) use moved::TakenOver;
pub(super) use moved::take_over;

/// The files of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFormat {
    /// The format.
    pub format: String,
    /// The shelf: `local` or `s3`. `None`: there are no files here.
    pub shelf: Option<String>,
    /// Their place there.
    pub place: Option<String>,
    /// The digest of their names and contents.
    pub digest: Option<String>,
    /// How many there are.
    pub files: i64,
}

impl StoredFormat {
    /// Where the files are. `None`: there are none here.
    pub fn spot(self) -> Option<Spot> {
        self.shelf.zip(self.place).map(|(shelf, place)| Spot { shelf, place })
    }
}

/// A format that arrives.
#[derive(Clone, Debug)]
pub struct NewFormat {
    /// The recording as the format's own metadata has it, without formats.
    pub recording: Recording,
    /// The format.
    pub format: RecordingFormat,
    /// Its files, which are in their place already.
    pub stored: StoredFormat,
}

/// The rules for arriving formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The visibility of a new recording.
    pub visibility: Visibility,
    /// Whether a new recording is unpublished for want of a frontend alone.
    pub held: bool,
    /// Whether each format is announced to the frontend, and not only the recording.
    pub ready_per_format: bool,
}

/// A recording after the arrival of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The recording in all its formats.
    pub recording: Recording,
    /// Whether this was its first format.
    pub is_new: bool,
    /// Earlier files of the format at another place. No row names them any more.
    pub replaced: Option<StoredFormat>,
    /// Whether the recording was deleted before: the format was not added, and no row names its files.
    pub tombstone: bool,
}

/// A text track as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTrack {
    /// What it is for.
    pub kind: TrackKind,
    /// Its language, such as `en-US`.
    pub lang: String,
    /// Its name for people.
    pub label: String,
    /// Where it comes from: `live`, `upload` or `automatic`.
    pub source: String,
    /// Its text, as `text/vtt`.
    pub content: String,
}

/// The tables of recordings.
#[derive(Clone, Copy)]
pub struct Recordings<'s>(pub(super) &'s Store);

impl Recordings<'_> {
    /// The frontend of a meeting by the node's id, with the frontend's id of the meeting. `None`: the meeting is unknown here, or its
    /// frontend is gone.
    pub async fn owner_of(self, internal_id: &str) -> Result<Option<(FrontendId, String)>, StoreError> {
        // A running meeting is in the history, too. Of two meetings with one id the earlier one keeps its recordings. Meetings from
        // another system may have an empty id there.
        let sql =
            "SELECT frontend_id, meeting_id FROM meeting_history AS past JOIN frontends ON frontends.id = frontend_id
            WHERE internal_id = $1 AND internal_id <> '' ORDER BY past.created_at LIMIT 1";
        let Some(row) = self.0.row("find the owner of a meeting", sql, &[&internal_id]).await? else { return Ok(None) };
        let frontend = FrontendId(column("meeting_history", &row, "frontend_id")?);
        Ok(Some((frontend, column("meeting_history", &row, "meeting_id")?)))
    }

    /// One recording in any state.
    pub async fn find(self, id: &RecordId) -> Result<Option<Recording>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM recordings WHERE record_id = $1");
        self.0.row("find a recording", &sql, &[&id.as_str()]).await?.as_ref().map(recording).transpose()
    }

    /// The files of a recording by format.
    pub async fn stored(self, id: &RecordId) -> Result<Vec<StoredFormat>, StoreError> {
        let sql = "SELECT * FROM recording_formats WHERE record_id = $1 ORDER BY format";
        let rows = self.0.rows("list the files of a recording", sql, &[&id.as_str()]).await?;
        rows.iter().map(stored).collect()
    }

    /// Adds a format, in place of an earlier one of its name. The first one makes the recording. A later one keeps name, metadata,
    /// visibility and state, which may have been changed since. A deleted recording takes no format.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a value breaks a rule of the tables.
    pub async fn add_format(self, new: &NewFormat, rules: &Rules) -> Result<Added, StoreError> {
        self.0.transaction(&adding::Adding { new, rules }, Ending::Commit).await
    }

    /// Gives a recording to a frontend, as one of that meeting, and announces it, perhaps each of its formats. `None`: there is no
    /// such recording, or no such frontend.
    pub async fn assign(
        self,
        id: &RecordId,
        frontend: FrontendId,
        meeting_id: &str,
        ready_per_format: bool,
    ) -> Result<Option<Recording>, StoreError> {
        let sql = "WITH given AS (
                UPDATE recordings SET frontend_id = frontends.id, meeting_id = $3
                FROM frontends WHERE record_id = $1 AND frontends.id = $2 RETURNING record_id, frontend_id, state)
            INSERT INTO recordings_ready (record_id, frontend_id, format)
            SELECT record_id, frontend_id, format FROM given, LATERAL (
                SELECT format FROM recording_formats WHERE $4 AND recording_formats.record_id = given.record_id
                UNION ALL SELECT NULL WHERE NOT $4) AS announced
            WHERE state <> 'deleted'
            ON CONFLICT (record_id, coalesce(format, '')) DO UPDATE SET seq = excluded.seq,
                frontend_id = excluded.frontend_id, created_at = now()";
        let params: [&(dyn ToSql + Sync); 4] = [&id.as_str(), &frontend.0, &meeting_id, &ready_per_format];
        self.0.rows("assign a recording", sql, &params).await?;
        Ok(self.find(id).await?.filter(|found| found.frontend == Some(frontend)))
    }

    /// Announces a recording to its frontend again. `false`: there is no such recording, it is deleted, or it has no frontend.
    pub async fn announce(self, id: &RecordId) -> Result<bool, StoreError> {
        let sql = "INSERT INTO recordings_ready (record_id, frontend_id)
            SELECT record_id, frontend_id FROM recordings
            WHERE record_id = $1 AND frontend_id IS NOT NULL AND state <> 'deleted'
            ON CONFLICT (record_id, coalesce(format, '')) DO UPDATE SET seq = excluded.seq,
                frontend_id = excluded.frontend_id, created_at = now()
            RETURNING record_id";
        Ok(self.0.row("announce a recording", sql, &[&id.as_str()]).await?.is_some())
    }

    /// Removes a recording from the tables, its tombstone too. `false`: there was none.
    pub async fn remove(self, id: &RecordId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM recordings WHERE record_id = $1 RETURNING record_id";
        Ok(self.0.row("remove a recording", sql, &[&id.as_str()]).await?.is_some())
    }

    /// The text tracks of a recording.
    pub async fn tracks(self, id: &RecordId) -> Result<Vec<StoredTrack>, StoreError> {
        let sql = "SELECT * FROM recording_tracks WHERE record_id = $1 ORDER BY kind, lang";
        Ok(readable(&self.0.rows("list text tracks", sql, &[&id.as_str()]).await?, track))
    }

    /// One text track of a recording.
    pub async fn track(self, id: &RecordId, kind: TrackKind, lang: &str) -> Result<Option<StoredTrack>, StoreError> {
        let sql = "SELECT * FROM recording_tracks WHERE record_id = $1 AND kind = $2 AND lang = $3";
        let row = self.0.row("find a text track", sql, &[&id.as_str(), &kind.name(), &lang]).await?;
        row.as_ref().map(track).transpose()
    }

    /// Puts a text track to a recording, in place of an earlier one of its kind and language. Only an upload takes the place of an
    /// upload. `false`: there is no such recording, or it is deleted.
    pub async fn put_track(self, id: &RecordId, track: &StoredTrack) -> Result<bool, StoreError> {
        let sql = "WITH found AS (SELECT record_id FROM recordings WHERE record_id = $1 AND state <> 'deleted'),
            put AS (
                INSERT INTO recording_tracks AS kept (record_id, kind, lang, label, source, content)
                SELECT record_id, $2, $3, $4, $5, $6 FROM found
                ON CONFLICT (record_id, kind, lang) DO UPDATE SET label = excluded.label, source = excluded.source,
                    content = excluded.content, created_at = now()
                WHERE excluded.source = 'upload' OR kept.source <> 'upload')
            SELECT record_id FROM found";
        let StoredTrack { kind, lang, label, source, content } = track;
        let row =
            self.0.row("put a text track", sql, &[&id.as_str(), &kind.name(), lang, label, source, content]).await?;
        Ok(row.is_some())
    }
}
