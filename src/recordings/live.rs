//! Live captions: those of a presentation that its node made while the meeting ran, as text tracks.

use b3scale_middleware::bbb::LanguageTag;
use b3scale_middleware::cluster::TrackKind;
use bytes::Bytes;
use serde::Deserialize;

use super::shelf::{FilePath, FormatKey, Shelf, ShelfError};
use crate::store::{Store, StoredTrack};
use crate::work::JobError;

/// The source of these tracks.
const LIVE: &str = "live";
/// The player's list of captions.
const LIST: &str = "captions.json";
/// The most bytes of that list. A larger one is none of a recording.
const LARGEST_LIST: u64 = 1 << 20;
/// The most captions of a presentation, and the most bytes of them all.
const MOST: usize = 100;
const MOST_BYTES: u64 = 16 << 20;

/// The files of a presentation.
pub(super) struct Presentation<'a> {
    pub(super) shelf: &'a dyn Shelf,
    pub(super) key: &'a FormatKey,
    pub(super) place: &'a str,
}

/// A caption in the list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    locale: String,
    locale_name: Option<String>,
}

impl Presentation<'_> {
    /// Enters its captions into the tables. The uploads of its frontend stay there.
    pub(super) async fn enter_captions(&self, store: &Store) -> Result<(), JobError> {
        let (table, id) = (store.recordings(), self.key.record());
        let Some(list) = self.read(LIST, LARGEST_LIST).await? else { return Ok(()) };
        // An unreadable list is empty for the player, too.
        let list: Vec<Entry> = serde_json::from_slice(&list).unwrap_or_default();
        let known = if list.is_empty() { Vec::new() } else { table.tracks(id).await? };
        let mut left = MOST_BYTES;
        for entry in list.into_iter().take(MOST) {
            let Some(track) = self.track(entry, left).await? else { continue };
            left = left.saturating_sub(track.content.len() as u64);
            let is_there = |there: &StoredTrack| (there.kind, &there.lang) == (track.kind, &track.lang);
            let there = known.iter().find(|there| is_there(there));
            if there.is_none_or(|there| there.source == LIVE && *there != track) {
                table.put_track(id, &track).await?;
            }
        }
        Ok(())
    }

    /// A caption as a text track. `None`: its file is missing, larger than that, or no text.
    async fn track(&self, entry: Entry, most: u64) -> Result<Option<StoredTrack>, ShelfError> {
        let Entry { locale, locale_name } = entry;
        let Some(lang) = LanguageTag::new(&locale) else { return Ok(None) };
        let Some(text) = self.read(&format!("caption_{locale}.vtt"), most).await? else { return Ok(None) };
        let text = String::from_utf8(text.into()).ok().filter(|text| !text.contains('\0'));
        let label = locale_name.unwrap_or_else(|| lang.name().map_or_else(|| lang.to_string(), str::to_owned));
        let (lang, label, source) = (lang.to_string(), label.replace('\0', ""), LIVE.to_owned());
        Ok(text.map(|content| StoredTrack { kind: TrackKind::Captions, lang, label, source, content }))
    }

    async fn read(&self, name: &str, most: u64) -> Result<Option<Bytes>, ShelfError> {
        let Some(path) = FilePath::new(name) else { return Ok(None) };
        match self.shelf.open(self.key, self.place, &path).await? {
            Some(file) => file.whole(most).await,
            None => Ok(None),
        }
    }
}
