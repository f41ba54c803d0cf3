//! Changes to recordings.

use std::collections::BTreeMap;

use b3scale_middleware::cluster::{FrontendId, RecordId, Recording, RecordingChange, RecordingState, Visibility};
use tokio_postgres::types::{Json, ToSql};

use super::Recordings;
use super::rows::{COLUMNS, recording};
use crate::store::StoreError;
use crate::store::rows::column;
use crate::store::transaction::{Ending, Transaction, Work};

/// The most metadata that a recording may have, in bytes.
pub const LARGEST_METADATA: usize = 64 << 10;

/// Why recordings could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A recording would have more than [`LARGEST_METADATA`].
    #[error("the metadata of recording `{0}` would become larger than {LARGEST_METADATA} bytes")]
    TooMuchMetadata(RecordId),
}

impl Recordings<'_> {
    /// Changes all of these recordings of a frontend, or none, and returns their ids. Deleted ones are passed over, and so are ids that
    /// the frontend does not have.
    ///
    /// # Errors
    /// [`ChangeError::TooMuchMetadata`]; then nothing is changed.
    pub async fn change(
        self,
        frontend: FrontendId,
        ids: &[RecordId],
        change: &RecordingChange,
    ) -> Result<Vec<RecordId>, ChangeError> {
        self.0.transaction(&Changing { frontend, ids, change }, Ending::Commit).await
    }

    /// Moves a recording of any frontend to the trash. `None`: there is no such recording, or it is there already.
    pub async fn delete(self, id: &RecordId) -> Result<Option<Recording>, StoreError> {
        let sql = format!(
            "UPDATE recordings SET state = 'deleted' WHERE record_id = $1 AND state <> 'deleted' RETURNING {COLUMNS}"
        );
        self.0.row("delete a recording", &sql, &[&id.as_str()]).await?.as_ref().map(recording).transpose()
    }

    /// Sets who may see a recording. A deleted one comes back from the trash. `None`: there is no such recording, or its files are gone.
    pub async fn set_visibility(self, id: &RecordId, visibility: Visibility) -> Result<Option<Recording>, StoreError> {
        let sql = format!(
            "UPDATE recordings SET state = $2, protected = $3, held = false,
                metadata = CASE WHEN $4 THEN metadata || '{{\"gl-listed\": \"true\"}}' ELSE metadata - 'gl-listed' END
            WHERE record_id = $1 AND purged_at IS NULL RETURNING {COLUMNS}"
        );
        let state = if visibility.is_published() { RecordingState::Published } else { RecordingState::Unpublished };
        let params: [&(dyn ToSql + Sync); 4] =
            [&id.as_str(), &state.name(), &visibility.is_protected(), &visibility.is_listed()];
        self.0.row("set a recording's visibility", &sql, &params).await?.as_ref().map(recording).transpose()
    }
}

/// Changing recordings of a frontend.
struct Changing<'a> {
    frontend: FrontendId,
    ids: &'a [RecordId],
    change: &'a RecordingChange,
}

impl Work for Changing<'_> {
    const TASK: &'static str = "change recordings";
    type Done = Vec<RecordId>;
    type Error = ChangeError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Vec<RecordId>, ChangeError> {
        // In the order of the ids, so that two calls never wait for each other.
        let lock =
            "SELECT record_id FROM recordings WHERE frontend_id = $1 AND record_id = ANY($2) AND state <> 'deleted'
            ORDER BY record_id FOR UPDATE";
        let wanted: Vec<&str> = self.ids.iter().map(RecordId::as_str).collect();
        let rows = transaction.rows(lock, &[&self.frontend.0, &wanted]).await?;
        let held: Vec<&str> =
            rows.iter().map(|row| column("recordings", row, "record_id")).collect::<Result<_, _>>()?;
        match self.change {
            RecordingChange::Publish(true) => set_state(transaction, &held, RecordingState::Published).await?,
            RecordingChange::Publish(false) => set_state(transaction, &held, RecordingState::Unpublished).await?,
            RecordingChange::Delete => set_state(transaction, &held, RecordingState::Deleted).await?,
            RecordingChange::Update { metadata, protect } => update(transaction, &held, metadata, *protect).await?,
        }
        Ok(held.into_iter().filter_map(RecordId::new).collect())
    }
}

async fn set_state(transaction: &Transaction<'_>, ids: &[&str], state: RecordingState) -> Result<(), StoreError> {
    let sql = "UPDATE recordings SET state = $2 WHERE record_id = ANY($1) AND state <> $2";
    transaction.rows(sql, &[&ids, &state.name()]).await.map(drop)
}

async fn update(
    transaction: &Transaction<'_>,
    ids: &[&str],
    metadata: &[(String, String)],
    protect: Option<bool>,
) -> Result<(), ChangeError> {
    let (removed, set): (BTreeMap<_, _>, BTreeMap<_, _>) =
        metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).partition(|(_, value)| value.is_empty());
    let removed: Vec<&str> = removed.into_keys().collect();
    // A node may have sent more than a frontend may add: less of it is welcome.
    let sql =
        "UPDATE recordings AS new SET metadata = (new.metadata - $2::text[]) || $3, protected = coalesce($4, protected)
        FROM (SELECT record_id, octet_length(metadata::text) AS size FROM recordings WHERE record_id = ANY($1)) AS old
        WHERE new.record_id = old.record_id
        RETURNING new.record_id, octet_length(new.metadata::text) > greatest(old.size, $5) AS is_too_much";
    let most = i32::try_from(LARGEST_METADATA).unwrap_or(i32::MAX);
    for row in transaction.rows(sql, &[&ids, &removed, &Json(set), &protect, &most]).await? {
        let is_too_much: bool = column("recordings", &row, "is_too_much")?;
        let id = RecordId::new(column("recordings", &row, "record_id")?);
        if let Some(id) = id.filter(|_| is_too_much) {
            return Err(ChangeError::TooMuchMetadata(id));
        }
    }
    Ok(())
}
