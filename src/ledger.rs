//! The cluster's database, as traits: PostgreSQL implements them ([`Store`](crate::store::Store)), and so does a
//! [model in memory](memory), on which a simulation runs many servers.
//!
//! Each step of a meeting's life is one method that compares before it writes: a [`Meeting`] handed in is a belief, and its
//! id, backend, attempt and claim must still be the row's, or nothing happens. Of two servers that disagree exactly one is
//! right; `None` or `false` means that it was the other. Every error is a [`StoreError`](b3scale_postgres::StoreError).
//!
//! Claims, moves and ends are announced to all servers ([`Change`]), results of creates are not: announcing commits queue up.
//!
//! [`Meeting`]: b3scale_middleware::cluster::Meeting

mod agents;
mod commands;
mod feed;
pub(crate) mod fold;
mod meetings;
pub mod memory;
mod polls;
mod queue;
mod roster;
mod seats;
mod servers;

pub use agents::{Ingest, Ingested};
pub use commands::{COMMAND_JOB, Command, CommandState, Commands};
pub use feed::{Announcements, Change, Feed};
pub use meetings::{Copies, Ends, Ledger, Lookups, MeetingCopy, PastMeeting, Places, Release, Ticket};
pub use polls::{BackendStatus, Poll, PollOutcome, Polls};
pub use queue::{JobCount, NewJob, Queue, QueuedJob};
pub use roster::Roster;
pub use seats::{Crowd, Seats};
pub use servers::{NewServer, ServerRow, Servers};

/// Everything that a server asks of its database in order to follow the cluster and to change it.
pub trait Storage: Announcements + Commands + Ingest + Ledger + Polls + Queue + Roster + Seats + Servers {}

impl<T: Announcements + Commands + Ingest + Ledger + Polls + Queue + Roster + Seats + Servers> Storage for T {}
