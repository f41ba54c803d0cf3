//! Meetings as the REST API shows them.

use std::time::SystemTime;

use b3scale_middleware::cluster::{BackendId, FrontendId, Meeting};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{TABLE, meeting};
use crate::store::rows::{column, readable, time};
use crate::store::{Store, StoreError};

/// A row of the table, and what was set of it.
#[derive(Clone, Debug)]
pub struct MeetingEntry {
    /// What there is of it.
    pub meeting: Meeting,
    /// When its row last changed.
    pub updated_at: OffsetDateTime,
    /// When its node last answered. `None`: never.
    pub synced_at: Option<OffsetDateTime>,
    /// What was set of it since then.
    pub patch: Option<Value>,
    /// When a patch was last set, whether it still holds or not.
    pub patched_at: Option<SystemTime>,
}

/// Which meetings. By default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeetingFilter<'a> {
    /// Those on that backend.
    pub backend: Option<BackendId>,
    /// Those of that frontend.
    pub frontend: Option<FrontendId>,
    /// The one that nodes know by that id.
    pub id: Option<&'a str>,
    /// The one with that internal id.
    pub internal_id: Option<&'a str>,
}

impl Store {
    /// Meetings, in the order in which they were placed.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn meeting_entries(&self, filter: MeetingFilter<'_>) -> Result<Vec<MeetingEntry>, StoreError> {
        let sql = "SELECT meetings.*, synced_at,
                CASE WHEN patched_at <= synced_at THEN NULL ELSE patch END AS current_patch
            FROM meetings LEFT JOIN backend_status USING (backend_id)
            WHERE ($1::uuid IS NULL OR backend_id = $1) AND ($2::uuid IS NULL OR frontend_id = $2)
                AND ($3::text IS NULL OR id = $3) AND ($4::text IS NULL OR internal_id = $4)
            ORDER BY claimed_at, id";
        let MeetingFilter { backend, frontend, id, internal_id } = filter;
        let (backend, frontend): (Option<Uuid>, Option<Uuid>) = (backend.map(|id| id.0), frontend.map(|id| id.0));
        Ok(readable(&self.rows("list meetings", sql, &[&backend, &frontend, &id, &internal_id]).await?, entry))
    }

    /// Sets something of a meeting until its node is heard of again. `false`: it is gone, or somebody else has set something
    /// meanwhile.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn patch_meeting(&self, patched: &MeetingEntry, patch: &Value) -> Result<bool, StoreError> {
        let sql = "UPDATE meetings SET patch = $3, patched_at = clock_timestamp()
            WHERE id = $1 AND claim = $2 AND patched_at IS NOT DISTINCT FROM $4 RETURNING id";
        let Meeting { id, claim, .. } = &patched.meeting;
        Ok(self.row("patch a meeting", sql, &[&id.as_ref(), claim, patch, &patched.patched_at]).await?.is_some())
    }
}

fn entry(row: &Row) -> Result<MeetingEntry, StoreError> {
    Ok(MeetingEntry {
        meeting: meeting(row)?,
        updated_at: time(TABLE, row, "updated_at")?,
        synced_at: column::<Option<SystemTime>>(TABLE, row, "synced_at")?.map(Into::into),
        patch: column(TABLE, row, "current_patch")?,
        patched_at: column(TABLE, row, "patched_at")?,
    })
}
