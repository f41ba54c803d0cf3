//! PostgreSQL: one module a table, and the change feed. Every error is a [`StoreError`].
//!
//! Everything here answers `Result<_, StoreError>`. Statements compare before they write, so that of two servers that
//! disagree exactly one is right; `None` or `false` means that the other was.

mod backends;
mod commands;
mod configuration;
mod feed;
mod frontends;
mod garbage;
mod ingest;
mod jobs;
mod meetings;
mod migrations;
mod polls;
mod pool;
mod rehearsal;
mod roster;
mod rows;
mod seats;
mod servers;
mod settings;
mod transaction;

pub use b3scale_postgres::{Place, StoreError, Trouble, private};
pub use backends::{BackendEntry, BackendFilter, Standing};
pub use commands::{COMMAND_JOB, Command, CommandState};
pub use configuration::Configuration;
pub use frontends::FrontendFilter;
pub use ingest::Ingested;
pub use meetings::{CLAIM, LIVE, MeetingEntry, MeetingFilter};
pub use migrations::AppliedMigration;
pub use pool::Store;

pub(crate) use configuration::{Arrival, PastArrival, Step};
pub(crate) use transaction::{Ending, Transaction, Work};
