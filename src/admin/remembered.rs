//! Answers from memory while the database does not answer.

use std::sync::Arc;

use b3scale_middleware::cluster::{Backend, Meeting};
use b3scale_middleware::ports::Directory as _;

use super::Admin;
use super::insight::honest;
use crate::rest::{ClusterReport, Server};
use crate::store::{MeetingEntry, MeetingFilter};

impl Admin {
    /// The cluster. Of the servers only this one is known.
    pub(super) fn remembered_cluster(&self, why: String) -> ClusterReport {
        let me = self.cluster.introduction();
        let server = Server {
            id: me.id,
            host: me.host,
            address: me.address,
            version: me.version,
            pipeline_hash: me.pipeline_hash,
            started_at: self.started_at,
            beat_age: 0.0,
            alive: true,
            answering: true,
            problems: self.problems(),
        };
        let mut backends: Vec<_> = self.cluster.backends().iter().map(|backend| self.seen(backend)).collect();
        backends.sort_by(|one, other| one.host.cmp(&other.host));
        let frontends = self.cluster.frontends();
        let mut frontends: Vec<_> =
            frontends.iter().map(|one| self.crowd(one.id, one.key.clone(), one.active)).collect();
        frontends.sort_by(|one, other| one.key.cmp(&other.key));
        honest(ClusterReport { database: Some(why), servers: vec![server], backends, frontends })
    }

    /// The backend of that very URL.
    pub(super) fn remembered_backend(&self, host: &str) -> Option<Arc<Backend>> {
        self.cluster.backends().iter().find(|backend| backend.url == host).cloned()
    }

    /// Meetings, in the order in which they were placed.
    pub(super) fn remembered_meetings(&self, filter: MeetingFilter<'_>) -> Vec<MeetingEntry> {
        let mut meetings = self.cluster.meetings();
        meetings.retain(|meeting| is_wanted(filter, meeting));
        meetings.sort_by(|one, other| (one.placed_at, &one.id).cmp(&(other.placed_at, &other.id)));
        let entry = |meeting: &Meeting| MeetingEntry {
            meeting: meeting.clone(),
            updated_at: meeting.placed_at.into(),
            synced_at: None,
            patch: None,
        };
        meetings.iter().map(|meeting| entry(meeting)).collect()
    }
}

fn is_wanted(filter: MeetingFilter<'_>, meeting: &Meeting) -> bool {
    let MeetingFilter { backend, frontend, id, internal_id } = filter;
    backend.is_none_or(|backend| meeting.backend.0 == backend)
        && frontend.is_none_or(|frontend| meeting.frontend.0 == frontend)
        && id.is_none_or(|id| meeting.id.as_ref() == id)
        && internal_id.is_none_or(|id| meeting.internal_id.as_deref() == Some(id))
}
