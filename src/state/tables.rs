//! Frontends and backends as rows: how entries are read from their tables, and how steps are done.

use std::time::SystemTime;

use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::{Entry, Kept, Step, difference, normal};
use crate::rest::{AdminState, FrontendSettings, StateBackend, StateFrontend};
use crate::store::rows::{column, spelling, unreadable, word};
use crate::store::{StoreError, Transaction, backends};

impl Entry for StateFrontend {
    const WHAT: &'static str = "frontend";
    const SELECT: &'static str = "SELECT * FROM frontends ORDER BY key COLLATE \"C\"";

    fn read(row: &Row) -> Result<Kept<Self>, StoreError> {
        const TABLE: &str = "frontends";
        let Json(settings) = column(TABLE, row, "settings")?;
        let settings = normal::stored_settings(settings);
        let entry = Self {
            key: column(TABLE, row, "key")?,
            secret: column(TABLE, row, "secret")?,
            next_secret: column(TABLE, row, "next_secret")?,
            checksum_algorithms: column(TABLE, row, "checksum_algorithms")?,
            active: column(TABLE, row, "active")?,
            account_ref: column(TABLE, row, "account_ref")?,
            settings: settings
                .map_err(|name| unreadable(TABLE, row, &format!("the setting `{name}` is not of its kind")))?,
            id: None,
            created_at: None,
        };
        Ok(Kept { id: column(TABLE, row, "id")?, entry: entry.normal() })
    }

    fn normal(&self) -> Self {
        normal::frontend(self)
    }

    fn moved_onto(&self, there: &Self) -> Self {
        let allowed_tags = self.settings.allowed_tags.clone().or_else(|| there.settings.allowed_tags.clone());
        Self {
            next_secret: self.next_secret.clone().or_else(|| there.next_secret.clone()),
            checksum_algorithms: there.checksum_algorithms.clone(),
            active: there.active,
            account_ref: self.account_ref.clone().or_else(|| there.account_ref.clone()),
            settings: FrontendSettings { allowed_tags, ..self.settings.clone() },
            ..self.clone()
        }
    }

    fn blank(&self) -> Self {
        Self {
            key: self.key.clone(),
            secret: self.secret.clone(),
            next_secret: None,
            checksum_algorithms: None,
            active: true,
            account_ref: None,
            settings: FrontendSettings::default(),
            id: None,
            created_at: None,
        }
    }

    fn name(&self) -> &str {
        &self.key
    }

    fn id(&self) -> Option<Uuid> {
        self.id
    }
}

impl Entry for StateBackend {
    const WHAT: &'static str = "backend";
    const SELECT: &'static str = "SELECT * FROM backends ORDER BY url COLLATE \"C\"";

    fn read(row: &Row) -> Result<Kept<Self>, StoreError> {
        const TABLE: &str = "backends";
        let entry = Self {
            host: backends::url(row)?,
            secret: column(TABLE, row, "secret")?,
            checksum_algorithm: column(TABLE, row, "checksum_algorithm")?,
            tags: column(TABLE, row, "tags")?,
            load_factor: column(TABLE, row, "load_factor")?,
            admin_state: word(TABLE, row, "admin_state")?,
            agent_ref: column(TABLE, row, "agent_ref")?,
            id: None,
            created_at: None,
        };
        Ok(Kept { id: column(TABLE, row, "id")?, entry: entry.normal() })
    }

    fn normal(&self) -> Self {
        normal::backend(self)
    }

    fn moved_onto(&self, there: &Self) -> Self {
        let agent_ref = self.agent_ref.clone().or_else(|| there.agent_ref.clone());
        let checksum_algorithm = there.checksum_algorithm.clone();
        Self { admin_state: there.admin_state, checksum_algorithm, agent_ref, ..self.clone() }
    }

    fn blank(&self) -> Self {
        Self {
            host: self.host.clone(),
            secret: self.secret.clone(),
            checksum_algorithm: None,
            tags: Vec::new(),
            load_factor: 1.0,
            admin_state: AdminState::Ready,
            agent_ref: None,
            id: None,
            created_at: None,
        }
    }

    fn name(&self) -> &str {
        &self.host
    }

    fn id(&self) -> Option<Uuid> {
        self.id
    }
}

pub(super) async fn apply_frontends(
    transaction: &Transaction<'_>,
    steps: &[Step<'_, StateFrontend>],
) -> Result<(), StoreError> {
    transaction.rows("DELETE FROM frontends WHERE id = ANY($1)", &[&deleted(steps)]).await?;
    for step in steps {
        match step {
            Step::Add(id, wanted) => add_frontend(transaction, *id, wanted).await?,
            Step::Change(kept, wanted) => change_frontend(transaction, kept, wanted).await?,
            Step::Delete(_) => {}
        }
    }
    Ok(())
}

pub(super) async fn apply_backends(
    transaction: &Transaction<'_>,
    steps: &[Step<'_, StateBackend>],
) -> Result<(), StoreError> {
    transaction.rows("DELETE FROM backends WHERE id = ANY($1)", &[&deleted(steps)]).await?;
    // Two that change places would each find theirs taken.
    let leaves = |step: &Step<'_, StateBackend>| match step {
        Step::Change(kept, wanted) if kept.entry.agent_ref != wanted.agent_ref => Some(kept.id),
        Step::Add(..) | Step::Change(..) | Step::Delete(_) => None,
    };
    let left: Vec<_> = steps.iter().filter_map(leaves).collect();
    let sql = "UPDATE backends SET agent_ref = NULL WHERE id = ANY($1) AND agent_ref IS NOT NULL";
    transaction.rows(sql, &[&left]).await?;
    for step in steps {
        match step {
            Step::Add(id, wanted) => add_backend(transaction, *id, wanted).await?,
            Step::Change(kept, wanted) => change_backend(transaction, kept.id, wanted).await?,
            Step::Delete(_) => {}
        }
    }
    Ok(())
}

async fn add_frontend(transaction: &Transaction<'_>, id: Uuid, wanted: &StateFrontend) -> Result<(), StoreError> {
    let sql = "INSERT INTO frontends
            (id, key, secret, next_secret, checksum_algorithms, active, account_ref, settings, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now()))";
    let StateFrontend { key, secret, next_secret, checksum_algorithms, active, account_ref, settings, .. } = wanted;
    let (settings, created_at) = (Json(settings), wanted.created_at.map(instant));
    let params: [&(dyn ToSql + Sync); 9] =
        [&id, key, secret, next_secret, checksum_algorithms, active, account_ref, &settings, &created_at];
    transaction.rows(sql, &params).await.map(drop)
}

async fn change_frontend(
    transaction: &Transaction<'_>,
    kept: &Kept<StateFrontend>,
    wanted: &StateFrontend,
) -> Result<(), StoreError> {
    // What others keep among the settings stays.
    let sql =
        "UPDATE frontends SET secret = $2, next_secret = $3, checksum_algorithms = $4, active = $5, account_ref = $6,
            settings = settings || $7
        WHERE id = $1";
    let StateFrontend { secret, next_secret, checksum_algorithms, active, account_ref, .. } = wanted;
    let settings = Json(difference::patch(&kept.entry.settings, &wanted.settings));
    let params: [&(dyn ToSql + Sync); 7] =
        [&kept.id, secret, next_secret, checksum_algorithms, active, account_ref, &settings];
    transaction.rows(sql, &params).await.map(drop)
}

async fn add_backend(transaction: &Transaction<'_>, id: Uuid, wanted: &StateBackend) -> Result<(), StoreError> {
    let sql = "INSERT INTO backends
            (id, url, secret, checksum_algorithm, tags, load_factor, admin_state, agent_ref, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now()))";
    let StateBackend { host, secret, checksum_algorithm, tags, load_factor, agent_ref, .. } = wanted;
    let (state, created_at) = (spelling(wanted.admin_state), wanted.created_at.map(instant));
    let params: [&(dyn ToSql + Sync); 9] =
        [&id, host, secret, checksum_algorithm, tags, load_factor, &state, agent_ref, &created_at];
    transaction.rows(sql, &params).await.map(drop)
}

async fn change_backend(transaction: &Transaction<'_>, id: Uuid, wanted: &StateBackend) -> Result<(), StoreError> {
    let sql = "UPDATE backends SET secret = $2, checksum_algorithm = $3, tags = $4, load_factor = $5, admin_state = $6,
            agent_ref = $7
        WHERE id = $1";
    let StateBackend { secret, checksum_algorithm, tags, load_factor, agent_ref, .. } = wanted;
    let state = spelling(wanted.admin_state);
    let params: [&(dyn ToSql + Sync); 7] = [&id, secret, checksum_algorithm, tags, load_factor, &state, agent_ref];
    transaction.rows(sql, &params).await.map(drop)
}

fn deleted<T>(steps: &[Step<'_, T>]) -> Vec<Uuid> {
    let gone = |step: &Step<'_, T>| match step {
        Step::Delete(kept) => Some(kept.id),
        Step::Add(..) | Step::Change(..) => None,
    };
    steps.iter().filter_map(gone).collect()
}

/// A time as columns take it.
pub(super) fn instant(time: OffsetDateTime) -> SystemTime {
    time.into()
}
