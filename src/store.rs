//! PostgreSQL: one module a table, and the change feed. Every error is a [`StoreError`].
//!
//! Everything here answers `Result<_, StoreError>`. Statements compare before they write, so that of two servers that
//! disagree exactly one is right; `None` or `false` means that the other was.

mod backends;
mod callbacks;
mod commands;
mod configuration;
mod deliveries;
mod feed;
mod frontends;
mod garbage;
mod holdings;
mod hook_events;
mod hooks;
mod imports;
mod ingest;
mod jobs;
mod meetings;
mod migrations;
mod polls;
mod pool;
mod recordings;
mod rehearsal;
mod roster;
mod rows;
mod seats;
mod servers;
mod settings;
mod tables;
mod transaction;

pub use b3scale_postgres::{Place, StoreError, Trouble, private};
pub use backends::{BackendEntry, BackendFilter, Backends, Standing};
pub use callbacks::Callbacks;
pub use commands::Commands;
pub use configuration::{Configuration, configuration};
pub use deliveries::{
    Begun, DELIVER_JOB, Deliveries, Delivery, DeliveryEntry, DeliveryFilter, NewDelivery, Queued, Retried, Waiting,
};
pub use frontends::{FrontendFilter, Frontends};
pub use holdings::{
    FileStanding, Holding, Holdings, MOVE, Overdue, OverdueRecording, OverdueTotal, REMOVAL, Spot, Stock, Which,
};
pub use hook_events::{FailedPost, HookBacklog, HookCount, HookEvent, HookEvents, Loss, MOST_EVENTS, POST_HOOKS_JOB};
pub use hooks::{HookCreated, HookEntry, HookFilter, Hooks, PermanentHooks, ScopedHook, WantedHook};
pub use imports::{Backlog, IMPORT_JOB, Import, ImportSource, ImportState, Imports};
pub use jobs::{Jobs, TAKE};
pub use meetings::{CLAIM, LIVE, MeetingEntry, MeetingFilter, Meetings};
pub use migrations::{AppliedMigration, Schema};
pub use pool::Store;
pub use recordings::{
    Added, ChangeError, LARGEST_METADATA, NewFormat, Owner, PAGE, Recordings, Rules, StoredFormat, StoredTrack,
    whole_list,
};
pub use settings::shared_secret;

pub(crate) use callbacks::{KeptCallback, LegacySession};
pub(crate) use configuration::{Arrival, PastArrival, Step};
pub(crate) use recordings::TakenOver;
pub(crate) use tables::taken;
pub(crate) use transaction::{Ending, Transaction, Work};
