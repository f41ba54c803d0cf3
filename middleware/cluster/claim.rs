//! Claims: how a meeting gets its place. Stages and the store speak of them in the same types.

use std::sync::Arc;

use super::{BackendId, FrontendId, Meeting, Size};
use crate::bbb::{MeetingId, ScopedId};

/// A meeting that is to get a place.
#[derive(Clone, Copy, Debug)]
pub struct NewMeeting<'a> {
    /// The id its node is to know it by.
    pub id: &'a ScopedId,
    /// The id its frontend knows it by.
    pub meeting_id: &'a MeetingId,
    /// Its frontend.
    pub frontend: FrontendId,
    /// Where it is to live.
    pub backend: BackendId,
    /// Its expected size.
    pub size: Size,
}

/// The outcome of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The meeting is the caller's to create.
    Won(Arc<Meeting>),
    /// It has a place already.
    Taken(Arc<Meeting>),
    /// It may not be created on that backend now: a copy of it there is being ended, or the backend was removed.
    Barred,
}

/// The outcome of moving a claim to another backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// The meeting has its place there.
    Moved(Arc<Meeting>),
    /// It may not be created on that backend now: a copy of it there is being ended, or the backend was removed.
    Barred,
    /// The claim is not the caller's any more.
    NotOurs,
}
