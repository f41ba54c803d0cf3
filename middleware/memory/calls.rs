//! Calls, each prepared by the stages before the one under test, and their way through that one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::ready;
use http::HeaderValue;
use tower::{Layer, ServiceExt, service_fn};

use super::Memory;
use crate::backend_pool::BackendPool;
use crate::bbb::{self, Algorithm, CallKind, Params};
use crate::call::{Body, Call, Door, Reply};
use crate::chance::{Clock as _, SystemClock};
use crate::checksum_verify::ChecksumVerify;
use crate::fault::Fault;
use crate::frontend_resolve::FrontendResolve;
use crate::meeting_lookup::MeetingLookup;
use crate::meeting_scope::MeetingScope;
use crate::request_sign::RequestSign;
use crate::stage::{Endpoint, Next, Stage};

impl Memory {
    /// A call as it comes in, for the first frontend.
    pub fn call(&self, kind: CallKind, query: &str) -> Call {
        let key = self.state().frontends.first().map_or("school".to_owned(), |frontend| frontend.key.clone());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let door = Door::new(HeaderValue::from_static("test"), peer, SystemClock.now(), &key);
        Call::new(kind, Params::parse(query), Body::None, Arc::new(door))
    }

    /// Behind `frontend-resolve`.
    pub fn resolved(&self, kind: CallKind, query: &str) -> Call {
        self.behind(FrontendResolve {}, self.call(kind, query))
    }

    /// Behind `checksum-verify`, the query having been signed.
    pub fn verified(&self, kind: CallKind, query: &str) -> Call {
        let frontend = Arc::clone(&self.state().frontends[0]);
        let checksum = bbb::sign(Algorithm::Sha1, kind.checksum_name(), query, frontend.secrets.current());
        self.behind(ChecksumVerify::default(), self.resolved(kind, &format!("{query}&checksum={checksum}")))
    }

    /// Behind `meeting-scope`.
    pub fn scoped(&self, kind: CallKind, meeting_id: &str) -> Call {
        self.behind(MeetingScope {}, self.verified(kind, &format!("meetingID={meeting_id}")))
    }

    /// Behind `meeting-lookup`.
    pub fn looked_up(&self, kind: CallKind, meeting_id: &str) -> Call {
        self.behind(MeetingLookup {}, self.scoped(kind, meeting_id))
    }

    /// Behind `backend-pool`.
    pub fn pooled(&self, kind: CallKind, meeting_id: &str) -> Call {
        self.behind(BackendPool::default(), self.looked_up(kind, meeting_id))
    }

    /// Scoped, and with its backend chosen.
    pub fn placed(&self, kind: CallKind, meeting_id: &str, backend: &str) -> Call {
        let mut call = self.scoped(kind, meeting_id);
        call.choose(self.backend_named(backend));
        call
    }

    /// Behind `request-sign`.
    pub fn signed(&self, kind: CallKind, meeting_id: &str, backend: &str) -> Call {
        self.behind(RequestSign::default(), self.placed(kind, meeting_id, backend))
    }

    /// Sends a call through one stage. Returns the call as the rest of the pipeline saw it first, and the reply. The rest is
    /// the nodes of this cluster.
    pub async fn through<S: Stage>(&self, stage: S, call: Call) -> (Option<Call>, Result<Reply, Fault>) {
        let seen = Arc::new(Mutex::new(None));
        let service = self.stack_seeing(stage, Arc::clone(&seen));
        let reply = service.oneshot(call).await;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        (seen, reply)
    }

    /// A stage in front of the nodes of this cluster.
    pub fn stack<S: Stage>(&self, stage: S) -> <S::Layer as Layer<Next>>::Service {
        self.stack_seeing(stage, Arc::default())
    }

    /// Lets an endpoint answer a call.
    pub async fn ask<E: Endpoint>(&self, endpoint: E, call: Call) -> Result<Reply, Fault> {
        let service = endpoint.service(&self.ports()).map_err(|error| Fault::Internal(error.to_string()))?;
        service.oneshot(call).await
    }

    fn stack_seeing<S: Stage>(&self, stage: S, seen: Arc<Mutex<Option<Call>>>) -> <S::Layer as Layer<Next>>::Service {
        let cluster = self.clone();
        let rest = service_fn(move |call: Call| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| call.clone());
            ready(cluster.reply(call.facts.backend().ok().map(|backend| backend.id)))
        });
        let ports = self.ports();
        let mut policy = ports.policy.policy();
        stage.set_policy(&mut policy);
        ports.policy.replace(policy);
        stage.layer(&ports).expect("the settings of the test can be used").layer(Next::new(rest))
    }

    /// A call as the rest of the pipeline sees it behind one more stage.
    ///
    /// # Panics
    /// The stage does not let it pass.
    pub fn behind<S: Stage>(&self, stage: S, call: Call) -> Call {
        let before = self.state().replies.created;
        let (seen, reply) = self.through(stage, call).now_or_never().expect("memory answers at once");
        self.state().replies.created = before;
        seen.unwrap_or_else(|| panic!("`{}` does not let the call pass: {reply:?}", S::KIND))
    }
}
