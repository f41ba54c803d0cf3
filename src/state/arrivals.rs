//! Meetings imported from another system, running and past ones, and their recordings.

use std::collections::HashMap;
use std::time::SystemTime;

use b3scale_middleware::cluster::{
    BackendId, CALLBACK_PATH, Callback, CallbackKind, FrontendId, RecordId, Recording, RecordingState, restored,
};
use uuid::Uuid;

use super::entries::host;
use crate::rest::{Change, ChangeKind, HistoryRow, ImportedMeeting, ImportedRecording};
use crate::store::{Arrival, PastArrival, StoreError, Transaction};

/// Owners and places of meetings: frontends by their keys, backends by their URLs.
pub(super) struct Places<'a> {
    pub(super) frontends: HashMap<&'a str, Uuid>,
    pub(super) backends: HashMap<&'a str, Uuid>,
}

impl Places<'_> {
    fn frontend(&self, key: &str) -> Option<FrontendId> {
        self.frontends.get(key).copied().map(FrontendId)
    }

    fn backend(&self, url: &str) -> Option<BackendId> {
        self.backends.get(&*host(url)).copied().map(BackendId)
    }

    fn arrival(&self, meeting: &ImportedMeeting) -> Option<Arrival> {
        Some(Arrival {
            id: meeting.id.clone(),
            meeting_id: meeting.meeting_id.clone(),
            frontend: self.frontend(&meeting.frontend)?,
            backend: self.backend(&meeting.backend)?,
            internal_id: meeting.internal_id.clone(),
            create_time: meeting.create_time,
            breakout: meeting.breakout,
            callbacks: meeting.callbacks.iter().filter_map(callback).collect(),
        })
    }

    fn recording(&self, one: &ImportedRecording) -> Option<Recording> {
        let mut recording = Recording {
            id: RecordId::new(&one.record_id)?,
            frontend: Some(self.frontend(&one.frontend)?),
            meeting_id: one.meeting_id.clone(),
            internal_meeting_id: one.internal_meeting_id.clone(),
            name: one.name.clone(),
            is_breakout: one.is_breakout,
            state: RecordingState::Published,
            protected: false,
            start_time: one.start_time,
            end_time: one.end_time,
            participants: one.participants,
            raw_size: 0,
            metadata: one.metadata.clone(),
            breakout: None,
            breakout_rooms: Vec::new(),
            formats: one.formats.clone(),
            epoch: 0,
            created_at: one.created_at.map_or_else(SystemTime::now, SystemTime::from),
            updated_at: SystemTime::now(),
        };
        recording.show(one.visibility);
        Some(recording)
    }

    fn past(&self, row: &HistoryRow) -> Option<PastArrival> {
        Some(PastArrival {
            id: row.id.clone(),
            meeting_id: row.meeting_id.clone(),
            frontend: self.frontend(&row.frontend)?,
            seen_at: row.seen_at.into(),
        })
    }
}

/// A callback of the original: its address names the frontend's URL.
fn callback((name, address): (&String, &String)) -> Option<Callback> {
    let name = format!("meta_{}", name.to_ascii_lowercase());
    let (_, token) = address.split_once(CALLBACK_PATH)?;
    let (kind, url) = (CallbackKind::of_name(&name)?, restored(address, &[])?);
    Some(Callback { name, kind, url, token: token.to_owned(), address: address.clone() })
}

/// Adds meetings that run, unless they are known. Those of unknown places were refused before.
pub(super) async fn meetings(
    transaction: &Transaction<'_>,
    meetings: &[ImportedMeeting],
    places: &Places<'_>,
) -> Result<Vec<Change>, StoreError> {
    let arrivals: Vec<_> = meetings.iter().filter_map(|meeting| places.arrival(meeting)).collect();
    let placed = transaction.place_arrivals(&arrivals).await?;
    let change = |one: &ImportedMeeting| {
        let details = vec![format!("frontend: {}", one.frontend), format!("backend: {}", one.backend)];
        added("meeting", &one.id, details)
    };
    Ok(meetings.iter().filter(|one| placed.contains(&one.id)).map(change).collect())
}

/// Adds meetings that ran to the history, unless it has them.
pub(super) async fn history(
    transaction: &Transaction<'_>,
    history: &[HistoryRow],
    places: &Places<'_>,
) -> Result<Vec<Change>, StoreError> {
    let past: Vec<_> = history.iter().filter_map(|row| places.past(row)).collect();
    let recorded = transaction.record_past_arrivals(&past).await?;
    let change = |one: &HistoryRow| added("history", &one.id, vec![format!("frontend: {}", one.frontend)]);
    Ok(history.iter().filter(|one| recorded.contains(&one.id)).map(change).collect())
}

/// Adds recordings, unless they are known, and formats that a known one of the same frontend lacks.
pub(super) async fn recordings(
    transaction: &Transaction<'_>,
    recordings: &[ImportedRecording],
    places: &Places<'_>,
) -> Result<Vec<Change>, StoreError> {
    let arrivals: Vec<_> = recordings.iter().filter_map(|one| places.recording(one)).collect();
    let taken = transaction.take_over(&arrivals).await?;
    let change = |one: &ImportedRecording| {
        let formats = taken.formats.get(&one.record_id);
        let is_new = taken.recordings.contains(&one.record_id);
        let kind = if is_new { ChangeKind::Add } else { ChangeKind::Change };
        let formats = formats.into_iter().flatten().map(|format| format!("format: {format}"));
        let details: Vec<_> = std::iter::once(format!("frontend: {}", one.frontend)).chain(formats).collect();
        let is_changed = is_new || details.len() > 1;
        is_changed.then(|| Change { kind, ..added("recording", &one.record_id, details) })
    };
    Ok(recordings.iter().filter_map(change).collect())
}

fn added(what: &str, id: &str, details: Vec<String>) -> Change {
    Change { kind: ChangeKind::Add, what: what.to_owned(), name: id.to_owned(), details }
}
