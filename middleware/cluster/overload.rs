//! Overload: figures of an agent that keep new meetings from its node, until they have fallen.

use super::AgentReport;

/// When a figure of a node's agent is too much, and when it no longer is. Both from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// More is too much. 1: nothing is.
    pub above: f32,
    /// Once too much, it is so until it is less.
    pub below: f32,
}

/// What overload is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverloadBounds {
    /// Of the processors.
    pub cpu: Bound,
    /// Of the memory.
    pub memory: Bound,
}

impl Default for OverloadBounds {
    fn default() -> Self {
        Self { cpu: Bound { above: 0.95, below: 0.80 }, memory: Bound { above: 0.97, below: 0.90 } }
    }
}

/// Whether a node is overloaded. It stays so for a while, or a node at the bound would take meetings every other second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    /// By which it was found.
    bounds: Option<OverloadBounds>,
    cpu: bool,
    memory: bool,
}

impl Overload {
    /// Judges the agent's report. Overload that was found by other bounds counts no more.
    pub(super) fn judge(&mut self, bounds: Option<OverloadBounds>, report: &AgentReport) {
        if self.bounds != bounds {
            *self = Self { bounds, cpu: false, memory: false };
        }
        let Some(bounds) = bounds else { return };
        self.cpu = bounds.cpu.holds(self.cpu, report.cpu);
        self.memory = bounds.memory.holds(self.memory, report.memory);
    }

    /// The exceeded bound, in words that follow the name of a backend.
    pub(super) fn reason(&self, report: &AgentReport) -> Option<String> {
        let bounds = self.bounds?;
        let percent = |share: f32| (share * 100.0).round();
        let until = |bound: Bound| format!("until below {} %", percent(bound.below));
        let busy = || format!("processors {} % busy, {}", percent(report.cpu), until(bounds.cpu));
        let full = || format!("memory {} % full, {}", percent(report.memory), until(bounds.memory));
        let figures: Vec<String> = self.cpu.then(busy).into_iter().chain(self.memory.then(full)).collect();
        (!figures.is_empty()).then(|| format!("its agent reports overload: {}", figures.join(", ")))
    }
}

impl Bound {
    fn holds(self, held: bool, figure: f32) -> bool {
        figure > self.above || (held && figure >= self.below)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn after(figures: &[(f32, f32)]) -> Option<String> {
        let mut overload = Overload::default();
        let mut reason = None;
        for (cpu, memory) in figures {
            let report = AgentReport { heartbeat: Instant::now(), cpu: *cpu, memory: *memory };
            overload.judge(Some(OverloadBounds::default()), &report);
            reason = overload.reason(&report);
        }
        reason
    }

    #[test]
    fn overload_that_other_bounds_have_found_counts_no_more() {
        let busy = AgentReport { heartbeat: Instant::now(), cpu: 0.97, memory: 0.5 };
        let mut overload = Overload::default();
        let calm = OverloadBounds { cpu: Bound { above: 1.0, below: 0.8 }, ..OverloadBounds::default() };
        let strict = OverloadBounds::default();
        for (bounds, is_overload) in [(None, false), (Some(strict), true), (Some(calm), false), (None, false)] {
            overload.judge(bounds, &busy);
            assert_eq!(overload.reason(&busy).is_some(), is_overload, "{bounds:?}");
        }
    }

    #[test]
    fn a_node_is_overloaded_until_it_has_recovered() {
        assert_eq!(after(&[(0.95, 0.5)]), None);
        let busy = "its agent reports overload: processors 97 % busy, until below 80 %";
        assert_eq!(after(&[(0.97, 0.5)]).as_deref(), Some(busy));
        assert!(after(&[(0.97, 0.5), (0.85, 0.5)]).is_some_and(|why| why.contains("85 % busy")));
        assert_eq!(after(&[(0.97, 0.5), (0.79, 0.5)]), None);
        assert_eq!(after(&[(0.97, 0.5), (0.79, 0.5), (0.85, 0.5)]), None);
    }

    #[test]
    fn memory_counts_by_itself() {
        let full = "its agent reports overload: memory 98 % full, until below 90 %";
        assert_eq!(after(&[(0.1, 0.98)]).as_deref(), Some(full));
        assert!(after(&[(0.97, 0.98), (0.1, 0.95)]).is_some_and(|why| !why.contains("processors")));
    }
}
