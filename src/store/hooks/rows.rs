//! From rows to hooks.

use std::fmt;

use b3scale_middleware::cluster::{Hook, HookState};
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::TABLE;
use crate::store::StoreError;
use crate::store::rows::{column, time, time_if_any};

/// A hook as operators see it.
#[derive(Clone)]
pub struct HookEntry {
    /// The hook. Its URL is not for logs, metrics or answers.
    pub hook: Hook,
    /// The key of its frontend.
    pub frontend: String,
    /// The state of its posts.
    pub state: HookState,
    /// How many events of its frontend it has not come to yet.
    pub behind: i64,
    /// How many events it has heard.
    pub delivered: i64,
    /// How many events were removed before it heard them.
    pub lost: i64,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it last heard an event.
    pub delivered_at: Option<OffsetDateTime>,
    /// Since when it is paused.
    pub paused_at: Option<OffsetDateTime>,
}

/// The URL is the tenant's.
impl fmt::Debug for HookEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hook, frontend, state, behind, .. } = self;
        f.debug_struct("HookEntry")
            .field("hook", hook)
            .field("frontend", frontend)
            .field("state", state)
            .field("behind", behind)
            .finish_non_exhaustive()
    }
}

/// A hook of a single meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedHook {
    /// Its identity.
    pub id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// The frontend's id of the meeting.
    pub meeting_id: String,
}

pub(super) fn hook(row: &Row) -> Result<Hook, StoreError> {
    Ok(Hook {
        id: column(TABLE, row, "id")?,
        url: column(TABLE, row, "url")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        events: column(TABLE, row, "events")?,
        permanent: column(TABLE, row, "permanent")?,
        raw: column(TABLE, row, "raw")?,
    })
}

pub(super) fn entry(row: &Row) -> Result<HookEntry, StoreError> {
    let paused_at = time_if_any(TABLE, row, "paused_at")?;
    let state = match (paused_at, column::<i32>(TABLE, row, "tries")?) {
        (Some(_), _) => HookState::Paused,
        (None, 0) => HookState::Active,
        (None, _) => HookState::Retrying,
    };
    Ok(HookEntry {
        hook: hook(row)?,
        frontend: column(TABLE, row, "frontend")?,
        state,
        behind: column(TABLE, row, "behind")?,
        delivered: column(TABLE, row, "delivered")?,
        lost: column(TABLE, row, "lost")?,
        status: column::<Option<i32>>(TABLE, row, "status")?.and_then(|status| status.try_into().ok()),
        problem: column(TABLE, row, "problem")?,
        created_at: time(TABLE, row, "created_at")?,
        delivered_at: time_if_any(TABLE, row, "delivered_at")?,
        paused_at,
    })
}

pub(super) fn scoped(row: &Row) -> Result<ScopedHook, StoreError> {
    Ok(ScopedHook {
        id: column(TABLE, row, "id")?,
        frontend: column(TABLE, row, "key")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
    })
}
