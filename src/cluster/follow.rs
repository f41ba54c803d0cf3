//! Keeping memory true: load everything, then read again what is announced, and follow what is not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, FrontendId, MeetingState};
use tokio::sync::MutexGuard;
use tokio::time::sleep;

use super::{Cluster, Inner};
use crate::ledger::{Announcements, Change, Lookups, Polls};
use crate::store::StoreError;
use crate::telemetry::catalog::{VIEW_CHANGES, VIEW_RELOADS};

/// Between two tries to load everything.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// Announcements that are read with one statement, if so many wait.
const MOST_AT_ONCE: usize = 512;

/// Between two looks at what is not announced: how the nodes fare, and what has become of claims.
const FOLLOW_PAUSE: Duration = Duration::from_secs(1);

/// Between two announcements by which this server makes sure that it hears any.
const ECHO_PAUSE: Duration = Duration::from_secs(5);

impl Cluster {
    pub(super) async fn load_all(&self) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        VIEW_RELOADS.with([]).increment(1);
        let began = Instant::now();
        // What is unchanged since then and not in the store is gone; what was claimed meanwhile is not.
        let before: HashMap<ScopedId, i64> =
            view.meetings_where(|_| true).iter().map(|meeting| (meeting.id.clone(), meeting.version)).collect();
        self.beat().await?;
        let frontends = self.noted(store.load_frontends().await)?;
        let backends = self.noted(store.load_backends().await)?;
        let meetings = self.noted(store.load_meetings().await)?;
        view.change_roster(|roster| roster.reloaded(frontends, backends));
        let there: HashSet<ScopedId> = meetings.iter().map(|meeting| meeting.id.clone()).collect();
        for meeting in meetings {
            view.learn_again(&Arc::new(meeting), &before);
        }
        for (id, version) in before.into_iter().filter(|(id, _)| !there.contains(id)) {
            view.unlearn(&id, version);
        }
        self.0.pulse.send_modify(|pulse| pulse.prove(began));
        // Those that were announced to a connection that is gone are never heard.
        self.echoes().clear();
        let following = self.0.following.lock().await;
        self.seqs().clear();
        view.forget_presence();
        self.follow_on(&following).await
    }

    /// Reads one meeting again.
    pub(super) async fn read_meeting(&self, id: &ScopedId) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let before = view.version(id);
        match self.noted(store.find_meeting(id).await)? {
            Some(row) => view.learn(&Arc::new(row)),
            None => view.unlearn(id, before),
        }
        Ok(())
    }

    /// Reads a frontend's meeting by its node's own id, and the one that the frontend itself names so.
    pub(super) async fn read_by_either_id(
        &self,
        frontend: FrontendId,
        id: &str,
        scoped: &ScopedId,
    ) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let before = view.version(scoped);
        let rows = self.noted(store.find_by_either_id(frontend, id, scoped).await)?;
        if !rows.iter().any(|row| row.id == *scoped) {
            view.unlearn(scoped, before);
        }
        if !rows.iter().any(|row| row.internal_id.as_deref() == Some(id)) {
            view.note_absent(frontend, id);
        }
        rows.into_iter().for_each(|row| view.learn(&Arc::new(row)));
        Ok(())
    }

    /// Reads some meetings again, with one statement.
    pub(super) async fn read_meetings(&self, ids: &[ScopedId]) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let mut missing: HashMap<&str, i64> = ids.iter().map(|id| (id.as_ref(), view.version(id))).collect();
        let names: Vec<&str> = missing.keys().copied().collect();
        for row in self.noted(store.find_meetings(&names).await)? {
            missing.remove(row.id.as_ref());
            view.learn(&Arc::new(row));
        }
        for (id, version) in missing {
            view.unlearn(&ScopedId::verbatim(id), version);
        }
        Ok(())
    }

    pub(super) fn spawn_follower(&self) {
        let mut feed = self.0.store.feed();
        let cluster = Arc::downgrade(&self.0);
        self.spawn(async move {
            let mut changes = Vec::new();
            while feed.recv_many(&mut changes, MOST_AT_ONCE).await > 0 {
                let Some(inner) = cluster.upgrade() else { return };
                let cluster = Cluster(inner);
                if let Err(error) = cluster.apply(&changes).await {
                    tracing::warn!(%error, "Reading announced changes failed; loading everything again");
                    cluster.load_until_done().await;
                }
                changes.clear();
            }
        });
        self.every(FOLLOW_PAUSE, |cluster| async move { cluster.follow().await });
        self.every(ECHO_PAUSE, |cluster| async move { cluster.announce_echo().await });
    }

    /// Whatever is announced before an echo is in memory once that is heard.
    async fn announce_echo(&self) {
        // Before it is announced, since it may be heard before the announcement is answered.
        self.echoes().push_back(Instant::now());
        if let Err(error) = self.noted(self.0.store.echo(self.0.id).await) {
            self.echoes().pop_back();
            tracing::debug!(%error, "Announcing an echo failed");
        }
    }

    /// What is announced meanwhile waits in the feed.
    async fn load_until_done(&self) {
        while let Err(error) = self.load_all().await {
            tracing::warn!(%error, "Loading the cluster failed, retrying");
            sleep(RELOAD_PAUSE).await;
        }
    }

    async fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        changes.iter().for_each(|change| VIEW_CHANGES.with([change.name()]).increment(1));
        // Everything is read after all of these were announced.
        if changes.contains(&Change::Reconnected) {
            return self.load_all().await;
        }
        let meetings: HashSet<&ScopedId> = changes
            .iter()
            .filter_map(|change| if let Change::Meeting(id) = change { Some(id) } else { None })
            .collect();
        if !meetings.is_empty() {
            self.read_meetings(&meetings.into_iter().cloned().collect::<Vec<_>>()).await?;
        }
        for change in changes {
            self.apply_one(change).await?;
        }
        Ok(())
    }

    async fn apply_one(&self, change: &Change) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        match change {
            Change::Frontend(id) => {
                let row = self.noted(store.find_frontend(*id).await)?;
                view.change_roster(|roster| roster.with_frontend(*id, row));
            }
            Change::Backend(id) => {
                self.read_backend(*id).await?;
                if view.roster().backend(*id).is_some_and(|backend| backend.is_unasked()) {
                    self.ask_due().await;
                }
            }
            Change::Command(_) => self.0.commands.notify_one(),
            Change::Pipeline => self.0.reloads.notify_one(),
            Change::Echo(id) if *id == self.0.id => {
                if let Some(announced) = self.echoes().pop_front() {
                    self.0.pulse.send_modify(|pulse| pulse.prove(announced));
                }
            }
            Change::Reconnected | Change::Meeting(_) | Change::Echo(_) => {}
        }
        Ok(())
    }

    /// Reads one backend again.
    pub(super) async fn read_backend(&self, id: BackendId) -> Result<(), StoreError> {
        let row = self.noted(self.0.store.find_backend(id).await)?;
        self.0.view.change_roster(|roster| roster.with_backend(id, row));
        Ok(())
    }

    /// What is not announced: how the nodes fare, and what has become of the claims of others.
    async fn follow(&self) {
        let claims = self.0.view.meetings_where(|meeting| meeting.state == MeetingState::Claimed);
        let claims: Vec<_> = claims.iter().map(|meeting| meeting.id.clone()).collect();
        let read = async {
            self.follow_statuses().await?;
            if claims.is_empty() { Ok(()) } else { self.read_meetings(&claims).await }
        };
        if let Err(error) = read.await {
            tracing::debug!(%error, "Polling for status changes failed");
        }
    }

    /// Takes in what any server has seen of the nodes since the last look.
    pub(super) async fn follow_statuses(&self) -> Result<(), StoreError> {
        let following = self.0.following.lock().await;
        self.follow_on(&following).await
    }

    /// The same for whoever alone follows.
    async fn follow_on(&self, _: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let known: Vec<(BackendId, i64)> = self.seqs().iter().map(|(id, seq)| (*id, seq.whole)).collect();
        let statuses = self.noted(store.statuses_since(&known).await)?;
        let with_agent = statuses.iter().filter(|status| status.agent.is_some());
        let said: HashMap<BackendId, (i64, Option<Duration>)> =
            with_agent.map(|status| (status.backend, (status.seq, status.told))).collect();
        for status in statuses {
            self.take_status(status).await;
        }
        // Behind the statuses: whatever carries their numbers is there by now.
        let known: Vec<(BackendId, i64)> = said.keys().map(|id| (*id, view.presence_seq(*id))).collect();
        if known.is_empty() {
            return Ok(());
        }
        let mut news = self.noted(store.presence_since(&known).await)?;
        for (id, (seq, told)) in said {
            if let Some(backend) = view.roster().backend(id) {
                let told_at = told.and_then(|age| Instant::now().checked_sub(age));
                view.take_presence(backend, news.remove(&id).unwrap_or_default(), seq, told_at);
            }
        }
        Ok(())
    }
}
