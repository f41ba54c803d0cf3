//! Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.
//!
//! Each is sent an end until its node says that it has none. In between, its meeting can be created there again. A copy with people in it
//! is not ended unless the end of its meeting was asked for: it takes the place of a meeting without people, or runs on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Backend, BackendId, Meeting, MeetingState};
use b3scale_middleware::ports::Born;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::listing::{Asker, Info};
use super::replica::Replica;
use crate::ledger::MeetingCopy;
use crate::store::StoreError;
use crate::telemetry::catalog::COPIES_ENDED;

/// How many copies are ended at once on one node.
const COPIES_AT_ONCE: usize = 4;

/// How long a node must say that it has no copy before it is believed. A create that it got before it answered anything may
/// still be under way. Should that take longer, the meeting is a stray in the node's next report.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Why a copy could not be ended.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Node(#[from] Fault),
}

/// Ends copies.
pub(super) struct Copies {
    pub(super) replica: Arc<Replica>,
    pub(super) asker: Asker,
}

impl Copies {
    /// Ends the copies that can be ended, on every node at once.
    pub(super) async fn end_all(&self) -> Result<(), StoreError> {
        let mut places: BTreeMap<BackendId, Vec<MeetingCopy>> = BTreeMap::new();
        for copy in self.replica.store.load_copies().await? {
            places.entry(copy.backend).or_default().push(copy);
        }
        stream::iter(places).for_each_concurrent(None, |(id, copies)| self.end_on(id, copies)).await;
        Ok(())
    }

    /// The first end that fails leaves the rest for later: a node that hangs takes none of the others.
    async fn end_on(&self, id: BackendId, copies: Vec<MeetingCopy>) {
        let backend = self.replica.view.roster().backend(id).cloned();
        let Some(backend) = backend.filter(|backend| backend.is_up()) else { return };
        let ends = stream::iter(copies).map(|copy| self.end_one(copy, &backend));
        if let Err(error) = ends.buffer_unordered(COPIES_AT_ONCE).try_for_each(async |()| Ok(())).await {
            tracing::debug!(backend.id = %id, %error, "Ending a copy failed");
        }
    }

    async fn end_one(&self, copy: MeetingCopy, backend: &Arc<Backend>) -> Result<(), CopyError> {
        let store = &self.replica.store;
        if !copy.doomed && self.is_kept(&copy, backend).await {
            return Ok(());
        }
        if !self.replica.observe(store.take_copy(&copy).await)? {
            return Ok(());
        }
        let reply = self.asker.ask_about(backend, CallKind::End, &copy.id).await?;
        if reply.failed_with("notFound") && self.replica.observe(store.forget_copy(&copy, SETTLED_AFTER).await)? {
            COPIES_ENDED.with([]).increment(1);
            tracing::info!(meeting.id = %copy.id, backend.id = %backend.id, "Copy ended");
            return Ok(());
        }
        // An end that was not answered may yet be carried out: then the copy stays taken for as long as that may take.
        Ok(self.replica.observe(store.rest_copy(&copy, reply.is_success()).await)?)
    }

    /// Whether a copy is not to be ended now, because people are in it or its node does not say.
    async fn is_kept(&self, copy: &MeetingCopy, backend: &Arc<Backend>) -> bool {
        let asker = &self.asker;
        let here = match asker.info(backend, &copy.id).await {
            Info::Gone => return false,
            Info::Open => return true,
            Info::Runs(here, _) => here,
        };
        if here.attendees == 0 {
            return false;
        }
        // Both were asked after the copy's node had come back: neither answer is older.
        if let Some((meeting, home)) = self.home_of(copy, backend)
            && !self.replica.view.arrivals.expects(&meeting.id)
            && let Info::Runs(there, _) = asker.info(&home, &meeting.id).await
            && there.attendees == 0
            && Some(&there.born.internal_id) == meeting.internal_id.as_ref()
        {
            self.swap(&meeting, copy, &here.born).await;
        }
        true
    }

    /// The meeting that a copy may change places with, and its backend.
    fn home_of(&self, copy: &MeetingCopy, backend: &Backend) -> Option<(Arc<Meeting>, Arc<Backend>)> {
        let meeting =
            self.replica.view.meetings.there(copy.id.as_ref()).filter(|meeting| meeting.state == MeetingState::Live)?;
        let roster = self.replica.view.roster();
        let may_live_there = roster.frontend_of(meeting.frontend)?.may_use(backend);
        let home = roster.backend(meeting.backend).filter(|home| may_live_there && home.is_up())?;
        Some((meeting, Arc::clone(home)))
    }

    async fn swap(&self, meeting: &Meeting, copy: &MeetingCopy, born: &Born) {
        match self.replica.observe(self.replica.store.swap_copy(meeting, copy, born).await) {
            Ok(Some(swapped)) => {
                tracing::info!(meeting.id = %swapped.id, backend.id = %swapped.backend, before = %meeting.backend,
                    "Moving a meeting to its copy, which has people");
                self.replica.view.take_meeting(&Arc::new(swapped));
            }
            Ok(None) => self.replica.reread_meeting(&meeting.id).await,
            Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Moving a meeting to its copy failed"),
        }
    }
}
