//! The tables of webhooks as deliveries see them: each hook's part of the events of its frontend, and its cursor there.
//!
//! Every change of a cursor names the one before, so of two that disagree exactly one counts.

use std::fmt;

use b3scale_middleware::cluster::FrontendId;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{column, readable};
use super::{Store, StoreError};

/// The kind of the jobs that post events.
pub const POST_HOOKS_JOB: &str = "post_hooks";

/// How many events are read at a time.
const BATCH: usize = 20;
/// How many events are removed at a time.
const PORTION: i64 = 20_000;
/// How many events of a frontend are kept for hooks that are behind.
pub const MOST_EVENTS: i64 = 100_000;

const TABLE: &str = "hook_events";

/// The events of frontends, and the hooks that hear of them. The errors of all functions are those of the database.
#[derive(Clone, Copy)]
pub struct HookEvents<'s>(pub(super) &'s Store);

/// An event of a frontend.
pub struct HookEvent {
    /// Its number among those of its frontend.
    pub seq: i64,
    /// Its id at bbb-webhooks, such as `user-joined`.
    pub name: String,
    /// The id by which nodes know the meeting. Empty: its attributes have no such id.
    pub meeting: String,
    /// The frontend's id of it.
    pub meeting_id: String,
    /// The node's own.
    pub internal_id: String,
    /// When it happened, in the unit that bbb-webhooks has for it.
    pub ts: i64,
    /// Its attributes with the node's ids.
    pub attributes: Option<Value>,
    /// The entry in lists of a created meeting.
    pub entry: Option<String>,
    /// The message of BBB, for a hook that gets these.
    pub raw: Option<Value>,
    /// Whether its node's agent, or the answer to its create, may add something to it in a moment.
    pub is_awaited: bool,
}

/// A hook that is not paused, and the events that it has not heard yet.
pub struct HookBacklog {
    /// Its id.
    pub hook: String,
    /// Whose it is.
    pub frontend: FrontendId,
    /// The frontend's URL. Not for logs, metrics or answers.
    pub url: String,
    /// Whether it gets the messages of BBB instead.
    pub raw: bool,
    /// Whether it is never paused.
    pub permanent: bool,
    /// How many tries at the first of the events have failed.
    pub tries: u32,
    /// The last event that is done.
    pub cursor: i64,
    /// The last event of the frontend.
    pub last: i64,
    /// The next events that it hears, 20 at most.
    pub events: Vec<HookEvent>,
    /// Whether these are all up to the last.
    pub is_whole: bool,
}

/// A try that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedPost<'a> {
    /// How many have.
    pub tries: u32,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why, without the URL.
    pub problem: &'a str,
    /// Whether the hook is paused now.
    pub pauses: bool,
}

/// Events that a hook will not hear any more: it was behind for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The hook.
    pub hook: String,
    /// The key of its frontend.
    pub frontend: String,
    /// How many.
    pub events: i64,
}

/// How many hooks are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCount {
    /// `active`, `retrying` or `paused`.
    pub state: String,
    /// Their number.
    pub count: i64,
    /// How many events of its frontend the last of them is behind. Paused ones do not count.
    pub lag: i64,
}

impl HookEvents<'_> {
    /// The next events of a hook. `None`: it is gone, or paused.
    pub async fn backlog(self, hook: &str) -> Result<Option<HookBacklog>, StoreError> {
        let sql =
            "SELECT hook.id, hook.frontend_id, url, hook.raw AS wants_raw, permanent, tries, cursor, last, seq, name,
                meeting, event.meeting_id, internal_id, ts, attributes::json AS attributes, entry,
                CASE WHEN hook.raw THEN event.raw::json END AS raw,
                coalesce(attributes IS NULL AND at > now() - CASE
                        WHEN name = 'meeting-created' THEN interval '2 seconds'
                        WHEN name = 'meeting-ended' AND hook.raw THEN interval '4 seconds' END
                    AND EXISTS (SELECT FROM backend_status WHERE told_at > now() - interval '10 seconds')
                    OR name = 'meeting-created' AND at > now() - interval '30 seconds' AND EXISTS (
                        SELECT FROM meetings WHERE meetings.id = meeting AND state = 'claimed'), false) AS is_awaited
            FROM hooks AS hook JOIN hook_feeds AS feed ON feed.frontend_id = hook.frontend_id
            LEFT JOIN LATERAL next_events(hook, $2) AS event ON true
            WHERE hook.id = $1 AND paused_at IS NULL ORDER BY seq";
        let rows = self.0.rows("read the events of a hook", sql, &[&hook, &(BATCH as i64)]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let has_event = column::<Option<i64>>(TABLE, first, "seq")?.is_some();
        Ok(Some(HookBacklog {
            hook: column(TABLE, first, "id")?,
            frontend: FrontendId(column(TABLE, first, "frontend_id")?),
            url: column(TABLE, first, "url")?,
            raw: column(TABLE, first, "wants_raw")?,
            permanent: column(TABLE, first, "permanent")?,
            tries: column::<i32>(TABLE, first, "tries")?.unsigned_abs(),
            cursor: column(TABLE, first, "cursor")?,
            last: column(TABLE, first, "last")?,
            events: if has_event { readable(&rows, event) } else { Vec::new() },
            is_whole: rows.len() < BATCH,
        }))
    }

    /// Begins the tries at the event behind the cursor. Gives the time of the first one, in milliseconds since 1970. `None`: the
    /// cursor was moved, or the hook is paused.
    pub async fn begin(self, hook: &str, cursor: i64) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE hooks SET first_try_at = coalesce(first_try_at, now())
            WHERE id = $1 AND cursor = $2 AND paused_at IS NULL
            RETURNING floor(extract(epoch FROM first_try_at) * 1000)::bigint AS first_try";
        let row = self.0.row("begin a post", sql, &[&hook, &cursor]).await?;
        row.map(|row| column(TABLE, &row, "first_try")).transpose()
    }

    /// Moves the cursor of a hook behind an event that it has. If another one `follows`, its tries begin. Gives the time of that.
    /// `None`: the cursor was moved meanwhile.
    pub async fn delivered(
        self,
        hook: &str,
        cursor: i64,
        to: i64,
        status: u16,
        follows: bool,
    ) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE hooks SET cursor = $3, tries = 0, first_try_at = CASE WHEN $5 THEN now() END, status = $4,
                problem = NULL, delivered = delivered + 1, delivered_at = now()
            WHERE id = $1 AND cursor = $2 RETURNING floor(extract(epoch FROM now()) * 1000)::bigint AS first_try";
        let params: [&(dyn ToSql + Sync); 5] = [&hook, &cursor, &to, &i32::from(status), &follows];
        let row = self.0.row("record a post", sql, &params).await?;
        row.map(|row| column(TABLE, &row, "first_try")).transpose()
    }

    /// Notes a try that failed. `false`: the cursor was moved meanwhile.
    pub async fn failed(self, hook: &str, cursor: i64, failed: FailedPost<'_>) -> Result<bool, StoreError> {
        let sql = "UPDATE hooks SET tries = $3, status = $4, problem = $5, paused_at = CASE WHEN $6 THEN now() END
            WHERE id = $1 AND cursor = $2 AND paused_at IS NULL RETURNING id";
        let FailedPost { tries, status, problem, pauses } = failed;
        let tries = i32::try_from(tries).unwrap_or(i32::MAX);
        let params: [&(dyn ToSql + Sync); 6] = [&hook, &cursor, &tries, &status.map(i32::from), &problem, &pauses];
        Ok(self.0.row("note a failed post", sql, &params).await?.is_some())
    }

    /// Moves the cursor of a hook behind events that it does not hear.
    pub async fn pass(self, hook: &str, cursor: i64, to: i64) -> Result<(), StoreError> {
        let sql = "UPDATE hooks SET cursor = $3, tries = 0, first_try_at = NULL WHERE id = $1 AND cursor = $2 AND cursor < $3";
        self.0.rows("pass events", sql, &[&hook, &cursor, &to]).await.map(drop)
    }

    /// Brings hooks on that are behind and have no job: past events that they do not hear, and with a job for others. Gives the
    /// number of these jobs.
    pub async fn mend(self) -> Result<i64, StoreError> {
        let sql = "WITH idle AS (
                SELECT hooks.id, cursor, last, EXISTS (
                    SELECT FROM hook_events AS one WHERE one.frontend_id = hooks.frontend_id AND seq > cursor
                        AND hears(hooks, name, one.meeting_id)) AS wants
                FROM hooks JOIN hook_feeds AS feed ON feed.frontend_id = hooks.frontend_id
                WHERE paused_at IS NULL AND cursor < last AND NOT EXISTS (
                    SELECT FROM jobs WHERE kind = 'post_hooks' AND lane = hooks.id AND poisoned_at IS NULL)),
            passed AS (
                UPDATE hooks SET cursor = idle.last, tries = 0, first_try_at = NULL FROM idle
                WHERE NOT wants AND hooks.id = idle.id AND hooks.cursor = idle.cursor)
            SELECT count(*), queue_hooks(array_agg(id))::text FROM idle WHERE wants";
        let row = self.0.row("mend hooks", sql, &[]).await?;
        row.map_or(Ok(0), |row| column(TABLE, &row, "count"))
    }

    /// Moves hooks on that are behind by more than [`MOST_EVENTS`] or three days, and removes events that no hook is behind of after
    /// an hour. Created and ended meetings stay for three days, so that they are not told again. Gives the losses.
    pub async fn sweep(self) -> Result<Vec<Loss>, StoreError> {
        let lost = "WITH old AS (
                SELECT frontend_id, max(seq) AS bound FROM hook_events
                WHERE at < now() - interval '3 days' GROUP BY frontend_id),
            bounds AS (
                SELECT feed.frontend_id, greatest(last - $1, coalesce(old.bound, 0)) AS bound
                FROM hook_feeds AS feed LEFT JOIN old ON old.frontend_id = feed.frontend_id),
            behind AS (
                SELECT hooks.id, cursor, bound, (
                    SELECT count(*) FROM hook_events AS one
                    WHERE one.frontend_id = hooks.frontend_id AND seq > cursor AND seq <= bound
                        AND hears(hooks, name, one.meeting_id)) AS missed
                FROM hooks JOIN bounds ON bounds.frontend_id = hooks.frontend_id WHERE cursor < bound),
            moved AS (
                UPDATE hooks SET cursor = bound, lost = lost + missed, tries = 0, first_try_at = NULL FROM behind
                WHERE hooks.id = behind.id AND hooks.cursor = behind.cursor RETURNING hooks.id, frontend_id, missed)
            SELECT moved.id, missed, key FROM moved JOIN frontends ON frontends.id = frontend_id WHERE missed > 0";
        let losses = self.0.rows("move hooks on", lost, &[&MOST_EVENTS]).await?;
        let done = "DELETE FROM hook_events WHERE (frontend_id, seq) IN (
                SELECT one.frontend_id, one.seq FROM hook_events AS one LEFT JOIN (
                    SELECT feed.frontend_id, last, min(cursor) AS done
                    FROM hook_feeds AS feed JOIN hooks ON hooks.frontend_id = feed.frontend_id
                    GROUP BY feed.frontend_id) AS feed ON feed.frontend_id = one.frontend_id
                WHERE done IS NULL OR seq <= last - $1 OR seq <= done AND at < now() - CASE
                    WHEN name IN ('meeting-created', 'meeting-ended') THEN interval '3 days' ELSE interval '1 hour' END
                LIMIT $2) RETURNING 1";
        while self.0.rows("remove events", done, &[&MOST_EVENTS, &PORTION]).await?.len() as i64 == PORTION {}
        Ok(readable(&losses, |row| {
            Ok(Loss {
                hook: column(TABLE, row, "id")?,
                frontend: column(TABLE, row, "key")?,
                events: column(TABLE, row, "missed")?,
            })
        }))
    }

    /// Tells of the end of meetings whose node has been lost for ten minutes. Gives the number of queued posts.
    pub async fn tell_lost(self) -> Result<i64, StoreError> {
        let sql =
            "SELECT coalesce(tell_hooks(array_agg((lost.frontend_id, 'meeting-ended', id, meeting_id, internal_id,
                floor(extract(epoch FROM now()) * 1000), NULL, NULL, NULL)::told_event)), 0) AS posts
            FROM meetings AS lost JOIN hook_feeds AS feed ON feed.frontend_id = lost.frontend_id
            WHERE state = 'detached' AND internal_id IS NOT NULL AND updated_at < now() - interval '10 minutes'
                AND NOT EXISTS (
                    SELECT FROM hook_events AS known WHERE known.frontend_id = lost.frontend_id
                        AND known.internal_id = lost.internal_id AND name = 'meeting-ended')";
        let row = self.0.row("tell of lost meetings", sql, &[]).await?;
        row.map_or(Ok(0), |row| column(TABLE, &row, "posts"))
    }

    /// Counts the hooks by state.
    pub async fn counts(self) -> Result<Vec<HookCount>, StoreError> {
        let sql = "SELECT state, count(*), coalesce(max(behind), 0) AS lag FROM (
                SELECT CASE WHEN paused_at IS NOT NULL THEN 'paused' WHEN tries > 0 THEN 'retrying' ELSE 'active' END AS state,
                    CASE WHEN paused_at IS NULL THEN last - cursor END AS behind
                FROM hooks JOIN hook_feeds AS feed ON feed.frontend_id = hooks.frontend_id) AS hooks
            GROUP BY state";
        Ok(readable(&self.0.rows("count the hooks", sql, &[]).await?, |row| {
            Ok(HookCount {
                state: column(TABLE, row, "state")?,
                count: column(TABLE, row, "count")?,
                lag: column(TABLE, row, "lag")?,
            })
        }))
    }
}

/// What happened in a meeting is the tenant's.
impl fmt::Debug for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookEvent").field("seq", &self.seq).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The URL is the tenant's.
impl fmt::Debug for HookBacklog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hook, cursor, events, .. } = self;
        f.debug_struct("HookBacklog")
            .field("hook", hook)
            .field("cursor", cursor)
            .field("events", events)
            .finish_non_exhaustive()
    }
}

fn event(row: &Row) -> Result<HookEvent, StoreError> {
    Ok(HookEvent {
        seq: column(TABLE, row, "seq")?,
        name: column(TABLE, row, "name")?,
        meeting: column(TABLE, row, "meeting")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        internal_id: column(TABLE, row, "internal_id")?,
        ts: column(TABLE, row, "ts")?,
        attributes: column(TABLE, row, "attributes")?,
        entry: column(TABLE, row, "entry")?,
        raw: column(TABLE, row, "raw")?,
        is_awaited: column(TABLE, row, "is_awaited")?,
    })
}
