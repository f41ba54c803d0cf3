//! Looks into the store that calls share.

use std::sync::Arc;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::ScopedId;
use dashmap::DashMap;
use tokio::sync::OnceCell;

type LookUp = Arc<OnceCell<Result<(), Fault>>>;

/// Look-ups that are under way. Calls that want the same meanwhile wait for the same look.
#[derive(Default)]
pub(super) struct LookUps(DashMap<ScopedId, LookUp>);

impl LookUps {
    /// Looks, or waits for the look that is under way.
    ///
    /// # Errors
    /// Those of the look.
    pub(super) async fn share(
        &self,
        id: &ScopedId,
        look: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        let _under_way = UnderWay { look_ups: &self.0, id };
        let look_up = Arc::clone(&self.0.entry(id.clone()).or_default());
        let look = || async {
            let outcome = look.await;
            // Calls that come from here on must see what has happened since.
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
