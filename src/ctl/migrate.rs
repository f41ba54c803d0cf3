//! `db migrate`: brings the database's schema up to date.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::rest::{Migration, SchemaStatus};

use super::context::Context;
use super::layout::{moment, warning};
use super::{CtlError, Exit};

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
        let mut database = status.database;
        if !database.available {
            let why = database.error.unwrap_or_default();
            return Err(CtlError::NoDatabase { url: context.url.clone(), why });
        }
        let pending = database.pending_migrations;
        if pending > 0 {
            context.console.progress(format_args!("Applying {pending} pending migrations to the database."))?;
            database = api.migrate().await?;
            context.console.progress("Migration successful.")?;
        }
        context.console.report(told(&database), &database)
    }
}

/// The database and the last step of its schema.
pub(super) fn told(database: &SchemaStatus) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(database.error.as_ref().map(|why| format!("{}\n", warning(why))));
    lines.push(format!("Database: {}", database.database));
    lines.extend(database.migration.as_ref().map(|Migration { version, description, applied_at }| {
        format!("Version:  v{version}, '{description}', applied at: {}", moment(*applied_at))
    }));
    if database.pending_migrations > 0 {
        let pending = database.pending_migrations;
        lines.push(format!("\nWARNING: {pending} migrations are pending. Apply them with: b3scalectl db migrate"));
    }
    lines.join("\n")
}
