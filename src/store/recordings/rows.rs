//! From rows of the tables of recordings to the domain.

use std::collections::BTreeMap;

use b3scale_middleware::cluster::{BreakoutOf, FrontendId, RecordId, Recording, RecordingFormat};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{StoredFormat, StoredTrack};
use crate::store::StoreError;
use crate::store::rows::{column, moment, unreadable, word};

const TABLE: &str = "recordings";

/// The columns of a recording with its formats, in one row and one round trip.
pub(super) const COLUMNS: &str = "recordings.*, recordings.record_id AS id, (
        SELECT coalesce(json_agg(json_build_object('kind', format, 'link', link, 'processing_time', processing_time,
            'duration', duration, 'size', size, 'images', images, 'extensions', extensions) ORDER BY format), '[]')
        FROM recording_formats AS formats WHERE formats.record_id = recordings.record_id) AS formats";

pub(super) fn recording(row: &Row) -> Result<Recording, StoreError> {
    let id = RecordId::new(column(TABLE, row, "record_id")?);
    let Json(metadata) = column::<Json<BTreeMap<String, String>>>(TABLE, row, "metadata")?;
    let Json(formats) = column::<Json<Vec<RecordingFormat>>>(TABLE, row, "formats")?;
    let breakout = column::<Option<Json<BreakoutOf>>>(TABLE, row, "breakout")?;
    Ok(Recording {
        id: id.ok_or_else(|| unreadable(TABLE, row, "its id is none of a recording"))?,
        frontend: column::<Option<Uuid>>(TABLE, row, "frontend_id")?.map(FrontendId),
        meeting_id: column(TABLE, row, "meeting_id")?,
        internal_meeting_id: column(TABLE, row, "internal_meeting_id")?,
        name: column(TABLE, row, "name")?,
        is_breakout: column(TABLE, row, "is_breakout")?,
        state: word(TABLE, row, "state")?,
        protected: column(TABLE, row, "protected")?,
        start_time: column(TABLE, row, "start_time")?,
        end_time: column(TABLE, row, "end_time")?,
        participants: column(TABLE, row, "participants")?,
        raw_size: column(TABLE, row, "raw_size")?,
        metadata,
        breakout: breakout.map(|Json(breakout)| breakout),
        breakout_rooms: column(TABLE, row, "breakout_rooms")?,
        formats,
        epoch: column(TABLE, row, "epoch")?,
        created_at: moment(TABLE, row, "created_at")?,
        updated_at: moment(TABLE, row, "updated_at")?,
    })
}

pub(super) fn stored(row: &Row) -> Result<StoredFormat, StoreError> {
    const TABLE: &str = "recording_formats";
    Ok(StoredFormat {
        format: column(TABLE, row, "format")?,
        shelf: column(TABLE, row, "shelf")?,
        place: column(TABLE, row, "place")?,
        digest: column(TABLE, row, "digest")?,
        files: column(TABLE, row, "files")?,
    })
}

pub(super) fn track(row: &Row) -> Result<StoredTrack, StoreError> {
    const TABLE: &str = "recording_tracks";
    Ok(StoredTrack {
        kind: word(TABLE, row, "kind")?,
        lang: column(TABLE, row, "lang")?,
        label: column(TABLE, row, "label")?,
        source: column(TABLE, row, "source")?,
        content: column(TABLE, row, "content")?,
    })
}
