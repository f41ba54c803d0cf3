//! Keeping the view true: load everything, read announced rows again, and poll for the rest.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::{self, Arc, Mutex, PoisonError};
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, MeetingState, RecordId};
use tokio::sync::{MutexGuard, Notify, broadcast};
use tokio::time::{Instant, sleep};

use super::introduction::Introduction;
use super::poll::Poller;
use super::replica::Replica;
use super::statuses::Statuses;
use crate::ledger::COMMAND_JOB;
use crate::ledger::Change;
use crate::store::StoreError;
use crate::telemetry::catalog::{VIEW_CHANGES, VIEW_RELOADS};
use crate::work::Waker;

/// Between two tries to load everything.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// Announcements that are read with one statement, if so many wait.
const MOST_AT_ONCE: usize = 512;

/// Changed recordings that a slow reader may leave behind. Past that it takes all for changed.
const MOST_RECORDINGS: usize = 1024;

/// Follows the database.
pub(super) struct Follower {
    replica: Arc<Replica>,
    introduction: Arc<Introduction>,
    statuses: Arc<Statuses>,
    poller: Poller,
    /// Rings when a reload of the pipeline was announced.
    reloads: Arc<Notify>,
    waker: Waker,
    recordings: broadcast::Sender<Option<RecordId>>,
    /// When the echoes were announced that have not come back.
    echoes: Mutex<VecDeque<Instant>>,
    /// Held while statuses are followed, so that none are followed in the middle of a full load.
    following: tokio::sync::Mutex<()>,
}

impl Follower {
    pub(super) fn new(
        replica: Arc<Replica>,
        introduction: Arc<Introduction>,
        statuses: Arc<Statuses>,
        poller: Poller,
        reloads: Arc<Notify>,
        waker: Waker,
    ) -> Self {
        let (echoes, following) = (Mutex::default(), tokio::sync::Mutex::default());
        let recordings = broadcast::Sender::new(MOST_RECORDINGS);
        Self { replica, introduction, statuses, poller, reloads, waker, recordings, echoes, following }
    }

    /// Tells which recordings have changed. `None` stands for any.
    pub(super) fn recordings(&self) -> broadcast::Sender<Option<RecordId>> {
        self.recordings.clone()
    }

    /// Reads announced rows again, once everything was loaded.
    pub(super) async fn follow_announced(self: Arc<Self>) {
        let mut feed = self.replica.store.feed();
        let mut changes = Vec::new();
        while feed.recv_many(&mut changes, MOST_AT_ONCE).await > 0 {
            if let Err(error) = self.apply(&changes).await {
                tracing::warn!(%error, "Reading announced changes failed; loading everything again");
                self.load_until_done().await;
            }
            changes.clear();
        }
    }

    pub(super) async fn load_all(&self) -> Result<(), StoreError> {
        let Replica { store, view, .. } = &*self.replica;
        VIEW_RELOADS.with([]).increment(1);
        // Without a reader there is none that remembers one.
        let _ = self.recordings.send(None);
        let began = Instant::now();
        // A row that is unchanged since then and not in the database is gone. A row of a claim made meanwhile is not.
        let before = view.meetings.versions();
        self.introduction.beat().await?;
        let frontends = self.replica.observe(store.load_frontends().await)?;
        let backends = self.replica.observe(store.load_backends().await)?;
        let meetings = self.replica.observe(store.load_meetings().await)?;
        view.take_roster(frontends, backends);
        let there: HashSet<ScopedId> = meetings.iter().map(|meeting| meeting.id.clone()).collect();
        for meeting in meetings {
            view.take_loaded(&Arc::new(meeting), &before);
        }
        for (id, version) in before.into_iter().filter(|(id, _)| !there.contains(id)) {
            view.remove_meeting(&id, version);
        }
        self.replica.trust().prove(began);
        // Echoes that were announced to a lost connection never come back.
        self.echoes().clear();
        let following = self.following.lock().await;
        self.statuses.forget_all();
        view.presences.clear();
        self.follow_on(&following).await
    }

    /// Announces an echo. Once it comes back, all earlier announcements are in memory.
    pub(super) async fn announce_echo(&self) {
        // Recorded first, since it may come back before the announcement is answered.
        self.echoes().push_back(Instant::now());
        if let Err(error) = self.replica.observe(self.replica.store.echo(self.replica.server).await) {
            self.echoes().pop_back();
            tracing::debug!(%error, "Announcing an echo failed");
        }
    }

    /// Loads everything. Announcements wait in the feed meanwhile.
    async fn load_until_done(&self) {
        while let Err(error) = self.load_all().await {
            tracing::warn!(%error, "Loading the cluster failed, retrying");
            sleep(RELOAD_PAUSE).await;
        }
    }

    async fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            VIEW_CHANGES.with([change.name()]).increment(1);
            if let Change::Recording(id) = change {
                let _ = self.recordings.send(Some(id.clone()));
            }
        }
        // Everything is read after all of these were announced.
        if changes.contains(&Change::Reconnected) {
            return self.load_all().await;
        }
        let meetings: BTreeSet<&ScopedId> = changes
            .iter()
            .filter_map(|change| if let Change::Meeting(id) = change { Some(id) } else { None })
            .collect();
        if !meetings.is_empty() {
            self.replica.read_meetings(&meetings.into_iter().cloned().collect::<Vec<_>>()).await?;
        }
        for change in changes {
            self.apply_one(change).await?;
        }
        Ok(())
    }

    async fn apply_one(&self, change: &Change) -> Result<(), StoreError> {
        let Replica { store, view, .. } = &*self.replica;
        match change {
            Change::Frontend(id) => {
                let row = self.replica.observe(store.find_frontend(*id).await)?;
                view.take_frontend(*id, row);
            }
            Change::Backend(id) => {
                self.replica.read_backend(*id).await?;
                if view.roster().backend(*id).is_some_and(|backend| backend.is_unasked()) {
                    self.poller.ask_due().await;
                }
            }
            Change::Command(_) => self.waker.wake(COMMAND_JOB),
            Change::Pipeline => self.reloads.notify_one(),
            Change::Echo(id) if *id == self.replica.server => {
                if let Some(announced) = self.echoes().pop_front() {
                    self.replica.trust().prove(announced);
                }
            }
            Change::Reconnected | Change::Meeting(_) | Change::Recording(_) | Change::Echo(_) => {}
        }
        Ok(())
    }

    /// Polls for unannounced changes: the nodes' statuses, and the results of other servers' creates.
    pub(super) async fn follow_unannounced(&self) {
        let claims = self.replica.view.meetings.filtered(|meeting| meeting.state == MeetingState::Claimed);
        let claims: Vec<_> = claims.iter().map(|meeting| meeting.id.clone()).collect();
        let read = async {
            self.follow_statuses().await?;
            if claims.is_empty() { Ok(()) } else { self.replica.read_meetings(&claims).await }
        };
        if let Err(error) = read.await {
            tracing::debug!(%error, "Polling for status changes failed");
        }
    }

    async fn follow_statuses(&self) -> Result<(), StoreError> {
        let following = self.following.lock().await;
        self.follow_on(&following).await
    }

    /// Takes in the nodes' records since the last look: first the statuses, then the attendees.
    ///
    /// Every record of a node raises its backend's number by one, in the transaction that writes the status and the rows of its
    /// meetings and attendees. So once a status can be read, all rows up to its number are committed.
    async fn follow_on(&self, _: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let Replica { store, view, .. } = &*self.replica;
        // 1. The status of each backend with a higher number than the known one.
        let statuses = self.replica.observe(store.statuses_since(&self.statuses.known()).await)?;
        // 2. Those with an agent tell up to which number its report is known now, and how old its last full word is.
        let with_agent = statuses.iter().filter(|status| status.agent.is_some());
        let reported: BTreeMap<BackendId, (i64, Option<Duration>)> =
            with_agent.map(|status| (status.backend, (status.seq, status.told))).collect();
        for status in statuses {
            self.statuses.take(status).await;
        }
        if reported.is_empty() {
            return Ok(());
        }
        // 3. The rows beyond the number that the view has. They may be younger than the statuses, and none is missing before
        //    them: taken in under the status's number, the younger ones come once more with the next look.
        let known: Vec<(BackendId, i64)> = reported.keys().map(|id| (*id, view.presences.seq(*id))).collect();
        let mut news = self.replica.observe(store.presence_since(&known).await)?;
        for (id, (seq, age)) in reported {
            if let Some(backend) = view.roster().backend(id) {
                let told_at = age.and_then(|age| Instant::now().checked_sub(age));
                view.take_presence(backend, news.remove(&id).unwrap_or_default(), seq, told_at);
            }
        }
        Ok(())
    }

    fn echoes(&self) -> sync::MutexGuard<'_, VecDeque<Instant>> {
        self.echoes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
