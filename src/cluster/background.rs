//! What a server does by itself: its own beat, and its share of what some server has to do.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use super::commands::Commands;
use super::replica::Replica;
use crate::store::StoreError;
use crate::telemetry::catalog::DUTIES;

/// Between two signs of life.
const BEAT_PAUSE: Duration = Duration::from_secs(2);

/// Between two looks for nodes that are to be asked.
const POLL_PAUSE: Duration = Duration::from_millis(500);

/// Between two rounds of the duties that go on all the time.
const DUTY_PAUSE: Duration = Duration::from_secs(2);

/// Between two clean-ups.
const GARBAGE_PAUSE: Duration = Duration::from_secs(600);

/// Starts everything. Loops of their own, so that copies on a node that hangs hold up nobody's health.
pub(super) fn spawn(parts: &Parts) {
    let spawner = parts.tasks.spawner();
    let (introduction, replica, lists) =
        (Arc::clone(&parts.introduction), Arc::clone(&parts.replica), Arc::clone(&parts.lists));
    spawner.every(BEAT_PAUSE, move || {
        let (introduction, replica, lists) = (Arc::clone(&introduction), Arc::clone(&replica), Arc::clone(&lists));
        async move {
            // One that fails is noted, and followed by another.
            let _ = introduction.beat().await;
            replica.view.forget_old();
            lists.forget_old();
            see_recovery(&replica).await;
        }
    });
    let poller = parts.poller.clone();
    spawner.every(POLL_PAUSE, move || {
        let poller = poller.clone();
        async move { poller.ask_due().await }
    });
    let (replica, copies) = (Arc::clone(&parts.replica), Arc::clone(&parts.copies));
    spawner.every(DUTY_PAUSE, move || {
        let (replica, copies) = (Arc::clone(&replica), Arc::clone(&copies));
        async move { duty(&replica, "end-copies", DUTY_PAUSE, async || copies.end_all().await).await }
    });
    let (replica, orphans) = (Arc::clone(&parts.replica), Arc::clone(&parts.orphans));
    spawner.every(DUTY_PAUSE, move || {
        let (replica, orphans) = (Arc::clone(&replica), Arc::clone(&orphans));
        async move { duty(&replica, "settle-orphans", DUTY_PAUSE, async || orphans.settle_all().await).await }
    });
    let (replica, claims) = (Arc::clone(&parts.replica), Arc::clone(&parts.claims));
    spawner.every(DUTY_PAUSE, move || {
        let (replica, claims) = (Arc::clone(&replica), Arc::clone(&claims));
        async move {
            duty(&replica, "clear-up", DUTY_PAUSE, async || {
                claims.reap().await?;
                for id in replica.remove_decommissioned().await? {
                    tracing::info!(backend.id = %id, "Removed a decommissioned backend: its last meeting has ended");
                }
                Ok(())
            })
            .await;
            duty(&replica, "collect-garbage", GARBAGE_PAUSE, async || {
                replica.store.collect_garbage().await?;
                replica.store.forget_gone().await
            })
            .await;
        }
    });
    let claims = Arc::clone(&parts.claims);
    spawner.every(DUTY_PAUSE, move || {
        let claims = Arc::clone(&claims);
        async move { claims.release_unanswered().await }
    });
    Commands::of(parts).spawn(&spawner);
}

/// Does what one server has to do, if no other has done it in the same time.
async fn duty(
    replica: &Replica,
    name: &'static str,
    every: Duration,
    work: impl AsyncFnOnce() -> Result<(), StoreError>,
) {
    let done = async {
        let is_ours = replica.store.take_duty(name, every).await?;
        if is_ours {
            work().await?;
        }
        Ok(is_ours)
    };
    match replica.observe(done.await) {
        Ok(true) => DUTIES.with([name, "done"]).increment(1),
        Ok(false) => {}
        Err(error) => {
            DUTIES.with([name, "failed"]).increment(1);
            tracing::debug!(%error, duty = name, "Duty failed");
        }
    }
}

async fn see_recovery(replica: &Replica) {
    if replica.trust().is_unwell()
        && let Err(error) = replica.rehearse_create().await
    {
        tracing::debug!(%error, "No meeting can be created yet");
    }
}
