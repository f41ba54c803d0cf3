//! Backends as the REST API shows them: what an operator set, and what was seen of the node.

use std::marker::PhantomData;
use std::time::SystemTime;

use b3scale_middleware::cluster::BackendId;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_postgres::Row;

use super::{TABLE, url};
use crate::rest::{Backend, BackendSettings, NodeKeys};
use crate::store::pool::Params;
use crate::store::rows::{column, readable, spelling, time, time_if_any, word};
use crate::store::transaction::{Ending, Transaction, Work};
use crate::store::{Store, StoreError};

/// What the original shows of an agent that was never heard of.
const NO_HEARTBEAT: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);

/// What Go shows of a time that is not set.
const NEVER: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);

/// The largest latency, in nanoseconds: tools keep it in 32 bits.
const LONGEST_LATENCY: i64 = i32::MAX as i64;

/// Which backends. By default all.
#[derive(Clone, Debug, Default)]
pub struct BackendFilter {
    /// The one with that URL.
    pub host: Option<String>,
    /// Those whose URL holds that text, in which `%` and `_` stand for others.
    pub host_like: Option<String>,
    /// The same, whatever the case.
    pub host_ilike: Option<String>,
}

/// Everything of a backend. Attendees that a node reports are those of all its meetings, ours or not.
const ENTRY: &str = "SELECT backends.*, node_state, last_error, latency_ns, attendees, synced_at, heartbeat,
        coalesce(heartbeat > now() - interval '10 seconds', false) AS reported,
        (SELECT count(*) FROM meetings WHERE backend_id = backends.id AND state <> 'detached') AS meetings
    FROM backends LEFT JOIN backend_status ON backend_id = backends.id";

impl Store {
    /// Backends by their URL. One that cannot be read is left out of a list.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it is the one that was asked for.
    pub async fn backend_entries(&self, filter: &BackendFilter) -> Result<Vec<Backend>, StoreError> {
        let sql = format!(
            "{ENTRY} WHERE ($1::text IS NULL OR url = $1) AND ($2::text IS NULL OR url LIKE '%' || $2 || '%')
                AND ($3::text IS NULL OR url ILIKE '%' || $3 || '%') ORDER BY url"
        );
        let BackendFilter { host, host_like, host_ilike } = filter;
        let rows = self.rows("list backends", &sql, &[host, host_like, host_ilike]).await?;
        if host.is_some() { rows.iter().map(entry).collect() } else { Ok(readable(&rows, entry)) }
    }

    /// One backend.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn backend_entry(&self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        let row = self.row("find a backend", &format!("{ENTRY} WHERE backends.id = $1"), &[&id.0]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// The backend of an agent.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn backend_of_agent(&self, agent_ref: &str) -> Result<Option<Backend>, StoreError> {
        let row = self.row("find an agent's backend", &format!("{ENTRY} WHERE agent_ref = $1"), &[&agent_ref]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// Adds a backend under its id.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its URL or its agent's name is in use.
    pub async fn add_backend(&self, new: &Backend) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO backends (id, url, secret, checksum_algorithm, tags, load_factor, admin_state, agent_ref)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let NodeKeys { host, secret, checksum_algorithm } = &new.bbb;
        let (tags, state) = (&new.settings.tags, spelling(new.admin_state));
        let params: Params<'_> =
            &[&new.id, host, secret, checksum_algorithm, tags, &new.load_factor, &state, &new.agent_ref];
        self.rows("add a backend", sql, params).await.map(drop)
    }

    /// Gives a backend without an agent to the agent of `new`, which proves by the secret that it is the node's. `None`: there is
    /// no backend without an agent that has this URL and this secret.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the agent has a backend.
    pub async fn adopt_backend(&self, new: &Backend) -> Result<Option<BackendId>, StoreError> {
        let sql =
            "UPDATE backends SET agent_ref = $3 WHERE url = $1 AND secret = $2 AND agent_ref IS NULL RETURNING id";
        let row = self.row("adopt a backend", sql, &[&new.bbb.host, &new.bbb.secret, &new.agent_ref]).await?;
        row.map(|row| column(TABLE, &row, "id").map(BackendId)).transpose()
    }

    /// Changes a backend, whose row nobody else changes meanwhile, and returns it as it was and as it is. `None`: there is no
    /// such backend. One that an agent stops may be started by it again.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its new URL is in use; whatever `change` refuses it with.
    pub async fn change_backend<E: From<StoreError> + Send>(
        &self,
        id: BackendId,
        by_agent: bool,
        change: impl Fn(&Backend, Standing) -> Result<Backend, E> + Sync,
    ) -> Result<Option<(Backend, Backend)>, E> {
        self.transaction(&Changing { id, by_agent, change, error: PhantomData }, Ending::Commit).await
    }
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
    type Done = Option<(Backend, Backend)>;
    type Error = E;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Self::Done, E> {
        let find = async || -> Result<Option<(Backend, Standing)>, E> {
            let sql = format!("{ENTRY} WHERE backends.id = $1 FOR UPDATE OF backends");
            let rows = transaction.rows(&sql, &[&self.id.0]).await?;
            Ok(rows.first().map(|row| Ok::<_, StoreError>((entry(row)?, standing(row)?))).transpose()?)
        };
        let Some((there, standing)) = find().await? else { return Ok(None) };
        let changed = (self.change)(&there, standing)?;
        if changed == there {
            return Ok(Some((there, changed)));
        }
        let sql = "UPDATE backends SET url = $2, secret = $3, checksum_algorithm = $4, tags = $5, load_factor = $6,
                admin_state = $7,
                drained_by_agent = drained_by_agent OR $8 AND admin_state = 'ready' AND $7 = 'stopped'
            WHERE id = $1";
        let NodeKeys { host, secret, checksum_algorithm } = &changed.bbb;
        let (tags, state) = (&changed.settings.tags, spelling(changed.admin_state));
        let params: Params<'_> =
            &[&changed.id, host, secret, checksum_algorithm, tags, &changed.load_factor, &state, &self.by_agent];
        transaction.rows(sql, params).await?;
        Ok(find().await?.map(|(changed, _)| (there, changed)))
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

fn entry(row: &Row) -> Result<Backend, StoreError> {
    let count = |name| column::<Option<i32>>(TABLE, row, name).map(|count| count.unwrap_or_default().unsigned_abs());
    let seen = |name| time_if_any(TABLE, row, name);
    let meetings: i64 = column(TABLE, row, "meetings")?;
    let latency: i64 = column::<Option<i64>>(TABLE, row, "latency_ns")?.unwrap_or_default();
    Ok(Backend {
        id: column(TABLE, row, "id")?,
        node_state: word(TABLE, row, "node_state")?,
        admin_state: word(TABLE, row, "admin_state")?,
        agent_heartbeat: seen("heartbeat")?.unwrap_or(NO_HEARTBEAT),
        agent_ref: column(TABLE, row, "agent_ref")?,
        last_error: column(TABLE, row, "last_error")?,
        latency: latency.clamp(0, LONGEST_LATENCY),
        meetings_count: u32::try_from(meetings).unwrap_or(u32::MAX),
        attendees_count: count("attendees")?,
        load_factor: column(TABLE, row, "load_factor")?,
        bbb: NodeKeys {
            host: url(row)?,
            secret: column(TABLE, row, "secret")?,
            checksum_algorithm: column(TABLE, row, "checksum_algorithm")?,
        },
        settings: BackendSettings { tags: column(TABLE, row, "tags")? },
        created_at: time(TABLE, row, "created_at")?,
        updated_at: time(TABLE, row, "updated_at")?,
        synced_at: seen("synced_at")?.unwrap_or(NEVER),
    })
}
