//! Meetings that are too young for any report of their nodes: a list shows what their nodes say when they are asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::Meeting;
use dashmap::DashMap;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::Cluster;
use super::listing::Info;
use super::report::Reported;

/// How long a list waits for nodes. Until they have answered, a meeting is listed as its create made it.
const LIMIT: Duration = Duration::from_secs(1);

/// How many meetings are asked for at once.
const AT_ONCE: usize = 16;

/// By then a node has reported.
const LASTS: Duration = Duration::from_secs(60);

/// The answers of nodes about young meetings.
#[derive(Default)]
pub(super) struct Firsthand(DashMap<ScopedId, Answer>);

struct Answer {
    internal_id: Option<String>,
    at: Instant,
    /// `None`: the node said nothing of use, and is not asked again.
    said: Option<Arc<Reported>>,
}

impl Firsthand {
    /// The answer about this very meeting.
    pub(super) fn said(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        let answer = self.0.get(&meeting.id).filter(|answer| answer.internal_id == meeting.internal_id)?;
        answer.said.clone()
    }

    fn is_due(&self, meeting: &Meeting) -> bool {
        self.0.get(&meeting.id).is_none_or(|answer| answer.internal_id != meeting.internal_id)
    }

    fn note(&self, meeting: &Meeting, said: Option<Reported>) {
        let said = said.filter(|said| Some(&said.born.internal_id) == meeting.internal_id.as_ref()).map(Arc::new);
        let answer = Answer { internal_id: meeting.internal_id.clone(), at: Instant::now(), said };
        self.0.insert(meeting.id.clone(), answer);
    }

    pub(super) fn forget_old(&self) {
        self.0.retain(|_, answer| answer.at.elapsed() < LASTS);
    }
}

/// Asks the nodes of those meetings that no report has yet, each once.
pub(super) async fn ask(cluster: &Cluster, meetings: &[Arc<Meeting>]) {
    let view = &cluster.0.view;
    let is_young = |meeting: &&Arc<Meeting>| view.report_of(meeting).is_none() && view.firsthand.is_due(meeting);
    let young: Vec<Arc<Meeting>> = meetings.iter().filter(is_young).cloned().collect();
    if young.is_empty() {
        return;
    }
    let (asker, roster) = (cluster.asker(), view.roster().clone());
    let answers = stream::iter(young.clone()).for_each_concurrent(AT_ONCE, |meeting| {
        let (asker, backend) = (&asker, roster.backend(meeting.backend).filter(|backend| backend.is_up()).cloned());
        async move {
            let Some(backend) = backend else { return };
            let said = match asker.info(&backend, &meeting.id).await {
                Info::Runs(reported, _) => Some(reported),
                Info::Gone | Info::Open => None,
            };
            view.firsthand.note(&meeting, said);
        }
    });
    // The next list does not wait for the same nodes.
    if timeout(LIMIT, answers).await.is_err() {
        young
            .iter()
            .filter(|meeting| view.firsthand.is_due(meeting))
            .for_each(|meeting| view.firsthand.note(meeting, None));
    }
}
