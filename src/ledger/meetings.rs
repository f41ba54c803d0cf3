//! The life of a meeting: it gets a place, runs there, loses it or ends, and may leave copies behind.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{Attempt, BackendId, Claim, FrontendId, Meeting, Move, NewMeeting};
use b3scale_middleware::ports::Born;
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// All steps of a meeting's life, and the look-ups between them.
pub trait Ledger: Lookups + Places + Ends + Copies {}

impl<T: Lookups + Places + Ends + Copies> Ledger for T {}

/// Reading meetings.
#[async_trait]
pub trait Lookups: Send + Sync {
    /// Every meeting that has a place.
    async fn load_meetings(&self) -> Result<Vec<Meeting>, StoreError>;

    /// One meeting.
    async fn find_meeting(&self, id: &ScopedId) -> Result<Option<Meeting>, StoreError>;

    /// A frontend's meeting by its node's own id, and the meeting with the id `scoped`.
    async fn find_by_either_id(
        &self,
        frontend: FrontendId,
        id: &str,
        scoped: &ScopedId,
    ) -> Result<Vec<Meeting>, StoreError>;

    /// Several meetings, as far as they are there.
    async fn find_meetings(&self, ids: &[&str]) -> Result<Vec<Meeting>, StoreError>;

    /// The last meeting that ran under that id.
    async fn find_history(&self, id: &ScopedId) -> Result<Option<PastMeeting>, StoreError>;

    /// Rehearses a create: runs its statements and rolls them back. No other server sees
    /// anything of it.
    async fn rehearse_create(&self) -> Result<(), StoreError>;
}

/// How meetings get their places: claimed, moved, inherited, given up, live, adopted.
#[async_trait]
pub trait Places: Send + Sync {
    /// Gives a meeting a place, unless it has one. Of simultaneous claims one wins and the others get the winner's place. A
    /// detached meeting may be claimed; the node that was lost with it becomes a [`MeetingCopy`]. A copy on that backend is
    /// spared meanwhile; a copy that is being ended bars the claim.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the frontend does not exist.
    async fn claim_meeting(&self, new: NewMeeting<'_>, ticket: Ticket) -> Result<Claim, StoreError>;

    /// The claims with these numbers that hold their meetings.
    async fn find_claims(&self, numbers: &[i64]) -> Result<Vec<Meeting>, StoreError>;

    /// Takes a claimed meeting to another backend. With `sent`, the create may have reached the old one, which becomes a
    /// [`MeetingCopy`].
    async fn move_claim(&self, held: &Meeting, to: BackendId, sent: bool) -> Result<Move, StoreError>;

    /// The claims of lost servers, as `observer` may judge.
    async fn orphaned_claims(&self, observer: Uuid) -> Result<Vec<Meeting>, StoreError>;

    /// Takes over the claim of a lost server, on the same node. `None`: its server is alive, or the claim has changed.
    async fn inherit_claim(&self, held: &Meeting, ticket: Ticket) -> Result<Option<Meeting>, StoreError>;

    /// The node has answered: the meeting runs. A node may also make a meeting again that it had lost, which then has another
    /// internal id; and a meeting may be made whose claim was given up meanwhile, which is then there again. `None`: it lives
    /// elsewhere by now, and this node has a [`MeetingCopy`], or its backend was removed.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when its frontend has been removed.
    async fn record_live(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError>;

    /// The node reports that it has made a meeting again, under another internal id, and its answer was lost. `None`: the
    /// meeting has changed, and has perhaps ended since.
    async fn renew_meeting(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError>;

    /// Gives up a claim. With `sent`, the create may have reached the node, which becomes a [`MeetingCopy`]. A meeting that
    /// was detached when it was claimed is detached again.
    async fn release_claim(&self, held: &Meeting, sent: bool) -> Result<Release, StoreError>;

    /// A node runs a meeting that is not in the database, and that is explained: it ran there within the last hour, another
    /// system had it, or it is a breakout (`by_parent`). A detached meeting that lost its backend for good is adopted by the
    /// backend that now has its node. `None`: nothing explains it, it belongs to another frontend, it is a copy, or it ended after
    /// `asked_at`, before which the node said nothing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when its frontend has been removed.
    async fn adopt_meeting(
        &self,
        new: NewMeeting<'_>,
        born: &Born,
        by_parent: bool,
        asked_at: SystemTime,
    ) -> Result<Option<Meeting>, StoreError>;
}

/// How meetings end, are lost, and come back.
#[async_trait]
pub trait Ends: Send + Sync {
    /// The node has accepted the meeting's end. Its copies are doomed with it. Not announced.
    async fn record_ending(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError>;

    /// The meeting is gone. Its line in the history stays, with the time of its end. `false`: it was not there any more, or
    /// has been created again.
    async fn forget_meeting(&self, held: &Meeting) -> Result<bool, StoreError>;

    /// The meeting's end was accepted, and its place is needed before its node has carried it out: the meeting is gone, and
    /// left to be ended as a copy, with everyone in it. `false`: it was not there any more, or has been created again.
    async fn let_go_of_meeting(&self, held: &Meeting) -> Result<bool, StoreError>;

    /// A backend is lost after accepting the end of some meetings: they are gone, and returned. Should it come back with them,
    /// they are ended as copies.
    async fn forget_ending(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError>;

    /// A backend is lost: its live meetings are detached, and returned.
    async fn detach_meetings(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError>;

    /// A lost backend is back and still runs the meeting, which was not created elsewhere.
    async fn attach_meeting(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError>;

    /// Gives up claims that were never finished, and returns each with its outcome. Whether their creates were sent is
    /// unknown, so each leaves a [`MeetingCopy`].
    async fn reap_claims(&self, older_than: Duration) -> Result<Vec<(Meeting, Release)>, StoreError>;
}

/// Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.
#[async_trait]
pub trait Copies: Send + Sync {
    /// The copies that may be ended now: their meetings are gone, or live elsewhere.
    async fn load_copies(&self) -> Result<Vec<MeetingCopy>, StoreError>;

    /// Takes a copy to end it. For ten seconds the meeting is then not created on its node. `false`: it is being created
    /// there, or the copy is not recorded any more.
    async fn take_copy(&self, copy: &MeetingCopy) -> Result<bool, StoreError>;

    /// The node has said that it does not run the copy. That is believed if it has ended the copy before, or has said so for
    /// as long as `settled_after`: until then it may be at work on the create. `false`: not yet, or it was not recorded any
    /// more.
    async fn forget_copy(&self, copy: &MeetingCopy, settled_after: Duration) -> Result<bool, StoreError>;

    /// The end of a copy has been answered; with `ended`, the node had it. For three seconds it is left alone, so that the
    /// meeting can be created on that node again: there may be no other.
    async fn rest_copy(&self, copy: &MeetingCopy, ended: bool) -> Result<(), StoreError>;

    /// An operator wants copies ended with everyone in them: those on one backend, or one of them. Returns their number.
    async fn doom_copies(&self, backend: BackendId, id: Option<&ScopedId>) -> Result<u64, StoreError>;

    /// Only the copy has people in it: copy and meeting change places. A node's own word is not enough for that: the meeting
    /// must have run there under that internal id. The empty one is spared for a minute, because another server may just have
    /// sent someone there. `None`: one of them has changed.
    async fn swap_copy(&self, held: &Meeting, copy: &MeetingCopy, born: &Born) -> Result<Option<Meeting>, StoreError>;

    /// A node runs a meeting that lives elsewhere, and nothing says how it came there: it is a copy.
    async fn record_stray(&self, id: &ScopedId, backend: BackendId) -> Result<bool, StoreError>;
}

/// The identity of a claim: among rivals, the number in the row has won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The server that makes the claim.
    pub server: Uuid,
    /// Unique to the claim.
    pub number: i64,
}

impl Ticket {
    /// A new one.
    pub fn draw(server: Uuid, chance: &Chance) -> Self {
        Self { server, number: chance.number() }
    }
}

/// The outcome of giving a claim up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The meeting is gone.
    Gone,
    /// It is detached again, as it was before.
    Detached(Meeting),
    /// The claim was not the caller's any more.
    NotOurs,
}

/// A node that may run a meeting which is elsewhere or gone. It gets an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingCopy {
    /// The meeting.
    pub id: ScopedId,
    /// Where the copy may be.
    pub backend: BackendId,
    /// The attempt that left it there.
    pub attempt: Attempt,
    /// Whether the end of its meeting was asked for, so that it is ended with everyone in it.
    pub doomed: bool,
}

/// A meeting that ran, whether or not it still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMeeting {
    /// The id its node knew it by.
    pub id: ScopedId,
    /// The id its frontend knew it by.
    pub meeting_id: MeetingId,
    /// Its frontend.
    pub frontend: FrontendId,
    /// Where it ran. None: in another system, which did not say.
    pub backend: Option<BackendId>,
    /// The node's own id of it, or nothing if that is not known.
    pub internal_id: String,
    /// Whether it has ended.
    pub ended: bool,
}
