//! Facts: typed slots for the results of stages about a call.

mod candidates;

use std::sync::Arc;

pub use candidates::Candidates;

use crate::bbb::{Scope, Verified};
use crate::cluster::{Backend, Frontend, Meeting};
use crate::contract::Fact;
use crate::fault::Fault;
use crate::node_request::NodeRequest;

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
    /// The call's frontend.
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

    /// The meeting, or `None` if the look-up found none.
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

    /// The filled slots. The stage laws compare them with a stage's contract.
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
