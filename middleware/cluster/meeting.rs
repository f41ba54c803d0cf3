//! A meeting and where it lives.

use serde::{Deserialize, Serialize};

use super::{BackendId, FrontendId};
use crate::bbb::{MeetingId, ScopedId};

/// How often a meeting has been given a place. A write that names an older attempt comes too late.
pub type Attempt = i32;

/// A BBB meeting of one frontend, living on one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The id its node knows it by.
    pub id: ScopedId,
    /// The id its frontend knows it by.
    pub meeting_id: MeetingId,
    /// Whose it is.
    pub frontend: FrontendId,
    /// Where it lives.
    pub backend: BackendId,
    /// Counts its places; see [`Attempt`].
    pub attempt: Attempt,
    /// How far it has come.
    pub state: MeetingState,
    /// The node's own id of it, once it is live.
    pub internal_id: Option<String>,
    /// The row's version; memory only ever takes a newer one.
    pub version: i64,
}

/// How far a meeting has come. `ARCHITECTURE.md` has the table of what leads from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeetingState {
    /// It has a place; its node has not answered yet.
    Claimed,
    /// Its node runs it.
    Live,
    /// Its end was accepted and not seen yet.
    Ending,
    /// Its node is lost.
    Detached,
}
