//! Taking in one format: its owner, its files, its row.

use std::path::Path;

use b3scale_middleware::bbb::xml::RecordingDocument;
use b3scale_middleware::cluster::{Recording, RecordingFormat, RecordingState, Visibility, described};

use super::earlier::Earlier;
use super::owner::{owner, restore};
use super::{Failure, Importer, documents};
use crate::recordings::archive::{Content, UnpackedFormat};
use crate::recordings::owner::Owner;
use crate::recordings::settle::Settle;
use crate::recordings::shelf::{FormatKey, Tree};
use crate::store::{Import, ImportSource, NewFormat, Rules, Spot, StoredFormat};
use crate::work::Job;

/// Where the files of a format are.
pub(super) enum Files<'f> {
    /// In a folder, which goes to the shelf. Their content is known if they come from an archive.
    Folder(&'f Path, Option<Content>),
    /// On a shelf already.
    Placed(&'f Spot),
    /// Not here, or not yet.
    None,
}

impl Importer {
    /// Takes in a format of an archive.
    pub(super) async fn take_unpacked(&self, import: &Import, unpacked: UnpackedFormat) -> Result<(), Failure> {
        let UnpackedFormat { key, folder, is_unpublished, content } = unpacked;
        let content = content.map_err(Failure::Refused)?;
        let mut document = documents::of_folder(&folder).await?;
        document.is_published &= !is_unpublished;
        self.take_format(import, &key, &document, Files::Folder(&folder, Some(content))).await
    }

    /// Places the files of a format and lists it.
    pub(super) async fn take_format(
        &self,
        import: &Import,
        key: &FormatKey,
        document: &RecordingDocument,
        files: Files<'_>,
    ) -> Result<(), Failure> {
        let (mut recording, format) = matching(key, document)?;
        let store = &self.0.store;
        let known = store.recordings().find(key.record()).await?;
        if known.as_ref().is_some_and(|known| known.state == RecordingState::Deleted) {
            tracing::info!(recording = %key, "Passing over a deleted recording");
            return Ok(());
        }
        let owner = owner(store, &recording, import).await?;
        restore(store, &mut recording, owner.as_ref()).await?;
        let owner = owner.inspect(|owner| owner.claim(&mut recording));
        if let Some(known) = &known {
            self.0.adopt_or_move(known, owner.as_ref(), import).await?;
        }
        let rules = self.rules(&recording, owner.as_ref());
        let tree = tree(known.as_ref().map_or(rules.visibility, Recording::visibility));
        let earlier = self.0.earlier(key).await?;
        let Some(stored) = self.place(import, key, tree, files, earlier.as_ref()).await? else {
            tracing::info!(recording = %key, "Passing over a recording with known files");
            return Ok(());
        };
        self.list(key, NewFormat { recording, format, stored }, rules, earlier).await
    }

    fn rules(&self, recording: &Recording, owner: Option<&Owner>) -> Rules {
        let settings = &self.0.settings;
        let visibility = owner.map(|owner| owner.visibility(recording, settings.default_visibility));
        Rules {
            visibility: visibility.unwrap_or(Visibility::Unpublished),
            // It is published once its frontend is known, if its node has it published.
            held: visibility.is_none() && recording.state == RecordingState::Published,
            ready_per_format: settings.ready_per_format,
        }
    }

    /// Puts the files on a shelf. `None`: they are there.
    async fn place(
        &self,
        import: &Import,
        key: &FormatKey,
        tree: Tree,
        files: Files<'_>,
        earlier: Option<&Earlier>,
    ) -> Result<Option<StoredFormat>, Failure> {
        let format = key.format().to_owned();
        let (folder, content) = match files {
            Files::Folder(folder, content) => (folder, content),
            // Their row comes first, and a job moves them: else they were lost with this server in between.
            Files::Placed(Spot { shelf, place }) => {
                let (shelf, place) = (Some(shelf.clone()), Some(place.clone()));
                return Ok(Some(StoredFormat { format, shelf, place, digest: None, files: 0 }));
            }
            Files::None => return Ok(Some(StoredFormat { format, shelf: None, place: None, digest: None, files: 0 })),
        };
        let digest = content.as_ref().map(|content| content.digest.clone());
        match earlier {
            Some(earlier) if digest.is_some() && earlier.digest == digest => {
                if earlier.is_whole {
                    return Ok(None);
                }
                tracing::warn!(recording = %key, "Replacing files that were lost");
            }
            Some(_) => self.refuse_rival(import, key).await?,
            None => {}
        }
        let shelf = self.0.shelves.main();
        let place = shelf.put(key, tree, folder).await?;
        let files = content.map_or(0, |content| content.files);
        Ok(Some(StoredFormat { format, shelf: Some(shelf.name().to_owned()), place: Some(place), digest, files }))
    }

    /// Refuses other files for a format that another node has sent: neither is known to be the right one.
    async fn refuse_rival(&self, import: &Import, key: &FormatKey) -> Result<(), Failure> {
        if import.source != ImportSource::Upload {
            return Ok(());
        }
        match self.0.store.imports().rival(&key.to_string(), import).await? {
            None => Ok(()),
            Some(rival) => Err(Failure::Refused(format!(
                "{} sends other files than {rival} sent; remove one of the two recordings from its node",
                import.sender
            ))),
        }
    }

    /// Writes the row of a format whose files are in their place.
    async fn list(
        &self,
        key: &FormatKey,
        new: NewFormat,
        rules: Rules,
        earlier: Option<Earlier>,
    ) -> Result<(), Failure> {
        let added = self.0.store.recordings().add_format(&new, &rules).await?;
        if added.tombstone {
            self.0.withdraw(key, new.stored).await?;
        } else if let Some((earlier, spot)) = earlier.zip(added.replaced.and_then(StoredFormat::spot)) {
            self.0.remove_earlier(key, earlier, &spot).await?;
        }
        self.0.waker.wake(Settle::KIND);
        let (state, frontend) = (added.recording.state.name(), added.recording.frontend.map(|id| id.0.to_string()));
        tracing::info!(recording = %key, state, frontend, recording.is_new = added.is_new, "Recording imported");
        Ok(())
    }
}

/// The recording and the format of a document, if it is the document of that format.
fn matching(key: &FormatKey, document: &RecordingDocument) -> Result<(Recording, RecordingFormat), Failure> {
    let (recording, format) = described(document)?;
    if recording.id != *key.record() {
        return Err(Failure::Refused(format!("its metadata.xml is that of recording `{}`", recording.id)));
    }
    let format = format.unwrap_or_else(|| RecordingFormat::bare(&recording.id, key.format()));
    if format.kind != key.format() {
        return Err(Failure::Refused(format!("its metadata.xml is that of format `{}`", format.kind)));
    }
    Ok((recording, format))
}

fn tree(visibility: Visibility) -> Tree {
    if visibility.is_published() { Tree::Published } else { Tree::Unpublished }
}
