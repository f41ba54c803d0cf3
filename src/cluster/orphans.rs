//! Orphans: claims whose server is lost. Their node knows whether it made the meeting.

use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::cluster::Meeting;
use b3scale_middleware::ports::{Born, Meetings as _};
use futures_util::{StreamExt, stream};

use super::Cluster;
use super::ports::fault;
use crate::ledger::{Places, Polls};
use crate::store::StoreError;
use crate::telemetry::catalog::{CLAIMS_GIVEN_UP, CLAIMS_INHERITED};

/// How many orphans are settled at once.
const AT_ONCE: usize = 16;

/// After so many answers in a row a node counts as done with all earlier calls.
const STEADY: u32 = 3;

/// The fate of a create.
enum Fate {
    /// Its node runs the meeting.
    Made(Born),
    /// Its meeting is not there. `sent`: it may yet be.
    Void { sent: bool },
    /// Its node does not say.
    Open,
}

/// Settles the claims of lost servers. A claim whose server, or another one, goes on with it meanwhile stays as it is: every
/// step compares.
pub(super) async fn settle(cluster: &Cluster) -> Result<(), StoreError> {
    let orphans = cluster.noted(cluster.0.store.orphaned_claims(cluster.0.id).await)?;
    stream::iter(&orphans).for_each_concurrent(AT_ONCE, |claim| settle_one(cluster, claim)).await;
    Ok(())
}

async fn settle_one(cluster: &Cluster, claim: &Meeting) {
    match fate(cluster, claim).await {
        Fate::Made(born) => {
            if let Err(error) = finish(cluster, claim, born).await {
                tracing::warn!(meeting.id = %claim.id, %error, "Recording the create of a lost server failed");
            }
        }
        Fate::Void { sent } => {
            tracing::warn!(meeting.id = %claim.id, backend.id = %claim.backend, sent, "Released the claim of a lost server");
            CLAIMS_GIVEN_UP.with(["orphaned"]).increment(1);
            cluster.give_up(claim, sent).await;
        }
        Fate::Open => {}
    }
}

async fn finish(cluster: &Cluster, claim: &Meeting, born: Born) -> Result<(), Fault> {
    if cluster.record_live(claim, born).await? {
        tracing::warn!(meeting.id = %claim.id, backend.id = %claim.backend, "Finished the create of a lost server");
        CLAIMS_INHERITED.with([]).increment(1);
        // It is in lists once its node has reported it.
        let hastened = cluster.0.store.hasten_poll(claim.backend, Duration::ZERO).await;
        cluster.noted(hastened).map_err(|error| fault(&error))?;
    }
    Ok(())
}

/// Asks the node of a claim.
async fn fate(cluster: &Cluster, claim: &Meeting) -> Fate {
    let backend = cluster.0.view.roster().backend(claim.backend).cloned();
    let Some(backend) = backend else { return Fate::Void { sent: false } };
    if backend.is_lost() {
        return Fate::Void { sent: true };
    }
    let mut params = Params::default();
    params.set("meetingID", claim.id.as_ref());
    match cluster.ask(&backend, CallKind::GetMeetingInfo, &params).await {
        Ok(reply) if reply.is_success() => Born::of_info(&reply, backend.id).map_or(Fate::Open, Fate::Made),
        // The connections of the lost server ended seconds ago.
        Ok(reply) if reply.failed_with("notFound") => Fate::Void { sent: backend.vitals.health().answers < STEADY },
        Ok(_) | Err(_) => Fate::Open,
    }
}
