//! Who is asked, who asks, and the schema of the database.

use axum::extract::State;

use super::Admin;
use super::access::{Admins, Anyone, Caller};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{Migration, SchemaStatus, Status};
use crate::store::{AppliedMigration, Schema, Store};

/// Set by the build of a release.
const BUILD: &str = match option_env!("B3SCALE_BUILD") {
    Some(build) => build,
    None => "source",
};

/// Show the server and the scopes of the token.
#[utoipa::path(get, path = "/api/v1", tag = "status",
    responses((status = OK, description = "The server and the token", body = Status)))]
pub(super) async fn root(admin: State<Admin>, who: Caller<Anyone>) -> Reply<Status> {
    status(admin, who).await
}

/// Show the server and the scopes of the token.
#[utoipa::path(get, path = "/api/v1/status", tag = "status",
    responses((status = OK, description = "The server and the token", body = Status)))]
pub(super) async fn status(State(admin): State<Admin>, who: Caller<Anyone>) -> Reply<Status> {
    let mut database = schema(&admin.store).await;
    // It may answer and take no changes.
    database.error = database.error.or_else(|| Some(admin.cluster.trouble()?.obstacle()));
    Reply(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: BUILD.to_owned(),
        api: "v1".to_owned(),
        account_ref: who.subject().to_owned(),
        is_admin: who.is_admin(),
        database,
    })
}

/// Apply the migrations that are missing.
#[utoipa::path(post, path = "/api/v1/ctrl/migrate", tag = "status",
    responses((status = OK, description = "The schema as it is now", body = SchemaStatus)))]
pub(super) async fn migrate(State(admin): State<Admin>, who: Caller<Admins>) -> Result<Reply<SchemaStatus>, Problem> {
    for migration in admin.store.schema().migrate().await? {
        who.audit("a migration was applied", &migration);
    }
    Ok(Reply(schema(&admin.store).await))
}

/// The database and its schema. Takes no connection of its own, as the original did. If the database does not answer, it is
/// taken to be as this server found it, which does not start while a migration is missing.
async fn schema(store: &Store) -> SchemaStatus {
    let status = SchemaStatus {
        available: true,
        database: store.schema().database().to_owned(),
        migrated: true,
        migration: None,
        pending_migrations: 0,
        error: None,
    };
    match store.schema().last().await {
        Ok(Some(AppliedMigration { version, description, applied_at })) => {
            let pending_migrations = Schema::versions().saturating_sub(version.unsigned_abs());
            let migration = Some(Migration { applied_at, description, version });
            SchemaStatus { migration, pending_migrations, ..status }
        }
        Err(error) if error.is_away() => SchemaStatus { available: false, error: Some(error.to_string()), ..status },
        nothing => {
            let error = nothing.err().map(|error| error.to_string());
            SchemaStatus { migrated: false, pending_migrations: Schema::versions(), error, ..status }
        }
    }
}
