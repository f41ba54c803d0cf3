//! Recordings without a frontend that get one, and remains of imports that end.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale_middleware::cluster::{RecordId, Recording};

use super::owner::known;
use super::{Failure, Importer, Parts};
use crate::recordings::owner::{Giver, Owner};
use crate::store::{Import, StoreError};
use crate::work::{self, Duty};

/// Folders of attempts this old belong to no attempt any more.
const OLDEST_WORK: Duration = Duration::from_secs(24 * 3600);

impl Parts {
    /// Gives a known recording without a frontend to its owner. With an override, it moves from another frontend, too.
    pub(super) async fn adopt_or_move(
        &self,
        known: &Recording,
        owner: Option<&Owner>,
        import: &Import,
    ) -> Result<(), Failure> {
        let Some(owner) = owner else { return Ok(()) };
        let is_moved = import.frontend.is_some() || import.meeting_id.is_some();
        let is_owned = known.frontend == Some(owner.frontend.id) && known.meeting_id == owner.meeting_id;
        if known.frontend.is_none() || is_moved && !is_owned {
            self.adopt(known.clone(), owner).await?;
        }
        Ok(())
    }

    async fn adopt_if_known(&self, id: &RecordId) -> Result<(), StoreError> {
        let found = self.store.recordings().find(id).await?;
        let Some(recording) = found.filter(|found| found.frontend.is_none()) else { return Ok(()) };
        match known(&self.store, &recording).await? {
            Some(owner) => self.adopt(recording, &owner).await,
            None => Ok(()),
        }
    }

    async fn adopt(&self, recording: Recording, owner: &Owner) -> Result<(), StoreError> {
        let (id, settings) = (recording.id.clone(), &self.settings);
        let giver = Giver::new(self.store.clone(), settings.default_visibility, settings.ready_per_format);
        if giver.give(recording, owner).await?.is_some() {
            tracing::info!(recording = %id, frontend = &*owner.frontend.key, "Adopting a recording");
        }
        Ok(())
    }
}

/// Adopts recordings of meetings that were unknown when they came.
pub struct Adopt(pub Importer);

impl Duty for Adopt {
    const NAME: &'static str = "adopt-recordings";
    const EVERY: Duration = Duration::from_secs(60);

    async fn run(&self) -> Result<(), work::Failure> {
        let (parts, mut after) = (&self.0.0, None);
        loop {
            let page = parts.store.imports().adoptable(after.as_ref()).await?;
            for id in &page {
                // A failure holds up no other recording.
                if let Err(error) = parts.adopt_if_known(id).await {
                    tracing::warn!(recording = %id, %error, "Adopting a recording failed");
                }
            }
            after = page.into_iter().next_back();
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Removes uploads that were given up, archives without a job, and folders of attempts that were cut off.
pub struct Sweep(pub Importer);

impl Duty for Sweep {
    const NAME: &'static str = "sweep-imports";
    const EVERY: Duration = Duration::from_secs(600);

    async fn run(&self) -> Result<(), work::Failure> {
        let parts = Arc::clone(&self.0.0);
        for import in parts.store.imports().abandoned().await? {
            parts.arrivals.remove(import.id).await?;
            parts.store.imports().remove(import.id).await?;
            tracing::warn!(import = import.name, import.sender, "Removing an abandoned import");
        }
        let work = parts.settings.work.clone();
        tokio::task::spawn_blocking(move || sweep(&work)).await??;
        Ok(())
    }
}

fn sweep(work: &Path) -> io::Result<()> {
    for entry in fs::read_dir(work)? {
        let path = entry?.path();
        // A failure holds up no other folder.
        if let Err(error) = remove_old(&path) {
            tracing::warn!(path = %path.display(), %error, "Removing remains of an import failed");
        }
    }
    Ok(())
}

fn remove_old(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let age = SystemTime::now().duration_since(found.modified()?).unwrap_or_default();
    match () {
        () if age <= OLDEST_WORK => Ok(()),
        () if found.is_dir() => fs::remove_dir_all(path),
        () => fs::remove_file(path),
    }
}
