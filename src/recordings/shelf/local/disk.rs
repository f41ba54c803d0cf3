//! Turns at a file system, which may be a slow or a hanging one of another machine.
//!
//! A thread that waits for such a file system cannot be called back. So only a few threads of the server ever do, and a browser's
//! request gives up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Threads that read at a time.
const READERS: usize = 32;

/// Threads that change files at a time. A change may copy gigabytes.
const WRITERS: usize = 4;

/// How long a read may take, its turn included.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(super) struct Disk {
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    patience: Duration,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self::patient_for(PATIENCE)
    }

    fn patient_for(patience: Duration) -> Self {
        let turns = |count| Arc::new(Semaphore::new(count));
        Self { readers: turns(READERS), writers: turns(WRITERS), patience }
    }

    /// Reads.
    ///
    /// # Errors
    /// Those of the work, and [`TimedOut`](io::ErrorKind::TimedOut).
    pub(super) async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let looked = timeout(self.patience, turn(&self.readers, work)).await;
        looked.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer")))
    }

    /// Changes files. It may take as long as it needs.
    ///
    /// # Errors
    /// Those of the work.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        turn(&self.writers, work).await
    }
}

/// Works on a thread of its own. The turn ends with the work, even if the caller has stopped waiting.
async fn turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
    let worked = spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    worked.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_hanging_file_system_keeps_a_few_threads_and_fails_the_others() {
        let disk = Disk::patient_for(Duration::from_millis(50));
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..READERS {
            let (disk, released, begun) = (disk.clone(), Arc::clone(&released), begun.clone());
            tokio::spawn(async move {
                let hang = move || {
                    let _ = begun.send(());
                    let _ = released.lock().unwrap().recv();
                    Ok(())
                };
                disk.look(hang).await
            });
        }
        for _ in 0..READERS {
            has_begun.recv().await.unwrap();
        }
        let refused = disk.look(|| Ok(())).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(disk.change(|| Ok(())).await.is_ok(), "changes have threads of their own");
        drop(release);
        // The turns end with the work.
        while disk.look(|| Ok(())).await.is_err() {}
    }
}
