//! One line in the log for each call, and its place in the figures, written where it leaves. Never a query, a checksum or a name.
//!
//! Lines of calls without a verified checksum have a quota: strangers decide how many there are. Lines of verified calls that
//! failed and changed nothing have one for each frontend: a join link of a meeting that has ended can be opened without end.

use std::sync::atomic::Ordering::Relaxed;

use b3scale_middleware::bbb::{CallKind, Outcome};
use b3scale_middleware::cluster::Standing;
use b3scale_middleware::{Blame, Fault, Reply, Trace};
use tracing::{debug, error, info, warn};

use super::visit::Visit;
use crate::telemetry::catalog::{CALL_SECONDS, CALLS, CREATES_WITHOUT_PLACE, PLACEMENT_REFUSALS};
use crate::telemetry::{ACCOUNT, IN_VAIN, one_line};

/// A line in the log with what each says of its call. Every use is a place of its own, with a quota of its own.
macro_rules! line {
    ($call:expr, $level:ident $(name: $name:expr)?, $message:expr, $($field:tt)*) => {
        $level!(
            $(name: $name,)? {
                request.id = $call.door.name(),
                trace.id = $call.trace(),
                frontend.key = $call.frontend_key(),
                call = $call.name,
                backend.id = $call.backend(),
                milliseconds = $call.milliseconds(),
                $($field)*
            },
            "{}",
            $message
        )
    };
}

impl Visit {
    /// Writes the line. The call and its time limit both end here, and the first of them writes.
    pub(super) fn end(&self, result: Result<Reply, Fault>) -> Result<Reply, Fault> {
        if self.written.swap(true, Relaxed) {
            debug!(request.id = self.door.name(), call = self.name, "Call ended after its answer");
        } else {
            self.write(&result);
        }
        result
    }

    /// Writes that an answer ends before its end. Its client sees a broken connection.
    pub(super) fn cut_short(&self, fault: &Fault) {
        let text = one_line(&fault.to_string());
        line!(self, warn, "Cutting an answer short", blame = self.door.trail.blame(fault).name(), fault = text);
    }

    fn write(&self, result: &Result<Reply, Fault>) {
        match result {
            Ok(reply) => {
                let outcome = outcome(reply);
                let in_vain = reply.outcome.as_ref().is_some_and(|outcome| !outcome.is_success());
                self.answered(outcome, in_vain, "Call answered");
                self.count(if is_usual(outcome) { outcome } else { "failed" }, "");
            }
            Err(fault) => {
                self.failed(fault);
                self.count(fault.message_key(self.kind), self.door.trail.blame(fault).name());
            }
        }
    }

    fn count(&self, outcome: &str, blame: &str) {
        self.span.record("outcome", outcome);
        // A frontend's own failure is no error of a server.
        if [Blame::Backend.name(), Blame::Us.name()].contains(&blame) {
            self.span.record("otel.status_code", "error");
        }
        // An unknown key would make a series for every guess.
        let frontend = if self.door.trail.frontend().is_some() { &*self.door.frontend_key } else { "undefined" };
        CALLS.with([frontend, self.name, outcome, blame]).increment(1);
        CALL_SECONDS.with([frontend, self.name]).record(self.door.arrival.elapsed());
    }

    fn answered(&self, outcome: &str, in_vain: bool, message: &str) {
        if !self.door.trail.is_verified() {
            line!(self, info, message, outcome);
        } else if in_vain {
            line!(self, info name: IN_VAIN, message, outcome);
        } else {
            line!(self, info name: ACCOUNT, message, outcome);
        }
    }

    fn failed(&self, fault: &Fault) {
        let blame = self.door.trail.blame(fault);
        let text = one_line(&fault.to_string());
        macro_rules! failed {
            ($($level:tt)*) => {
                line!(
                    self,
                    $($level)*,
                    "Call failed",
                    outcome = fault.message_key(self.kind),
                    blame = blame.name(),
                    stage = self.door.trail.raised_by().as_deref(),
                    fault = text
                )
            };
        }
        count_placement(self.kind, fault);
        match (blame, self.door.trail.is_verified()) {
            (Blame::Us, true) => failed!(error name: ACCOUNT),
            (Blame::Us, false) => failed!(error),
            (Blame::Backend, true) => failed!(warn name: ACCOUNT),
            (Blame::Backend, false) => failed!(warn),
            // Rooms that do not run are asked for all day; that is nothing to warn of.
            (Blame::Frontend, true) if fault.sent() => failed!(info name: ACCOUNT),
            (Blame::Frontend, true) => failed!(info name: IN_VAIN),
            (Blame::Frontend, false) => failed!(info),
        }
    }

    /// The key as it came, unless it is an implausible one.
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

/// A visit that is dropped before its line was written belongs to a client that hung up, or that was cut off at the end of the grace
/// time.
impl Drop for Visit {
    fn drop(&mut self) {
        if *self.written.get_mut() {
            return;
        }
        if self.shared.cut.load(Relaxed) {
            self.answered("cut", false, "the server went down before the call had ended");
            self.count("cut", Blame::Us.name());
        } else {
            self.answered("abandoned", false, "the client hung up");
            self.count("abandoned", "");
        }
    }
}

/// Counts a create that found no place, and for each backend why that could not have it.
fn count_placement(kind: CallKind, fault: &Fault) {
    let (why, placement) = match fault {
        Fault::NoBackend(placement) => ("refused", Some(placement)),
        Fault::NoTaggedBackend { placement, .. } => ("chosen_tag", Some(placement)),
        Fault::Node { .. } if kind == CallKind::Create && fault.blame() == Blame::Backend => ("failed", None),
        _ => return,
    };
    CREATES_WITHOUT_PLACE.with([why]).increment(1);
    for verdict in placement.iter().flat_map(|placement| &placement.0) {
        if let Standing::Refused { stage, refusal } = &verdict.standing {
            PLACEMENT_REFUSALS.with([stage, refusal.word]).increment(1);
        }
    }
}

/// Usual message keys of nodes. Any other key belongs in the log only.
fn is_usual(outcome: &str) -> bool {
    const USUAL: [&str; 17] = [
        "success",
        "redirect",
        "failed",
        "notFound",
        "meetingNotFound",
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
        "parentMeetingIdMissing",
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
