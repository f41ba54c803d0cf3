//! The table of hooks: who wants to hear of the events of their meetings, and how far each has heard.

mod permanent;
mod rows;

use b3scale_middleware::cluster::{FrontendId, Hook, NewHook};
use uuid::Uuid;

use super::rows::{column, readable};
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};
use rows::{entry, hook};

pub use permanent::{PermanentHooks, WantedHook};
pub use rows::{HookEntry, ScopedHook};

const TABLE: &str = "hooks";

/// Begins a hook again, at the event that failed.
const RESUMED: &str = "paused_at = NULL, tries = 0, first_try_at = NULL, problem = NULL";

/// Hooks with the parts that operators see.
const ENTRIES: &str = "SELECT hooks.*, frontends.key AS frontend, last - cursor AS behind
    FROM hooks JOIN frontends ON frontends.id = hooks.frontend_id
    JOIN hook_feeds AS feed ON feed.frontend_id = hooks.frontend_id";

/// The hooks of frontends. The errors of all functions are those of the database.
#[derive(Clone, Copy)]
pub struct Hooks<'s>(pub(super) &'s Store);

/// The outcome of creating a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookCreated {
    /// It is there from now on.
    New(Hook),
    /// It was there.
    Known(Hook),
    /// The frontend has as many as it may.
    TooMany,
}

/// Which hooks. By default all.
#[derive(Clone, Debug, Default)]
pub struct HookFilter {
    /// Those of the frontend of that key.
    pub frontend: Option<String>,
    /// Those of the meeting that their frontend knows by that id.
    pub meeting: Option<String>,
}

impl Hooks<'_> {
    /// Creates a hook, unless the frontend has it or has that many others. A paused one is resumed.
    pub async fn create(self, frontend: FrontendId, new: &NewHook, most: i64) -> Result<HookCreated, StoreError> {
        let id = Uuid::new_v4().to_string();
        self.0.transaction(&Creating { frontend, id, new, most }, Ending::Commit).await
    }

    /// The hooks of a frontend; of those of single meetings only that one's, if one is given. The oldest first.
    pub async fn of_frontend(self, frontend: FrontendId, meeting: Option<&str>) -> Result<Vec<Hook>, StoreError> {
        let sql = "SELECT * FROM hooks WHERE frontend_id = $1
            AND ($2::text IS NULL OR meeting_id IS NULL OR meeting_id = $2) ORDER BY created_at, id";
        Ok(readable(&self.0.rows("list the hooks of a frontend", sql, &[&frontend.0, &meeting]).await?, hook))
    }

    /// Removes a hook of a frontend that is not permanent. `false`: there is none of that id.
    pub async fn destroy(self, frontend: FrontendId, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM hooks WHERE frontend_id = $1 AND id = $2 AND NOT permanent RETURNING id";
        Ok(self.0.row("destroy a hook", sql, &[&frontend.0, &id]).await?.is_some())
    }

    /// Hooks as operators see them: paused ones first, the oldest of each first.
    pub async fn load(self, filter: &HookFilter, most: u32) -> Result<Vec<HookEntry>, StoreError> {
        let sql = format!(
            "{ENTRIES} WHERE ($1::text IS NULL OR frontends.key = $1) AND ($2::text IS NULL OR meeting_id = $2)
            ORDER BY paused_at IS NULL, tries = 0, hooks.created_at, hooks.id LIMIT $3"
        );
        let HookFilter { frontend, meeting } = filter;
        let rows = self.0.rows("load the hooks", &sql, &[frontend, meeting, &i64::from(most)]).await?;
        Ok(readable(&rows, entry))
    }

    /// One hook as operators see it.
    pub async fn find(self, id: &str) -> Result<Option<HookEntry>, StoreError> {
        let sql = format!("{ENTRIES} WHERE hooks.id = $1");
        self.0.row("find a hook", &sql, &[&id]).await?.as_ref().map(entry).transpose()
    }

    /// Begins a hook again at the event that failed, with all its tries. `false`: there is no such hook.
    pub async fn resume(self, id: &str) -> Result<bool, StoreError> {
        let sql = format!(
            "WITH resumed AS (UPDATE hooks SET {RESUMED} WHERE id = $1 RETURNING id)
            SELECT queue_hooks(array_agg(id))::text FROM resumed HAVING count(*) > 0"
        );
        Ok(self.0.row("resume a hook", &sql, &[&id]).await?.is_some())
    }

    /// Removes a hook, and forgets which events it has not heard. `false`: there is no such hook.
    pub async fn remove(self, id: &str) -> Result<bool, StoreError> {
        Ok(self.0.row("remove a hook", "DELETE FROM hooks WHERE id = $1 RETURNING id", &[&id]).await?.is_some())
    }

    /// Hooks of single meetings that are older than a week.
    pub async fn scoped(self) -> Result<Vec<ScopedHook>, StoreError> {
        let sql = "SELECT hooks.id, key, meeting_id FROM hooks JOIN frontends ON frontends.id = frontend_id
            WHERE meeting_id IS NOT NULL AND NOT permanent AND hooks.created_at < now() - interval '7 days'";
        Ok(readable(&self.0.rows("load the hooks of meetings", sql, &[]).await?, rows::scoped))
    }

    /// Removes those hooks whose meeting has ended for a week; nodes know it by the id at the same place. One without a meeting goes
    /// after 30 days. Returns how many.
    pub async fn remove_expired(self, ids: &[&str], meetings: &[&str]) -> Result<usize, StoreError> {
        let sql = "DELETE FROM hooks USING unnest($1::text[], $2::text[]) AS ended (hook, meeting)
            WHERE hooks.id = hook
                AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = meeting)
                AND now() - interval '7 days' > coalesce(
                    (SELECT max(coalesce(ended_at, 'infinity')) FROM meeting_history AS past WHERE past.id = meeting),
                    hooks.created_at + interval '23 days')
            RETURNING hooks.id";
        Ok(self.0.rows("remove the hooks of meetings that have ended", sql, &[&ids, &meetings]).await?.len())
    }
}

/// Creating a hook.
struct Creating<'a> {
    frontend: FrontendId,
    id: String,
    new: &'a NewHook,
    most: i64,
}

impl Work for Creating<'_> {
    const TASK: &'static str = "create a hook";
    type Done = HookCreated;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<HookCreated, StoreError> {
        // Hooks of one frontend are made one after the other, so that no flood passes the bound.
        let lock = "SELECT FROM frontends WHERE id = $1 FOR NO KEY UPDATE";
        transaction.rows(lock, &[&self.frontend.0]).await?;
        let sql = format!(
            "WITH known AS (
                SELECT * FROM hooks WHERE frontend_id = $1 AND url_digest(url) = url_digest($3)
                    AND coalesce(meeting_id, '') = coalesce($4, '')),
            resumed AS (
                UPDATE hooks SET {RESUMED} FROM known
                WHERE hooks.id = known.id AND hooks.paused_at IS NOT NULL RETURNING hooks.id),
            queued AS (SELECT queue_hooks(array_agg(id)) FROM resumed HAVING count(*) > 0),
            made AS (
                INSERT INTO hooks (id, frontend_id, url, meeting_id, events, raw)
                SELECT $2, $1, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM known)
                    AND (SELECT count(*) FROM hooks WHERE frontend_id = $1 AND NOT permanent) < $7
                RETURNING *)
            SELECT known.*, false AS is_new, (SELECT queue_hooks::text FROM queued) AS queued FROM known
            UNION ALL SELECT made.*, true, NULL FROM made"
        );
        let NewHook { url, meeting_id, events, raw } = self.new;
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&self.frontend.0, &self.id, url, meeting_id, events, raw, &self.most];
        let rows = transaction.rows(&sql, &params).await?;
        let Some(row) = rows.first() else { return Ok(HookCreated::TooMany) };
        let hook = hook(row)?;
        Ok(if column(TABLE, row, "is_new")? { HookCreated::New(hook) } else { HookCreated::Known(hook) })
    }
}
