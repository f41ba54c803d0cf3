//! The BigBlueButton protocol: call kinds, parameters, checksums, meeting ids and XML.
//!
//! A leaf. It is pure code over text and bytes: no tower, no sockets, no clock.

mod call_kind;
mod checksum;
mod cut;
mod meeting_id;
mod names;
mod params;
mod refusal;
mod unscoped;
pub mod xml;

pub use call_kind::{CallKind, Media, Methods, UnknownCall};
pub use checksum::{
    Accepted, Algorithm, Algorithms, ChecksumError, Covered, Secret, Signed, UnknownAlgorithm, sign, verify,
};
pub use cut::{cut, cut_at};
pub use meeting_id::{MeetingId, MeetingIdError, ScopedId};
pub use names::are_alike;
pub use params::{Params, clean};
pub use refusal::holds_everywhere;
pub use unscoped::unscoped;
pub use xml::{Outcome, ReturnCode, XmlError};
