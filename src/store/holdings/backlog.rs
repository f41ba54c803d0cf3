//! Recordings on their way in.

use std::time::Duration;

use super::Holdings;
use crate::store::rows::column;
use crate::store::{IMPORT_JOB, StoreError};

/// Recordings on their way in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Uploads that had a chunk in the last minutes, and lack others.
    pub uploads: i64,
    /// Imports that are queued or taken in.
    pub waiting: i64,
    /// How long ago the oldest of them was queued.
    pub oldest: Duration,
}

impl Holdings<'_> {
    /// Imports that wait, and uploads under way.
    pub async fn backlog(self) -> Result<Backlog, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM recording_imports
                WHERE state = 'receiving' AND updated_at > now() - interval '5 minutes') AS uploads,
            count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest
            FROM jobs WHERE kind = $1 AND poisoned_at IS NULL";
        let Some(row) = self.0.row("count imports of recordings", sql, &[&IMPORT_JOB]).await? else {
            return Ok(Backlog::default());
        };
        let oldest: f64 = column("jobs", &row, "oldest")?;
        Ok(Backlog {
            uploads: column("jobs", &row, "uploads")?,
            waiting: column("jobs", &row, "waiting")?,
            oldest: Duration::try_from_secs_f64(oldest.max(0.0)).unwrap_or(Duration::MAX),
        })
    }
}
