//! Finding meetings: in the view, else in the database, with one look for all calls that want the same.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{FrontendId, Meeting};
use dashmap::DashMap;
use futures_util::FutureExt;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::replica::{Replica, fault};
use crate::store::StoreError;
use crate::telemetry::catalog::VIEW_LOOKUPS;
use crate::view::Known;

/// How long a call waits for the database to tell of a meeting that memory does not have.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// Finds meetings.
pub(super) struct Finder {
    replica: Arc<Replica>,
    look_ups: LookUps,
    /// Those by the ids of nodes.
    internal_look_ups: LookUps,
}

impl Finder {
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        Self { replica, look_ups: LookUps::default(), internal_look_ups: LookUps::default() }
    }

    /// A meeting as memory has it.
    pub(super) fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        self.replica.view.meetings.there(id)
    }

    /// A meeting, of the database where memory does not have it.
    pub(super) async fn find(&self, id: &ScopedId) -> Result<Option<Arc<Meeting>>, Fault> {
        match self.replica.view.meetings.known(id.as_ref()) {
            Known::There(meeting) if !meeting.is_settling() => Ok(Some(meeting)),
            Known::Absent => Ok(None),
            Known::There(_) | Known::Unknown => {
                self.look_up(id).await?;
                Ok(self.known(id.as_ref()))
            }
        }
    }

    /// Reads a frontend's meeting by its node's own id, unless it is known that there is none. The meeting that the frontend
    /// itself names so is read with it: whether or not there is one, the next stage finds out from memory.
    pub(super) async fn find_by_internal_id(
        &self,
        frontend: FrontendId,
        id: &str,
    ) -> Result<Option<Arc<Meeting>>, Fault> {
        let view = &self.replica.view;
        let owner = view.roster().frontend_of(frontend).cloned();
        let Some(owner) = owner.filter(|_| !view.meetings.is_absent(frontend, id)) else { return Ok(None) };
        let scoped = ScopedId::new(&owner.key, &MeetingId::new(id));
        let found = || view.meetings.by_internal_id(frontend, id);
        let look = look(self.replica.read_by_either_id(frontend, id, &scoped), || found().is_some()).boxed();
        self.internal_look_ups.share(&scoped, look).await?;
        Ok(found())
    }

    /// Reads a meeting that memory does not have, or not as it is by now.
    pub(super) async fn look_up(&self, id: &ScopedId) -> Result<(), Fault> {
        let look = look(self.replica.read_meeting(id), || self.known(id.as_ref()).is_some()).boxed();
        self.look_ups.share(id, look).await
    }
}

type LookUp = Arc<OnceCell<Result<(), Fault>>>;

/// Look-ups that are under way. Calls that want the same meanwhile wait for the same look.
#[derive(Default)]
struct LookUps(DashMap<ScopedId, LookUp>);

impl LookUps {
    /// Looks, or waits for the look that is under way.
    ///
    /// # Errors
    /// Those of the look.
    async fn share(&self, id: &ScopedId, look: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
        let _under_way = UnderWay { look_ups: &self.0, id };
        let look_up = Arc::clone(&self.0.entry(id.clone()).or_default());
        let look = || async {
            let outcome = look.await;
            // Later calls must look again.
            self.0.remove(id);
            outcome
        };
        look_up.get_or_init(look).await.clone()
    }
}

/// Sees to it that a look-up which all calls have given up is not kept.
struct UnderWay<'a> {
    look_ups: &'a DashMap<ScopedId, LookUp>,
    id: &'a ScopedId,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.look_ups.remove_if(self.id, |_, look_up| Arc::strong_count(look_up) == 1);
    }
}

/// Reads the database within the time that a call has for it.
async fn look(read: impl Future<Output = Result<(), StoreError>>, is_found: impl Fn() -> bool) -> Result<(), Fault> {
    let (outcome, counted) = match timeout(LOOK_UP_LIMIT, read).await {
        Ok(Ok(())) if is_found() => (Ok(()), "found"),
        Ok(Ok(())) => (Ok(()), "missed"),
        Ok(Err(error)) => (Err(fault(&error)), "failed"),
        Err(_) => (Err(no_answer()), "failed"),
    };
    VIEW_LOOKUPS.with([counted]).increment(1);
    outcome
}

fn no_answer() -> Fault {
    Fault::StoreAway(format!("no answer within {} s", LOOK_UP_LIMIT.as_secs()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn calls_that_want_the_same_meanwhile_share_a_look() {
        let (look_ups, looks) = (LookUps::default(), Cell::new(0));
        let look = || async {
            looks.set(looks.get() + 1);
            Ok(())
        };
        let ids = ["a", "b", "a", "a"].map(ScopedId::verbatim);
        let under_way = ids.iter().map(|id| {
            look_ups.share(id, async {
                yield_now().await;
                look().await
            })
        });
        let outcomes = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(join_all(under_way));
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(looks.get(), 2);
        assert_eq!(look_ups.share(&ids[0], look()).now_or_never(), Some(Ok(())));
        assert_eq!((looks.get(), look_ups.0.len()), (3, 0), "a later call looks again");
    }

    #[test]
    fn a_look_that_is_given_up_is_not_kept() {
        let (look_ups, id) = (LookUps::default(), ScopedId::verbatim("a"));
        assert_eq!(look_ups.share(&id, std::future::pending()).now_or_never(), None);
        assert!(look_ups.0.is_empty());
    }
}
