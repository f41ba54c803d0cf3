//! A node's health, from one answer to the next.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How many answers in a row must be missing before a node that was up is down, and how many lists before it is degraded. A
/// single slow answer never takes it out.
const DOWN_AFTER: u32 = 3;

/// How many answers in a row bring a node back that was down.
const UP_AFTER: u32 = 2;

/// How old an agent's heartbeat may be, as in the original.
const AGENT_ALIVE: Duration = Duration::from_secs(5);

/// Our observations of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Not asked yet.
    #[default]
    Init,
    /// It answers and lists its meetings.
    Ready,
    /// It answers as BBB does, and its list of meetings cannot be used. Its meetings stay, and new ones go elsewhere.
    Degraded,
    /// It does not answer, or not as BBB does.
    Error,
}

/// The state of a node, and what speaks for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its state.
    pub state: NodeState,
    /// Answers missing in a row.
    pub misses: u32,
    /// Answers that came in a row.
    pub answers: u32,
    /// Answers in a row without a usable list of meetings.
    pub unlisted: u32,
}

impl Health {
    /// The node listed its meetings. A lost node is up after a few answers, any other at once.
    #[must_use]
    pub fn answered(self) -> Self {
        let (answers, is_back) = self.another_answer();
        let state = if is_back { NodeState::Ready } else { NodeState::Error };
        Self { state, misses: 0, answers, unlisted: 0 }
    }

    /// The node answered as BBB does, and its list of meetings cannot be used. That degrades a node that was up after a few
    /// lists, and never makes one lost.
    #[must_use]
    pub fn unlisted(self) -> Self {
        let (answers, is_back) = self.another_answer();
        let unlisted = self.unlisted.saturating_add(1);
        let state = match self.state {
            NodeState::Ready if unlisted < DOWN_AFTER => NodeState::Ready,
            _ if is_back => NodeState::Degraded,
            _ => NodeState::Error,
        };
        Self { state, misses: 0, answers, unlisted }
    }

    /// Counts one more answer. `true`: the node is up for certain. `false`: it was lost, and may be gone again.
    fn another_answer(self) -> (u32, bool) {
        let answers = self.answers.saturating_add(1);
        let was_lost = self.state == NodeState::Error && (self.answers > 0 || self.is_lost());
        (answers, !was_lost || answers >= UP_AFTER)
    }

    /// The node did not answer. It is down after a few misses, and at once if it never answered.
    #[must_use]
    pub fn missed(self) -> Self {
        // A node on its way up is as lost as before.
        let was_lost = self.state == NodeState::Error && self.answers > 0;
        let misses = if was_lost { DOWN_AFTER } else { self.misses.saturating_add(1) };
        let stays = self.is_up() && misses < DOWN_AFTER;
        let state = if stays { self.state } else { NodeState::Error };
        Self { state, misses, answers: 0, unlisted: self.unlisted }
    }

    /// Whether the next answer may change the state, so that it should not be waited for long.
    pub fn is_in_doubt(&self) -> bool {
        match self.state {
            NodeState::Init => true,
            NodeState::Ready => self.misses > 0 || self.unlisted > 0,
            NodeState::Degraded => self.misses > 0,
            NodeState::Error => !self.is_lost(),
        }
    }

    /// Whether the node answers as BBB does.
    pub fn is_up(&self) -> bool {
        matches!(self.state, NodeState::Ready | NodeState::Degraded)
    }

    /// Whether the node lists its meetings, or may soon do so again.
    pub fn is_listing(&self) -> bool {
        self.state != NodeState::Degraded && !self.is_lost()
    }

    /// Whether the node is down beyond doubt, so that its meetings may be created elsewhere.
    pub fn is_lost(&self) -> bool {
        self.state == NodeState::Error && self.misses >= DOWN_AFTER
    }
}

/// The last figures of a node's agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgentReport {
    /// When it said so.
    pub heartbeat: Instant,
    /// How busy the processors are, from 0 to 1.
    pub cpu: f32,
    /// How full the memory is, from 0 to 1.
    pub memory: f32,
}

impl AgentReport {
    /// How long the agent has been silent, if that is too long.
    pub fn silence(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.heartbeat);
        (age > AGENT_ALIVE).then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut health: Health, answers: &[bool]) -> Health {
        for answered in answers {
            health = if *answered { health.answered() } else { health.missed() };
        }
        health
    }

    fn up() -> Health {
        Health::default().answered()
    }

    #[test]
    fn a_single_slow_answer_never_takes_a_node_out() {
        assert_eq!(after(up(), &[false, true, false, false, true, false]).state, NodeState::Ready);
        let down = after(up(), &[false, false, false]);
        assert_eq!((down.state, down.is_lost()), (NodeState::Error, true));
    }

    #[test]
    fn a_single_answer_does_not_bring_a_node_back() {
        let down = after(up(), &[false, false, false]);
        assert_eq!(after(down, &[true, false, true]).state, NodeState::Error);
        assert_eq!(after(down, &[true, true]).state, NodeState::Ready);
    }

    #[test]
    fn a_node_that_never_answered_is_down_at_once_and_up_at_once() {
        let never = Health::default().missed();
        assert_eq!((never.state, never.is_lost()), (NodeState::Error, false));
        assert_eq!((up().state, never.answered().state), (NodeState::Ready, NodeState::Ready));
        assert_eq!(never.missed().missed().answered().state, NodeState::Error, "by then it is lost");
    }

    #[test]
    fn a_node_without_a_usable_list_is_degraded_and_never_lost() {
        let mut health = up().unlisted().unlisted();
        assert_eq!((health.state, health.is_in_doubt()), (NodeState::Ready, true));
        health = health.unlisted();
        assert_eq!((health.state, health.is_in_doubt()), (NodeState::Degraded, false));
        for _ in 0..10 {
            health = health.unlisted();
        }
        assert!(health.is_up() && !health.is_lost());
        assert_eq!(health.answered().state, NodeState::Ready, "a single list is enough");
        assert_eq!(Health::default().unlisted().state, NodeState::Degraded, "it never listed anything");
    }

    #[test]
    fn only_silence_takes_a_degraded_node_down() {
        let degraded = up().unlisted().unlisted().unlisted();
        assert_eq!(after(degraded, &[false, false]).state, NodeState::Degraded);
        assert!(after(degraded, &[false, false, false]).is_lost());
        assert_eq!(up().unlisted().unlisted().missed().state, NodeState::Ready, "one answer is missing, not three");
        let back = after(degraded, &[false, false, false]).unlisted();
        assert_eq!((back.state, back.unlisted().state), (NodeState::Error, NodeState::Degraded));
    }

    #[test]
    fn in_doubt_the_node_is_asked_again_soon() {
        assert!(!up().is_in_doubt());
        assert!(up().missed().is_in_doubt() && Health::default().missed().is_in_doubt());
        let down = after(up(), &[false, false, false]);
        assert!(!down.is_in_doubt());
        assert!(down.answered().is_in_doubt());
    }

    #[test]
    fn an_agent_may_be_silent_for_a_few_seconds() {
        let report = AgentReport { heartbeat: Instant::now(), cpu: 0.0, memory: 0.0 };
        assert_eq!(report.silence(report.heartbeat + Duration::from_secs(5)), None);
        assert_eq!(report.silence(report.heartbeat + Duration::from_secs(9)), Some(Duration::from_secs(9)));
    }
}
