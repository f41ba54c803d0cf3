//! The hooks that stand in the settings of their frontends.

use std::collections::BTreeMap;

use b3scale_middleware::cluster::{FrontendId, Hook, WebhookSettings};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::rows::hook;
use super::{Hooks, TABLE};
use crate::store::rows::{column, readable, unreadable};
use crate::store::transaction::{Ending, Transaction, Work};
use crate::store::{Store, StoreError};

/// The permanent hooks of a frontend, by its settings and in the table.
#[derive(Clone, Debug, Default)]
pub struct PermanentHooks {
    /// Its settings.
    pub settings: WebhookSettings,
    /// The hooks that are there.
    pub there: Vec<Hook>,
}

/// A permanent hook that is to be there. Its meetings are all.
#[derive(Clone, PartialEq, Eq)]
pub struct WantedHook {
    /// Its identity, unless the frontend has created a hook of that URL before.
    pub id: String,
    /// Where events are to be posted to.
    pub url: String,
    /// The ids of its events. Empty: all.
    pub events: Vec<String>,
    /// Whether it gets the messages of BBB.
    pub raw: bool,
}

impl Hooks<'_> {
    /// The frontends that have permanent hooks, or are to have some.
    pub async fn permanent(self) -> Result<BTreeMap<FrontendId, PermanentHooks>, StoreError> {
        let mut found: BTreeMap<FrontendId, PermanentHooks> = BTreeMap::new();
        let sql = "SELECT id, settings->'webhooks' AS webhooks FROM frontends
            WHERE settings->'webhooks'->'permanent' <> '[]' OR EXISTS (
                SELECT FROM hooks WHERE frontend_id = frontends.id AND permanent)";
        for (id, settings) in readable(&self.0.rows("load the settings of webhooks", sql, &[]).await?, settings) {
            found.entry(id).or_default().settings = settings;
        }
        let sql = "SELECT * FROM hooks WHERE permanent";
        for (id, hook) in readable(&self.0.rows("load the permanent hooks", sql, &[]).await?, owned) {
            if let Some(of_frontend) = found.get_mut(&id) {
                of_frontend.there.push(hook);
            }
        }
        Ok(found)
    }

    /// Makes these the permanent hooks of a frontend. A hook that is there hears on where it was.
    pub async fn set_permanent(self, frontend: FrontendId, wanted: &[WantedHook]) -> Result<(), StoreError> {
        let store: &Store = self.0;
        store.transaction(&Setting { frontend, wanted }, Ending::Commit).await
    }
}

/// Making hooks permanent.
struct Setting<'a> {
    frontend: FrontendId,
    wanted: &'a [WantedHook],
}

impl Work for Setting<'_> {
    const TASK: &'static str = "set the permanent hooks";
    type Done = ();
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let frontend = self.frontend.0;
        let lock = "SELECT FROM frontends WHERE id = $1 FOR NO KEY UPDATE";
        if transaction.rows(lock, &[&frontend]).await?.is_empty() {
            return Ok(());
        }
        let urls: Vec<&str> = self.wanted.iter().map(|hook| &*hook.url).collect();
        let dropped = "DELETE FROM hooks WHERE frontend_id = $1 AND permanent AND url <> ALL ($2::text[])";
        transaction.rows(dropped, &[&frontend, &urls]).await?;
        let put = "INSERT INTO hooks (id, frontend_id, url, events, raw, permanent) VALUES ($1, $2, $3, $4, $5, true)
            ON CONFLICT (frontend_id, url_digest(url), coalesce(meeting_id, '')) DO UPDATE
                SET events = excluded.events, raw = excluded.raw, permanent = true";
        for WantedHook { id, url, events, raw } in self.wanted {
            transaction.rows(put, &[id, &frontend, url, events, raw]).await?;
        }
        let told = "UPDATE hook_feeds AS feed SET wants_raw = wanted FROM (
                SELECT coalesce(bool_or(raw), false) AS wanted FROM hooks WHERE frontend_id = $1) AS hooks
            WHERE feed.frontend_id = $1 AND wants_raw <> wanted";
        transaction.rows(told, &[&frontend]).await.map(drop)
    }
}

fn settings(row: &Row) -> Result<(FrontendId, WebhookSettings), StoreError> {
    let id = FrontendId(column::<Uuid>("frontends", row, "id")?);
    let stored: Option<Json<Value>> = column("frontends", row, "webhooks")?;
    let stored = stored.map(|Json(stored)| stored).filter(|stored| !stored.is_null());
    let settings = stored.map(serde_json::from_value).transpose();
    let broken = |_| unreadable("frontends", row, "the setting `webhooks` is not of its kind");
    Ok((id, settings.map_err(broken)?.unwrap_or_default()))
}

fn owned(row: &Row) -> Result<(FrontendId, Hook), StoreError> {
    Ok((FrontendId(column(TABLE, row, "frontend_id")?), hook(row)?))
}
