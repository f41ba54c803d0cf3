//! Files of a format that are here when it arrives again.

use b3scale_middleware::cluster::{RecordId, RecordingState};

use super::{Failure, Importer, Parts};
use crate::recordings::shelf::{FormatKey, Stored};
use crate::store::{Import, Spot, StoredFormat};

/// A format that is here already.
pub(super) struct Earlier {
    /// Its digest.
    pub(super) digest: Option<String>,
    /// Whether all its files are in their place. On a shelf that this server does not have they are taken for it.
    pub(super) is_whole: bool,
    /// The stamps of its contents, before another one comes.
    stamps: Vec<String>,
}

/// Whether the files that an import brought are still here. The files of a deleted recording are not missed.
///
/// # Errors
/// Why that cannot be said now.
pub(in crate::recordings) async fn keeps(importer: &Importer, import: &Import) -> Result<bool, String> {
    for name in &import.formats {
        let kept = importer.0.keeps_format(name).await;
        let is_kept = kept.map_err(|failure| match failure {
            Failure::Passing(reason) | Failure::Refused(reason) => reason,
        })?;
        if !is_kept {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Parts {
    /// The format as it is before it arrives again. `None`: no row names files of it.
    pub(super) async fn earlier(&self, key: &FormatKey) -> Result<Option<Earlier>, Failure> {
        let stored = self.store.recordings().stored(key.record()).await?;
        let Some(stored) = stored.into_iter().find(|stored| stored.format == key.format()) else { return Ok(None) };
        let (digest, count) = (stored.digest.clone(), usize::try_from(stored.files).unwrap_or_default().max(1));
        let Some(Spot { shelf, place }) = stored.spot() else { return Ok(None) };
        let Some(shelf) = self.shelves.named(&shelf) else {
            return Ok(Some(Earlier { digest, is_whole: true, stamps: Vec::new() }));
        };
        let is_whole = shelf.files(key, &place).await?.len() >= count;
        let stamps = shelf.contents(key).await?.into_iter().map(|content| content.stamp).collect();
        Ok(Some(Earlier { digest, is_whole, stamps }))
    }

    async fn keeps_format(&self, name: &str) -> Result<bool, Failure> {
        let key = name.split_once('/').and_then(|(format, record)| FormatKey::new(&RecordId::new(record)?, format));
        let Some(key) = key else { return Ok(false) };
        let recording = self.store.recordings().find(key.record()).await?;
        if recording.is_some_and(|recording| recording.state == RecordingState::Deleted) {
            return Ok(true);
        }
        Ok(self.earlier(&key).await?.is_some_and(|earlier| earlier.is_whole))
    }

    /// Removes files that the new ones replace. The new ones may have been moved to their place meanwhile: they have another stamp.
    pub(super) async fn remove_earlier(&self, key: &FormatKey, earlier: Earlier, spot: &Spot) -> Result<(), Failure> {
        let Some(shelf) = self.shelves.named(&spot.shelf) else { return Ok(()) };
        for stamp in earlier.stamps {
            shelf.remove_content(key, &Stored { place: spot.place.clone(), stamp }).await?;
        }
        Ok(())
    }

    /// Removes new files of a recording that was deleted meanwhile, unless they replaced the files of its trash.
    pub(super) async fn withdraw(&self, key: &FormatKey, stored: StoredFormat) -> Result<(), Failure> {
        let Some(spot) = stored.spot() else { return Ok(()) };
        if self.store.holdings().names(key.record(), key.format(), &spot).await? {
            return Ok(());
        }
        match self.shelves.named(&spot.shelf) {
            Some(shelf) => Ok(shelf.remove(key, &spot.place).await?),
            None => Ok(()),
        }
    }
}
