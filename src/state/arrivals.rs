//! Meetings imported from another system: running and past ones.

use std::collections::HashMap;

use b3scale_middleware::cluster::{BackendId, FrontendId};
use uuid::Uuid;

use super::entries::host;
use crate::rest::{Change, ChangeKind, HistoryRow, ImportedMeeting};
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
        })
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

fn added(what: &str, id: &str, details: Vec<String>) -> Change {
    Change { kind: ChangeKind::Add, what: what.to_owned(), name: id.to_owned(), details }
}
