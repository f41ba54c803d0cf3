//! Instrumentation around every stage, so that no stage mentions spans or metrics.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use b3scale_base::telemetry::catalog::{STAGE_FAULTS, STAGE_SECONDS};
use b3scale_base::telemetry::{ACCOUNT, one_line};
use b3scale_middleware::call::Door;
use b3scale_middleware::stage::Link;
use b3scale_middleware::{Blame, Call, Fault, Reply};
use metrics::{Counter, Histogram};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;
use tracing::{Level, Span, debug, enabled, info};

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
        Watched { running: Some(running), span, began, door, watch: Arc::clone(&self.watch) }
    }
}

/// The start of a stage, and its trail at that time.
#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    before: u64,
}

pin_project! {
    pub(super) struct Watched<F> {
        #[pin]
        running: Option<F>,
        span: Span,
        began: Began,
        door: Arc<Door>,
        watch: Arc<Watch>,
    }

    impl<F> PinnedDrop for Watched<F> {
        /// A call that is given up has been in this stage, too. The stages behind it come first.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.running.is_some() {
                this.running.set(None);
                this.watch.ended(*this.began, this.door, None);
            }
        }
    }
}

impl<F: Future<Output = Result<Reply, Fault>>> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(running) = this.running.as_mut().as_pin_mut() else { return Poll::Pending };
        let polled = this.span.in_scope(|| running.poll(cx));
        if let Poll::Ready(result) = &polled {
            this.running.set(None);
            this.watch.ended(*this.began, this.door, Some(result));
        }
        polled
    }
}

impl Watch {
    /// `None`: it was given up.
    fn ended(&self, began: Began, door: &Door, result: Option<&Result<Reply, Fault>>) {
        let own = door.trail.end(began.before, began.at.elapsed());
        self.seconds.record(own.as_secs_f64());
        let fault = result.and_then(|result| result.as_ref().err());
        let raised = fault.filter(|_| door.trail.raise(&self.name));
        for (blame, counter) in &self.faults {
            if raised.is_some_and(|fault| door.trail.blame(fault) == *blame) {
                counter.increment(1);
            }
        }
        if door.watched || enabled!(Level::DEBUG) {
            let outcome = match (result, raised) {
                (None, _) => "given up",
                (Some(Ok(_)), _) => "passed",
                (Some(Err(_)), Some(_)) => "raised",
                (Some(Err(_)), None) => "failed behind",
            };
            self.tell(door, own, outcome, raised);
        }
    }

    /// One line for each stage that a call has left, the last one first.
    #[cold]
    fn tell(&self, door: &Door, own: Duration, outcome: &str, raised: Option<&Fault>) {
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    name: ACCOUNT,
                    {
                        request.id = door.name(),
                        stage = &*self.name,
                        backend.id = door.trail.backend().map(|id| id.to_string()),
                        outcome,
                        microseconds = u64::try_from(own.as_micros()).unwrap_or(u64::MAX),
                        fault = raised.map(|fault| one_line(&fault.to_string())),
                    },
                    "A call has left a stage"
                )
            };
        }
        if door.watched { line!(info) } else { line!(debug) }
    }
}
