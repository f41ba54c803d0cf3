//! What a server does by itself: its own beat, and its share of what some server has to do.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use b3scale_middleware::cluster::{AdminState, BackendId};
use futures_util::FutureExt;
use tokio::time::{MissedTickBehavior, interval};

use super::{ATTEMPT_LIMIT, Cluster, Doubt, Inner, orphans};
use crate::ledger::{Ends, Lookups, Places, Release, Servers};
use crate::store::StoreError;
use crate::telemetry::catalog::{CLAIMS_GIVEN_UP, DUTIES};

/// Between two signs of life.
const BEAT_PAUSE: Duration = Duration::from_secs(2);

/// Between two looks for nodes that are to be asked.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// Between two rounds of the duties that go on all the time.
const DUTY_PAUSE: Duration = Duration::from_secs(2);

/// The most claims that are doubted at a time. Any more are left to be reaped.
const MOST_DOUBTFUL: usize = 10_000;

/// Between two clean-ups.
const GARBAGE_PAUSE: Duration = Duration::from_secs(600);

impl Cluster {
    pub(super) fn spawn_background(&self) {
        self.every(BEAT_PAUSE, |cluster| async move {
            // One that fails is noted, and followed by another.
            let _ = cluster.beat().await;
            cluster.forget_what_is_old();
            cluster.see_recovery().await;
        });
        // Loops of their own, so that copies on a node that hangs hold up nobody's health.
        self.every(POLL_PAUSE, |cluster| async move { cluster.ask_due().await });
        self.every(DUTY_PAUSE, |cluster| async move {
            cluster.duty("end-copies", DUTY_PAUSE, async |cluster| cluster.end_copies().await).await;
        });
        self.every(DUTY_PAUSE, |cluster| async move {
            cluster.duty("settle-orphans", DUTY_PAUSE, async |cluster| orphans::settle(cluster).await).await;
        });
        self.every(DUTY_PAUSE, |cluster| async move { cluster.clear_up().await });
        self.every(DUTY_PAUSE, |cluster| async move { cluster.withdraw_claims().await });
        self.spawn_commands();
    }

    /// Does `work` again and again, with pauses in between, for as long as the cluster lives.
    pub(super) fn every<F>(&self, pause: Duration, work: impl Fn(Cluster) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let cluster = Arc::downgrade(&self.0);
        self.spawn(async move {
            let mut rounds = interval(pause);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                let Some(inner) = cluster.upgrade() else { return };
                // One round that goes wrong in a way nobody has thought of must not be the last.
                if AssertUnwindSafe(work(Cluster(inner))).catch_unwind().await.is_err() {
                    tracing::error!("Background work panicked; this is a defect of b3scale");
                }
            }
        });
    }

    /// Starts a task that ends with the cluster.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Says that this server is there, and learns the time of the store.
    pub(super) async fn beat(&self) -> Result<(), StoreError> {
        let Inner { store, view, beating, .. } = &*self.0;
        let _beating = beating.lock().await;
        let asked = Instant::now();
        view.set_clock(self.noted(store.beat(&self.introduction()).await)?, asked);
        Ok(())
    }

    fn forget_what_is_old(&self) {
        self.0.view.forget_old_deletions();
        self.0.view.forget_old_reports();
        self.0.young.forget_old();
    }

    async fn see_recovery(&self) {
        if !self.0.pulse.borrow().is_unwell() {
            return;
        }
        if let Err(error) = self.rehearse_create().await {
            tracing::debug!(%error, "No meeting can be created yet");
        }
    }

    /// Tries out whether a meeting could be created now. If so, the database is back, or out of its trouble.
    ///
    /// # Errors
    /// Why none could.
    pub async fn rehearse_create(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.noted(self.0.store.rehearse_create().await)?;
        let mut unwell_since = None;
        self.0.pulse.send_if_modified(|pulse| {
            unwell_since = pulse.recover(begun);
            unwell_since.is_some()
        });
        if let Some(since) = unwell_since {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "Database recovered: meetings can be created");
        }
        Ok(())
    }

    /// Clears up after what went wrong, and after operators.
    async fn clear_up(&self) {
        self.duty("clear-up", DUTY_PAUSE, async |cluster| {
            cluster.reap_claims().await?;
            for id in cluster.remove_decommissioned().await? {
                tracing::info!(backend.id = %id, "Removed a decommissioned backend: its last meeting has ended");
            }
            Ok(())
        })
        .await;
        self.duty("collect-garbage", GARBAGE_PAUSE, async |cluster| {
            cluster.0.store.collect_garbage().await?;
            cluster.0.store.forget_gone().await
        })
        .await;
    }

    /// Removes the decommissioned backends on which nothing runs any more.
    pub(super) async fn remove_decommissioned(&self) -> Result<Vec<BackendId>, StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let roster = view.roster();
        let wanted = roster.backends().iter().filter(|backend| backend.admin_state == AdminState::Decommissioned);
        let clear: Vec<_> = wanted.filter_map(|backend| Some((backend.id, view.clear_since(backend.id)?))).collect();
        drop(roster);
        store.remove_decommissioned(&clear).await
    }

    /// Does what one server has to do, if no other has done it in the same time.
    async fn duty(&self, name: &'static str, every: Duration, work: impl AsyncFnOnce(&Self) -> Result<(), StoreError>) {
        let done = async {
            let is_ours = self.0.store.take_duty(name, every).await?;
            if is_ours {
                work(self).await?;
            }
            Ok(is_ours)
        };
        match self.noted(done.await) {
            Ok(true) => DUTIES.with([name, "done"]).increment(1),
            Ok(false) => {}
            Err(error) => {
                DUTIES.with([name, "failed"]).increment(1);
                tracing::debug!(%error, duty = name, "Duty failed");
            }
        }
    }

    /// A statement about a claim came to no answer. It may be carried out all the same, now or in a while, and then nobody here
    /// knows of the claim.
    pub(super) fn doubt(&self, claim: i64, sent: bool) {
        let mut doubtful = self.0.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = doubtful.iter().any(|doubt| doubt.claim == claim);
        if !is_known && doubtful.len() < MOST_DOUBTFUL {
            doubtful.push(Doubt { claim, sent, since: Instant::now() });
        }
    }

    /// Gives up claims that were made and that nobody knows of, or whoever wants their meetings would wait for nobody.
    async fn withdraw_claims(&self) {
        let doubts: HashMap<i64, bool> = {
            let mut doubtful = self.0.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
            doubtful.retain(|doubt| doubt.since.elapsed() < 2 * ATTEMPT_LIMIT);
            doubtful.iter().map(|doubt| (doubt.claim, doubt.sent)).collect()
        };
        if doubts.is_empty() {
            return;
        }
        let numbers: Vec<i64> = doubts.keys().copied().collect();
        match self.noted(self.0.store.find_claims(&numbers).await) {
            Ok(made) => {
                for claim in made {
                    tracing::warn!(meeting.id = %claim.id, "Releasing an orphaned claim");
                    CLAIMS_GIVEN_UP.with(["withdrawn"]).increment(1);
                    let sent = doubts.get(&claim.claim).copied().unwrap_or(true);
                    self.give_up(&claim, sent).await;
                }
            }
            Err(error) => tracing::debug!(%error, "Looking for orphaned claims failed"),
        }
    }

    async fn reap_claims(&self) -> Result<(), StoreError> {
        for (claim, release) in self.0.store.reap_claims(2 * ATTEMPT_LIMIT).await? {
            tracing::warn!(meeting.id = %claim.id, "Reaped an unfinished claim");
            CLAIMS_GIVEN_UP.with(["reaped"]).increment(1);
            match release {
                Release::Gone => self.0.view.unlearn(&claim.id, claim.version),
                Release::Detached(detached) => self.0.view.learn(&Arc::new(detached)),
                Release::NotOurs => {}
            }
        }
        Ok(())
    }

    /// Asks every node how it fares, whoever else may be about to, and clears up after what went wrong.
    pub async fn look_round(&self) {
        self.ask_all().await;
        let cleared = async {
            orphans::settle(self).await?;
            self.end_copies().await?;
            self.reap_claims().await
        };
        if let Err(error) = self.noted(cleared.await) {
            tracing::debug!(%error, "Cleanup failed");
        }
    }
}
