//! Orphans: claims of lost servers. The node of a claim knows whether it made the meeting.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::Meeting;
use b3scale_middleware::ports::Born;
use futures_util::{StreamExt, stream};

use super::claims::Claims;
use super::listing::Asker;
use super::replica::Replica;
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

/// Settles orphans.
pub(super) struct Orphans {
    pub(super) replica: Arc<Replica>,
    pub(super) asker: Asker,
    pub(super) claims: Arc<Claims>,
}

impl Orphans {
    /// Settles the claims of lost servers. A claim with which its server, or another one, goes on meanwhile stays as it is: every
    /// step compares.
    pub(super) async fn settle_all(&self) -> Result<(), StoreError> {
        let orphans = self.replica.observe(self.replica.store.orphaned_claims(self.replica.server).await)?;
        stream::iter(&orphans).for_each_concurrent(AT_ONCE, |claim| self.settle(claim)).await;
        Ok(())
    }

    async fn settle(&self, claim: &Meeting) {
        match self.fate(claim).await {
            Fate::Made(born) => {
                if let Err(error) = self.finish(claim, &born).await {
                    tracing::warn!(meeting.id = %claim.id, %error, "Recording the create of a lost server failed");
                }
            }
            Fate::Void { sent } => {
                tracing::warn!(meeting.id = %claim.id, backend.id = %claim.backend, sent, "Released the claim of a lost server");
                CLAIMS_GIVEN_UP.with(["orphaned"]).increment(1);
                self.claims.release(claim, sent).await;
            }
            Fate::Open => {}
        }
    }

    async fn finish(&self, claim: &Meeting, born: &Born) -> Result<(), Fault> {
        if self.claims.record_live(claim, born).await? {
            tracing::warn!(meeting.id = %claim.id, backend.id = %claim.backend, "Finished the create of a lost server");
            CLAIMS_INHERITED.with([]).increment(1);
            // It is in lists once its node has reported it.
            self.replica.hasten_poll(claim.backend, Duration::ZERO).await;
        }
        Ok(())
    }

    /// Asks the node of a claim.
    async fn fate(&self, claim: &Meeting) -> Fate {
        let backend = self.replica.view.roster().backend(claim.backend).cloned();
        let Some(backend) = backend else { return Fate::Void { sent: false } };
        if backend.is_lost() {
            return Fate::Void { sent: true };
        }
        match self.asker.ask_about(&backend, CallKind::GetMeetingInfo, &claim.id).await {
            Ok(reply) if reply.is_success() => Born::of_info(&reply, backend.id).map_or(Fate::Open, Fate::Made),
            // The connections of the lost server ended seconds ago.
            Ok(reply) if reply.failed_with("notFound") => Fate::Void { sent: backend.vitals.health().answers < STEADY },
            Ok(_) | Err(_) => Fate::Open,
        }
    }
}
