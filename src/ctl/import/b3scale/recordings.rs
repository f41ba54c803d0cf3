//! The recordings of the original.

use std::collections::{BTreeMap, HashMap};

use b3scale_base::rest::ImportedRecording;
use b3scale_middleware::cluster::{PreviewImage, RecordingFormat};
use b3scale_postgres::{ForeignDatabase, StoreError, column};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{CREATED, moment, text};
use crate::import::recordings::{take, visibility};
use crate::import::{ImportError, Imported, tenants_id};

const TABLE: &str = "recordings";

/// Reads the recordings of the frontends that come over.
pub(super) async fn read(
    source: &ForeignDatabase,
    keys: &HashMap<Uuid, String>,
    imported: &mut Imported,
) -> Result<(), ImportError> {
    if !source.has_table(TABLE).await? {
        return Ok(());
    }
    let sql = format!(
        "SELECT record_id, frontend_id, meeting_id, state, {CREATED} FROM recordings ORDER BY record_id COLLATE \"C\""
    );
    let (mut found, mut strangers) = (Vec::new(), 0);
    for row in source.rows("read the recordings", &sql, &[]).await? {
        match column::<Option<Uuid>>(TABLE, &row, "frontend_id")?.and_then(|id| keys.get(&id)) {
            Some(frontend) => found.push(recording(&row, frontend)?),
            None => strangers += 1,
        }
    }
    imported.left_out(strangers, "recording", "without a frontend that comes over");
    take(found, imported);
    Ok(())
}

fn recording(row: &Row, frontend: &str) -> Result<ImportedRecording, StoreError> {
    let Json(state) = column::<Option<Json<Value>>>(TABLE, row, "state")?.unwrap_or(Json(Value::Null));
    let record_id = text(TABLE, row, "record_id")?;
    let meeting_id = tenants_id(&text(TABLE, row, "meeting_id")?);
    let formats: Vec<_> = state["Formats"].as_array().into_iter().flatten().map(format).collect();
    let mut metadata = metadata(&state["Metadata"]);
    if let Some(id) = metadata.get_mut("meetingId") {
        id.clone_from(&meeting_id);
    }
    // The end of its id is the time of its create.
    let created = || record_id.rsplit_once('-').and_then(|(_, time)| time.parse().ok()).unwrap_or_default();
    let start_time = milliseconds(&state["StartTime"]).filter(|time| *time > 0).unwrap_or_else(created);
    let longest = formats.iter().map(|format| format.duration).max().unwrap_or_default();
    let end_time = milliseconds(&state["EndTime"]).filter(|time| *time > 0).unwrap_or(start_time + longest);
    let is_protected = metadata.get("protect").is_some_and(|protect| protect == "true");
    Ok(ImportedRecording {
        frontend: frontend.to_owned(),
        meeting_id,
        internal_meeting_id: record_id.clone(),
        name: string(&state["Name"]),
        is_breakout: state["IsBreakout"] == true,
        visibility: visibility(state["Published"] == true, is_protected, &metadata),
        start_time,
        end_time,
        participants: state["Participants"].as_i64().unwrap_or_default(),
        metadata,
        formats,
        created_at: moment(TABLE, row, "created_at")?,
        record_id,
    })
}

fn format(format: &Value) -> RecordingFormat {
    let number = |name: &str| format[name].as_i64().unwrap_or_default();
    let images = format.pointer("/Preview/Images/All").and_then(Value::as_array);
    RecordingFormat {
        kind: string(&format["Type"]),
        link: string(&format["URL"]),
        processing_time: number("ProcessingTime"),
        // In minutes there.
        duration: number("Length").saturating_mul(60_000),
        size: 0,
        images: images.into_iter().flatten().map(image).collect(),
        extensions: String::new(),
    }
}

fn image(image: &Value) -> PreviewImage {
    PreviewImage {
        link: string(&image["URL"]),
        alt: string(&image["Alt"]),
        width: string(&image["Width"]),
        height: string(&image["Height"]),
    }
}

fn metadata(metadata: &Value) -> BTreeMap<String, String> {
    let texts = metadata.as_object().into_iter().flatten();
    texts.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned()))).collect()
}

/// A text, or a number as a text.
fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A time, as a number or as a text.
fn milliseconds(value: &Value) -> Option<i64> {
    let in_text = |text: &str| {
        let moment = || OffsetDateTime::parse(text, &Rfc3339).ok().map(|moment| moment.unix_timestamp() * 1000);
        text.parse().ok().or_else(moment)
    };
    value.as_i64().or_else(|| value.as_str().and_then(in_text))
}
