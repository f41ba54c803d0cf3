//! Ports in memory, for tests, examples and benches: a small cluster that is written down in a line.
//!
//! Calls are prepared by the real stages, so a test of one stage starts from the real results of the stages before it.

mod callbacks;
mod calls;
mod hooks;
mod meetings;
mod recordings;
mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

use crate::bbb::{self, Algorithm, MeetingId, Scope, ScopedId, Secret};
use crate::call::Reply;
use crate::chance::{Chance, Clock as _, SystemClock};
use crate::cluster::{
    AdminState, AgentReport, Backend, BackendId, Frontend, FrontendId, FrontendSettings, Health, Link, LoadModel,
    Meeting, MeetingState, NewMeeting, PolicyInForce, Seats, Secrets, Size, Vitals,
};
use crate::fault::{Fault, NodeFailure};
use crate::node_request::NodeRequest;
use crate::ports::{Directory, Meetings, Nodes, Ports, Seen};
use crate::work::OnTheSpot;

pub use recordings::RECORDINGS_OF_A_PAGE;
pub use waiting::Waiting;

/// A node's answer to a refused checksum.
const CHECKSUM_ERROR: &[u8] =
    b"<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>";

/// A cluster in memory. Clones share its contents.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    frontends: Vec<Arc<Frontend>>,
    backends: Vec<(String, Arc<Backend>)>,
    /// How many ids have been given out.
    ids: u128,
    policy: PolicyInForce,
    meetings: HashMap<ScopedId, Arc<Meeting>>,
    copies: Vec<BackendId>,
    seats: Vec<TakenSeat>,
    seen: HashMap<ScopedId, Seen>,
    replies: Replies,
    requests: Vec<NodeRequest>,
    archive: recordings::Archive,
    hooks: hooks::HookBook,
}

/// Someone on the way to a meeting.
#[derive(Debug)]
struct TakenSeat {
    id: Uuid,
    frontend: FrontendId,
    meeting: ScopedId,
    user: Option<String>,
    link: Option<Link>,
}

#[derive(Debug, Default)]
struct Replies {
    any: Bytes,
    by_node: HashMap<BackendId, Result<Bytes, NodeFailure>>,
    taken: HashMap<BackendId, Algorithm>,
    created: Option<u32>,
}

impl Memory {
    /// An empty cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a frontend.
    pub fn frontend(self, key: &str, secret: &str) -> Self {
        self.add_frontend(key, secret, true, FrontendSettings::default())
    }

    /// Adds a frontend that is switched off.
    pub fn disabled_frontend(self, key: &str, secret: &str) -> Self {
        self.add_frontend(key, secret, false, FrontendSettings::default())
    }

    /// Adds a frontend with the secret `frontend-secret` and settings of its own.
    pub fn frontend_with(self, key: &str, change: impl FnOnce(&mut FrontendSettings)) -> Self {
        let mut settings = FrontendSettings::default();
        change(&mut settings);
        self.add_frontend(key, "frontend-secret", true, settings)
    }

    /// Adds a permanent hook of all events.
    pub fn permanent_hook(self, key: &str, id: &str, url: &str) -> Self {
        let frontend = self.frontend_named(key).id;
        self.state().hooks.add_permanent(frontend, id, url);
        self
    }

    /// Adds a backend at `https://<name>.example/…` with its node up, and the secret `secret-of-<name>`.
    pub fn backend(self, name: &str, tags: &[&str]) -> Self {
        let vitals = Arc::new(Vitals::under(self.policy()));
        vitals.see(Health::default().answered(), None);
        vitals.signing.learn(Algorithm::Sha256);
        let url = format!("https://{name}.example/bigbluebutton/api/");
        let id = self.state().next_id();
        let new = Backend::new(id, url, secret(&format!("secret-of-{name}")));
        let backend = Backend { tags: tags.iter().collect(), vitals, version: 1, ..new };
        self.state().backends.push((name.to_owned(), Arc::new(backend)));
        self
    }

    /// Adds a meeting, live ones with the internal id `internal-<id>`.
    pub fn meeting(self, key: &str, id: &str, backend: &str, state: MeetingState) -> Self {
        let internal_id = (state != MeetingState::Claimed).then(|| format!("internal-{id}"));
        let meeting = self.claimed(&self.scope(key, id), key, backend, Size::default());
        self.state().place(Meeting { state, internal_id, ..meeting });
        self
    }

    /// Adds a breakout that its node has made by itself.
    pub fn breakout(self, key: &str, id: &str, backend: &str) -> Self {
        self.of_one_id(key, id, backend, Size { breakout: true, ..Size::default() })
    }

    /// Adds a meeting that was brought over from a system that passes the tenants' ids on.
    pub fn native(self, key: &str, id: &str, backend: &str) -> Self {
        self.of_one_id(key, id, backend, Size::default())
    }

    fn claimed(&self, scope: &Scope, key: &str, backend: &str, size: Size) -> Meeting {
        let (frontend, backend) = (self.frontend_named(key).id, self.backend_id(backend));
        claimed(NewMeeting { id: &scope.scoped, meeting_id: &scope.meeting_id, frontend, backend, size })
    }

    fn of_one_id(self, key: &str, id: &str, backend: &str, size: Size) -> Self {
        let scope = Scope { scoped: ScopedId::verbatim(id), ..self.scope(key, id) };
        let meeting = self.claimed(&scope, key, backend, size);
        let internal_id = Some(format!("internal-{id}"));
        self.state().place(Meeting { state: MeetingState::Live, internal_id, ..meeting });
        self
    }

    /// Sets the recent knowledge of a meeting, with its age.
    pub fn seen(self, key: &str, id: &str, running: bool, age: Duration) -> Self {
        let scoped = self.scope(key, id).scoped;
        self.state().seen.insert(scoped, Seen { age, running });
        self
    }

    /// A backend's node stops answering its health check.
    pub fn node_down(self, name: &str) -> Self {
        let down = Health::default().missed().missed().missed();
        self.backend_named(name).vitals.see(down, Some("connection refused"));
        self
    }

    /// Sets the admin state of a backend.
    pub fn admin_state(self, name: &str, wanted: AdminState) -> Self {
        let mut state = self.state();
        let found = state.backends.iter_mut().filter(|(other, _)| other == name);
        found.for_each(|(_, backend)| Arc::make_mut(backend).admin_state = wanted);
        drop(state);
        self
    }

    /// A backend's node reports a meeting of people that is none of ours.
    pub fn attendees(self, name: &str, count: u32) -> Self {
        self.backend_named(name).vitals.seat_all(HashMap::new(), count);
        self
    }

    /// A backend's agent says how busy the processors of its node are, and how full its memory.
    pub fn agent(self, name: &str, cpu: f32, memory: f32) -> Self {
        let report = AgentReport { heartbeat: SystemClock.now(), cpu, memory };
        self.backend_named(name).vitals.hear(Some(report));
        self
    }

    /// What every node answers.
    pub fn replies(self, document: &str) -> Self {
        self.state().replies.any = Bytes::copy_from_slice(document.as_bytes());
        self
    }

    /// Every node answers SUCCESS and nothing else.
    pub fn replies_success(self) -> Self {
        self.replies("<response><returncode>SUCCESS</returncode></response>")
    }

    /// Every node answers as to a create, with the internal ids `internal-1`, `internal-2` and so on.
    pub fn replies_created(self) -> Self {
        self.state().replies.created = Some(0);
        self
    }

    /// Sets one node's answer.
    pub fn node_replies(self, name: &str, document: &str) -> Self {
        let id = self.backend_id(name);
        self.state().replies.by_node.insert(id, Ok(Bytes::copy_from_slice(document.as_bytes())));
        self
    }

    /// One node takes checksums of this algorithm only. Its remembered algorithm is forgotten.
    pub fn node_takes(self, name: &str, algorithm: Algorithm) -> Self {
        let backend = self.backend_named(name);
        backend.vitals.signing.forget();
        self.state().replies.taken.insert(backend.id, algorithm);
        self
    }

    /// How one node fails.
    pub fn node_fails(self, name: &str, failure: NodeFailure) -> Self {
        let id = self.backend_id(name);
        self.state().replies.by_node.insert(id, Err(failure));
        self
    }

    /// The ports that reach into this cluster.
    pub fn ports(&self) -> Ports {
        let cluster = || Arc::new(self.clone());
        let (workers, unproved) = (Arc::new(OnTheSpot), Arc::new(OnTheSpot));
        Ports {
            directory: cluster(),
            meetings: cluster(),
            recordings: cluster(),
            callbacks: cluster(),
            hooks: cluster(),
            nodes: cluster(),
            clock: Arc::new(SystemClock),
            chance: Chance::seeded(1),
            policy: self.policy(),
            workers,
            unproved,
        }
    }
}

/// Questions of tests about the cluster.
impl Memory {
    /// A frontend by its key.
    pub fn frontend_named(&self, key: &str) -> Arc<Frontend> {
        self.find_frontend(key).unwrap_or_else(|| panic!("there is no frontend {key}"))
    }

    /// A backend by its name.
    pub fn backend_named(&self, name: &str) -> Arc<Backend> {
        let state = self.state();
        let found = state.backends.iter().find(|(other, _)| other == name);
        found.map(|(_, backend)| Arc::clone(backend)).unwrap_or_else(|| panic!("there is no backend {name}"))
    }

    /// A backend's identity.
    pub fn backend_id(&self, name: &str) -> BackendId {
        self.backend_named(name).id
    }

    /// The two ids of a meeting.
    pub fn scope(&self, key: &str, id: &str) -> Scope {
        let meeting_id = MeetingId::new(id);
        Scope { scoped: ScopedId::new(key, &meeting_id), meeting_id, parent: None }
    }

    /// A meeting as the cluster has it now.
    pub fn meeting_named(&self, key: &str, id: &str) -> Option<Arc<Meeting>> {
        self.known(self.scope(key, id).scoped.as_ref())
    }

    /// How many meetings have their place on a backend, by its own count.
    pub fn meetings_on(&self, name: &str) -> u32 {
        self.backend_named(name).vitals.meetings()
    }

    /// The load of a backend by the default model, in whole attendees.
    pub fn load(&self, name: &str) -> f64 {
        self.backend_named(name).load(&LoadModel::default(), SystemClock.now()).round()
    }

    /// The nodes that may have got a create that was then given up.
    pub fn copies(&self) -> Vec<BackendId> {
        self.state().copies.clone()
    }

    /// How many are on their way to a meeting with a seat.
    pub fn seats(&self) -> usize {
        self.state().seats.len()
    }

    /// What nodes were asked through the port.
    pub fn requests(&self) -> Vec<NodeRequest> {
        self.state().requests.clone()
    }

    fn policy(&self) -> PolicyInForce {
        self.state().policy.clone()
    }

    fn add_frontend(self, key: &str, text: &str, active: bool, settings: FrontendSettings) -> Self {
        let (id, secrets) = (self.state().next_id(), Secrets::new(secret(text), None));
        let frontend = Frontend { active, settings, version: 1, ..Frontend::new(id, key, secrets) };
        self.state().frontends.push(Arc::new(frontend));
        self
    }

    fn find_frontend(&self, key: &str) -> Option<Arc<Frontend>> {
        self.state().frontends.iter().find(|frontend| frontend.key == key).cloned()
    }

    fn reply(&self, backend: Option<BackendId>) -> Result<Reply, Fault> {
        let document = self.state().replies.next(backend)?;
        let reply = Reply::xml(document);
        // A test that has not said what nodes answer does not look at the reply.
        Ok(match bbb::xml::answer(&reply.body) {
            Ok(answer) => reply.with(answer),
            Err(_) => reply,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replies {
    fn next(&mut self, backend: Option<BackendId>) -> Result<Bytes, Fault> {
        match backend.and_then(|id| self.by_node.get(&id).map(|reply| (id, reply))) {
            Some((_, Ok(document))) => return Ok(document.clone()),
            Some((backend, Err(failure))) => return Err(Fault::Node { backend, failure: failure.clone() }),
            None => {}
        }
        let Some(count) = &mut self.created else { return Ok(self.any.clone()) };
        *count += 1;
        let fields =
            format!("<internalMeetingID>internal-{count}</internalMeetingID><createTime>1700000000000</createTime>");
        Ok(format!("<response><returncode>SUCCESS</returncode>{fields}</response>").into())
    }
}

impl State {
    /// An id that no other thing here has.
    fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    fn vitals(&self, id: BackendId) -> Option<&Vitals> {
        self.backends.iter().find(|(_, backend)| backend.id == id).map(|(_, backend)| &*backend.vitals)
    }

    /// Puts a meeting in, in place of an earlier one of its id.
    fn place(&mut self, meeting: Meeting) -> Arc<Meeting> {
        let meeting = Arc::new(meeting);
        let before = self.meetings.insert(meeting.id.clone(), Arc::clone(&meeting));
        if let Some(vitals) = before.and_then(|before| self.vitals(before.backend)) {
            vitals.unseat(&meeting.id);
        }
        if let Some(vitals) = self.vitals(meeting.backend) {
            let (size, shared) = (meeting.size, meeting.shares_people());
            vitals.seat(&meeting.id, Seats { size, shared, attendees: 0, since: SystemClock.now() });
        }
        meeting
    }

    fn remove(&mut self, meeting: &Meeting) {
        let removed = self.meetings.remove(&meeting.id);
        if let Some(vitals) = removed.and_then(|removed| self.vitals(removed.backend)) {
            vitals.unseat(&meeting.id);
        }
    }
}

/// A claim that has just been made.
fn claimed(new: NewMeeting<'_>) -> Meeting {
    Meeting {
        id: new.id.clone(),
        meeting_id: new.meeting_id.clone(),
        frontend: new.frontend,
        backend: new.backend,
        attempt: 1,
        claim: 1,
        state: MeetingState::Claimed,
        internal_id: None,
        size: new.size,
        placed_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        entry: None,
        callbacks: Arc::default(),
        version: 1,
    }
}

impl Directory for Memory {
    fn frontend(&self, key: &str) -> Option<Arc<Frontend>> {
        self.find_frontend(key)
    }

    fn backend(&self, id: BackendId) -> Option<Arc<Backend>> {
        self.state().backends.iter().find(|(_, backend)| backend.id == id).map(|(_, backend)| Arc::clone(backend))
    }

    fn backends(&self) -> Arc<[Arc<Backend>]> {
        self.state().backends.iter().map(|(_, backend)| Arc::clone(backend)).collect()
    }
}

impl Nodes for Memory {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let mut state = self.state();
        let taken = state.replies.taken.get(&request.backend.id);
        let document = match taken.is_none_or(|taken| *taken == request.algorithm()) {
            true => state.replies.next(Some(request.backend.id)),
            false => Ok(Bytes::from_static(CHECKSUM_ERROR)),
        };
        state.requests.push(request);
        ready(document.map(Reply::xml)).boxed()
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text).expect("a secret of a test is not empty")
}
