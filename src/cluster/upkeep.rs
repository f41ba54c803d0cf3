//! Upkeep: the background work of the cluster, and how often it is done.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use super::claims::Claims;
use super::commands::Commands;
use super::copies::Copies;
use super::follow::Follower;
use super::introduction::Introduction;
use super::lists::Lists;
use super::orphans::Orphans;
use super::poll::Poller;
use super::replica::Replica;
use crate::work::{Duty, Failure, Round};

/// Puts all of it on the bench.
pub(super) fn register(parts: &Parts, follower: Arc<Follower>) {
    let Parts { bench, replica, introduction, lists, .. } = parts;
    bench.spawner().spawn(Arc::clone(&follower).follow_announced());
    bench.round(FollowUnannounced(Arc::clone(&follower)));
    bench.round(AnnounceEcho(follower));
    bench.round(Beat {
        introduction: Arc::clone(introduction),
        replica: Arc::clone(replica),
        lists: Arc::clone(lists),
    });
    bench.round(parts.poller.clone());
    bench.round(Arc::clone(&parts.claims));
    // Duties of their own, so that copies on a node that hangs hold up nothing else.
    bench.duty(Arc::clone(&parts.copies));
    bench.duty(Arc::clone(&parts.orphans));
    bench.duty(ClearUp { replica: Arc::clone(replica), claims: Arc::clone(&parts.claims) });
    bench.duty(CollectGarbage(Arc::clone(replica)));
    bench.job(Commands::of(parts));
}

/// Follows unannounced changes of other servers.
struct FollowUnannounced(Arc<Follower>);

impl Round for FollowUnannounced {
    const NAME: &'static str = "follow";
    const PAUSE: Duration = Duration::from_secs(1);

    async fn run(&self) {
        self.0.follow_unannounced().await;
    }
}

/// Announces an echo, by which this server knows that it hears announcements.
struct AnnounceEcho(Arc<Follower>);

impl Round for AnnounceEcho {
    const NAME: &'static str = "echo";
    const PAUSE: Duration = Duration::from_secs(5);

    async fn run(&self) {
        self.0.announce_echo().await;
    }
}

/// Gives a sign of life, and drops what memory keeps for a while only.
struct Beat {
    introduction: Arc<Introduction>,
    replica: Arc<Replica>,
    lists: Arc<Lists>,
}

impl Round for Beat {
    const NAME: &'static str = "beat";
    const PAUSE: Duration = Duration::from_secs(2);

    async fn run(&self) {
        // A failure is recorded in the trust, and the next beat follows.
        let _ = self.introduction.beat().await;
        self.replica.view.forget_old();
        self.lists.forget_old();
        if self.replica.trust().is_unwell()
            && let Err(error) = self.replica.rehearse_create().await
        {
            tracing::debug!(%error, "No meeting can be created yet");
        }
    }
}

/// Polls the nodes that are due.
impl Round for Poller {
    const NAME: &'static str = "poll-nodes";
    const PAUSE: Duration = Duration::from_millis(500);

    async fn run(&self) {
        self.ask_due().await;
    }
}

/// Releases the claims that this server may have made without knowing.
impl Round for Claims {
    const NAME: &'static str = "withdraw-claims";
    const PAUSE: Duration = Duration::from_secs(2);

    async fn run(&self) {
        self.release_unanswered().await;
    }
}

impl Duty for Copies {
    const NAME: &'static str = "end-copies";
    const EVERY: Duration = Duration::from_secs(2);

    async fn run(&self) -> Result<(), Failure> {
        Ok(self.replica.observe(self.end_all().await)?)
    }
}

impl Duty for Orphans {
    const NAME: &'static str = "settle-orphans";
    const EVERY: Duration = Duration::from_secs(2);

    async fn run(&self) -> Result<(), Failure> {
        Ok(self.replica.observe(self.settle_all().await)?)
    }
}

/// Gives up claims that are too old, and removes decommissioned backends.
struct ClearUp {
    replica: Arc<Replica>,
    claims: Arc<Claims>,
}

impl Duty for ClearUp {
    const NAME: &'static str = "clear-up";
    const EVERY: Duration = Duration::from_secs(2);

    async fn run(&self) -> Result<(), Failure> {
        self.replica.observe(self.claims.reap().await)?;
        for id in self.replica.observe(self.replica.remove_decommissioned().await)? {
            tracing::info!(backend.id = %id, "Removed a decommissioned backend: its last meeting has ended");
        }
        Ok(())
    }
}

/// Removes rows of no further use.
struct CollectGarbage(Arc<Replica>);

impl Duty for CollectGarbage {
    const NAME: &'static str = "collect-garbage";
    const EVERY: Duration = Duration::from_secs(600);

    async fn run(&self) -> Result<(), Failure> {
        Ok(self.0.observe(self.0.store.collect_garbage().await)?)
    }
}
