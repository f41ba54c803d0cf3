//! The backends that may take a meeting.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::{Backend, LoadModel, Placement, Rank, Refusal, Standing, Verdict};
use crate::fault::Fault;

/// The backends that may take a meeting. The set is only ever narrowed.
#[derive(Clone, Debug)]
pub struct Candidates {
    backends: Vec<Arc<Backend>>,
    settled: bool,
    refused: Vec<Verdict>,
}

impl Candidates {
    /// Any of these.
    pub fn among(backends: impl IntoIterator<Item = Arc<Backend>>) -> Self {
        Self { backends: backends.into_iter().collect(), settled: false, refused: Vec::new() }
    }

    /// This one and no other: the meeting is there, or must be.
    pub fn settled(backend: Arc<Backend>) -> Self {
        Self { backends: vec![backend], settled: true, refused: Vec::new() }
    }

    /// Keeps the candidates without an objection by `judge`. A settled set stays as it is.
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

    /// The verdict on each backend so far; the remaining ones by rank.
    pub fn placement(&self, model: &LoadModel, now: Instant) -> Placement {
        let ranks: Vec<_> = self.backends.iter().map(|backend| Rank::of(backend, model, now)).collect();
        let best = ranks.iter().min().copied();
        let left = self.backends.iter().zip(&ranks).map(|(backend, rank)| {
            let load = backend.load(model, now);
            let silence = backend.vitals.agent().and_then(|agent| agent.silence(now)).filter(|_| rank.is_silent());
            let because = silence.map(|silence| format!("its agent has been silent for {} s", silence.as_secs()));
            let chosen = Some(*rank) == best;
            let standing = if chosen { Standing::Chosen { load } } else { Standing::Outranked { load, because } };
            Verdict::new(backend, standing)
        });
        Placement(left.chain(self.refused.iter().cloned()).collect())
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
