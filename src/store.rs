//! PostgreSQL: what the cluster knows, one module a table, and how changes are heard of.
//!
//! Everything here answers `Result<_, StoreError>`. Statements compare before they write, so that of two servers that
//! disagree exactly one is right; `None` or `false` means that the other was.

mod backends;
mod error;
mod feed;
mod frontends;
mod meetings;
mod migrations;
mod pool;
pub mod private;
mod rows;
mod settings;
mod tls;
mod url;

pub use backends::{BackendStatus, NewBackend, NewStatus};
pub use error::{Place, StoreError};
pub use feed::{Change, Feed};
pub use frontends::NewFrontend;
pub use meetings::{Claim, MeetingCopy, PastMeeting};
pub use pool::Store;
