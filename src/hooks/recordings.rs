//! A recording that was published: its attributes with our links, made when they are sent.

use b3scale_middleware::cluster::{FrontendId, RecordId, Recording};
use serde_json::{Map, Value, json};

use crate::recordings::Links;
use crate::store::{HookEvent, Store, StoreError};

/// The event that has links.
const PUBLISHED: &str = "rap-published";

/// The recording of an event. `None`: the event has none that was published and is still there.
///
/// # Errors
/// Any [`StoreError`] of the database.
pub(super) async fn published(
    event: &HookEvent,
    frontend: FrontendId,
    store: &Store,
    links: &Links,
) -> Result<Option<Value>, StoreError> {
    let Some(attributes) = event.attributes.as_ref().filter(|_| event.name == PUBLISHED) else { return Ok(None) };
    let text = |name| attributes.get(name).and_then(Value::as_str);
    let Some(id) = text("record-id").and_then(RecordId::new) else { return Ok(None) };
    let found = store.recordings().find(&id).await?.filter(|found| found.frontend == Some(frontend));
    Ok(found.map(|mut recording| {
        links.complete(&mut recording);
        of_recording(&recording, text("workflow"))
    }))
}

/// A recording as bbb-webhooks shows it: its playback is one format.
fn of_recording(recording: &Recording, format: Option<&str>) -> Value {
    let formats = &recording.formats;
    let shown = match format {
        Some(format) => formats.iter().find(|one| one.kind == format),
        None => formats.iter().find(|one| one.kind == "presentation").or(formats.first()),
    };
    let metadata: Map<_, _> =
        recording.metadata.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut known = json!({
        "name": recording.name,
        "is-breakout": recording.is_breakout,
        "start-time": recording.start_time,
        "end-time": recording.end_time,
        "raw-size": recording.raw_size,
        "metadata": metadata,
    });
    if let Some(shown) = shown {
        known["size"] = shown.size.into();
        known["playback"] = json!({
            "format": shown.kind,
            "link": shown.link,
            "processing_time": shown.processing_time,
            "duration": shown.duration,
            "size": shown.size,
        });
    }
    known
}
