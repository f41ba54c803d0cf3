//! Reading a format: sizes and digests of its files, and a copy of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

use crate::recordings::shelf::{FilePath, FormatKey, Shelf};
use crate::work::JobError;

/// Files that are read at a time. Most are small.
const AT_ONCE: usize = 8;

/// Size and SHA-256 of files, by their paths.
pub(super) type Files = BTreeMap<String, (u64, [u8; 32])>;

/// Reads the files of a format, and copies them into a folder if there is one.
pub(super) async fn read(
    shelf: &dyn Shelf,
    key: &FormatKey,
    place: &str,
    into: Option<&Path>,
) -> Result<Files, JobError> {
    let paths = shelf.files(key, place).await?;
    let files = stream::iter(paths).map(async |(path, _)| {
        let digest = read_file(shelf, key, place, &path, into).await?;
        Ok::<_, JobError>((path, digest))
    });
    files.buffer_unordered(AT_ONCE).try_collect().await
}

async fn read_file(
    shelf: &dyn Shelf,
    key: &FormatKey,
    place: &str,
    path: &str,
    into: Option<&Path>,
) -> Result<(u64, [u8; 32]), JobError> {
    let unsafe_name = || JobError::Poison(format!("{key}: the name of its file `{path}` is not safe; rename it"));
    let opened = shelf.open(key, place, &FilePath::new(path).ok_or_else(unsafe_name)?).await?;
    let opened = opened.ok_or_else(|| JobError::Retry(format!("{key}: its file `{path}` went away")))?;
    let mut copy = match into {
        Some(folder) => Some(create(&folder.join(path)).await?),
        None => None,
    };
    let (size, mut sha256) = (opened.size, Sha256::new());
    let mut content = opened.read(0..size).await?;
    while let Some(piece) = content.try_next().await? {
        sha256.update(&piece);
        if let Some(copy) = &mut copy {
            copy.write_all(&piece).await?;
        }
    }
    if let Some(copy) = &mut copy {
        copy.flush().await?;
    }
    Ok((size, sha256.finalize().into()))
}

async fn create(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).await?;
    }
    File::create(path).await
}
