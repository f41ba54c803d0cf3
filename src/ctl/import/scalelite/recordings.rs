//! The recordings of scalelite, which are in its PostgreSQL.

use std::collections::{BTreeMap, HashMap};

use b3scale_base::rest::ImportedRecording;
use b3scale_middleware::bbb::MeetingId;
use b3scale_middleware::cluster::RecordingFormat;
use b3scale_postgres::{StoreError, column};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::import::recordings::{take, visibility};
use crate::import::{ImportError, Imported, open};

const TABLE: &str = "recordings";

/// The recordings with their formats, thumbnails and metadata. Old versions have no protection.
const READ: &str = "SELECT record_id, meeting_id, name, participants,
        coalesce(published, false) AS published,
        coalesce((to_jsonb(recordings)->>'protected')::boolean, false) AS protected,
        coalesce(extract(epoch FROM starttime) * 1000, 0)::bigint AS start_time,
        coalesce(extract(epoch FROM endtime) * 1000, 0)::bigint AS end_time,
        (SELECT coalesce(json_object_agg(key, coalesce(value, '')), '{}')
            FROM metadata WHERE recording_id = recordings.id) AS metadata,
        (SELECT coalesce(json_agg(json_build_object('kind', format, 'link', coalesce(url, ''),
                'processing_time', coalesce(processing_time, 0), 'duration', coalesce(length, 0) * 60000, 'size', 0,
                'extensions', '', 'images', (
                    SELECT coalesce(json_agg(json_build_object('link', coalesce(url, ''), 'alt', coalesce(alt, ''),
                        'width', coalesce(width::text, ''), 'height', coalesce(height::text, '')) ORDER BY sequence), '[]')
                    FROM thumbnails WHERE playback_format_id = formats.id)) ORDER BY format), '[]')
            FROM playback_formats AS formats WHERE recording_id = recordings.id) AS formats
    FROM recordings WHERE state IS DISTINCT FROM 'deleted' ORDER BY record_id COLLATE \"C\"";

/// Reads the recordings of the tenants that come over. Without tenants all are those of the one frontend.
pub(super) async fn read(
    url: &str,
    keys: &HashMap<String, String>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    let source = open("--from-db", url).await?;
    for table in ["recordings", "playback_formats", "metadata", "thumbnails"] {
        if !source.has_table(table).await? {
            let reason = format!("it has no table `{table}`");
            return Err(ImportError::stranger(source.place(), "scalelite", reason));
        }
    }
    let (mut found, mut strangers) = (Vec::new(), 0);
    for row in source.rows("read the recordings", READ, &[]).await? {
        let Json(metadata) = column::<Json<BTreeMap<String, String>>>(TABLE, &row, "metadata")?;
        match keys.get(metadata.get("tenant-id").map_or("", String::as_str)) {
            Some(frontend) => found.push(recording(&row, frontend, metadata)?),
            None => strangers += 1,
        }
    }
    imported.left_out(strangers, "recording", "without a tenant that comes over");
    take(found, imported);
    Ok(())
}

fn recording(row: &Row, frontend: &str, metadata: BTreeMap<String, String>) -> Result<ImportedRecording, StoreError> {
    let text = |name| Ok::<_, StoreError>(column::<Option<String>>(TABLE, row, name)?.unwrap_or_default());
    let Json(formats) = column::<Json<Vec<RecordingFormat>>>(TABLE, row, "formats")?;
    let record_id = text("record_id")?;
    let is_protected = column(TABLE, row, "protected")?;
    let participants: Option<i32> = column(TABLE, row, "participants")?;
    Ok(ImportedRecording {
        frontend: frontend.to_owned(),
        // Nodes know a meeting by the tenant's own id, which BBB cleans.
        meeting_id: MeetingId::new(&text("meeting_id")?).to_string(),
        internal_meeting_id: record_id.clone(),
        name: text("name")?,
        is_breakout: false,
        visibility: visibility(column(TABLE, row, "published")?, is_protected, &metadata),
        start_time: column(TABLE, row, "start_time")?,
        end_time: column(TABLE, row, "end_time")?,
        participants: participants.map_or(0, i64::from),
        metadata,
        formats,
        created_at: None,
        record_id,
    })
}
