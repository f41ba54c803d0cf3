//! The first round: a server says that it is ready once it knows how the nodes fare.

use std::time::Duration;

use b3scale_middleware::cluster::BackendId;
use tokio::time::timeout;

use super::Cluster;
use super::health::LEASE;
use crate::ledger::Polls;

/// How long other servers are waited for that were asking a node when this one started.
const COURTESY: Duration = Duration::from_secs(1);

/// How long a start waits for nodes that hang. They are down until they answer.
const LONGEST: Duration = Duration::from_secs(4);

/// Waits until every node has been asked, or hangs.
pub(super) async fn first_round(cluster: &Cluster) {
    let all_known = || cluster.wait_until(|| unknown(cluster).is_empty());
    if timeout(COURTESY, all_known()).await.is_ok() {
        return;
    }
    // A server that took a poll and was killed gives no answer.
    let seized = cluster.0.store.seize_polls(&unknown(cluster), LEASE, cluster.0.id).await;
    match cluster.noted(seized) {
        Ok(polls) => polls.into_iter().for_each(|poll| cluster.spawn_poll(poll)),
        Err(error) => tracing::debug!(%error, "Taking over the polls of other servers failed"),
    }
    let _ = timeout(LONGEST, all_known()).await;
    let hanging = unknown(cluster).len();
    if hanging > 0 {
        tracing::warn!(nodes = hanging, "Starting without an answer of some nodes");
    }
}

fn unknown(cluster: &Cluster) -> Vec<BackendId> {
    let roster = cluster.0.view.roster();
    roster.backends().iter().filter(|backend| backend.is_unasked()).map(|backend| backend.id).collect()
}
