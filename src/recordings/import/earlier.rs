//! Files of a format that are here when it arrives again.

use super::{Failure, Importer};
use crate::recordings::shelf::{FormatKey, Stored};
use crate::store::{Spot, StoredFormat};

/// A format that is here already.
pub(super) struct Earlier {
    /// Its digest.
    pub(super) digest: Option<String>,
    /// The stamps of its contents, before another one comes.
    stamps: Vec<String>,
}

impl Importer {
    /// The format as it is before it arrives again. `None`: no row names files of it.
    pub(super) async fn earlier(&self, key: &FormatKey) -> Result<Option<Earlier>, Failure> {
        let stored = self.0.store.recordings().stored(key.record()).await?;
        let Some(stored) = stored.into_iter().find(|stored| stored.format == key.format()) else { return Ok(None) };
        let digest = stored.digest.clone();
        let Some(Spot { shelf, .. }) = stored.spot() else { return Ok(None) };
        let contents = match self.0.shelves.named(&shelf) {
            Some(shelf) => shelf.contents(key).await?,
            None => Vec::new(),
        };
        Ok(Some(Earlier { digest, stamps: contents.into_iter().map(|content| content.stamp).collect() }))
    }

    /// Removes files that the new ones replace. The new ones may have been moved to their place meanwhile: they have another stamp.
    pub(super) async fn remove_earlier(&self, key: &FormatKey, earlier: Earlier, spot: &Spot) -> Result<(), Failure> {
        let Some(shelf) = self.0.shelves.named(&spot.shelf) else { return Ok(()) };
        for stamp in earlier.stamps {
            shelf.remove_content(key, &Stored { place: spot.place.clone(), stamp }).await?;
        }
        Ok(())
    }

    /// Removes new files of a recording that was deleted meanwhile, unless they took the place of those that go to its trash.
    pub(super) async fn withdraw(&self, key: &FormatKey, stored: StoredFormat) -> Result<(), Failure> {
        let Some(spot) = stored.spot() else { return Ok(()) };
        if self.0.store.holdings().names(key.record(), key.format(), &spot).await? {
            return Ok(());
        }
        match self.0.shelves.named(&spot.shelf) {
            Some(shelf) => Ok(shelf.remove(key, &spot.place).await?),
            None => Ok(()),
        }
    }
}
