//! The contract of a stage: the facts that it needs, gives and takes. By these the plan proves the order of a route.

use std::fmt;

use crate::bbb::CallKind;

/// The name of something a stage can establish about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// The parameters may still be changed. Held by every call as it comes in.
    OpenParams,
    /// Who joins may still be changed: the parameters that name them. Held by every call as it comes in.
    OpenAttendee,
    /// The URLs of callbacks may still be changed. Held by every call as it comes in.
    OpenCallbacks,
    /// The call's frontend.
    Frontend,
    /// Proof that the checksum holds.
    Checksum,
    /// The meeting's two ids: the tenant's and the node's.
    Scope,
    /// Whether the meeting is known, and where it lives.
    Meeting,
    /// The backends that may take the meeting.
    Candidates,
    /// Where the call goes.
    Backend,
    /// The request as the node will see it, signed with the node's secret.
    Signature,
}

impl Fact {
    /// The facts of a new call.
    pub const AT_THE_DOOR: &'static [Fact] = &[Fact::OpenParams, Fact::OpenAttendee, Fact::OpenCallbacks];

    /// The name used in messages and by `--check`.
    pub fn name(self) -> &'static str {
        match self {
            Fact::OpenParams => "open-params",
            Fact::OpenAttendee => "open-attendee",
            Fact::OpenCallbacks => "open-callbacks",
            Fact::Frontend => "frontend",
            Fact::Checksum => "checksum",
            Fact::Scope => "scope",
            Fact::Meeting => "meeting",
            Fact::Candidates => "candidates",
            Fact::Backend => "backend",
            Fact::Signature => "signature",
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The facts that a stage needs, gives and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// Must hold when a call arrives.
    pub needs: &'static [Fact],
    /// Holds behind the stage.
    pub gives: &'static [Fact],
    /// Facts that no longer hold after the stage. A taken fact is also needed.
    pub takes: &'static [Fact],
    /// The only calls it is made for, if it is not made for any.
    pub only: Option<&'static [CallKind]>,
}

impl Contract {
    /// A stage that works on any call.
    pub const NONE: Contract = Contract { needs: &[], gives: &[], takes: &[], only: None };

    /// Starts a contract with its needs.
    pub const fn needs(needs: &'static [Fact]) -> Self {
        Self { needs, ..Self::NONE }
    }

    /// Adds given facts.
    pub const fn gives(self, gives: &'static [Fact]) -> Self {
        Self { gives, ..self }
    }

    /// Adds taken facts.
    pub const fn takes(self, takes: &'static [Fact]) -> Self {
        Self { takes, ..self }
    }

    /// Says which calls it is made for.
    pub const fn only(self, calls: &'static [CallKind]) -> Self {
        Self { only: Some(calls), ..self }
    }

    /// Whether it is made for `call`.
    pub fn fits(&self, call: CallKind) -> bool {
        self.only.is_none_or(|calls| calls.contains(&call))
    }
}
