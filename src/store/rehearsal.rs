//! Rehearsed creates: the statements of a create, rolled back.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::StoreError;
use super::transaction::{Transaction, Work};

/// Runs the statements of a create. They are rolled back.
pub(super) struct Rehearsal;

impl Work for Rehearsal {
    const TASK: &'static str = "rehearse a create";
    type Done = ();
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let id = format!("rehearsal of {}", Uuid::now_v7());
        let params: [&(dyn ToSql + Sync); 1] = [&id];
        let place = "INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, claim, version)
            SELECT $1, frontends.id, $1, backends.id, 1, 'claimed', 0, 0 FROM frontends, backends LIMIT 1";
        transaction.rows(place, &params).await?;
        let note = "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
            SELECT id, id, frontend_id, meeting_id, backend_id FROM meetings WHERE id = $1";
        transaction.rows(note, &params).await.map(drop)
    }
}
