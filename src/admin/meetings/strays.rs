//! Strays: meetings without a frontend. They have no row and come from their nodes' reports.

use b3scale_middleware::cluster::BackendId;
use time::OffsetDateTime;

use super::info;
use crate::admin::Admin;
use crate::admin::problem::Problem;
use crate::cluster::Stray;
use crate::rest::{Backend, Meeting, MeetingStage};
use crate::store::{BackendEntry, MeetingFilter};

impl Admin {
    /// Those of a filter. Strays belong to no frontend, so a filter by frontend finds none.
    pub(super) fn strays(&self, filter: MeetingFilter<'_>) -> Vec<Meeting> {
        if filter.frontend.is_some() {
            return Vec::new();
        }
        let MeetingFilter { backend, id, internal_id, .. } = filter;
        let mut found = self.cluster.strays(backend.map(BackendId));
        found.retain(|stray| id.is_none_or(|id| stray.id.as_ref() == id));
        found.retain(|stray| internal_id.is_none_or(|id| stray.internal_id == id));
        found.sort_by(|one, other| (one.made_at, &one.id).cmp(&(other.made_at, &other.id)));
        found.iter().map(shown).collect()
    }

    /// Why nothing can be done about a meeting that has no row.
    pub(super) fn without_row(&self, filter: MeetingFilter<'_>) -> Problem {
        if self.strays(filter).is_empty() {
            return Problem::NotFound;
        }
        let why = "no frontend owns this meeting, so it is what its node says; the command end_meeting ends it";
        Problem::Conflict(why.to_owned())
    }

    /// A backend, with the meetings there that no frontend owns counted in.
    pub(in crate::admin) fn shown_backend(&self, entry: BackendEntry) -> Backend {
        let strays = self.count_strays(entry.backend.id);
        let shown = Backend::of(entry.backend, &entry.status);
        Backend { meetings_count: shown.meetings_count.saturating_add(strays), ..shown }
    }

    /// How many there are on a backend.
    pub(in crate::admin) fn count_strays(&self, backend: BackendId) -> u32 {
        u32::try_from(self.cluster.strays(Some(backend)).len()).unwrap_or(u32::MAX)
    }
}

fn shown(stray: &Stray) -> Meeting {
    let [made_at, seen_at] = [stray.made_at, stray.seen_at].map(OffsetDateTime::from);
    Meeting {
        id: stray.id.to_string(),
        internal_id: stray.internal_id.clone(),
        meeting: info::of_stray(stray),
        frontend_id: None,
        backend_id: Some(stray.backend.0),
        created_at: made_at,
        updated_at: seen_at,
        synced_at: seen_at,
        state: MeetingStage::Live,
        frontend_meeting_id: stray.id.decode().map_or_else(|| stray.id.to_string(), |(_, tenants)| tenants.to_string()),
    }
}
