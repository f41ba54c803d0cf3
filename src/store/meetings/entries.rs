//! Meetings as the REST API shows them.

use std::marker::PhantomData;

use b3scale_middleware::cluster::Meeting;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{TABLE, meeting};
use crate::store::rows::{column, readable, time, time_if_any};
use crate::store::transaction::{Ending, Transaction, Work};
use crate::store::{Store, StoreError};

/// A row of the table, and its changes by the REST API.
#[derive(Clone, Debug)]
pub struct MeetingEntry {
    /// The row.
    pub meeting: Meeting,
    /// When its row last changed.
    pub updated_at: OffsetDateTime,
    /// When its node last answered. `None`: never.
    pub synced_at: Option<OffsetDateTime>,
    /// Its changes since then.
    pub patch: Option<Value>,
}

/// Which meetings. By default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct MeetingFilter<'a> {
    /// Those on that backend.
    pub backend: Option<Uuid>,
    /// Those of that frontend.
    pub frontend: Option<Uuid>,
    /// The meeting with that id on nodes.
    pub id: Option<&'a str>,
    /// The one with that internal id.
    pub internal_id: Option<&'a str>,
}

impl MeetingFilter<'_> {
    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.backend, &self.frontend, &self.id, &self.internal_id]
    }
}

/// Everything of the meetings of a [`MeetingFilter`].
const ENTRIES: &str = "SELECT meetings.*, synced_at,
        CASE WHEN patched_at <= synced_at THEN NULL ELSE patch END AS current_patch
    FROM meetings LEFT JOIN backend_status USING (backend_id)
    WHERE ($1::uuid IS NULL OR backend_id = $1) AND ($2::uuid IS NULL OR frontend_id = $2)
        AND ($3::text IS NULL OR id = $3) AND ($4::text IS NULL OR internal_id = $4)
    ORDER BY claimed_at, id";

/// The table of meetings, for the REST API.
#[derive(Clone, Copy)]
pub struct Meetings<'s>(pub(in crate::store) &'s Store);

impl Meetings<'_> {
    /// Meetings, in the order in which they were placed.
    pub async fn entries(self, filter: MeetingFilter<'_>) -> Result<Vec<MeetingEntry>, StoreError> {
        Ok(readable(&self.0.rows("list meetings", ENTRIES, &filter.params()).await?, entry))
    }

    /// Changes a meeting until its node's next report, under its lock. `None`: there is no such meeting.
    ///
    /// # Errors
    /// The refusal by `patch`.
    pub async fn patch<E: From<StoreError> + Send>(
        self,
        filter: MeetingFilter<'_>,
        patch: impl Fn(&MeetingEntry) -> Result<Value, E> + Sync,
    ) -> Result<Option<MeetingEntry>, E> {
        self.0.transaction(&Patching { filter, patch, error: PhantomData }, Ending::Commit).await
    }
}

/// Setting something of a meeting.
struct Patching<'a, F, E> {
    filter: MeetingFilter<'a>,
    patch: F,
    error: PhantomData<fn() -> E>,
}

impl<F, E> Work for Patching<'_, F, E>
where
    F: Fn(&MeetingEntry) -> Result<Value, E> + Sync,
    E: From<StoreError> + Send,
{
    const TASK: &'static str = "patch a meeting";
    type Done = Option<MeetingEntry>;
    type Error = E;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Self::Done, E> {
        let find = async || -> Result<Option<MeetingEntry>, E> {
            let sql = format!("{ENTRIES} LIMIT 1 FOR UPDATE OF meetings");
            Ok(transaction.rows(&sql, &self.filter.params()).await?.first().map(entry).transpose()?)
        };
        let Some(there) = find().await? else { return Ok(None) };
        let patch = (self.patch)(&there)?;
        let sql = "UPDATE meetings SET patch = $2, patched_at = clock_timestamp(), updated_at = now() WHERE id = $1";
        transaction.rows(sql, &[&there.meeting.id.as_ref(), &patch]).await?;
        find().await
    }
}

fn entry(row: &Row) -> Result<MeetingEntry, StoreError> {
    Ok(MeetingEntry {
        meeting: meeting(row)?,
        updated_at: time(TABLE, row, "updated_at")?,
        synced_at: time_if_any(TABLE, row, "synced_at")?,
        patch: column(TABLE, row, "current_patch")?,
    })
}
