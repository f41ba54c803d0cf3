//! Folders for work under way.

use std::io;
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

/// A folder for one attempt at some work.
//
// It is not removed on drop: a cut-off attempt may still be moving files out of it. A sweep removes such remains.
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    /// A new folder. Its name begins with that of the work.
    pub(super) fn new(within: &Path, name: &str) -> io::Result<Self> {
        let path = within.join(format!("{name}-{:08x}", fastrand::u32(..)));
        let made = std::fs::create_dir_all(&path);
        made.map_err(|error| io::Error::new(error.kind(), format!("{} cannot be made: {error}", path.display())))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it with its files, when nothing works in it any more.
    pub(super) async fn remove(self) {
        let path = self.0;
        let removed = spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        if let Ok(Err(error)) = removed {
            tracing::debug!(%error, "Removing a folder of work failed");
        }
    }
}
