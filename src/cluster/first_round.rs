//! The first round of polls: a server is ready once every node has a status.

use std::time::Duration;

use b3scale_middleware::cluster::BackendId;
use tokio::time::timeout;

use super::poll::Poller;
use crate::view::View;

/// How long other servers are waited for that were asking a node when this one started.
const COURTESY: Duration = Duration::from_secs(1);

/// How long a start waits for nodes that hang. They are down until they answer.
const LONGEST: Duration = Duration::from_secs(4);

/// Waits until every node has been asked, or hangs.
pub(super) async fn first_round(view: &View, poller: &Poller) {
    let all_known = || view.until(|| unknown(view).is_empty().then_some(()));
    if timeout(COURTESY, all_known()).await.is_ok() {
        return;
    }
    // A server that took a poll and was killed gives no answer.
    poller.seize(&unknown(view)).await;
    let _ = timeout(LONGEST, all_known()).await;
    let hanging = unknown(view).len();
    if hanging > 0 {
        tracing::warn!(nodes = hanging, "Starting without an answer of some nodes");
    }
}

fn unknown(view: &View) -> Vec<BackendId> {
    let roster = view.roster();
    roster.backends().iter().filter(|backend| backend.is_unasked()).map(|backend| backend.id).collect()
}
