//! The whole configuration as one document.

use axum::extract::State;
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Asked, Document, is_yes};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{Change, ChangeKind, StateChanges, StateDocument};
use crate::state::{self, ImportOptions, StateError};

/// How a document is put back.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `yes`, `true` or `1`: only say what would change.
    dry_run: Option<String>,
    /// `yes`, `true` or `1`: the document comes from another system, and what only exists here stays.
    moving: Option<String>,
    /// The fingerprint of the agreed changes. If the document would make others, nothing is done.
    fingerprint: Option<String>,
    /// `yes`, `true` or `1`: delete the frontends and backends that are not in the document. Meetings of such frontends end.
    delete: Option<String>,
}

/// Read the configuration out, secrets included.
#[utoipa::path(get, path = "/api/v1/state", tag = "state",
    responses((status = OK, description = "The configuration", body = StateDocument)))]
pub(super) async fn export(State(admin): State<Admin>, who: Caller<Admins>) -> Result<Reply<StateDocument>, Problem> {
    let document = state::export(&admin.store).await?;
    who.audit("the configuration was read out", "every secret");
    Ok(Reply(document))
}

/// Change the cluster to a document: all of it or, on any error, nothing.
#[utoipa::path(post, path = "/api/v1/state", tag = "state", params(How), request_body = StateDocument,
    responses((status = OK, description = "What differs", body = StateChanges), (status = CONFLICT)))]
pub(super) async fn import(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Asked(how): Asked<How>,
    Document(document, _room): Document<StateDocument>,
) -> Result<Reply<StateChanges>, Problem> {
    let options = ImportOptions {
        delete: is_yes(how.delete.as_deref()),
        dry_run: is_yes(how.dry_run.as_deref()),
        moving: is_yes(how.moving.as_deref()),
        fingerprint: how.fingerprint,
    };
    let done = state::import(&admin.store, &document, options).await?;
    if done.applied {
        done.changes.iter().for_each(|change| who.audit(&told(change), &change.name));
    }
    Ok(Reply(done))
}

fn told(change: &Change) -> String {
    let done = match change.kind {
        ChangeKind::Add => "added",
        ChangeKind::Change => "changed",
        ChangeKind::Delete => "removed",
    };
    format!("a {} was {done} by a document", change.what)
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Invalid { fields } => Self::Fields(fields),
            StateError::Moved => Self::Conflict(error.to_string()),
            StateError::Store(error) => error.into(),
        }
    }
}
