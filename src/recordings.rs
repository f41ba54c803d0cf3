//! Recordings: their records, their files, and how both come in and go out.
//!
//! A record is a row of PostgreSQL, the files of its formats lie on a [`Shelf`](shelf::Shelf). Files are placed before their row
//! names them, and removed after no row names them. So a server may be killed at any step: nothing half-placed is ever listed.

pub mod archive;
mod arrivals;
mod arriving;
mod figures;
mod import;
mod library;
mod links;
mod live;
mod media;
mod moving;
mod owner;
pub mod playback;
pub mod protected;
mod removal;
mod retention;
pub mod settings;
mod settle;
pub mod shelf;
mod shelves;
mod spool;
mod sweep;
mod tickets;
mod tracks;
mod upload;
mod verify;
mod work_folder;

pub use arrivals::Arrivals;
pub use arriving::{Arriving, ArrivingParts};
pub use figures::CountRecordings;
pub use import::{Adopt, FolderError, ImportSettings, Importer, Posted, SharedInbox, Sweep};
pub use library::Library;
pub use links::Links;
pub use moving::Mover;
pub use removal::Remover;
pub use retention::{Retention, Taken};
pub use settings::RecordingsConfig;
pub use settle::Settle;
pub use shelves::{Inbox, Shelves};
pub use spool::Spool;
pub use sweep::SweepShelves;
pub use tickets::{Purpose, Subject, Tickets};
pub use tracks::TextTracks;
pub use upload::{UploadParts, Uploads};
pub use verify::Verifier;
