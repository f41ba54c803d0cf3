//! The table of duties: what some server has to do now and then, and what has become of no use.

use std::time::Duration;

use super::{Store, StoreError};

impl Store {
    /// Takes a duty, unless a server has done so within the time given. Of many servers that ask exactly one is to do it.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn take_duty(&self, name: &str, every: Duration) -> Result<bool, StoreError> {
        let sql = "INSERT INTO duties (name, due) VALUES ($1, now() + make_interval(secs => $2))
            ON CONFLICT (name) DO UPDATE SET due = excluded.due WHERE duties.due <= now() RETURNING name";
        Ok(self.row("take a duty", sql, &[&name, &every.as_secs_f64()]).await?.is_some())
    }

    /// Removes what nobody needs any more: commands long done, servers long gone, meetings detached for a day (what is left
    /// of them becomes a copy), copies on backends that were removed, and the history of meetings that ended years ago.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn collect_garbage(&self) -> Result<(), StoreError> {
        let sweeps = [
            "DELETE FROM commands WHERE deadline < now() - interval '1 hour'",
            "DELETE FROM servers WHERE beat < now() - interval '1 hour' OR address = '' AND is_lost(id, NULL)",
            "WITH gone AS (
                DELETE FROM meetings WHERE state = 'detached' AND updated_at < now() - interval '1 day' RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, backend_id, attempt FROM gone
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now()),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone",
            "DELETE FROM meeting_copies WHERE NOT EXISTS (SELECT FROM backends WHERE backends.id = backend_id)",
            "DELETE FROM meeting_history WHERE ended_at < now() - interval '2 years'",
        ];
        for sql in sweeps {
            self.rows("collect garbage", sql, &[]).await?;
        }
        Ok(())
    }
}
