//! Reading meetings.

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{FrontendId, Meeting};

use super::Model;
use super::rows::meetings_where;
use crate::ledger::{Lookups, PastMeeting};
use b3scale_postgres::StoreError;

#[async_trait]
impl Lookups for Model {
    async fn load_meetings(&self) -> Result<Vec<Meeting>, StoreError> {
        self.read(|statement| meetings_where(statement, |_| true)).await
    }

    async fn find_meeting(&self, id: &ScopedId) -> Result<Option<Meeting>, StoreError> {
        self.read(|statement| statement.seen.meetings.get(id).map(|row| row.meeting.clone())).await
    }

    async fn find_by_either_id(
        &self,
        frontend: FrontendId,
        id: &str,
        scoped: &ScopedId,
    ) -> Result<Vec<Meeting>, StoreError> {
        let runs_as = |meeting: &Meeting| meeting.frontend == frontend && meeting.internal_id.as_deref() == Some(id);
        self.read(|statement| {
            let history = &statement.seen.history;
            let is_noted = |meeting: &Meeting| history.contains_key(&(meeting.id.clone(), id.to_owned()));
            let mut found = meetings_where(statement, |row| runs_as(&row.meeting) && is_noted(&row.meeting));
            found.extend(statement.seen.meetings.get(scoped).map(|row| row.meeting.clone()));
            found
        })
        .await
    }

    async fn find_meetings(&self, ids: &[&str]) -> Result<Vec<Meeting>, StoreError> {
        self.read(|statement| meetings_where(statement, |row| ids.contains(&row.meeting.id.as_ref()))).await
    }

    async fn find_history(&self, id: &ScopedId) -> Result<Option<PastMeeting>, StoreError> {
        self.read(|statement| {
            let pasts = statement.seen.history.iter().filter(|((of, _), _)| of == id);
            let ((id, internal_id), past) = pasts.max_by_key(|(_, past)| past.created_at)?;
            Some(PastMeeting {
                id: id.clone(),
                meeting_id: past.meeting_id.clone(),
                frontend: past.frontend,
                backend: past.backend,
                internal_id: internal_id.clone(),
                ended: past.ended_at.is_some(),
            })
        })
        .await
    }

    async fn rehearse_create(&self) -> Result<(), StoreError> {
        self.read(|_| ()).await
    }
}
