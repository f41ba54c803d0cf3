//! Frontends and backends together: read whole, and changed all or nothing; and the meetings of another system.

use std::collections::HashSet;
use std::time::SystemTime;

use b3scale_middleware::cluster::{Backend, BackendId, Callback, Frontend, FrontendId, Recording};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::column;
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError, TakenOver, backends, frontends, recordings};

/// Every frontend by its key and every backend by its URL.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The frontends.
    pub frontends: Vec<Frontend>,
    /// The backends.
    pub backends: Vec<Backend>,
}

/// A change of one row.
#[derive(Clone, Debug)]
pub(crate) enum Step<T> {
    Add(T),
    Change(T),
    Delete(Uuid),
}

/// A meeting that runs and is brought over from another system.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) id: String,
    pub(crate) meeting_id: String,
    pub(crate) frontend: FrontendId,
    pub(crate) backend: BackendId,
    pub(crate) internal_id: Option<String>,
    /// Milliseconds since 1970, by the node's clock.
    pub(crate) create_time: Option<i64>,
    pub(crate) breakout: bool,
    /// With tokens of the other system.
    pub(crate) callbacks: Vec<Callback>,
}

/// A meeting that ran in another system.
#[derive(Clone, Debug)]
pub(crate) struct PastArrival {
    pub(crate) id: String,
    pub(crate) meeting_id: String,
    pub(crate) frontend: FrontendId,
    /// When it was last seen there.
    pub(crate) seen_at: SystemTime,
}

/// Every frontend and every backend.
///
/// # Errors
/// [`StoreError::Row`] when a row cannot be read: it is not left out.
pub async fn configuration(store: &Store) -> Result<Configuration, StoreError> {
    store.transaction(&Reading, Ending::Rollback).await
}

/// Reading the configuration.
struct Reading;

impl Work for Reading {
    const TASK: &'static str = "read the configuration";
    type Done = Configuration;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Configuration, StoreError> {
        transaction.configuration().await
    }
}

impl Transaction<'_> {
    async fn configuration(&self) -> Result<Configuration, StoreError> {
        Ok(Configuration { frontends: frontends::all(self).await?, backends: backends::all(self).await? })
    }

    /// Every frontend and every backend. Other writers of them wait from now on; meetings can still be placed.
    pub(crate) async fn lock_configuration(&self) -> Result<Configuration, StoreError> {
        self.rows("LOCK TABLE frontends, backends IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
        self.configuration().await
    }

    pub(crate) async fn change_frontends(&self, steps: &[Step<Frontend>]) -> Result<(), StoreError> {
        self.rows("DELETE FROM frontends WHERE id = ANY($1)", &[&deleted(steps)]).await?;
        for step in steps {
            match step {
                Step::Add(new) => frontends::add(self, new).await?,
                Step::Change(changed) => frontends::update(self, changed).await.map(drop)?,
                Step::Delete(_) => {}
            }
        }
        Ok(())
    }

    pub(crate) async fn change_backends(&self, steps: &[Step<Backend>]) -> Result<(), StoreError> {
        self.rows("DELETE FROM backends WHERE id = ANY($1)", &[&deleted(steps)]).await?;
        self.release_agents(steps).await?;
        for step in steps {
            match step {
                Step::Add(new) => backends::add(self, new).await?,
                Step::Change(changed) => backends::update(self, changed, false).await?,
                Step::Delete(_) => {}
            }
        }
        Ok(())
    }

    /// Takes agents off the backends that are to have others: two that change places would each find theirs taken.
    async fn release_agents(&self, steps: &[Step<Backend>]) -> Result<(), StoreError> {
        let changed = steps.iter().filter_map(|step| match step {
            Step::Change(changed) => Some((changed.id.0, changed.agent_ref.as_deref())),
            Step::Add(_) | Step::Delete(_) => None,
        });
        let (ids, agents): (Vec<Uuid>, Vec<Option<&str>>) = changed.unzip();
        let sql = "UPDATE backends SET agent_ref = NULL FROM unnest($1::uuid[], $2::text[]) AS wanted (id, agent_ref)
            WHERE backends.id = wanted.id AND backends.agent_ref <> coalesce(wanted.agent_ref, '')";
        self.rows(sql, &[&ids, &agents]).await.map(drop)
    }

    /// Adds meetings that run, unless they are known, and returns the ids of those it added.
    //
    // A copy is never adopted, and a meeting that has ended here does not return because the other system has not noticed.
    pub(crate) async fn place_arrivals(&self, arrivals: &[Arrival]) -> Result<HashSet<String>, StoreError> {
        let sql = "WITH given AS (
                SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::int8[], $7::bool[])
                    AS given (id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout)),
            placed AS (
                INSERT INTO meetings (id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout, callbacks,
                    attempt, state, claim, claimed_at, version)
                SELECT id, meeting_id, frontend_id, backend_id, internal_id, create_time, breakout,
                    callbacks_of(id, internal_id), 1, 'live', nextval('versions'),
                    CASE WHEN create_time BETWEEN 1 AND extract(epoch FROM now()) * 1000
                        THEN to_timestamp(create_time / 1000.0) ELSE now() END, nextval('versions')
                FROM given
                WHERE NOT EXISTS (
                        SELECT FROM meeting_copies AS copies
                        WHERE copies.id = given.id AND copies.backend_id = given.backend_id)
                    AND NOT EXISTS (
                        SELECT FROM meeting_history AS past
                        WHERE past.id = given.id AND past.internal_id = given.internal_id AND ended_at IS NOT NULL)
                ON CONFLICT (id) DO NOTHING RETURNING *),
            noted AS (
                INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
                SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM placed WHERE internal_id IS NOT NULL
                ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL)
            SELECT id, pg_notify('b3scale', 'meeting:' || id)::text FROM placed";
        let of = |text: fn(&Arrival) -> &str| arrivals.iter().map(text).collect::<Vec<_>>();
        let (ids, meeting_ids) = (of(|one| &one.id), of(|one| &one.meeting_id));
        let frontends: Vec<_> = arrivals.iter().map(|one| one.frontend.0).collect();
        let backends: Vec<_> = arrivals.iter().map(|one| one.backend.0).collect();
        let internal_ids: Vec<_> = arrivals.iter().map(|one| one.internal_id.as_deref()).collect();
        let create_times: Vec<_> = arrivals.iter().map(|one| one.create_time).collect();
        let breakouts: Vec<_> = arrivals.iter().map(|one| one.breakout).collect();
        let params: [&(dyn ToSql + Sync); 7] =
            [&ids, &meeting_ids, &frontends, &backends, &internal_ids, &create_times, &breakouts];
        let added = added(&self.rows(sql, &params).await?, "meetings")?;
        self.keep_callbacks(arrivals.iter().filter(|one| added.contains(&one.id))).await?;
        Ok(added)
    }

    /// Keeps the callbacks of meetings that were brought over, under the digests of their tokens.
    async fn keep_callbacks(&self, arrivals: impl Iterator<Item = &Arrival>) -> Result<(), StoreError> {
        let sql = "INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url,
                breakout)
            SELECT encode(sha256(convert_to(token, 'UTF8')), 'hex') || ':' || internal_id, id, internal_id, frontend_id,
                meeting_id, backend_id, name, kind, url, breakout
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS given (meeting, name, kind, url, token)
            JOIN meetings ON id = meeting WHERE internal_id IS NOT NULL ON CONFLICT DO NOTHING";
        let each: Vec<_> = arrivals.flat_map(|one| one.callbacks.iter().map(|callback| (&one.id, callback))).collect();
        let of = |text: fn(&Callback) -> &str| each.iter().map(|(_, callback)| text(callback)).collect::<Vec<_>>();
        let meetings: Vec<_> = each.iter().map(|(meeting, _)| meeting.as_str()).collect();
        let (names, kinds) = (of(|one| &one.name), of(|one| one.kind.word()));
        let (urls, tokens) = (of(|one| &one.url), of(|one| &one.token));
        self.rows(sql, &[&meetings, &names, &kinds, &urls, &tokens]).await.map(drop)
    }

    /// Adds recordings, unless they are known, and the formats that those of their frontends lack.
    pub(crate) async fn take_over(&self, recordings: &[Recording]) -> Result<TakenOver, StoreError> {
        recordings::take_over(self, recordings).await
    }

    /// Adds meetings that ran to the history, unless it has them, and returns the ids of those it added.
    pub(crate) async fn record_past_arrivals(&self, past: &[PastArrival]) -> Result<HashSet<String>, StoreError> {
        let sql = "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, created_at, ended_at)
            SELECT id, '', frontend_id, meeting_id, seen_at, seen_at
            FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[]) AS given (id, meeting_id, frontend_id, seen_at)
            WHERE NOT EXISTS (SELECT FROM meeting_history AS past WHERE past.id = given.id)
            ON CONFLICT DO NOTHING RETURNING id";
        let of = |text: fn(&PastArrival) -> &str| past.iter().map(text).collect::<Vec<_>>();
        let (ids, meeting_ids) = (of(|one| &one.id), of(|one| &one.meeting_id));
        let frontends: Vec<_> = past.iter().map(|one| one.frontend.0).collect();
        let seen: Vec<SystemTime> = past.iter().map(|one| one.seen_at).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&ids, &meeting_ids, &frontends, &seen];
        added(&self.rows(sql, &params).await?, "meeting_history")
    }
}

fn deleted<T>(steps: &[Step<T>]) -> Vec<Uuid> {
    let gone = |step: &Step<T>| match step {
        Step::Delete(id) => Some(*id),
        Step::Add(_) | Step::Change(_) => None,
    };
    steps.iter().filter_map(gone).collect()
}

fn added(rows: &[Row], table: &str) -> Result<HashSet<String>, StoreError> {
    rows.iter().map(|row| column(table, row, "id")).collect()
}
