//! The arrival of a format.

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Recording, RecordingFormat, RecordingState};
use tokio_postgres::types::{Json, ToSql};

use super::rows::{COLUMNS, recording, stored};
use super::{Added, NewFormat, Rules, StoredFormat};
use crate::store::StoreError;
use crate::store::transaction::{Transaction, Work};

/// Makes a recording, unless it is there. Its frontend may be gone by now.
const MAKE: &str =
    "INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, is_breakout, state,
        protected, start_time, end_time, participants, raw_size, metadata, breakout, breakout_rooms, held, named_frontend)
    VALUES ($1, (SELECT id FROM frontends WHERE id = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (record_id) DO NOTHING RETURNING record_id";

/// Renews what a later format knows better, and locks the row. Formats differ in the elements that they have, so an absent one
/// erases nothing. A recording without a frontend gets one as soon as its meeting is known.
const RENEW: &str = "UPDATE recordings SET
        meeting_id = CASE WHEN frontend_id IS NULL AND owner.id IS NOT NULL THEN $3 ELSE meeting_id END,
        frontend_id = coalesce(frontend_id, owner.id),
        is_breakout = is_breakout OR $4,
        start_time = coalesce(nullif($5::bigint, 0), start_time),
        end_time = coalesce(nullif($6::bigint, 0), end_time),
        participants = coalesce(nullif($7::bigint, 0), participants),
        raw_size = coalesce(nullif($8::bigint, 0), raw_size),
        breakout = coalesce(breakout, $9),
        breakout_rooms = CASE WHEN breakout_rooms = '{}' THEN $10 ELSE breakout_rooms END
    FROM (SELECT (SELECT id FROM frontends WHERE id = $2) AS id) AS owner
    WHERE record_id = $1 AND state <> 'deleted' RETURNING record_id";

const WRITE: &str = "INSERT INTO recording_formats (record_id, format, link, processing_time, duration, size, images, extensions,
        shelf, place, digest, files)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (record_id, format) DO UPDATE SET link = excluded.link, processing_time = excluded.processing_time,
        duration = excluded.duration, size = excluded.size, images = excluded.images, extensions = excluded.extensions,
        shelf = excluded.shelf, place = excluded.place, digest = excluded.digest, files = excluded.files, imported_at = now()";

/// Tells the frontend, once for the recording or once for each format.
const ANNOUNCE: &str = "INSERT INTO recordings_ready (record_id, format, frontend_id)
    SELECT record_id, $2, frontend_id FROM recordings WHERE record_id = $1 AND frontend_id IS NOT NULL
    ON CONFLICT DO NOTHING";

pub(super) struct Adding<'a> {
    pub(super) new: &'a NewFormat,
    pub(super) rules: &'a Rules,
}

impl Work for Adding<'_> {
    const TASK: &'static str = "add a format of a recording";
    type Done = Added;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Added, StoreError> {
        let is_new = self.make(transaction).await?;
        let is_there = is_new || self.renew(transaction).await?;
        let replaced = if is_there { self.write(transaction).await? } else { None };
        Ok(Added { recording: self.find(transaction).await?, is_new, replaced, tombstone: !is_there })
    }
}

impl Adding<'_> {
    fn id(&self) -> &str {
        self.new.recording.id.as_str()
    }

    async fn make(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        let mut new = self.new.recording.clone();
        if self.rules.held {
            // Its own wishes wait in the metadata for its frontend.
            new.state = RecordingState::Unpublished;
        } else {
            new.show(self.rules.visibility);
        }
        let Recording { meeting_id, internal_meeting_id, name, is_breakout, protected, .. } = &new;
        let Recording { start_time, end_time, participants, raw_size, breakout_rooms, .. } = &new;
        let breakout = new.breakout.as_ref().map(Json);
        let named = ScopedId::verbatim(meeting_id).decode().filter(|_| new.frontend.is_none());
        let params: [&(dyn ToSql + Sync); 17] = [
            &self.id(),
            &new.frontend.map(|frontend| frontend.0),
            meeting_id,
            internal_meeting_id,
            name,
            is_breakout,
            &new.state.name(),
            protected,
            start_time,
            end_time,
            participants,
            raw_size,
            &Json(&new.metadata),
            &breakout,
            breakout_rooms,
            &self.rules.held,
            &named.map(|(key, _)| key.replace('\0', "")),
        ];
        Ok(!transaction.rows(MAKE, &params).await?.is_empty())
    }

    async fn renew(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        let new = &self.new.recording;
        let Recording { meeting_id, is_breakout, start_time, end_time, participants, raw_size, .. } = new;
        let breakout = new.breakout.as_ref().map(Json);
        let params: [&(dyn ToSql + Sync); 10] = [
            &self.id(),
            &new.frontend.map(|frontend| frontend.0),
            meeting_id,
            is_breakout,
            start_time,
            end_time,
            participants,
            raw_size,
            &breakout,
            &new.breakout_rooms,
        ];
        Ok(!transaction.rows(RENEW, &params).await?.is_empty())
    }

    /// Writes the format and announces it. Returns the earlier files at another place.
    async fn write(&self, transaction: &Transaction<'_>) -> Result<Option<StoredFormat>, StoreError> {
        let RecordingFormat { kind, link, processing_time, duration, size, images, extensions } = &self.new.format;
        let earlier = "SELECT * FROM recording_formats WHERE record_id = $1 AND format = $2";
        let earlier = transaction.rows(earlier, &[&self.id(), kind]).await?.first().map(stored).transpose()?;
        // Files that are here stay when a format arrives without any.
        let kept = earlier.as_ref().filter(|_| self.new.stored.place.is_none());
        let StoredFormat { shelf, place, digest, files, .. } = kept.unwrap_or(&self.new.stored);
        let images = Json(images);
        let params: [&(dyn ToSql + Sync); 12] =
            [&self.id(), kind, link, processing_time, duration, size, &images, extensions, shelf, place, digest, files];
        transaction.rows(WRITE, &params).await?;
        let announced = self.rules.ready_per_format.then_some(kind);
        transaction.rows(ANNOUNCE, &[&self.id(), &announced]).await?;
        let is_elsewhere =
            |there: &StoredFormat| there.place.is_some() && (&there.shelf, &there.place) != (shelf, place);
        let is_replaced = earlier.as_ref().is_some_and(is_elsewhere);
        Ok(earlier.filter(|_| is_replaced))
    }

    async fn find(&self, transaction: &Transaction<'_>) -> Result<Recording, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM recordings WHERE record_id = $1");
        let rows = transaction.rows(&sql, &[&self.id()]).await?;
        let gone = || StoreError::Row { row: format!("recording `{}`", self.id()), problem: "it is gone".to_owned() };
        recording(rows.first().ok_or_else(gone)?)
    }
}
