//! What the engine puts around every stage, so that no stage mentions spans or metrics.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use b3scale_middleware::call::Door;
use b3scale_middleware::stage::Link;
use b3scale_middleware::{Blame, Call, Fault, Reply};
use metrics::{Counter, Histogram};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::Span;

/// A stage with its span, its histogram and its counters of faults.
#[derive(Clone)]
pub(super) struct Observed<S> {
    stage: S,
    watch: Arc<Watch>,
}

struct Watch {
    name: Arc<str>,
    seconds: Histogram,
    faults: [(Blame, Counter); 3],
}

impl<S> Observed<S> {
    pub(super) fn new(name: &str, stage: S) -> Self {
        let labels = [("stage", name.to_owned())];
        let fault = |blame: Blame| {
            (
                blame,
                metrics::counter!("b3scale_stage_faults_total", "stage" => name.to_owned(), "blame" => blame.name()),
            )
        };
        let watch = Watch {
            name: name.into(),
            seconds: metrics::histogram!("b3scale_stage_duration_seconds", &labels),
            faults: [Blame::Frontend, Blame::Backend, Blame::Us].map(fault),
        };
        Self { stage, watch: Arc::new(watch) }
    }
}

impl<S: Link> Service<Call> for Observed<S> {
    type Response = Reply;
    type Error = Fault;
    type Future = Watched<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.stage.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        call.door.trail.begin();
        let door = Arc::clone(&call.door);
        let span = tracing::debug_span!("stage", name = &*self.watch.name);
        let began = Instant::now();
        let running = span.in_scope(|| self.stage.call(call));
        Watched { running, span, began, door, watch: Arc::clone(&self.watch) }
    }
}

pin_project! {
    pub(super) struct Watched<F> {
        #[pin]
        running: F,
        span: Span,
        began: Instant,
        door: Arc<Door>,
        watch: Arc<Watch>,
    }
}

impl<F: Future<Output = Result<Reply, Fault>>> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let running = this.running;
        let polled = this.span.in_scope(|| running.poll(cx));
        if let Poll::Ready(result) = &polled {
            this.watch.ended(*this.began, this.door, result);
        }
        polled
    }
}

impl Watch {
    fn ended(&self, began: Instant, door: &Door, result: &Result<Reply, Fault>) {
        self.seconds.record(began.elapsed().as_secs_f64());
        let Err(fault) = result else { return };
        if !door.trail.raise(&self.name) {
            return;
        }
        let blame = fault.blame();
        for (_, counter) in self.faults.iter().filter(|(whose, _)| *whose == blame) {
            counter.increment(1);
        }
        tracing::debug!(stage = &*self.name, %fault, "A stage raised a fault");
    }
}
