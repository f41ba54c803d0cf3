//! The table of backends: the records of operators.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, NodeStatus, Tags, Vitals};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{column, moment, moment_if_any, readable, spelling, unreadable, word, word_if_any};
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};
use crate::net::url::without_user;

const TABLE: &str = "backends";

/// The columns that operators set, and the parameters of their values.
const COLUMNS: &str = "url, secret, checksum_algorithm, tags, load_factor, admin_state, agent_ref";
const VALUES: &str = "$4, $5, $6, $7, $8, $9, $10";

/// Every column of a backend, with the last answers of its node. Attendees that a node reports are those of all its meetings,
/// ours or not.
const ENTRY: &str = "SELECT backends.*, node_state, last_error, latency_ns, attendees, synced_at, heartbeat,
        coalesce(heartbeat > now() - interval '10 seconds', false) AS reported,
        (SELECT count(*) FROM meetings WHERE backend_id = backends.id AND state <> 'detached') AS meetings
    FROM backends LEFT JOIN backend_status ON backend_id = backends.id";

/// Which backends. By default all.
#[derive(Clone, Debug, Default)]
pub struct BackendFilter {
    /// The one with that URL.
    pub host: Option<String>,
    /// Backends with this text in their URL; `%` and `_` are wildcards.
    pub host_like: Option<String>,
    /// The same in any case.
    pub host_ilike: Option<String>,
}

/// A backend, and the last answers of its node.
#[derive(Clone, Debug)]
pub struct BackendEntry {
    /// The backend.
    pub backend: Backend,
    /// The last answers of its node.
    pub status: NodeStatus,
}

/// Facts that a backend does not show. An agent's rights depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether an operator has ever enabled it.
    pub enabled: bool,
    /// Whether its agent has stopped it, and its state has not been set since.
    pub drained_by_agent: bool,
    /// Whether an agent has reported for it within the last 10 s.
    pub reported: bool,
}

/// The table of backends.
#[derive(Clone, Copy)]
pub struct Backends<'s>(pub(super) &'s Store);

impl Backends<'_> {
    /// Every backend that can be read, each with [`Vitals`] of its own that nothing has been seen of yet.
    pub async fn load(self) -> Result<Vec<Backend>, StoreError> {
        let rows = self.0.rows("load the backends", "SELECT * FROM backends ORDER BY id", &[]).await?;
        Ok(readable(&rows, backend))
    }

    /// One backend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    pub async fn find(self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        let row = self.0.row("find a backend", "SELECT * FROM backends WHERE id = $1", &[&id.0]).await?;
        row.as_ref().map(backend).transpose()
    }

    /// Backends by their URL, with the last answers of their nodes. Unreadable ones are left out of a list.
    ///
    /// # Errors
    /// [`StoreError::Row`] if the wanted one is unreadable.
    pub async fn list(self, filter: &BackendFilter) -> Result<Vec<BackendEntry>, StoreError> {
        let sql = format!(
            "{ENTRY} WHERE ($1::text IS NULL OR url = $1) AND ($2::text IS NULL OR url LIKE '%' || $2 || '%')
                AND ($3::text IS NULL OR url ILIKE '%' || $3 || '%') ORDER BY url"
        );
        let BackendFilter { host, host_like, host_ilike } = filter;
        let rows = self.0.rows("list backends", &sql, &[host, host_like, host_ilike]).await?;
        if host.is_some() { rows.iter().map(entry).collect() } else { Ok(readable(&rows, entry)) }
    }

    /// One backend, with the last answers of its node.
    pub async fn entry(self, id: BackendId) -> Result<Option<BackendEntry>, StoreError> {
        let row = self.0.row("find a backend", &format!("{ENTRY} WHERE backends.id = $1"), &[&id.0]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// The backend of an agent, with the last answers of its node.
    pub async fn of_agent(self, agent_ref: &str) -> Result<Option<BackendEntry>, StoreError> {
        let row =
            self.0.row("find an agent's backend", &format!("{ENTRY} WHERE agent_ref = $1"), &[&agent_ref]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// The identity of an agent's backend.
    pub async fn id_of_agent(self, agent_ref: &str) -> Result<Option<BackendId>, StoreError> {
        let sql = "SELECT id FROM backends WHERE agent_ref = $1";
        let row = self.0.row("find an agent's backend", sql, &[&agent_ref]).await?;
        row.map(|row| column(TABLE, &row, "id").map(BackendId)).transpose()
    }

    /// Adds a backend.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its URL or its agent's name is in use.
    pub async fn add(self, new: &Backend) -> Result<(), StoreError> {
        self.0.rows("add a backend", &insert(), &Written::of(new).params(&false)).await.map(drop)
    }

    /// Adds a backend, or changes the existing one with its URL.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a value breaks a rule of the table.
    pub async fn record(self, new: &Backend) -> Result<Backend, StoreError> {
        let sql = format!("{} ON CONFLICT (url) DO UPDATE SET {} RETURNING *", insert(), set());
        let row = self.0.row("record a backend", &sql, &Written::of(new).params(&false)).await?;
        let gone = || StoreError::Row { row: format!("backend `{}`", new.url), problem: "it is gone".to_owned() };
        backend(&row.ok_or_else(gone)?)
    }

    /// Gives a backend without an agent to the agent of `new`, which proves by the secret that it is the node's. `None`: there is
    /// no backend without an agent that has this URL and this secret.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the agent has a backend.
    pub async fn adopt(self, new: &Backend) -> Result<Option<BackendId>, StoreError> {
        let sql =
            "UPDATE backends SET agent_ref = $3 WHERE url = $1 AND secret = $2 AND agent_ref IS NULL RETURNING id";
        let row = self.0.row("adopt a backend", sql, &[&new.url, &new.secret.expose(), &new.agent_ref]).await?;
        row.map(|row| column(TABLE, &row, "id").map(BackendId)).transpose()
    }

    /// Changes a backend under its row's lock, and returns it as it was and as it is. `None`: there is no
    /// such backend. An agent may start its stopped backend again.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its new URL is in use; the errors of `change`.
    pub async fn change<E: From<StoreError> + Send>(
        self,
        id: BackendId,
        by_agent: bool,
        change: impl Fn(&Backend, Standing) -> Result<Backend, E> + Sync,
    ) -> Result<Option<(BackendEntry, BackendEntry)>, E> {
        self.0.transaction(&Changing { id, by_agent, change, error: PhantomData }, Ending::Commit).await
    }

    /// Sets a backend's admin state. `None`: there is no such backend.
    pub async fn record_admin_state(self, id: BackendId, state: AdminState) -> Result<Option<Backend>, StoreError> {
        let sql = "UPDATE backends SET admin_state = $2 WHERE id = $1 RETURNING *";
        let row = self.0.row("set a backend's state", sql, &[&id.0, &spelling(state)]).await?;
        row.as_ref().map(backend).transpose()
    }

    /// Removes a backend: its meetings are detached. `false`: there was none.
    pub async fn remove(self, id: BackendId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM backends WHERE id = $1 RETURNING id";
        Ok(self.0.row("remove a backend", sql, &[&id.0]).await?.is_some())
    }

    /// Removes the decommissioned backends without meetings. A lost node cannot report the end of its meetings: it
    /// is waited for, and not for more than ten minutes.
    ///
    /// `clear` names the backends with a complete list and no other meetings, each with the time of its poll. An answer from before the
    /// decommissioning counts only if the node gives no other.
    pub async fn remove_decommissioned(self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError> {
        let sql = "DELETE FROM backends USING backend_status AS status
            WHERE admin_state = 'decommissioned' AND status.backend_id = backends.id
                AND NOT EXISTS (
                    SELECT FROM meetings WHERE meetings.backend_id = backends.id
                        AND (state <> 'detached' OR meetings.updated_at > now() - interval '10 minutes'))
                AND (synced_at < now() - interval '10 minutes' OR EXISTS (
                    SELECT FROM unnest($1::uuid[], $2::timestamptz[]) AS clear (id, asked_at)
                    WHERE clear.id = backends.id
                        AND (clear.asked_at >= backends.updated_at OR node_state NOT IN ('ready', 'degraded'))))
            RETURNING id";
        let (ids, asked_at): (Vec<Uuid>, Vec<SystemTime>) =
            clear.iter().map(|(id, asked_at)| (id.0, *asked_at)).unzip();
        let rows = self.0.rows("remove decommissioned backends", sql, &[&ids, &asked_at]).await?;
        rows.iter().map(|row| column(TABLE, row, "id").map(BackendId)).collect()
    }
}

/// Changing a backend.
struct Changing<F, E> {
    id: BackendId,
    by_agent: bool,
    change: F,
    error: PhantomData<fn() -> E>,
}

impl<F, E> Work for Changing<F, E>
where
    F: Fn(&Backend, Standing) -> Result<Backend, E> + Sync,
    E: From<StoreError> + Send,
{
    const TASK: &'static str = "change a backend";
    type Done = Option<(BackendEntry, BackendEntry)>;
    type Error = E;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Self::Done, E> {
        let find = async || -> Result<Option<(BackendEntry, Standing)>, E> {
            let sql = format!("{ENTRY} WHERE backends.id = $1 FOR UPDATE OF backends");
            let rows = transaction.rows(&sql, &[&self.id.0]).await?;
            Ok(rows.first().map(|row| Ok::<_, StoreError>((entry(row)?, standing(row)?))).transpose()?)
        };
        let Some((there, standing)) = find().await? else { return Ok(None) };
        let changed = (self.change)(&there.backend, standing)?;
        if !changed.is_set_as(&there.backend) {
            update(transaction, &changed, self.by_agent).await?;
        }
        Ok(find().await?.map(|(changed, _)| (there, changed)))
    }
}

/// Reads the whole table in the order of URLs. A row that cannot be read is an error.
pub(super) async fn all(transaction: &Transaction<'_>) -> Result<Vec<Backend>, StoreError> {
    let rows = transaction.rows("SELECT * FROM backends ORDER BY url COLLATE \"C\"", &[]).await?;
    rows.iter().map(backend).collect()
}

pub(super) async fn add(transaction: &Transaction<'_>, new: &Backend) -> Result<(), StoreError> {
    transaction.rows(&insert(), &Written::of(new).params(&false)).await.map(drop)
}

pub(super) async fn update(transaction: &Transaction<'_>, changed: &Backend, by_agent: bool) -> Result<(), StoreError> {
    let sql = format!("UPDATE backends AS kept SET {} WHERE id = $1", set());
    transaction.rows(&sql, &Written::of(changed).params(&by_agent)).await.map(drop)
}

fn insert() -> String {
    format!(
        "INSERT INTO backends AS kept (id, created_at, drained_by_agent, {COLUMNS})
        VALUES ($1, coalesce($2, now()), $3, {VALUES})"
    )
}

/// Sets a row. `$3`: an agent does so, which may start again what it stops.
fn set() -> String {
    format!(
        "({COLUMNS}) = ROW ({VALUES}), created_at = coalesce(kept.created_at, $2),
        drained_by_agent = kept.drained_by_agent OR $3 AND kept.admin_state = 'ready' AND $9 = 'stopped'"
    )
}

/// The values of a backend as its columns take them.
struct Written<'a> {
    backend: &'a Backend,
    secret: &'a str,
    algorithm: Option<String>,
    tags: &'a [String],
    state: String,
}

impl<'a> Written<'a> {
    fn of(backend: &'a Backend) -> Self {
        Self {
            backend,
            secret: backend.secret.expose(),
            algorithm: backend.algorithm.map(spelling),
            tags: backend.tags.words(),
            state: spelling(backend.admin_state),
        }
    }

    fn params<'b>(&'b self, by_agent: &'b bool) -> [&'b (dyn ToSql + Sync); 10] {
        let Self { secret, algorithm, tags, state, .. } = self;
        let Backend { id, created_at, url, load_factor, agent_ref, .. } = self.backend;
        [&id.0, created_at, by_agent, url, secret, algorithm, tags, load_factor, state, agent_ref]
    }
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    let enabled_at: Option<SystemTime> = column(TABLE, row, "enabled_at")?;
    Ok(Standing {
        enabled: enabled_at.is_some(),
        drained_by_agent: column(TABLE, row, "drained_by_agent")?,
        reported: column(TABLE, row, "reported")?,
    })
}

fn entry(row: &Row) -> Result<BackendEntry, StoreError> {
    let attendees = column::<Option<i32>>(TABLE, row, "attendees")?.unwrap_or_default();
    let latency = column::<Option<i64>>(TABLE, row, "latency_ns")?.unwrap_or_default();
    let meetings: i64 = column(TABLE, row, "meetings")?;
    let status = NodeStatus {
        state: word(TABLE, row, "node_state")?,
        heartbeat: moment_if_any(TABLE, row, "heartbeat")?,
        last_error: column(TABLE, row, "last_error")?,
        latency: Duration::from_nanos(u64::try_from(latency).unwrap_or_default()),
        meetings: u32::try_from(meetings).unwrap_or(u32::MAX),
        attendees: attendees.unsigned_abs(),
        synced_at: moment_if_any(TABLE, row, "synced_at")?,
    };
    Ok(BackendEntry { backend: backend(row)?, status })
}

fn backend(row: &Row) -> Result<Backend, StoreError> {
    let tags: Vec<String> = column(TABLE, row, "tags")?;
    let secret = Secret::new(column(TABLE, row, "secret")?);
    let time = |name| moment(TABLE, row, name).map(Some);
    Ok(Backend {
        id: BackendId(column::<Uuid>(TABLE, row, "id")?),
        // A user and a password, which the table may hold, would be shown and go to every browser that joins.
        url: without_user(column(TABLE, row, "url")?).into_owned(),
        secret: secret.ok_or_else(|| unreadable(TABLE, row, "its secret is empty"))?,
        algorithm: word_if_any(TABLE, row, "checksum_algorithm")?,
        tags: Tags::from_iter(tags),
        load_factor: column(TABLE, row, "load_factor")?,
        admin_state: word(TABLE, row, "admin_state")?,
        agent_ref: column(TABLE, row, "agent_ref")?,
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
        vitals: Arc::new(Vitals::default()),
        version: column(TABLE, row, "version")?,
    })
}
