//! A meeting and where it lives.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{BackendId, Callback, FrontendId};
use crate::bbb::{MeetingId, Params, ScopedId};

/// How often a meeting has been given a place. A write that names an older attempt comes too late.
pub type Attempt = i32;

/// A BBB meeting of one frontend, living on one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// The id its node knows it by.
    pub id: ScopedId,
    /// The id its frontend knows it by.
    pub meeting_id: MeetingId,
    /// Its frontend.
    pub frontend: FrontendId,
    /// Where it lives.
    pub backend: BackendId,
    /// Counts its places; see [`Attempt`].
    pub attempt: Attempt,
    /// The number of the claim by which it got its place: no other meeting, before or after it, has the same.
    pub claim: i64,
    /// How far it has come.
    pub state: MeetingState,
    /// The node's own id of it, once it is live.
    pub internal_id: Option<String>,
    /// Its expected size.
    pub size: Size,
    /// When it was given its place, by the clock of the store.
    pub placed_at: SystemTime,
    /// Its entry in lists until its node has reported it: a `meeting` element under the node's ids.
    pub entry: Option<Bytes>,
    /// Its callbacks, which its node knows by addresses of ours.
    pub callbacks: Arc<[Callback]>,
    /// The row's version; memory only ever takes a newer one.
    pub version: i64,
}

impl Meeting {
    /// Whether the people in it are in its parent, too, since its node made it by itself. Into a breakout that its frontend
    /// created people come by joins of their own.
    pub fn shares_people(&self) -> bool {
        self.size.breakout && self.is_native()
    }

    /// Whether it has one id on both sides: its node made it by itself, as nodes make breakouts, or it comes from a system that
    /// passes the tenants' ids on.
    pub fn is_native(&self) -> bool {
        self.id.as_ref() == self.meeting_id.as_ref()
    }

    /// Whether it has no node that runs it, and may have one at any moment.
    pub fn is_settling(&self) -> bool {
        matches!(self.state, MeetingState::Claimed | MeetingState::Detached)
    }
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

impl MeetingState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Claimed, Self::Live, Self::Ending, Self::Detached];

    /// Its word, the same everywhere.
    pub fn name(self) -> &'static str {
        match self {
            MeetingState::Claimed => "claimed",
            MeetingState::Live => "live",
            MeetingState::Ending => "ending",
            MeetingState::Detached => "detached",
        }
    }
}

/// The expected size of a meeting before anyone joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// How many people the frontend expects.
    pub hint: Option<u32>,
    /// How many people it takes.
    pub limit: Option<u32>,
    /// Whether it is a breakout.
    pub breakout: bool,
}

impl Size {
    /// Reads a create's parameters: `meta_bbb-meeting-size-hint`, `maxParticipants` (0 and less: no limit) and `isBreakout`.
    pub fn of_create(params: &Params) -> Self {
        let number = |name| params.first(name).and_then(|value| value.parse::<u32>().ok());
        Self {
            hint: number("meta_bbb-meeting-size-hint"),
            limit: number("maxParticipants").filter(|limit| *limit > 0),
            breakout: params.says_true("isBreakout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(query: &str) -> Size {
        Size::of_create(&Params::parse(query))
    }

    #[test]
    fn a_create_says_how_large_its_meeting_is_to_be() {
        let said = size("meta_bbb-meeting-size-hint=120&maxParticipants=150&isBreakout=TRUE");
        assert_eq!(said, Size { hint: Some(120), limit: Some(150), breakout: true });
    }

    #[test]
    fn what_is_no_size_says_nothing() {
        for query in [
            "",
            "maxParticipants=0",
            "maxParticipants=-1",
            "meta_bbb-meeting-size-hint=many",
            "isBreakout=1",
            "isBreakout=true%C2%A0",
        ] {
            assert_eq!(size(query), Size::default(), "{query}");
        }
    }
}
