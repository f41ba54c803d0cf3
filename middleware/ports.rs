//! Ports: what stages ask of the world. The programs implement them; [`memory`](crate::memory) does for tests.

mod callbacks;
mod hooks;
mod recordings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::bbb::{self, CallKind, Params, ScopedId};
use crate::call::Reply;
use crate::chance::{Chance, Clock};
use crate::cluster::{
    Backend, BackendId, Callback, Claim, Frontend, FrontendId, Link, Meeting, Move, NewMeeting, PolicyInForce,
};
use crate::fault::{Fault, NodeFailure};
use crate::node_request::NodeRequest;
use crate::work::Workers;

pub use callbacks::Callbacks;
pub use hooks::Hooks;
pub use recordings::Recordings;

/// A longer document refuses no checksum.
const LARGEST_REFUSAL: usize = 4096;

/// Everything a stage may ask for.
#[derive(Clone)]
pub struct Ports {
    /// The frontends and backends.
    pub directory: Arc<dyn Directory>,
    /// The meetings.
    pub meetings: Arc<dyn Meetings>,
    /// The recordings.
    pub recordings: Arc<dyn Recordings>,
    /// The callbacks of meetings.
    pub callbacks: Arc<dyn Callbacks>,
    /// The hooks of frontends.
    pub hooks: Arc<dyn Hooks>,
    /// The nodes.
    pub nodes: Arc<dyn Nodes>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Random numbers and ids.
    pub chance: Chance,
    /// The policy of the running pipeline.
    pub policy: PolicyInForce,
    /// Who does long work.
    pub workers: Arc<dyn Workers>,
    /// The same for calls before their checksum is computed.
    pub unproved: Arc<dyn Workers>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// The frontends and backends in this server's memory.
pub trait Directory: Send + Sync {
    /// The frontend that a URL names, active or not.
    fn frontend(&self, key: &str) -> Option<Arc<Frontend>>;

    /// One backend.
    fn backend(&self, id: BackendId) -> Option<Arc<Backend>>;

    /// All backends.
    fn backends(&self) -> Arc<[Arc<Backend>]>;
}

/// The meetings: where each lives, and every step of its life.
///
/// A step names the [`Meeting`] as the caller knows it and is taken only if backend and attempt are unchanged.
pub trait Meetings: Send + Sync {
    /// The meeting that nodes know by that id, if memory has it.
    fn known(&self, id: &str) -> Option<Arc<Meeting>>;

    /// The meeting from memory, else from the store.
    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>>;

    /// The frontend's meeting of that internal id, if memory has it.
    fn known_by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>>;

    /// The same, of the store.
    fn find_by_internal_id<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>>;

    /// The meetings of one frontend that memory has.
    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>>;

    /// Entries of the running meetings of one frontend: `meeting` elements under the frontend's own ids. Asks the
    /// store only for the outcome of known claims, and nodes only for meetings without a report.
    fn listed(&self, frontend: FrontendId) -> BoxFuture<'_, Vec<Bytes>>;

    /// Recent knowledge of a running meeting from memory, with its age. `None`: none that may answer for
    /// its node's answer.
    fn seen(&self, meeting: &Meeting) -> Option<Seen>;

    /// An attendee was sent to the meeting: its emptiness is not trusted for a while.
    fn note_join(&self, meeting: &Meeting);

    /// Takes a seat for someone who is about to be sent to a meeting, if its frontend has one left. Of simultaneous calls, be
    /// they at different servers, no more get one than there are.
    fn take_seat<'a>(&'a self, wanted: NewSeat<'a>) -> BoxFuture<'a, Result<Seat, Fault>>;

    /// Gives the seat of a failed join back. If that fails, the seat is free again a little later.
    fn return_seat(&self, id: Uuid) -> BoxFuture<'_, ()>;

    /// Gives the meeting a place, unless it has one.
    fn claim<'a>(&'a self, new: NewMeeting<'a>) -> BoxFuture<'a, Result<Claim, Fault>>;

    /// Waits until the meeting is no longer merely claimed, within the limit of a create.
    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Settled, Fault>>;

    /// Moves a claim to another backend. `sent`: the old one may have got the call.
    fn move_claim<'a>(
        &'a self,
        meeting: &'a Meeting,
        backend: BackendId,
        sent: bool,
    ) -> BoxFuture<'a, Result<Move, Fault>>;

    /// Gives a claim up. `sent`: its backend may have got the call. A claim that cannot be given up now is reaped later.
    fn release<'a>(&'a self, meeting: &'a Meeting, sent: bool) -> BoxFuture<'a, ()>;

    /// Its node runs it. `false`: it lives elsewhere by now, and the node runs a copy that will be ended.
    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>>;

    /// Its end was accepted. If that cannot be noted, the node's next report says so once more.
    fn record_ending<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()>;

    /// Its node says that it does not run it. If that cannot be noted, the node's next report says so once more.
    fn forget<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()>;

    /// Its end was accepted and may not have been carried out yet: its place is free, and its copy on the node is ended.
    fn let_go<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()>;
}

/// Recent knowledge of a running meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How old that is.
    pub age: Duration,
    /// Whether it is running as BBB means it: someone has come.
    pub running: bool,
}

/// The attendee of a wanted seat.
#[derive(Clone, Copy, Debug)]
pub struct NewSeat<'a> {
    /// The frontend with the limit.
    pub frontend: FrontendId,
    /// How many there are.
    pub limit: i64,
    /// Where it is wanted.
    pub meeting: &'a Meeting,
    /// The frontend's id of the attendee, if the join says it.
    pub user: Option<&'a str>,
    /// The link that was opened. It holds one seat until an attendee has joined through it. `None`: the join has a `userID`.
    pub link: Option<Link>,
}

/// The answer to a wanted seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// It is held under this id until its owner has come to the meeting, and not for long.
    Taken(Uuid),
    /// None was needed, since they are in the meeting or have one there; or none can be held while the store is away.
    Held,
    /// All are taken.
    Full,
}

/// The outcome of another server's claim.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It runs.
    Placed(Arc<Meeting>),
    /// It has no place any more: the claim was given up, or its node is lost.
    Vacant,
    /// The server that had claimed it is gone, and its claim is the caller's to finish where it stands.
    Inherited(Arc<Meeting>),
}

/// A node's answer to a create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Born {
    /// The node's own id of it.
    pub internal_id: String,
    /// Milliseconds since 1970, by the node's clock.
    pub create_time: i64,
    /// Its entry in lists until its node reports it. `None`: the node has reported it.
    pub entry: Option<Bytes>,
    /// The callbacks that its node got, at addresses of ours.
    pub callbacks: Vec<Callback>,
}

impl Born {
    /// Reads the answer to a create with those parameters.
    pub fn read(reply: &Reply, backend: BackendId, params: &Params) -> Result<Self, Fault> {
        let entry = reply.meeting.as_ref().map(|meeting| bbb::xml::entry_of_create(meeting, params));
        Ok(Self { entry, callbacks: reply.registered.clone(), ..Self::of_info(reply, backend)? })
    }

    /// Reads a node's report of a running meeting.
    pub fn of_info(reply: &Reply, backend: BackendId) -> Result<Self, Fault> {
        let field = |name| reply.meeting.as_ref().map(|meeting| meeting.text(name)).unwrap_or_default();
        let internal_id = field("internalMeetingID").to_owned();
        if internal_id.is_empty() {
            return Err(Fault::garbled(backend, "a created meeting has no internalMeetingID"));
        }
        let create_time = field("createTime").trim().parse().unwrap_or_default();
        Ok(Self { internal_id, create_time, entry: None, callbacks: Vec::new() })
    }
}

/// The way to the nodes.
pub trait Nodes: Send + Sync {
    /// Sends one request. The reply is any answer of the node with an HTTP status of the BBB API.
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>>;
}

impl dyn Nodes {
    /// Sends a request for a BBB document, and reads its outcome.
    pub async fn ask(&self, request: NodeRequest) -> Result<Reply, Fault> {
        let id = request.backend.id;
        self.ask_unread(request).await?.read(id)
    }

    /// The same, and leaves it to the caller to read the document, which may be large or unreadable in parts. A node that refuses
    /// a checksum is asked again with other algorithms, unless one is settled, and the one it accepts is remembered.
    pub async fn ask_unread(&self, mut request: NodeRequest) -> Result<Reply, Fault> {
        if request.algorithm.is_some() {
            return self.send(request).await;
        }
        let backend = Arc::clone(&request.backend);
        let refused = Fault::Node { backend: backend.id, failure: NodeFailure::SecretRefused };
        for algorithm in backend.vitals.signing.tries() {
            request.algorithm = Some(algorithm);
            let reply = self.send(request.clone()).await;
            let is_refused = match &reply {
                Ok(reply) if reply.body.len() > LARGEST_REFUSAL => false,
                Ok(reply) => reply.refuses_checksum(),
                // The sender may have read the document.
                Err(fault) => *fault == refused,
            };
            if !is_refused {
                if reply.as_ref().is_ok_and(Reply::is_of_bbb) {
                    backend.vitals.signing.learn(algorithm);
                }
                return reply;
            }
        }
        Err(refused)
    }

    /// Settles the algorithm of a request that is sent only once, or by a client. Asks the node unless the algorithm is known.
    pub async fn settle(&self, mut request: NodeRequest) -> NodeRequest {
        if request.algorithm.is_none() && request.backend.vitals.signing.known().is_none() {
            let mut params = Params::default();
            params.set("meetingID", "b3scale");
            let question = NodeRequest::new(
                CallKind::IsMeetingRunning,
                &params,
                None,
                &request.backend,
                None,
                &request.request_id,
            );
            // A node that does not answer now may answer the browser: then the guess is as good as any.
            drop(self.ask(question).await);
        }
        request.algorithm = Some(request.algorithm());
        request
    }
}

#[cfg(test)]
mod tests;
