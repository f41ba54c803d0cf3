//! Moving formats to another shelf: copy, compare, switch the row, remove the source.
//!
//! The source stays until its copy has been read back and the row names that. A format that changes meanwhile is moved again.

mod copy;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::cluster::RecordId;
use serde::{Deserialize, Serialize};

use super::settle::{MISSING, tree};
use super::shelf::{FormatKey, Shelf, Stored};
use super::shelves::Shelves;
use super::work_folder::WorkFolder;
use crate::store::{Holding, MOVE, REMOVAL, Spot, Store};
use crate::work::{Attempt, Job, JobError, Terms, Waker};
use copy::read;

/// Moves the formats of recordings.
pub struct Mover {
    store: Store,
    shelves: Shelves,
    work: PathBuf,
    waker: Waker,
}

/// A recording to move.
#[derive(Serialize, Deserialize)]
pub struct Move {
    record_id: String,
    /// The shelf.
    to: String,
}

impl Mover {
    /// A mover between these shelves. Copies are made below `work`. The waker is that of the bench, where jobs remove sources.
    pub fn new(store: Store, shelves: Shelves, work: PathBuf, waker: Waker) -> Self {
        Self { store, shelves, work, waker }
    }

    fn shelf(&self, name: &str) -> Result<Arc<dyn Shelf>, JobError> {
        let missing = || JobError::Retry(format!("this server has no shelf `{name}`"));
        self.shelves.named(name).ok_or_else(missing)
    }

    async fn move_format(&self, holding: &Holding, from: &Spot, target: &dyn Shelf) -> Result<(), JobError> {
        let key = FormatKey::new(&holding.record, &holding.format);
        let key = key.ok_or_else(|| JobError::Poison(format!("`{}` is no format", holding.format)))?;
        let source = self.shelf(&from.shelf)?;
        let content = found(&*source, &key, &from.place).await?;
        let content = content.ok_or_else(|| JobError::Poison(format!("{key}: {MISSING}")))?;
        let folder = WorkFolder::new(&self.work, "move")?;
        let copied = copy(&*source, target, &key, holding, &content, folder.path()).await;
        folder.remove().await;
        let copied = copied?;
        let to = Spot { shelf: target.name().to_owned(), place: copied.place.clone() };
        if !self.store.holdings().switch(holding, &to, &content.stamp).await? {
            target.remove_content(&key, &copied).await?;
            return Err(changed(&key));
        }
        self.waker.wake(REMOVAL);
        tracing::info!(recording = %key, from = from.shelf, to = to.shelf, "Moved a format");
        Ok(())
    }
}

impl Job for Mover {
    const KIND: &'static str = MOVE;
    /// A bucket may be away for a night.
    const TERMS: Terms = Terms {
        at_once: 4,
        lease: Duration::from_secs(60),
        limit: Duration::from_secs(6 * 3600),
        attempts: 80,
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_secs(600),
    };
    type Payload = Move;

    async fn run(&self, Move { record_id, to }: Move, _: Attempt) -> Result<(), JobError> {
        let id = RecordId::new(&record_id);
        let id = id.ok_or_else(|| JobError::Poison(format!("`{record_id}` is no id of a recording")))?;
        let target = self.shelf(&to)?;
        let mut moved = Ok(());
        for holding in self.store.holdings().of(&id).await? {
            let Some(from) = holding.spot.as_ref().filter(|spot| spot.shelf != to) else { continue };
            // A format that cannot be moved holds up no other.
            moved = moved.and(self.move_format(&holding, from, &*target).await);
        }
        moved
    }
}

/// The content in a place.
async fn found(shelf: &dyn Shelf, key: &FormatKey, place: &str) -> Result<Option<Stored>, JobError> {
    Ok(shelf.contents(key).await?.into_iter().find(|content| content.place == place))
}

/// Copies a content to another shelf, by way of a folder, and reads it back.
async fn copy(
    source: &dyn Shelf,
    target: &dyn Shelf,
    key: &FormatKey,
    holding: &Holding,
    content: &Stored,
    folder: &Path,
) -> Result<Stored, JobError> {
    let files = read(source, key, &content.place, Some(folder)).await?;
    if found(source, key, &content.place).await?.as_ref() != Some(content) {
        return Err(changed(key));
    }
    let tree = tree(holding.state);
    let added = target.add(key, tree, folder).await?;
    // An earlier attempt may have put it there.
    let mut contents = target.contents(key).await?.into_iter();
    let is_it = |content: &Stored| match &added {
        Some(place) => content.place == *place,
        None => target.is_in(&content.place, tree),
    };
    let copied = contents.find(is_it).ok_or_else(|| changed(key))?;
    if read(target, key, &copied.place, None).await? == files {
        return Ok(copied);
    }
    if added.is_none() {
        let why = format!("{key}: other files of it lie on `{}`; see `b3scalectl recording verify`", target.name());
        return Err(JobError::Poison(why));
    }
    target.remove_content(key, &copied).await?;
    Err(JobError::Retry(format!("{key}: its copy on `{}` differs from its source", target.name())))
}

fn changed(key: &FormatKey) -> JobError {
    JobError::Retry(format!("{key} changed while it was moved"))
}
