//! One line in the log for each call, written where it leaves. Never a query, a checksum or a name.

use std::sync::Arc;

use b3scale_middleware::bbb::{CallKind, Outcome};
use b3scale_middleware::{Blame, Door, Fault, Reply};
use tracing::{error, info, warn};

/// The longest text of a fault that is written, in characters.
const LONGEST_FAULT: usize = 4000;

/// The line of one call. One that is dropped unwritten belongs to a client that hung up.
pub(super) struct Line {
    door: Arc<Door>,
    kind: CallKind,
    call: &'static str,
    written: bool,
}

impl Line {
    pub(super) fn new(door: Arc<Door>, kind: CallKind, call: &'static str) -> Self {
        Self { door, kind, call, written: false }
    }

    /// Writes the line.
    pub(super) fn end(mut self, result: Result<Reply, Fault>) -> Result<Reply, Fault> {
        self.written = true;
        match &result {
            Ok(reply) => self.answered(outcome(reply), "Call answered"),
            Err(fault) => self.failed(fault),
        }
        result
    }

    fn answered(&self, outcome: &str, message: &str) {
        info!(
            request.id = self.request_id(),
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
        }
    }
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

/// A text that stays on its line, whatever a client or a node has put into it.
fn one_line(text: &str) -> String {
    text.chars().take(LONGEST_FAULT).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(one_line(&"x".repeat(10_000)).len(), LONGEST_FAULT);
    }
}
