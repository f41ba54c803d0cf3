//! Nodes that were asked to create a meeting and did not.

use std::fmt;

use crate::call::Reply;
use crate::facts::Candidates;
use crate::fault::{Fault, NodeFailure};

/// Why a node did not create a meeting.
pub(super) enum Miss {
    /// It said no, and another node may say yes.
    Refused(Box<Reply>),
    /// It gave no answer that can be used, or none could be asked for.
    Failed(Fault),
}

impl Miss {
    /// Whether the node may have got the call and carried it out.
    pub(super) fn sent(&self) -> bool {
        matches!(self, Miss::Failed(fault) if fault.sent())
    }

    /// Whether another node may do better.
    pub(super) fn concerns_the_node(&self) -> bool {
        match self {
            Miss::Refused(_) => true,
            Miss::Failed(fault) => matches!(fault, Fault::Node { .. }),
        }
    }

    /// Whether it counts as an attempt. A refusal costs no time, and a node that hangs is cut after a few seconds.
    pub(super) fn takes_time(&self) -> bool {
        match self {
            Miss::Refused(_) => false,
            Miss::Failed(Fault::Node { failure, .. }) => {
                !matches!(failure, NodeFailure::SecretRefused | NodeFailure::LeftAlone(_) | NodeFailure::Lost)
            }
            Miss::Failed(_) => true,
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Miss::Refused(reply) => write!(f, "it refused the create with `{}`", reply.message_key()),
            Miss::Failed(fault) => fault.fmt(f),
        }
    }
}

/// The answers of all nodes that were asked.
#[derive(Default)]
pub(super) struct Misses {
    fault: Option<Fault>,
    refusal: Option<Reply>,
    /// Whether nodes have said no for different reasons.
    pub(super) differ: bool,
}

impl Misses {
    pub(super) fn note(&mut self, miss: Miss) {
        match miss {
            Miss::Failed(fault) => self.fault = Some(fault),
            Miss::Refused(refusal) => {
                let before = self.refusal.as_ref();
                self.differ |= before.is_some_and(|before| before.message_key() != refusal.message_key());
                self.refusal = Some(*refusal);
            }
        }
    }

    /// The answer for the tenant. A refusal is final only if it is that of every node that may have the meeting.
    pub(super) fn outcome(self, candidates: &Candidates) -> Result<Reply, Fault> {
        match (self.fault, self.refusal) {
            (Some(fault), _) => Err(fault),
            (None, Some(refusal)) if candidates.is_empty() && !self.differ => Ok(refusal),
            (None, _) => candidates.or_none().and(Err(Fault::MeetingNotReady)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{create, school};
    use super::*;

    fn refusal(key: &str) -> String {
        format!("<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>")
    }

    #[tokio::test]
    async fn a_refusal_that_concerns_one_node_is_followed_by_the_next() {
        for key in ["nonUniqueVoiceBridge", "apiNotEnabled", "serverFull", "checksumError"] {
            let cluster = school().replies_created().node_replies("n1", &refusal(key)).attendees("n2", 40);
            create(&cluster, "m1").await.unwrap();
            assert_eq!(cluster.meeting_named("school", "m1").unwrap().backend, cluster.backend_id("n2"), "{key}");
            assert!(cluster.copies().is_empty(), "n1 has not made it");
        }
    }

    /// More nodes than attempts: a node that says no at once is none.
    #[tokio::test]
    async fn a_voice_bridge_is_refused_only_by_all_candidates() {
        let many = (3..9).fold(school(), |cluster, number| cluster.backend(&format!("n{number}"), &[]));
        let refused = create(&many.replies(&refusal("nonUniqueVoiceBridge")), "m1").await.unwrap();
        assert!(refused.failed_with("nonUniqueVoiceBridge"), "as the nodes say it");

        let mixed = school().node_replies("n1", &refusal("nonUniqueVoiceBridge"));
        let full = mixed.clone().node_replies("n2", &refusal("serverFull"));
        assert!(matches!(create(&full, "m1").await, Err(Fault::NoBackend(_))));
        let failing = mixed.node_fails("n2", NodeFailure::Status(502));
        assert!(matches!(create(&failing, "m1").await, Err(Fault::Node { .. })));
        assert!(failing.meeting_named("school", "m1").is_none());
    }
}
