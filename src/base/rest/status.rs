//! Who is asked, and who asks.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The server, and its reading of the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Of the server.
    pub version: String,
    /// Of the server.
    pub build: String,
    /// Always `v1`.
    pub api: String,
    /// The subject of the token.
    pub account_ref: String,
    /// Whether the token has the scope `b3scale:admin`.
    pub is_admin: bool,
    /// The database, as the server finds it.
    pub database: SchemaStatus,
}

/// The database and its schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SchemaStatus {
    /// Whether it answers.
    pub available: bool,
    /// Its name.
    pub database: String,
    /// Whether there is a schema, as far as is known.
    pub migrated: bool,
    /// The last migration that was applied.
    pub migration: Option<Migration>,
    /// How many are missing. A database that cannot be asked lacks none, as far as is known.
    pub pending_migrations: u32,
    /// Why it does not answer, or takes no changes.
    pub error: Option<String>,
}

/// The consequence of an unusable database.
pub fn without_database(why: &str) -> String {
    format!("the database cannot be used, so no meeting can be created, and known meetings go on: {why}")
}

/// A step of the schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Migration {
    /// When it was applied.
    #[serde(with = "time::serde::rfc3339")]
    pub applied_at: OffsetDateTime,
    /// Its state.
    pub description: String,
    /// Its number.
    pub version: i32,
}
