//! Which backend takes a meeting, and why the others do not.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use super::{Backend, BackendId, LoadModel, Refusal};

/// How many backends are named with one reason.
const NAMED: usize = 20;

/// The verdict on one backend of a placement.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which.
    pub backend: BackendId,
    /// Its host and port.
    pub host: String,
    /// The verdict.
    pub standing: Standing,
}

/// A verdict on a backend.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It would get the meeting: the best there is, or one of several that are as good.
    Chosen {
        /// Its load, in attendees.
        load: f64,
    },
    /// Another one is better.
    Outranked {
        /// Its load, in attendees.
        load: f64,
        /// What else speaks against it.
        because: Option<String>,
    },
    /// It may not have the meeting.
    Refused {
        /// The stage that says so.
        stage: &'static str,
        /// Why.
        refusal: Refusal,
    },
}

/// The verdict on each backend: it explains a meeting's place, or the lack of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement(pub Vec<Verdict>);

// The loads in it are figures that were reckoned, and never not-a-number.
impl Eq for Placement {}

/// The order of choice among backends: the lowest first. Equal ones are drawn by lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Whether its agent is silent. Such a node takes joins, and new meetings only where there is no other.
    silent: bool,
    /// Whole attendees: smaller differences must not draw all meetings to one node.
    load: u64,
}

impl Rank {
    /// The rank of a backend now.
    pub fn of(backend: &Backend, model: &LoadModel, now: Instant) -> Self {
        let silent = backend.vitals.agent().is_some_and(|agent| agent.silence(now).is_some());
        // A load is never negative, and `as` saturates.
        Self { silent, load: backend.load(model, now).round() as u64 }
    }

    /// Whether the backend's agent is silent.
    pub fn is_silent(self) -> bool {
        self.silent
    }
}

impl Verdict {
    /// The verdict on that backend.
    pub fn new(backend: &Backend, standing: Standing) -> Self {
        Self { backend: backend.id, host: backend.host().to_owned(), standing }
    }
}

impl fmt::Display for Placement {
    /// Reasons with who they hold for, in one line: `2 are stopped (a.example, b.example); 1 lacks the tag gpu (c.example)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for verdict in &self.0 {
            reasons.entry(verdict.standing.to_string()).or_default().push(&verdict.host);
        }
        if reasons.is_empty() {
            return f.write_str("there are none");
        }
        for (number, (reason, hosts)) in reasons.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            let more = if hosts.len() > NAMED { ", …" } else { "" };
            let named = hosts[..hosts.len().min(NAMED)].join(", ");
            write!(f, "{separator}{} × {reason} ({named}{more})", hosts.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Chosen { load } => write!(f, "chosen with load {load:.0}"),
            Standing::Outranked { load, because: None } => write!(f, "outranked with load {load:.0}"),
            Standing::Outranked { load, because: Some(why) } => write!(f, "outranked with load {load:.0}: {why}"),
            Standing::Refused { stage, refusal } => write!(f, "{stage}: {refusal}"),
        }
    }
}
