//! Asking the nodes how they fare.
//!
//! Every backend is asked for its meetings at regular times. An answer says that the node is up, how many people are in its
//! meetings, and which of the meetings we believe in have ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::{Algorithm, CallKind, Params, xml};
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Meeting, MeetingState, NodeState};
use b3scale_middleware::ports::{Born, Meetings, NodeRequest};
use b3scale_middleware::{Fault, Reply};
use futures_util::future::join_all;
use http::HeaderValue;
use tokio::time::{MissedTickBehavior, interval};

use super::{ATTEMPT_LIMIT, Cluster, Inner};
use crate::store::{NewStatus, StoreError};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(10);

/// How long a node may take to answer. A single slow answer never takes it out.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many answers in a row must be missing before a node that was up is down.
const MISSING_BEFORE_DOWN: u32 = 3;

/// What a node said of itself.
struct Report {
    attendees: u32,
    /// By their ids, what the node says of their making.
    meetings: HashMap<String, Born>,
}

impl Cluster {
    /// Two loops, so that copies on a node that hangs hold up nobody's health.
    pub(super) fn spawn_health(&self) {
        self.every_round(|cluster| async move { cluster.ask_all().await });
        self.every_round(|cluster| async move { cluster.end_copies().await });
    }

    fn every_round<F: Future<Output = ()> + Send>(&self, work: impl Fn(Cluster) -> F + Send + 'static) {
        let cluster = Arc::downgrade(&self.0);
        self.spawn(async move {
            let mut rounds = interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                let Some(inner) = cluster.upgrade() else { return };
                work(Cluster(inner)).await;
            }
        });
    }

    /// Asks a node that has just become known, without waiting for the next round.
    pub(super) fn poll_new_node(&self, id: BackendId) {
        let Some(backend) = self.0.view.roster().backend(id).cloned() else { return };
        if backend.vitals.node_state() == NodeState::Init && backend.admin_state != AdminState::Init {
            let cluster = self.clone();
            // Not awaited here, so that a node that stalls does not hold up the news of others.
            tokio::spawn(async move { cluster.poll(&backend).await });
        }
    }

    /// Asks every node how it fares, and clears up after what went wrong.
    pub async fn look_round(&self) {
        self.ask_all().await;
        self.end_copies().await;
    }

    async fn ask_all(&self) {
        let backends = Arc::clone(self.0.view.roster().backends());
        let asked = backends.iter().filter(|backend| backend.admin_state != AdminState::Init);
        join_all(asked.map(|backend| self.poll(backend))).await;
        self.0.pulse.send_modify(|pulse| pulse.rounds += 1);
        self.reap_claims().await;
        self.0.view.forget_old_deletions();
        self.0.view.recount();
    }

    async fn poll(&self, backend: &Arc<Backend>) {
        // A meeting that goes live while the node is writing its answer is not in it, and has not ended.
        let believed = self.0.view.meetings_where(|meeting| meeting.backend == backend.id);
        let began = Instant::now();
        let answer = self.ask(backend, CallKind::GetMeetings, &Params::default()).await;
        let latency = began.elapsed();
        let report = answer.and_then(|reply| Report::read(&reply).map_err(|why| Fault::garbled(backend.id, why)));
        if let Ok(report) = &report {
            backend.vitals.report_attendees(report.attendees);
        }
        self.note(backend, report.as_ref().err(), latency).await;
        match &report {
            Ok(report) => self.reconcile(&believed, report).await,
            Err(_) if backend.vitals.missing() >= MISSING_BEFORE_DOWN => self.detach(backend).await,
            Err(fault) => tracing::debug!(backend.id = %backend.id, %fault, "A node did not report"),
        }
    }

    /// Takes the node's word for which of its meetings run.
    async fn reconcile(&self, believed: &[Arc<Meeting>], report: &Report) {
        for meeting in believed {
            match (meeting.state, report.meetings.get(meeting.id.as_ref())) {
                // Results are not announced: another server's create may have come to its end long ago.
                (MeetingState::Claimed, Some(_)) => self.look_again(&meeting.id).await,
                (MeetingState::Claimed, None) => {}
                (MeetingState::Live | MeetingState::Ending, Some(born)) => self.renew(meeting, born).await,
                (MeetingState::Detached, Some(_)) => self.attach(meeting).await,
                (MeetingState::Live | MeetingState::Ending | MeetingState::Detached, None) => {
                    tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "A meeting has ended");
                    self.forget(meeting).await;
                }
            }
        }
    }

    /// A node may have made a meeting anew without us reading its answer.
    async fn renew(&self, meeting: &Meeting, born: &Born) {
        if born.internal_id.is_empty() || meeting.internal_id.as_ref() == Some(&born.internal_id) {
            return;
        }
        if let Err(fault) = self.record_live(meeting, born.clone()).await {
            tracing::warn!(meeting.id = %meeting.id, %fault, "A meeting that was made anew could not be noted");
        }
    }

    /// A node is back and still runs a meeting that was not created elsewhere.
    async fn attach(&self, meeting: &Meeting) {
        match self.noted(self.0.store.attach_meeting(meeting).await) {
            Ok(Some(attached)) => {
                tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "A meeting is back");
                self.0.view.learn(&Arc::new(attached));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "A meeting that is back could not be noted"),
        }
    }

    /// A node is lost: its meetings may be created elsewhere. Said in every round, since not every one may have been heard.
    async fn detach(&self, backend: &Backend) {
        let there = |state| move |meeting: &Meeting| meeting.backend == backend.id && meeting.state == state;
        let (store, view) = (&self.0.store, &self.0.view);
        let lost = async {
            if !view.meetings_where(there(MeetingState::Live)).is_empty() {
                for detached in self.noted(store.detach_meetings(backend.id).await)? {
                    view.learn(&Arc::new(detached));
                }
            }
            if !view.meetings_where(there(MeetingState::Ending)).is_empty() {
                for gone in self.noted(store.forget_ending(backend.id).await)? {
                    view.unlearn(&gone.id, gone.version);
                }
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = lost.await {
            tracing::warn!(backend.id = %backend.id, %error, "The meetings of a lost node could not be detached");
        }
    }

    async fn note(&self, backend: &Backend, failed: Option<&Fault>, latency: Duration) {
        let before = backend.vitals.node_state();
        let state = match failed {
            None => backend.vitals.answered(),
            Some(_) => backend.vitals.missed(MISSING_BEFORE_DOWN),
        };
        let last_error = failed.map(ToString::to_string);
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
        let seen = NewStatus { node_state: state, last_error, latency, attendees: backend.vitals.attendees() };
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

    pub(super) async fn ask(&self, backend: &Arc<Backend>, kind: CallKind, params: &Params) -> Result<Reply, Fault> {
        let request_id = HeaderValue::from_static("b3scaled-health");
        let signed = NodeRequest::signed(kind, params, None, backend, Algorithm::Sha256, &request_id);
        self.0.nodes.ask(NodeRequest { patience: Some(PATIENCE), ..signed }).await
    }
}

impl Report {
    /// Reads a list of meetings. Anything else that a node may say, be it in a document, is no report: nothing ended by it.
    fn read(reply: &Reply) -> Result<Self, String> {
        let unreadable = |error: xml::XmlError| error.to_string();
        if !reply.is_success() || xml::elements(&reply.body, &["response", "meetings"]).map_err(unreadable)?.is_empty()
        {
            return Err("it is no list of meetings".to_owned());
        }
        let mut report = Self { attendees: 0, meetings: HashMap::new() };
        for meeting in xml::elements(&reply.body, &["response", "meetings", "meeting"]).map_err(unreadable)? {
            let names = ["meetingID", "internalMeetingID", "createTime", "participantCount", "isBreakout"];
            let [id, internal_id, create_time, people, breakout] = xml::fields(&meeting, names).map_err(unreadable)?;
            // Whoever is in a breakout stays in its parent, and is counted there.
            if breakout.as_deref() != Some("true") {
                report.attendees = report.attendees.saturating_add(people.map_or(0, |people| count(&people)));
            }
            let create_time = create_time.and_then(|time| time.trim().parse().ok()).unwrap_or_default();
            let born = Born { internal_id: internal_id.unwrap_or_default(), create_time };
            report.meetings.extend(id.map(|id| (id, born)));
        }
        Ok(report)
    }
}

/// A number as BBB writes it, which may be grouped: `1,234`.
fn count(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(document: &'static str) -> Result<Report, String> {
        Report::read(&Reply::xml(document.into()).read(BackendId(uuid::Uuid::nil())).unwrap())
    }

    /// Defect 32 of the original: people in breakouts were counted twice.
    #[test]
    fn a_report_counts_people_once_and_reads_grouped_numbers() {
        let report = report(
            "<response><returncode>SUCCESS</returncode><meetings>\
            <meeting><meetingID>a</meetingID><participantCount>1,234</participantCount></meeting>\
            <meeting><meetingID>b</meetingID><participantCount>7</participantCount><isBreakout>true</isBreakout></meeting>\
            </meetings></response>",
        );
        let report = report.unwrap();
        assert_eq!(report.attendees, 1234);
        assert!(report.meetings.contains_key("b"));
    }

    /// Defect 35 of the original: an answer that was no list ended every meeting of the node.
    #[test]
    fn what_is_no_list_of_meetings_is_no_report() {
        let empty = "<response><returncode>SUCCESS</returncode><meetings/></response>";
        assert!(report(empty).is_ok_and(|report| report.meetings.is_empty()));
        assert!(
            report("<response><returncode>FAILED</returncode><messageKey>internalError</messageKey></response>")
                .is_err()
        );
        assert!(report("<response><returncode>SUCCESS</returncode><version>2.0</version></response>").is_err());
    }
}
