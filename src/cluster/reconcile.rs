//! Taking a node's word for which meetings it runs.

use std::collections::HashSet;
use std::sync::Arc;

use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{Backend, FrontendId, Meeting, MeetingState, NewMeeting, Size};
use b3scale_middleware::ports::Born;

use super::endings::Endings;
use super::replica::Replica;
use crate::store::StoreError;
use crate::telemetry::catalog::MEETINGS_DETACHED;
use crate::view::Known;
use crate::view::{Report, Reported, Word};

/// The frontend of a reported meeting.
struct Owner {
    frontend: FrontendId,
    meeting_id: MeetingId,
    /// It is a breakout, and its parent says so.
    by_parent: bool,
}

/// Brings the database and the view in line with what nodes run.
pub(super) struct Reconciler {
    pub(super) replica: Arc<Replica>,
    pub(super) endings: Arc<Endings>,
}

impl Reconciler {
    /// Brings the meetings of a node in line with its report. `believed`: those of before the poll.
    pub(super) async fn reconcile(&self, backend: &Arc<Backend>, believed: &[Arc<Meeting>], report: &Report) {
        for meeting in believed {
            match (meeting.state, report.word(&meeting.id)) {
                // Results are not announced: another server's create may have come to its end long ago.
                (MeetingState::Claimed, Word::Runs(_)) => self.replica.reread_meeting(&meeting.id).await,
                (MeetingState::Claimed, Word::Ended) | (_, Word::Open) => {}
                (MeetingState::Live | MeetingState::Ending, Word::Runs(reported)) => {
                    self.renew(meeting, &reported.born).await;
                }
                (MeetingState::Detached, Word::Runs(_)) => self.attach(meeting).await,
                (MeetingState::Live | MeetingState::Ending | MeetingState::Detached, Word::Ended) => {
                    tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "Meeting ended");
                    self.endings.forget(meeting).await;
                }
            }
        }
        let believed: HashSet<&ScopedId> = believed.iter().map(|meeting| &meeting.id).collect();
        let mut unknown: Vec<_> = report.own_meetings().filter(|(id, _)| !believed.contains(id)).collect();
        unknown.sort_unstable_by_key(|(id, _)| *id);
        // Breakouts last, since their parents may be unknown, too.
        for breakouts in [false, true] {
            for (id, reported) in unknown.iter().filter(|(_, reported)| reported.breakout == breakouts) {
                self.take_in_unknown(backend, id, reported, report).await;
            }
        }
    }

    /// A node may have made a meeting again without us reading its answer.
    async fn renew(&self, meeting: &Meeting, born: &Born) {
        if born.internal_id.is_empty() || meeting.internal_id.as_ref() == Some(&born.internal_id) {
            return;
        }
        match self.replica.observe(self.replica.store.renew_meeting(meeting, born).await) {
            Ok(Some(renewed)) => self.replica.view.take_meeting(&Arc::new(renewed)),
            Ok(None) => self.replica.reread_meeting(&meeting.id).await,
            Err(error) => {
                tracing::warn!(meeting.id = %meeting.id, %error, "Recording a recreated meeting failed");
            }
        }
    }

    /// A node is back and still runs a meeting that was not created elsewhere.
    async fn attach(&self, meeting: &Meeting) {
        match self.replica.observe(self.replica.store.attach_meeting(meeting).await) {
            Ok(Some(attached)) => {
                tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "Meeting is back with its node");
                self.replica.view.take_meeting(&Arc::new(attached));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Recording a returned meeting failed"),
        }
    }

    /// A node runs a meeting that is not believed to be there.
    async fn take_in_unknown(&self, backend: &Backend, id: &ScopedId, reported: &Reported, report: &Report) {
        let Replica { store, view, .. } = &*self.replica;
        let met = match view.meetings.known(id.as_ref()) {
            // It came to be known while the node was asked.
            Known::There(known) if known.backend == backend.id => Ok(()),
            Known::There(known) if known.state == MeetingState::Live => {
                self.replica.observe(store.record_stray(id, backend.id).await).map(drop)
            }
            Known::There(known) if known.state == MeetingState::Detached => {
                let owner = Owner { frontend: known.frontend, meeting_id: known.meeting_id.clone(), by_parent: false };
                self.adopt(backend, id, owner, reported, report).await
            }
            Known::There(_) => Ok(()),
            Known::Absent | Known::Unknown => self.adopt_unknown(backend, id, reported, report).await,
        };
        if let Err(error) = met {
            tracing::warn!(meeting.id = %id, backend.id = %backend.id, %error, "Adopting a meeting failed");
        }
    }

    async fn adopt_unknown(
        &self,
        backend: &Backend,
        id: &ScopedId,
        reported: &Reported,
        report: &Report,
    ) -> Result<(), StoreError> {
        let owner = match reported.parent.as_deref() {
            Some(parent) => self.owner_of_breakout(backend, id, parent, report),
            None => self.owner(id, reported).await?.map(|(frontend, meeting_id)| Owner {
                frontend,
                meeting_id,
                by_parent: false,
            }),
        };
        // A meeting without an owner is a stray: another system may use the node, too.
        let Some(owner) = owner else { return Ok(()) };
        self.adopt(backend, id, owner, reported, report).await
    }

    /// Takes a meeting in, if its owner's meetings may be on that backend and the store knows why it runs there.
    async fn adopt(
        &self,
        backend: &Backend,
        id: &ScopedId,
        owner: Owner,
        reported: &Reported,
        report: &Report,
    ) -> Result<(), StoreError> {
        let Owner { frontend, meeting_id, by_parent } = owner;
        let known = self.replica.view.roster().frontend_of(frontend).cloned();
        if !known.is_some_and(|frontend| frontend.may_use(backend)) {
            return Ok(());
        }
        let size = Size { breakout: reported.breakout, ..Size::default() };
        let new = NewMeeting { id, meeting_id: &meeting_id, frontend, backend: backend.id, size };
        let adopted = self
            .replica
            .observe(self.replica.store.adopt_meeting(new, &reported.born, by_parent, report.asked_at).await)?;
        if let Some(adopted) = adopted {
            tracing::info!(meeting.id = %adopted.id, backend.id = %adopted.backend, "Adopted a meeting found on its node");
            self.replica.view.take_meeting(&Arc::new(adopted));
        }
        Ok(())
    }

    /// The frontend of a meeting, by its id, by an earlier meeting with that id, or by its metadata.
    async fn owner(&self, id: &ScopedId, reported: &Reported) -> Result<Option<(FrontendId, MeetingId)>, StoreError> {
        let of_key = |key: &str| self.replica.view.roster().frontend(key).map(|frontend| frontend.id);
        if let Some((key, meeting_id)) = id.decode() {
            return Ok(of_key(&key).map(|frontend| (frontend, meeting_id)));
        }
        if id.is_hashed() {
            let past = self.replica.observe(self.replica.store.find_history(id).await)?;
            return Ok(past.map(|past| (past.frontend, past.meeting_id)));
        }
        let frontend = reported.frontend_key().and_then(of_key);
        Ok(frontend.map(|frontend| (frontend, MeetingId::new(id.as_ref()))))
    }

    /// A breakout that the node made by itself is its parent's frontend's, and has one id on both sides. Its parent runs on that very node.
    fn owner_of_breakout(&self, backend: &Backend, id: &ScopedId, parent: &str, report: &Report) -> Option<Owner> {
        let (id_of_parent, _) = report.own_meetings().find(|(_, one)| one.born.internal_id == parent)?;
        let known = self.replica.view.meetings.there(id_of_parent.as_ref())?;
        let parent =
            Some(known).filter(|known| known.backend == backend.id && known.internal_id.as_deref() == Some(parent))?;
        let frontend = parent.frontend;
        let meeting_id = match id.decode() {
            // Under the id of another frontend it would take that one's place.
            Some((key, meeting_id)) => {
                (self.replica.view.roster().frontend(&key)?.id == frontend).then_some(meeting_id)?
            }
            None => MeetingId::new(id.as_ref()),
        };
        Some(Owner { frontend, meeting_id, by_parent: true })
    }

    /// A node is lost: its meetings may be created elsewhere. Repeated after every poll, since a write may fail.
    pub(super) async fn detach(&self, backend: &Backend) {
        let Replica { store, view, .. } = &*self.replica;
        // Endings are not announced: a meeting that is live in memory may be ending.
        let runs = |meeting: &Meeting| matches!(meeting.state, MeetingState::Live | MeetingState::Ending);
        if view.meetings.filtered(|meeting| meeting.backend == backend.id && runs(meeting)).is_empty() {
            return;
        }
        let lost = async {
            for detached in self.replica.observe(store.detach_meetings(backend.id).await)? {
                view.take_meeting(&Arc::new(detached));
                MEETINGS_DETACHED.with([]).increment(1);
            }
            for gone in self.replica.observe(store.forget_ending(backend.id).await)? {
                view.remove_meeting(&gone.id, gone.version);
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = lost.await {
            tracing::warn!(backend.id = %backend.id, %error, "Detaching the meetings of a lost node failed");
        }
    }
}
