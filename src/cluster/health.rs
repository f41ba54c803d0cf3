//! Asking the nodes how they fare, and clearing up after what went wrong.
//!
//! Every backend is asked for its meetings at regular times. An answer says that the node is up, how many people are in its
//! meetings, and which of the meetings we believe in have ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::{Algorithm, CallKind, Params, xml};
use b3scale_middleware::cluster::{AdminState, Backend, Meeting, MeetingState, NodeState};
use b3scale_middleware::ports::{Meetings, NodeRequest};
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderValue;
use tokio::time::{MissedTickBehavior, interval};

use super::{ATTEMPT_LIMIT, Cluster, Inner};
use crate::store::{MeetingCopy, NewStatus};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(10);

/// How long a node may take to answer. A single slow answer never takes it out.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many answers in a row must be missing before a node that was up is down.
const MISSING_BEFORE_DOWN: u32 = 3;

/// What a node said of itself.
struct Report {
    attendees: u32,
    meetings: HashSet<String>,
}

impl Cluster {
    pub(super) fn spawn_health(&self) {
        let cluster = Arc::downgrade(&self.0);
        self.spawn(async move {
            let mut rounds = interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                let Some(inner) = cluster.upgrade() else { return };
                Cluster(inner).look_round().await;
            }
        });
    }

    /// Asks the nodes that have just become known, without waiting for the next round.
    pub(super) fn poll_new_nodes(&self) {
        for backend in self.0.view.roster().backends().iter() {
            if backend.vitals.node_state() == NodeState::Init && backend.admin_state != AdminState::Init {
                let (cluster, backend) = (self.clone(), Arc::clone(backend));
                // Not awaited here, so that a node that stalls does not hold up the news of others.
                tokio::spawn(async move { cluster.poll(&backend).await });
            }
        }
    }

    /// Asks every node how it fares, and clears up after what went wrong.
    pub async fn look_round(&self) {
        let backends = Arc::clone(self.0.view.roster().backends());
        let asked = backends.iter().filter(|backend| backend.admin_state != AdminState::Init);
        join_all(asked.map(|backend| self.poll(backend))).await;
        self.0.pulse.send_modify(|pulse| pulse.rounds += 1);
        self.reap_claims().await;
        self.end_copies().await;
        self.0.view.forget_old_deletions();
    }

    async fn poll(&self, backend: &Arc<Backend>) {
        // A meeting that goes live while the node is writing its answer is not in it, and has not ended.
        let believed = self.0.view.meetings_where(|meeting| meeting.backend == backend.id && may_have_ended(meeting));
        let began = Instant::now();
        let answer = self.ask(backend, CallKind::GetMeetings, &Params::default()).await;
        let latency = began.elapsed();
        let report =
            answer.and_then(|reply| Report::read(&reply.body).map_err(|error| Fault::garbled(backend.id, error)));
        match &report {
            Ok(report) => {
                backend.vitals.report_attendees(report.attendees);
                self.forget_ended(&believed, report).await;
            }
            Err(fault) => tracing::debug!(backend.id = %backend.id, %fault, "A node did not report"),
        }
        self.note(backend, report.map(|report| report.attendees), latency).await;
    }

    async fn forget_ended(&self, believed: &[Arc<Meeting>], report: &Report) {
        for meeting in believed.iter().filter(|meeting| !report.meetings.contains(meeting.id.as_ref())) {
            tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "A meeting has ended");
            // The port never fails here: what cannot be noted is logged and found again in the next round.
            let _ = self.forget(meeting).await;
        }
    }

    async fn note(&self, backend: &Backend, attendees: Result<u32, Fault>, latency: Duration) {
        let before = backend.vitals.node_state();
        let state = match &attendees {
            Ok(_) => backend.vitals.answered(),
            Err(_) => backend.vitals.missed(MISSING_BEFORE_DOWN),
        };
        let last_error = attendees.as_ref().err().map(ToString::to_string);
        match (before, state, &last_error) {
            (NodeState::Init | NodeState::Error, NodeState::Ready, _) => {
                tracing::info!(backend.id = %backend.id, backend.url = %backend.url, "A node is up");
            }
            (NodeState::Init | NodeState::Ready, NodeState::Error, Some(error)) => {
                tracing::warn!(backend.id = %backend.id, backend.url = %backend.url, error, "A node is down");
            }
            _ => {}
        }
        self.0.view.changed.notify_waiters();
        let seen = NewStatus { node_state: state, last_error, latency, attendees: attendees.unwrap_or_default() };
        if let Err(error) = self.noted(self.0.store.record_status(backend.id, &seen).await) {
            tracing::debug!(backend.id = %backend.id, %error, "A node's state could not be noted");
        }
    }

    async fn reap_claims(&self) {
        let Inner { store, view, .. } = &*self.0;
        match self.noted(store.reap_claims(2 * ATTEMPT_LIMIT).await) {
            Ok(reaped) => {
                for meeting in reaped {
                    tracing::warn!(meeting.id = %meeting.id, "A claim was given up: nobody finished it");
                    view.unlearn(&meeting.id, meeting.version);
                }
            }
            Err(error) => tracing::debug!(%error, "Old claims could not be looked for"),
        }
    }

    /// Ends meetings on nodes that got a create which was then given up.
    async fn end_copies(&self) {
        let copies = match self.noted(self.0.store.load_copies().await) {
            Ok(copies) => copies,
            Err(error) => return tracing::debug!(%error, "Copies could not be looked for"),
        };
        join_all(copies.iter().map(|copy| self.end_copy(copy))).await;
    }

    async fn end_copy(&self, copy: &MeetingCopy) {
        let Some(backend) = self.0.view.roster().backend(copy.backend).cloned() else { return };
        let mut params = Params::default();
        params.set("meetingID", copy.id.as_ref());
        let reply = match self.ask(&backend, CallKind::End, &params).await {
            Ok(reply) => reply,
            Err(fault) => return tracing::debug!(backend.id = %backend.id, %fault, "A copy could not be ended yet"),
        };
        if reply.failed_with("notFound") {
            match self.0.store.forget_copy(copy).await {
                Ok(_) => tracing::info!(meeting.id = %copy.id, backend.id = %backend.id, "A copy has been ended"),
                Err(error) => tracing::debug!(%error, "An ended copy could not be noted"),
            }
        }
    }

    async fn ask(&self, backend: &Arc<Backend>, kind: CallKind, params: &Params) -> Result<Reply, Fault> {
        let request_id = HeaderValue::from_static("b3scaled-health");
        let signed = NodeRequest::signed(kind, params, None, backend, Algorithm::Sha256, &request_id);
        self.0.nodes.ask(NodeRequest { patience: Some(PATIENCE), ..signed }).await
    }
}

impl Report {
    fn read(document: &Bytes) -> Result<Self, xml::XmlError> {
        let mut report = Self { attendees: 0, meetings: HashSet::new() };
        for meeting in xml::elements(document, &["response", "meetings", "meeting"])? {
            let [id, people, breakout] = xml::fields(&meeting, ["meetingID", "participantCount", "isBreakout"])?;
            // Whoever is in a breakout stays in its parent, and is counted there.
            if breakout.as_deref() != Some("true") {
                report.attendees = report.attendees.saturating_add(people.map_or(0, |people| count(&people)));
            }
            report.meetings.extend(id);
        }
        Ok(report)
    }
}

/// A number as BBB writes it, which may be grouped: `1,234`.
fn count(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

fn may_have_ended(meeting: &Meeting) -> bool {
    matches!(meeting.state, MeetingState::Live | MeetingState::Ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_people_once_and_reads_grouped_numbers() {
        let document = "<response><returncode>SUCCESS</returncode><meetings>\
            <meeting><meetingID>a</meetingID><participantCount>1,234</participantCount></meeting>\
            <meeting><meetingID>b</meetingID><participantCount>7</participantCount><isBreakout>true</isBreakout></meeting>\
            </meetings></response>";
        let report = Report::read(&document.into()).unwrap();
        assert_eq!(report.attendees, 1234);
        assert!(report.meetings.contains("b"));
    }
}
