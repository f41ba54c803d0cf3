//! Facts: what stages establish about a call, and the contract by which the plan proves their order.

mod candidates;

use std::fmt;
use std::sync::Arc;

pub use candidates::{Candidates, Placement, Rank, Standing, Verdict};

use crate::bbb::{CallKind, MeetingId, ScopedId};
use crate::checksum_verify::Verified;
use crate::cluster::{Backend, Frontend, Meeting};
use crate::fault::Fault;
use crate::ports::NodeRequest;

/// The name of something a stage can establish about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// The parameters may still be changed. Held by every call as it comes in.
    OpenParams,
    /// Who joins may still be changed: the parameters that name them. Held by every call as it comes in.
    OpenAttendee,
    /// Whose call it is.
    Frontend,
    /// Proof that the checksum holds.
    Checksum,
    /// The meeting's two ids: the tenant's and the node's.
    Scope,
    /// Whether the meeting is known, and where it lives.
    Meeting,
    /// The backends that may take the meeting.
    Candidates,
    /// Where the call goes.
    Backend,
    /// The request as the node will see it, signed with the node's secret.
    Signature,
}

impl Fact {
    /// What a call has as it comes in.
    pub const AT_THE_DOOR: &'static [Fact] = &[Fact::OpenParams, Fact::OpenAttendee];

    /// The name used in messages and by `--check`.
    pub fn name(self) -> &'static str {
        match self {
            Fact::OpenParams => "open-params",
            Fact::OpenAttendee => "open-attendee",
            Fact::Frontend => "frontend",
            Fact::Checksum => "checksum",
            Fact::Scope => "scope",
            Fact::Meeting => "meeting",
            Fact::Candidates => "candidates",
            Fact::Backend => "backend",
            Fact::Signature => "signature",
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a stage needs to have been established, what it establishes, and what it uses up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Must hold when a call arrives.
    pub needs: &'static [Fact],
    /// Holds behind the stage.
    pub gives: &'static [Fact],
    /// Holds no longer behind the stage. What is taken is also needed.
    pub takes: &'static [Fact],
    /// The only calls it is made for, if it is not made for any.
    pub only: Option<&'static [CallKind]>,
}

impl Contract {
    /// A stage that works on any call.
    pub const NONE: Contract = Contract { needs: &[], gives: &[], takes: &[], only: None };

    /// Starts a contract with what it needs.
    pub const fn needs(needs: &'static [Fact]) -> Self {
        Self { needs, ..Self::NONE }
    }

    /// Adds what it gives.
    pub const fn gives(self, gives: &'static [Fact]) -> Self {
        Self { gives, ..self }
    }

    /// Adds what it takes away.
    pub const fn takes(self, takes: &'static [Fact]) -> Self {
        Self { takes, ..self }
    }

    /// Says which calls it is made for.
    pub const fn only(self, calls: &'static [CallKind]) -> Self {
        Self { only: Some(calls), ..self }
    }

    /// Whether it is made for `call`.
    pub fn fits(&self, call: CallKind) -> bool {
        self.only.is_none_or(|calls| calls.contains(&call))
    }
}

/// The meeting's two ids, and its parent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// As the tenant says it.
    pub meeting_id: MeetingId,
    /// As nodes know it.
    pub scoped: ScopedId,
    /// The meeting that it is a breakout of, as nodes know that, where a create names one.
    pub parent: Option<ScopedId>,
}

/// The typed slots of a call.
///
/// A slot that is read before it was filled is a [`Fault::Unestablished`]. The plan proves that this cannot happen in a
/// pipeline that starts.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    frontend: Option<Arc<Frontend>>,
    checksum: Option<Verified>,
    scope: Option<Arc<Scope>>,
    meeting: Option<Option<Arc<Meeting>>>,
    candidates: Option<Candidates>,
    backend: Option<Arc<Backend>>,
    signature: Option<NodeRequest>,
}

impl Facts {
    /// Whose call it is.
    pub fn frontend(&self) -> Result<&Arc<Frontend>, Fault> {
        self.frontend.as_ref().ok_or(Fault::Unestablished(Fact::Frontend))
    }

    /// Proof that the checksum holds.
    pub fn checksum(&self) -> Result<Verified, Fault> {
        self.checksum.ok_or(Fault::Unestablished(Fact::Checksum))
    }

    /// The meeting's two ids.
    pub fn scope(&self) -> Result<&Arc<Scope>, Fault> {
        self.scope.as_ref().ok_or(Fault::Unestablished(Fact::Scope))
    }

    /// The meeting, or `None` where it has been looked up and nobody knows it.
    pub fn meeting(&self) -> Result<Option<&Arc<Meeting>>, Fault> {
        self.meeting.as_ref().map(Option::as_ref).ok_or(Fault::Unestablished(Fact::Meeting))
    }

    /// The backends that may take the meeting, to be narrowed.
    pub fn candidates_mut(&mut self) -> Result<&mut Candidates, Fault> {
        self.candidates.as_mut().ok_or(Fault::Unestablished(Fact::Candidates))
    }

    /// Takes the candidates out, so that nothing behind can narrow them.
    pub fn take_candidates(&mut self) -> Result<Candidates, Fault> {
        self.candidates.take().ok_or(Fault::Unestablished(Fact::Candidates))
    }

    /// Where the call goes.
    pub fn backend(&self) -> Result<&Arc<Backend>, Fault> {
        self.backend.as_ref().ok_or(Fault::Unestablished(Fact::Backend))
    }

    /// The request as the node will see it.
    pub fn signature(&self) -> Result<&NodeRequest, Fault> {
        self.signature.as_ref().ok_or(Fault::Unestablished(Fact::Signature))
    }

    /// Fills the slot of [`Fact::Frontend`].
    pub fn set_frontend(&mut self, frontend: Arc<Frontend>) {
        self.frontend = Some(frontend);
    }

    /// Fills the slot of [`Fact::Checksum`].
    pub fn set_checksum(&mut self, proof: Verified) {
        self.checksum = Some(proof);
    }

    /// Fills the slot of [`Fact::Scope`].
    pub fn set_scope(&mut self, scope: Arc<Scope>) {
        self.scope = Some(scope);
    }

    /// Fills the slot of [`Fact::Meeting`].
    pub fn set_meeting(&mut self, meeting: Option<Arc<Meeting>>) {
        self.meeting = Some(meeting);
    }

    /// Fills the slot of [`Fact::Candidates`].
    pub fn set_candidates(&mut self, candidates: Candidates) {
        self.candidates = Some(candidates);
    }

    /// Fills the slot of [`Fact::Signature`].
    pub fn set_signature(&mut self, request: NodeRequest) {
        self.signature = Some(request);
    }

    /// Fills the slot of [`Fact::Backend`]. From outside: [`Call::choose`](crate::Call::choose), which also leaves a trail.
    pub(crate) fn set_backend(&mut self, backend: Arc<Backend>) {
        self.backend = Some(backend);
    }

    /// The facts whose slots are filled. The stage laws compare them with what a stage declares.
    pub fn established(&self) -> Vec<Fact> {
        let slots = [
            (Fact::Frontend, self.frontend.is_some()),
            (Fact::Checksum, self.checksum.is_some()),
            (Fact::Scope, self.scope.is_some()),
            (Fact::Meeting, self.meeting.is_some()),
            (Fact::Candidates, self.candidates.is_some()),
            (Fact::Backend, self.backend.is_some()),
            (Fact::Signature, self.signature.is_some()),
        ];
        slots.into_iter().filter_map(|(fact, filled)| filled.then_some(fact)).collect()
    }
}
