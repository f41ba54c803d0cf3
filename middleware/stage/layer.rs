//! The tower layer that all stages share, and the shorter form of stages that only change a call.

use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use super::{Next, StageFuture};
use crate::call::{Call, Reply};
use crate::fault::Fault;

/// The layer of a stage: puts the stage in front of the rest of the pipeline.
#[derive(Debug)]
pub struct StageLayer<S>(Arc<S>);

/// The service of a stage. The stage is made once for its place on a route, and shared by all calls.
#[derive(Debug)]
pub struct StageService<S> {
    /// The stage, with the ports and settings that it works with.
    pub stage: Arc<S>,
    /// The rest of the pipeline.
    pub next: Next,
}

/// A stage that only changes calls, or refuses them. It does not wait, and it sees no replies.
pub trait Transform: Send + Sync + 'static {
    /// Changes a call on its way in. A fault ends the call here.
    fn transform(&self, call: &mut Call) -> Result<(), Fault>;
}

impl<S> StageLayer<S> {
    /// The layer of that stage.
    pub fn new(stage: S) -> Self {
        Self(Arc::new(stage))
    }
}

impl<S> Layer<Next> for StageLayer<S> {
    type Service = StageService<S>;

    fn layer(&self, next: Next) -> StageService<S> {
        StageService { stage: Arc::clone(&self.0), next }
    }
}

impl<S> Clone for StageService<S> {
    fn clone(&self) -> Self {
        Self { stage: Arc::clone(&self.stage), next: self.next.clone() }
    }
}

impl<S: Transform> Service<Call> for StageService<S> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        let made = self.stage.transform(&mut call);
        self.next.pass_if(made, call)
    }
}
