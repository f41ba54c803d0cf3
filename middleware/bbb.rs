//! The BigBlueButton protocol: call kinds, parameters, checksums, meeting ids, captions and XML.
//!
//! A leaf. It is pure code over text and bytes: no tower, no sockets, no clock.

mod call_kind;
mod captions;
mod checksum;
mod content;
mod cut;
mod language;
mod meeting_id;
mod names;
mod params;
mod refusal;
mod unscoped;
pub mod xml;

pub use call_kind::{CallKind, Media, Methods, UnknownCall};
pub use captions::{CaptionsError, webvtt};
pub use checksum::{
    Accepted, Algorithm, Algorithms, ChecksumError, Covered, Secret, Signed, UnknownAlgorithm, Verified, sign, verify,
};
pub use content::{Content, FilePart};
pub use cut::{cut, cut_at};
pub use language::LanguageTag;
pub use meeting_id::{MeetingId, MeetingIdError, Scope, ScopedId};
pub use names::are_alike;
pub use params::{Params, clean, java_encode};
pub use refusal::holds_everywhere;
pub use unscoped::unscoped;
pub use xml::{Outcome, ReturnCode, XmlError};
