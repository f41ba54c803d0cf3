//! `db migrate`: brings the database's schema up to date.

use argh::{ArgsInfo, FromArgs};

use super::context::Context;
use super::{CtlError, Exit};
use crate::rest::SchemaStatus;

/// Look after the database.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "db")]
pub(super) struct Db {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Migrate(Migrate),
}

/// Apply the migrations that the database lacks.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "migrate")]
struct Migrate {}

impl Db {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let What::Migrate(Migrate {}) = self.what;
        let (api, status) = context.connect().await?;
        let pending = status.database.pending_migrations;
        let mut database = status.database;
        if pending > 0 {
            context.console.line(format!("Applying {pending} pending migrations to the database."))?;
            database = api.migrate().await?;
            context.console.line("Migration successful.")?;
        }
        tell(context, &database)?;
        context.console.object(&database)?;
        Ok(Exit::Done)
    }
}

/// The database and the last step of its schema.
pub(super) fn tell(context: &Context, database: &SchemaStatus) -> Result<(), CtlError> {
    let console = &context.console;
    console.line(format!("Database: {}", database.database))?;
    if let Some(migration) = &database.migration {
        let (version, description) = (migration.version, &migration.description);
        let applied = super::layout::moment(migration.applied_at);
        console.line(format!("Version:  v{version}, '{description}', applied at: {applied}"))?;
    }
    if let Some(error) = &database.error {
        console.line(format!("Error:    {error}"))?;
    }
    if database.pending_migrations > 0 {
        let pending = database.pending_migrations;
        console.line(format!("\nWARNING: {pending} migrations are pending. Apply them with: b3scalectl db migrate"))?;
    }
    Ok(())
}
