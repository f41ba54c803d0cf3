//! One line in the log for each call, and its place in the figures, written where it leaves. Never a query, a checksum or a name.

use std::sync::Arc;

use b3scale_middleware::bbb::{CallKind, Outcome};
use b3scale_middleware::facts::{Placement, Standing};
use b3scale_middleware::{Blame, Door, Fault, Reply, Trace};
use tracing::{Span, error, info, warn};

use crate::telemetry::catalog::{CALL_SECONDS, CALLS, PLACEMENT_REFUSALS};
use crate::telemetry::one_line;

/// The line of one call. One that is dropped unwritten belongs to a client that hung up.
pub(super) struct Line {
    door: Arc<Door>,
    kind: CallKind,
    call: &'static str,
    span: Span,
    written: bool,
}

impl Line {
    pub(super) fn new(door: Arc<Door>, kind: CallKind, call: &'static str, span: Span) -> Self {
        Self { door, kind, call, span, written: false }
    }

    /// Writes the line.
    pub(super) fn end(mut self, result: Result<Reply, Fault>) -> Result<Reply, Fault> {
        self.written = true;
        match &result {
            Ok(reply) => {
                let outcome = outcome(reply);
                self.answered(outcome, "Call answered");
                self.count(if is_usual(outcome) { outcome } else { "failed" }, "");
            }
            Err(fault) => {
                self.failed(fault);
                self.count(fault.message_key(self.kind), fault.blame().name());
            }
        }
        result
    }

    fn count(&self, outcome: &str, blame: &str) {
        self.span.record("outcome", outcome);
        if !blame.is_empty() {
            self.span.record("otel.status_code", "error");
        }
        // A key that nobody has would make a series for everybody who thinks of one.
        let frontend = if self.door.trail.is_known() { &*self.door.frontend_key } else { "undefined" };
        CALLS.with([frontend, self.call, outcome, blame]).increment(1);
        CALL_SECONDS.with([frontend, self.call]).record(self.door.arrival.elapsed());
    }

    fn answered(&self, outcome: &str, message: &str) {
        info!(
            request.id = self.request_id(),
            trace.id = self.trace(),
            frontend.key = self.frontend_key(),
            call = self.call,
            backend.id = self.backend(),
            outcome,
            milliseconds = self.milliseconds(),
            "{message}"
        );
    }

    fn failed(&self, fault: &Fault) {
        let blame = fault.blame();
        let text = one_line(&fault.to_string());
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    request.id = self.request_id(),
                    trace.id = self.trace(),
                    frontend.key = self.frontend_key(),
                    call = self.call,
                    backend.id = self.backend(),
                    outcome = fault.message_key(self.kind),
                    blame = blame.name(),
                    stage = self.door.trail.raised_by().as_deref(),
                    milliseconds = self.milliseconds(),
                    fault = text,
                    "Call failed"
                )
            };
        }
        if let Fault::NoBackend(placement) | Fault::NoTaggedBackend { placement, .. } = fault {
            count_refusals(placement);
        }
        match blame {
            Blame::Us => line!(error),
            Blame::Backend => line!(warn),
            // Rooms that do not run are asked for all day; that is nothing to warn of.
            Blame::Frontend => line!(info),
        }
    }

    fn request_id(&self) -> &str {
        self.door.request_id.to_str().unwrap_or_default()
    }

    /// The key as it came, unless it is one that nobody would give.
    fn frontend_key(&self) -> &str {
        let key = &*self.door.frontend_key;
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if key.len() <= 64 && key.bytes().all(usual) { key } else { "(odd)" }
    }

    fn trace(&self) -> Option<String> {
        self.door.trace.as_ref().map(Trace::name)
    }

    fn backend(&self) -> Option<String> {
        self.door.trail.backend().map(|id| id.to_string())
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.door.arrival.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.written {
            self.answered("abandoned", "the client hung up");
            self.count("abandoned", "");
        }
    }
}

/// Counts why a create found no place, once for each backend.
fn count_refusals(placement: &Placement) {
    for verdict in &placement.0 {
        if let Standing::Refused { stage, refusal } = &verdict.standing {
            PLACEMENT_REFUSALS.with([stage, refusal.word]).increment(1);
        }
    }
}

/// What nodes usually answer. Any other key is one that only a log should have.
fn is_usual(outcome: &str) -> bool {
    const USUAL: [&str; 16] = [
        "success",
        "redirect",
        "failed",
        "notFound",
        "invalidMeetingIdentifier",
        "invalidPassword",
        "idNotUnique",
        "duplicateWarning",
        "checksumError",
        "validationError",
        "guestDenied",
        "maxParticipantsReached",
        "missingParamMeetingID",
        "parentMeetingDoesNotExist",
        "parentMeetingIDMissing",
        "sequenceMissing",
    ];
    USUAL.contains(&outcome)
}

fn outcome(reply: &Reply) -> &str {
    match &reply.outcome {
        _ if reply.location.is_some() => "redirect",
        Some(outcome) if !outcome.is_success() => failure(outcome),
        Some(_) | None => "success",
    }
}

fn failure(outcome: &Outcome) -> &str {
    let key = outcome.message_key.as_deref().unwrap_or_default();
    if !key.is_empty() && key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        key
    } else {
        "failed"
    }
}
