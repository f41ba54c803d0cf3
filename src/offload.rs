//! Long work leaves the threads that answer calls: they would all wait behind it.
//!
//! Each lane does a few jobs at a time, and lanes never hold up each other: a tenant's large answers delay no
//! report of a node, and an operator's document delays neither. Short work is done on the spot, where it costs least.

use std::future::pending;
use std::panic::resume_unwind;

use b3scale_middleware::work::{LONG, Workers};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What nodes report of their meetings.
pub(crate) static REPORTS: Lane = Lane::of(1);

/// What nodes answer to calls, and what tenants post.
pub(crate) static CALLS: Lane = Lane::of(2);

/// Forms that carry their checksum themselves.
pub(crate) static UNPROVED: Lane = Lane::of(1);

/// What operators and agents post to the REST API.
pub(crate) static DOCUMENTS: Lane = Lane::of(1);

/// Documents of recordings that browsers ask for.
pub(crate) static PLAYBACK: Lane = Lane::of(1);

/// So many jobs at a time, on threads where they block no call.
pub(crate) struct Lane(Semaphore);

impl Lane {
    const fn of(jobs: usize) -> Self {
        Self(Semaphore::const_new(jobs))
    }

    /// Does work on that many bytes: on the spot if they are few, else in its turn. Panics as the work does.
    pub(crate) async fn work<T: Send + 'static>(
        &'static self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= LONG { work() } else { self.in_turn(work).await }
    }

    async fn in_turn<T: Send + 'static>(&'static self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // The turn ends with the work, even if the caller has stopped waiting.
        let turn = self.0.acquire().await;
        let job = move || {
            let _turn = turn;
            work()
        };
        match spawn_blocking(job).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime is going down, and so is the caller.
                Err(_) => pending().await,
            },
        }
    }
}

impl Workers for &'static Lane {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.in_turn(job).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn long_work_leaves_the_callers_thread_and_short_work_stays() {
        static LANE: Lane = Lane::of(1);
        let here = thread::current().id();
        assert_eq!(LANE.work(LONG, || thread::current().id()).await, here);
        assert_ne!(LANE.work(LONG + 1, || thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn a_lane_does_no_more_at_a_time_than_it_may_and_another_goes_on() {
        static FULL: Lane = Lane::of(1);
        static FREE: Lane = Lane::of(1);
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let first = tokio::spawn(FULL.work(LONG + 1, move || {
            begun.send(()).unwrap();
            may_go.recv()
        }));
        FREE.work(LONG + 1, move || has_begun.recv()).await.unwrap();
        let mut second = Box::pin(FULL.work(LONG + 1, || 2));
        assert!((&mut second).now_or_never().is_none(), "it waits for its turn");
        assert_eq!(FREE.work(LONG + 1, || 3).await, 3);
        go.send(()).unwrap();
        assert_eq!(second.await, 2);
        first.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_own_and_frees_the_lane() {
        static LANE: Lane = Lane::of(1);
        let failed = tokio::spawn(LANE.work(LONG + 1, || panic!("as the test wants it"))).await;
        assert!(failed.unwrap_err().is_panic());
        assert_eq!(LANE.work(LONG + 1, || 1).await, 1);
    }
}
