//! Long work: reading, hashing or rewriting so many bytes that other calls would wait behind it.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::fault::Fault;

/// Work on more bytes than these is long: about a millisecond of a processor.
pub const LONG: usize = 64 << 10;

/// Does long work away from the threads that answer calls.
pub trait Workers: Send + Sync {
    /// Runs the job, and is ready when it has run.
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

impl dyn Workers + '_ {
    /// Does work on that many bytes: here if they are few, else elsewhere.
    ///
    /// # Errors
    /// The workers gave the job up, which they do only when the process ends.
    pub async fn work<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        if bytes <= LONG {
            return Ok(work());
        }
        let done = Arc::new(Mutex::new(None));
        let result = Arc::clone(&done);
        let job = move || *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
        self.run(Box::new(job)).await;
        let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| Fault::Internal("long work was given up".to_owned()))
    }
}

/// Does all work on the spot: for tests, benches and tools.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnTheSpot;

impl Workers for OnTheSpot {
    fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        job();
        ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Workers for Counting {
        fn run(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
            self.0.fetch_add(1, Relaxed);
            OnTheSpot.run(job)
        }
    }

    #[tokio::test]
    async fn only_long_work_is_done_elsewhere() {
        let workers = Arc::new(Counting::default());
        let dynamic: Arc<dyn Workers> = Arc::<Counting>::clone(&workers);
        assert_eq!(dynamic.work(LONG, || 1).await, Ok(1));
        assert_eq!(workers.0.load(Relaxed), 0);
        assert_eq!(dynamic.work(LONG + 1, || 2).await, Ok(2));
        assert_eq!(workers.0.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn work_that_was_given_up_is_a_fault() {
        struct Gone;
        impl Workers for Gone {
            fn run(&self, _: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
                ready(()).boxed()
            }
        }
        let gone: Arc<dyn Workers> = Arc::new(Gone);
        assert!(matches!(gone.work(LONG + 1, || ()).await, Err(Fault::Internal(_))));
    }
}
