//! What the engine puts around every stage, so that no stage mentions spans or metrics.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use b3scale_middleware::call::Door;
use b3scale_middleware::stage::Link;
use b3scale_middleware::{Blame, Call, Fault, Reply};
use metrics::{Counter, Histogram};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::{Level, Span, debug, enabled, info};

use crate::telemetry::catalog::{STAGE_FAULTS, STAGE_SECONDS};
use crate::telemetry::one_line;

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
        let faults = Blame::ALL.map(|blame| (blame, STAGE_FAULTS.with([name, blame.name()])));
        let watch = Watch { name: name.into(), seconds: STAGE_SECONDS.with([name]), faults };
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
        let door = Arc::clone(&call.door);
        let began = Began { at: Instant::now(), before: door.trail.begin() };
        let span = tracing::debug_span!("stage", name = &*self.watch.name, otel.name = &*self.watch.name);
        let running = span.in_scope(|| self.stage.call(call));
        Watched { running, span, began, door, watch: Arc::clone(&self.watch) }
    }
}

/// When a stage began, and what its trail then said.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    before: u64,
}

pin_project! {
    pub(super) struct Watched<F> {
        #[pin]
        running: F,
        span: Span,
        began: Began,
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
    fn ended(&self, began: Began, door: &Door, result: &Result<Reply, Fault>) {
        let own = door.trail.end(began.before, began.at.elapsed());
        self.seconds.record(own.as_secs_f64());
        let raised = result.as_ref().err().filter(|_| door.trail.raise(&self.name));
        for (blame, counter) in &self.faults {
            if raised.is_some_and(|fault| fault.blame() == *blame) {
                counter.increment(1);
            }
        }
        if door.watched || enabled!(Level::DEBUG) {
            self.tell(door, own, result, raised);
        }
    }

    /// One line for each stage that a call has left, the last one first.
    #[cold]
    fn tell(&self, door: &Door, own: Duration, result: &Result<Reply, Fault>, raised: Option<&Fault>) {
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    request.id = door.request_id.to_str().unwrap_or_default(),
                    stage = &*self.name,
                    backend.id = door.trail.backend().map(|id| id.to_string()),
                    outcome = if result.is_ok() {
                        "passed"
                    } else if raised.is_some() {
                        "raised"
                    } else {
                        "failed behind"
                    },
                    microseconds = u64::try_from(own.as_micros()).unwrap_or(u64::MAX),
                    fault = raised.map(|fault| one_line(&fault.to_string())),
                    "A call has left a stage"
                )
            };
        }
        if door.watched { line!(info) } else { line!(debug) }
    }
}
