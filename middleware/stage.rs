//! The pipeline contract: stages, endpoints, and a stage's view of the rest.

mod layer;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either, Ready, ready};
use serde::de::DeserializeOwned;
use tower::util::{Oneshot, ServiceExt};
use tower::{Layer, Service};

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::cluster::Policy;
use crate::contract::Contract;
use crate::fault::Fault;
use crate::ports::Ports;

pub use layer::{StageLayer, StageService, Transform};

/// A link of the pipeline. The type is its settings table in `pipeline.toml`.
pub trait Stage: DeserializeOwned + 'static {
    /// Its name in `pipeline.toml`, equal to the name of its file.
    const KIND: &'static str;

    /// The tower layer that wraps it around the rest of the pipeline.
    type Layer: Layer<Next, Service: Link>;

    /// Its contract on the route of `call`.
    fn contract(&self, call: CallKind) -> Contract;

    /// Adds its settings for all backends to the policy of the pipeline.
    fn set_policy(&self, _policy: &mut Policy) {}

    /// Makes the layer, once for each place it has on a route. It changes nothing else: another stage may still be refused.
    fn layer(self, ports: &Ports) -> Result<Self::Layer, SetupError>;
}

/// The last link of a route: it answers. The type is its settings table in `pipeline.toml`.
pub trait Endpoint: DeserializeOwned + 'static {
    /// Its name in `pipeline.toml`, equal to the name of its file.
    const KIND: &'static str;

    /// The tower service that answers.
    type Service: Link;

    /// Its needs on the route of `call`.
    fn contract(&self, call: CallKind) -> Contract;

    /// Makes the service, once for each route that ends in it.
    fn service(self, ports: &Ports) -> Result<Self::Service, SetupError>;
}

/// Walks the catalog. Generic over its kinds, so that a reader of settings keeps their positions in the text.
pub trait Visitor {
    /// Meets a stage.
    fn stage<S: Stage>(&mut self);

    /// Meets an endpoint.
    fn endpoint<E: Endpoint>(&mut self);
}

/// Settings that can be read and yet not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    /// The problem.
    pub message: String,
    /// The settings at fault, if any: one of them must change.
    pub settings: &'static [&'static str],
}

impl SetupError {
    /// Something that no setting can change.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(&[], message)
    }

    /// Values that cannot be used, or not together.
    pub fn of(settings: &'static [&'static str], message: impl Into<String>) -> Self {
        Self { message: message.into(), settings }
    }
}

/// The bounds of a service in the pipeline.
pub trait Link:
    Service<Call, Response = Reply, Error = Fault, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

impl<S> Link for S where
    S: Service<Call, Response = Reply, Error = Fault, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

/// The rest of the pipeline, seen from one stage.
///
/// Cloning it counts one reference. (A `BoxCloneSyncService` would copy the whole tail behind it.) It is ready at once, and
/// waits for the readiness of the service behind it within the call.
pub struct Next {
    rest: Arc<dyn Rest>,
    readied: bool,
}

/// What [`Next`] resolves with.
pub type NextFuture = BoxFuture<'static, Result<Reply, Fault>>;

/// The future of a stage that either answers on the spot or leaves the call to the rest.
pub type StageFuture = Either<Ready<Result<Reply, Fault>>, NextFuture>;

/// Ends the call here, with a fault.
pub fn refuse(fault: Fault) -> StageFuture {
    Either::Left(ready(Err(fault)))
}

impl Next {
    /// Hides the rest after a stage.
    pub fn new(service: impl Link) -> Self {
        Self { rest: Arc::new(Erased(service)), readied: false }
    }

    /// Takes the ready service out and leaves a new clone in its place, for a stage that awaits before it calls.
    pub fn take(&mut self) -> Next {
        let fresh = self.clone();
        std::mem::replace(self, fresh)
    }

    /// Leaves the call to the rest.
    pub fn pass(&mut self, call: Call) -> StageFuture {
        Either::Right(self.call(call))
    }

    /// Passes the call on, unless the stage has turned it into a fault.
    pub fn pass_if(&mut self, made: Result<(), Fault>, call: Call) -> StageFuture {
        match made {
            Ok(()) => self.pass(call),
            Err(fault) => refuse(fault),
        }
    }
}

impl Clone for Next {
    fn clone(&self) -> Self {
        Self { rest: Arc::clone(&self.rest), readied: false }
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

impl Service<Call> for Next {
    type Response = Reply;
    type Error = Fault;
    type Future = NextFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.readied = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> NextFuture {
        debug_assert!(self.readied, "a stage called a service that was not ready; use `Next::take`");
        self.readied = false;
        self.rest.run(call)
    }
}

trait Rest: Send + Sync {
    fn run(&self, call: Call) -> NextFuture;
}

struct Erased<S>(S);

impl<S: Link> Rest for Erased<S> {
    fn run(&self, call: Call) -> NextFuture {
        let oneshot: Oneshot<S, Call> = self.0.clone().oneshot(call);
        Box::pin(oneshot)
    }
}
