//! Recordings of another system.

use std::collections::{HashMap, HashSet};
use std::time::UNIX_EPOCH;

use b3scale_middleware::cluster::Recording;
use serde_json::{Value, json};

use crate::store::StoreError;
use crate::store::rows::column;
use crate::store::transaction::Transaction;

const RECORD: &str = "INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, is_breakout, state,
        protected, start_time, end_time, participants, raw_size, metadata, created_at)
    SELECT record_id, frontend_id, meeting_id, internal_meeting_id, name, is_breakout, state, protected, start_time, end_time,
        participants, raw_size, metadata, to_timestamp(created_at)
    FROM jsonb_to_recordset($1) AS given (record_id text, frontend_id uuid, meeting_id text, internal_meeting_id text,
        name text, is_breakout bool, state text, protected bool, start_time bigint, end_time bigint, participants bigint,
        raw_size bigint, metadata jsonb, created_at float8)
    ON CONFLICT (record_id) DO NOTHING RETURNING record_id";

/// Adds formats to the recordings of their frontends. Those of a deleted recording stay away.
const RECORD_FORMATS: &str = "INSERT INTO recording_formats (record_id, format, link, processing_time, duration, size, images,
        extensions)
    SELECT record_id, kind, link, processing_time, duration, size, images, extensions
    FROM jsonb_to_recordset($1) AS given (record_id text, frontend_id uuid, formats jsonb)
    JOIN recordings USING (record_id, frontend_id)
    CROSS JOIN LATERAL jsonb_to_recordset(formats) AS format (kind text, link text, processing_time bigint, duration bigint,
        size bigint, images jsonb, extensions text)
    WHERE state <> 'deleted'
    ON CONFLICT (record_id, format) DO NOTHING RETURNING record_id, format";

/// What came over.
#[derive(Debug, Default)]
pub(crate) struct TakenOver {
    /// The ids of the new recordings.
    pub(crate) recordings: HashSet<String>,
    /// The new formats by the ids of their recordings.
    pub(crate) formats: HashMap<String, Vec<String>>,
}

/// Adds recordings, unless they are known, and the formats that those of their frontends lack.
pub(in crate::store) async fn take_over(
    transaction: &Transaction<'_>,
    recordings: &[Recording],
) -> Result<TakenOver, StoreError> {
    let given: Value = recordings.iter().map(row).collect();
    let text = |row: &_, name| column::<String>("recordings", row, name);
    let mut taken = TakenOver::default();
    for row in transaction.rows(RECORD, &[&given]).await? {
        taken.recordings.insert(text(&row, "record_id")?);
    }
    for row in transaction.rows(RECORD_FORMATS, &[&given]).await? {
        taken.formats.entry(text(&row, "record_id")?).or_default().push(text(&row, "format")?);
    }
    Ok(taken)
}

fn row(recording: &Recording) -> Value {
    json!({
        "record_id": recording.id.as_str(),
        "frontend_id": recording.frontend.map(|frontend| frontend.0),
        "meeting_id": recording.meeting_id,
        "internal_meeting_id": recording.internal_meeting_id,
        "name": recording.name,
        "is_breakout": recording.is_breakout,
        "state": recording.state,
        "protected": recording.protected,
        "start_time": recording.start_time,
        "end_time": recording.end_time,
        "participants": recording.participants,
        "raw_size": recording.raw_size,
        "metadata": recording.metadata,
        "created_at": recording.created_at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
        "formats": recording.formats,
    })
}
