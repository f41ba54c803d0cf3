//! BBB's XML, read and changed at the level of events.
//!
//! Documents are never read into structs: what a future BBB adds passes through, byte for byte. Whatever is read here
//! must be a whole, well-formed document without a DOCTYPE, at most [`MAX_DEPTH`] elements deep.

mod entry;
mod error;
mod events;
mod presentation;
mod read;
mod rewrite;
mod writer;

pub use entry::entry_of_create;
pub use error::{Problem, XmlError};
pub use events::{MAX_DEPTH, Path};
pub use presentation::with_presentation;
pub use read::{Outcome, children, elements, fields, outcome, well_formed};
pub use rewrite::{replace, rewrite};
pub use writer::{ReturnCode, Writer, is_name};
