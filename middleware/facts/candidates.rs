//! The backends that may take a meeting, and why the others may not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::cluster::{Backend, BackendId, LoadModel, Refusal};
use crate::fault::Fault;

/// How many backends are named with one reason.
const NAMED: usize = 20;

/// The backends that may take a meeting. The set is only ever narrowed.
#[derive(Clone, Debug)]
pub struct Candidates {
    backends: Vec<Arc<Backend>>,
    settled: bool,
    refused: Vec<Verdict>,
}

/// What became of one backend when a place was looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which.
    pub backend: BackendId,
    /// Its host and port.
    pub host: String,
    /// What became of it.
    pub standing: Standing,
}

/// What can become of a backend when a place is looked for.
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

/// What became of each backend: the answer to why a meeting is where it is, or nowhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement(pub Vec<Verdict>);

// The loads in it are figures that were reckoned, and never not-a-number.
impl Eq for Placement {}

impl Candidates {
    /// Any of these.
    pub fn among(backends: impl IntoIterator<Item = Arc<Backend>>) -> Self {
        Self { backends: backends.into_iter().collect(), settled: false, refused: Vec::new() }
    }

    /// This one and no other: the meeting is there, or must be.
    pub fn settled(backend: Arc<Backend>) -> Self {
        Self { backends: vec![backend], settled: true, refused: Vec::new() }
    }

    /// Keeps those that `judge` finds nothing against. A settled set is left alone.
    pub fn judge(&mut self, stage: &'static str, mut judge: impl FnMut(&Backend) -> Result<(), Refusal>) {
        if self.settled {
            return;
        }
        let refused = &mut self.refused;
        self.backends.retain(|backend| match judge(backend) {
            Ok(()) => true,
            Err(refusal) => {
                refused.push(Verdict::new(backend, Standing::Refused { stage, refusal }));
                false
            }
        });
    }

    /// Leaves one out that has been tried.
    pub fn remove(&mut self, stage: &'static str, tried: &Backend, refusal: Refusal) {
        self.backends.retain(|backend| backend.id != tried.id);
        self.refused.push(Verdict::new(tried, Standing::Refused { stage, refusal }));
    }

    /// The backends that are left.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.backends.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    /// Nothing if a backend is left, else why none is.
    pub fn or_none(&self) -> Result<(), Fault> {
        if self.is_empty() { Err(Fault::NoBackend(Placement(self.refused.clone()).into())) } else { Ok(()) }
    }

    /// What has become of each backend so far, those that are left by their rank.
    pub fn placement(&self, model: &LoadModel, now: Instant) -> Placement {
        let ranks: Vec<_> = self.backends.iter().map(|backend| Rank::of(backend, model, now)).collect();
        let best = ranks.iter().min().copied();
        let left = self.backends.iter().zip(&ranks).map(|(backend, rank)| {
            let load = backend.load(model, now);
            let silence = backend.vitals.agent().and_then(|agent| agent.silence(now)).filter(|_| rank.silent);
            let because = silence.map(|silence| format!("its agent has been silent for {} s", silence.as_secs()));
            let chosen = Some(*rank) == best;
            let standing = if chosen { Standing::Chosen { load } } else { Standing::Outranked { load, because } };
            Verdict::new(backend, standing)
        });
        Placement(left.chain(self.refused.iter().cloned()).collect())
    }
}

/// What a backend is chosen by: the lower, the sooner. Equal ones are drawn by lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Whether its agent is silent. Such a node takes joins, and new meetings only where there is no other.
    silent: bool,
    /// Whole attendees: what is less is no difference, and not worth a crowd on one node.
    load: u64,
}

impl Rank {
    /// The rank of a backend now.
    pub fn of(backend: &Backend, model: &LoadModel, now: Instant) -> Self {
        let silent = backend.vitals.agent().is_some_and(|agent| agent.silence(now).is_some());
        // A load is never negative, and `as` takes whatever is too large for the largest there is.
        Self { silent, load: backend.load(model, now).round() as u64 }
    }
}

impl Verdict {
    fn new(backend: &Backend, standing: Standing) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn three() -> (Memory, Candidates) {
        let cluster = Memory::new().backend("n1", &[]).backend("n2", &[]).backend("n3", &[]);
        let candidates = Candidates::among(["n1", "n2", "n3"].map(|name| cluster.backend_named(name)));
        (cluster, candidates)
    }

    #[test]
    fn why_none_is_left_is_said_by_reason_with_who_it_holds_for() {
        let (cluster, mut candidates) = three();
        candidates.judge("backend-pool", |backend| {
            if backend.host().starts_with("n3") { Ok(()) } else { Err(Refusal::new("tags", "no")) }
        });
        candidates.remove("backend-select", &cluster.backend_named("n3"), Refusal::new("tried", "it failed"));
        let fault = candidates.or_none().unwrap_err();
        let said = "no backend can take the meeting: 2 × backend-pool: no (n1.example, n2.example); \
            1 × backend-select: it failed (n3.example)";
        assert_eq!(fault.to_string(), said);
    }

    #[test]
    fn each_backend_has_its_place_in_the_explanation() {
        let (_, mut candidates) = three();
        candidates.judge("tag-filter", |backend| {
            if backend.host() == "n1.example" { Err(Refusal::new("tags", "no")) } else { Ok(()) }
        });
        let Placement(verdicts) = candidates.placement(&LoadModel::default(), Instant::now());
        let chosen = verdicts.iter().filter(|verdict| matches!(verdict.standing, Standing::Chosen { .. })).count();
        assert_eq!((verdicts.len(), chosen), (3, 2), "both that are left are as good");
    }

    #[test]
    fn a_silent_agent_costs_the_rank_and_not_the_candidacy() {
        let (cluster, candidates) = three();
        let now = Instant::now();
        let heartbeat = now.checked_sub(std::time::Duration::from_secs(60)).expect("a minute ago there was a clock");
        for (name, heartbeat) in [("n1", heartbeat), ("n2", now)] {
            let report = crate::cluster::AgentReport { heartbeat, cpu: 0.0, memory: 0.0 };
            cluster.backend_named(name).vitals.hear(Some(report));
        }
        let cluster = cluster.attendees("n3", 40);
        let rank = |name| Rank::of(&cluster.backend_named(name), &LoadModel::default(), now);
        assert!(rank("n2") < rank("n3") && rank("n3") < rank("n1"));
        let said = candidates.placement(&LoadModel::default(), now).to_string();
        assert!(said.contains("its agent has been silent for 60 s (n1.example)"), "{said}");
    }
}
