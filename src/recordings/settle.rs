//! Brings the files of a recording in line with its rows: the tree by its state, and the captions of its frontend.
//!
//! The tables queue this job in the transaction of the change, so a killed server loses none. Jobs of one recording run one at a
//! time, and each reads the rows as they are then.

use std::time::Duration;

use b3scale_middleware::cluster::{RecordId, RecordingState, TrackKind};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Shelves;
use super::live::Presentation;
use super::shelf::{FilePath, FormatKey, Shelf, ShelfError, Shifted, Tree};
use crate::store::{Holding, Spot, Store, StoredTrack};
use crate::work::{Attempt, Job, JobError, Terms};

/// Why a format without files cannot be moved.
pub(super) const MISSING: &str = "its files are not in their place; `b3scalectl recording verify --fix` looks for them";
/// The source of text tracks that a frontend puts.
pub(super) const UPLOAD: &str = "upload";
/// The format that shows captions.
const PRESENTATION: &str = "presentation";
/// The player's list of captions.
const LIST: &str = "captions.json";
/// The most of that list that is read, in bytes. A larger one is none of a recording.
const LARGEST_LIST: u64 = 1 << 20;

/// The job.
pub struct Settle {
    store: Store,
    shelves: Shelves,
}

/// The recording, as the tables write it.
#[derive(Serialize, Deserialize)]
pub struct Unsettled {
    record_id: String,
}

impl Settle {
    /// The job on these shelves.
    pub fn new(store: Store, shelves: Shelves) -> Self {
        Self { store, shelves }
    }

    async fn settle(&self, mut row: Holding, tracks: &[StoredTrack]) -> Result<(), JobError> {
        let Some(Spot { shelf: name, place }) = row.spot.clone() else { return Ok(()) };
        let unknown = || JobError::Retry(format!("the shelf `{name}` is not set up on this server"));
        let shelf = self.shelves.named(&name).ok_or_else(unknown)?;
        let Some(key) = FormatKey::new(&row.record, &row.format) else { return Ok(()) };
        let changed = || JobError::Retry(format!("{key} changed meanwhile"));
        let settled = match self.shift(&*shelf, &key, &row, &place).await? {
            Shifted::To(settled) => settled,
            Shifted::Taken(_) => return Err(changed()),
            // Nothing is to be moved to the trash, and `verify` names losses by itself.
            Shifted::Missing if row.state == RecordingState::Deleted => return Ok(()),
            Shifted::Missing if shelf.is_in(&place, tree(row.state)) => return Ok(()),
            Shifted::Missing => return Err(JobError::Poison(format!("{key}: {MISSING}"))),
        };
        if settled != place {
            let spot = Spot { shelf: name, place: settled.clone() };
            if !self.store.holdings().relocate(&row, &spot).await? {
                return Err(changed());
            }
            row.spot = Some(spot);
        }
        if key.format() == PRESENTATION {
            Presentation { shelf: &*shelf, key: &key, place: &settled }.enter_captions(&self.store).await?;
        }
        if key.format() == PRESENTATION && !tracks.is_empty() {
            Captions { shelf: &*shelf, key: &key, place: &settled }.write(tracks).await?;
        }
        if self.store.holdings().measure(&row, sums(&shelf.files(&key, &settled).await?)).await? {
            Ok(())
        } else {
            Err(changed())
        }
    }

    /// Moves a format to the tree of its state, in place of a content that no one needs.
    async fn shift(&self, shelf: &dyn Shelf, key: &FormatKey, row: &Holding, place: &str) -> Result<Shifted, JobError> {
        let shifted = shelf.shift(key, place, tree(row.state)).await?;
        let Shifted::Taken(other) = shifted else { return Ok(shifted) };
        // It was seen before the tables are asked: a later one has another stamp.
        if !self.store.holdings().is_quiet(row).await? {
            return Err(JobError::Retry(format!("{key} arrives or moves meanwhile")));
        }
        shelf.remove_content(key, &other).await?;
        Ok(shelf.shift(key, place, tree(row.state)).await?)
    }
}

impl Job for Settle {
    const KIND: &'static str = "settle_recording";
    /// A shelf may be away for a day.
    const TERMS: Terms = Terms {
        at_once: 4,
        lease: Duration::from_secs(60),
        limit: Duration::from_mins(30),
        attempts: 60,
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_mins(30),
    };
    type Payload = Unsettled;

    async fn run(&self, payload: Unsettled, _: Attempt) -> Result<(), JobError> {
        let none = || JobError::Poison(format!("`{}` is no id of a recording", payload.record_id));
        let id = RecordId::new(&payload.record_id).ok_or_else(none)?;
        let table = self.store.recordings();
        let mut tracks = table.tracks(&id).await?;
        tracks.retain(|track| track.kind == TrackKind::Captions && track.source == UPLOAD);
        let mut settled = Ok(());
        for row in self.store.holdings().of(&id).await? {
            // A format that cannot be settled holds up no other.
            settled = settled.and(self.settle(row, &tracks).await);
        }
        settled
    }
}

/// Where the files of a recording in that state belong.
pub(super) fn tree(state: RecordingState) -> Tree {
    match state {
        RecordingState::Published => Tree::Published,
        RecordingState::Unpublished => Tree::Unpublished,
        RecordingState::Deleted => Tree::Deleted,
    }
}

/// How many files there are, and their size.
pub(super) fn sums(files: &[(String, u64)]) -> [i64; 2] {
    let bytes = files.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    [files.len() as u64, bytes].map(|sum| i64::try_from(sum).unwrap_or(i64::MAX))
}

/// The captions of a presentation, as the player reads them.
struct Captions<'a> {
    shelf: &'a dyn Shelf,
    key: &'a FormatKey,
    place: &'a str,
}

impl Captions<'_> {
    /// Writes captions, and enters them in the player's list. The node's captions in other languages stay there.
    async fn write(&self, tracks: &[StoredTrack]) -> Result<(), ShelfError> {
        let mut list = self.list().await?;
        for StoredTrack { lang, label, content, .. } in tracks {
            self.write_file(&format!("caption_{lang}.vtt"), content.clone()).await?;
            list.retain(|entry| entry["locale"] != **lang);
            list.push(json!({ "kind": "captions", "locale": lang, "localeName": label }));
        }
        self.write_file(LIST, Value::from(list).to_string()).await
    }

    async fn write_file(&self, name: &str, text: String) -> Result<(), ShelfError> {
        // The languages were checked as they came, so every name is safe.
        let Some(path) = FilePath::new(name) else { return Ok(()) };
        self.shelf.write(self.key, self.place, &path, text.into()).await
    }

    /// The player's list. An unreadable one is empty.
    async fn list(&self) -> Result<Vec<Value>, ShelfError> {
        let Some(path) = FilePath::new(LIST) else { return Ok(Vec::new()) };
        let Some(file) = self.shelf.open(self.key, self.place, &path).await? else { return Ok(Vec::new()) };
        let pieces: Vec<Bytes> = file.read(0..LARGEST_LIST).await?.try_collect().await?;
        Ok(serde_json::from_slice(&pieces.concat()).unwrap_or_default())
    }
}
