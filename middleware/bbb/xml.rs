//! BBB's XML, read and changed at the level of events.
//!
//! Documents are never read into structs: elements of a future BBB pass byte for byte. A document must be
//! whole and well-formed, without a DOCTYPE, at most [`MAX_DEPTH`] elements deep. Only [`pieces()`], [`cut`] and [`legible`] read others.

mod answer;
mod attendees;
mod entry;
mod error;
mod events;
mod pieces;
mod presentation;
mod read;
mod recording;
mod rewrite;
mod shown;
mod strict;
mod writer;

pub use answer::{Answer, MeetingFields, Outcome, answer, outcome};
pub use attendees::{Attendee, with_attendees};
pub use entry::{entry_of_create, entry_of_info, with_breakouts};
pub use error::{Problem, XmlError};
pub use events::{MAX_DEPTH, Path};
pub use pieces::{Pieces, cut, pieces};
pub use presentation::with_presentation;
pub use read::{children, elements, fields, legible, well_formed};
pub use recording::{DocumentError, LARGEST_METADATA, Parent, Playback, RecordingDocument, Thumbnail, recording};
pub use rewrite::{replace, rewrite};
pub use shown::{is_ours, ours, printable, shown};
pub use strict::taken_by_nodes;
pub use writer::{ReturnCode, Writer, is_name};
