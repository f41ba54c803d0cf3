//! Files that lie on a shelf without a row.

use b3scale_middleware::bbb::xml::LARGEST_METADATA;
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::format::Files;
use super::{Failure, Importer, documents};
use crate::recordings::shelf::{FilePath, FormatKey, Shelf, Tree};
use crate::store::{Import, ImportSource, Spot};

/// Lists files that lie on a shelf, where they are. A recording that does not lie among published ones is unpublished.
///
/// # Errors
/// Why they are not listed.
pub(in crate::recordings) async fn take_found(
    importer: &Importer,
    shelf: &dyn Shelf,
    key: &FormatKey,
    place: &str,
) -> Result<(), String> {
    let taken = take(importer, shelf, key, place).await;
    taken.map_err(|failure| match failure {
        Failure::Passing(reason) | Failure::Refused(reason) => reason,
    })
}

async fn take(importer: &Importer, shelf: &dyn Shelf, key: &FormatKey, place: &str) -> Result<(), Failure> {
    let missing = || Failure::Refused("there is no metadata.xml".to_owned());
    let path = FilePath::new("metadata.xml").ok_or_else(missing)?;
    let file = shelf.open(key, place, &path).await?.ok_or_else(missing)?;
    let content = file.read(0..LARGEST_METADATA as u64 + 1).await?;
    let mut document = documents::parsed(content.try_collect::<Vec<_>>().await?.concat()).await?;
    document.is_published &= shelf.is_in(place, Tree::Published);
    let import = Import::new(Uuid::now_v7(), ImportSource::Folder, key.to_string());
    let spot = Spot { shelf: shelf.name().to_owned(), place: place.to_owned() };
    importer.take_format(&import, key, &document, Files::Placed(&spot)).await
}
