//! A folder into a bucket.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectStore, PutMultipartOptions, PutOptions, WriteMultipart};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt;

use super::super::local::folder;
use super::super::{FormatKey, ShelfError};
use super::{S3, attributes, prefix};

/// The most bytes of an object that are sent at a time. A bucket takes 10,000 parts of an object.
const PART: usize = 16 << 20;

/// The parts of one object that are on their way at a time.
const PARTS: usize = 2;

/// Objects that are sent at a time. Most are small.
const OBJECTS: usize = 4;

/// Sends the files of a folder, compares them with the bucket's list, and removes the folder.
pub(super) async fn folder(s3: &S3, key: &FormatKey, place: &str, folder: &Path) -> Result<(), ShelfError> {
    let files = listed(folder.to_owned()).await.map_err(|error| unreadable(folder, error))?;
    let Some(prefix) = prefix(key, place) else { return Ok(()) };
    let sent = stream::iter(&files).map(Ok).try_for_each_concurrent(OBJECTS, async |(path, size)| {
        let location = Key::parse(format!("{prefix}/{path}")).map_err(|error| s3.failure(error.into()))?;
        file(s3, &location, path, &folder.join(path), *size).await
    });
    sent.await?;
    let mut there: Vec<_> = s3.below(&prefix).await?.into_iter().map(|(path, meta)| (path, meta.size)).collect();
    there.sort();
    if there != files {
        let reason =
            format!("it lists {} objects below {prefix} that differ from the {} files sent", there.len(), files.len());
        return Err(ShelfError::Away { place: format!("the bucket {}", s3.bucket), reason: reason.into() });
    }
    fs::remove_dir_all(folder).await.map_err(|error| unreadable(folder, error))
}

async fn listed(path: PathBuf) -> io::Result<Vec<(String, u64)>> {
    tokio::task::spawn_blocking(move || folder::files(&path)).await.map_err(io::Error::other)?
}

/// Sends a file: a small one whole, a larger one in parts.
async fn file(s3: &S3, location: &Key, name: &str, path: &Path, size: u64) -> Result<(), ShelfError> {
    let attributes = attributes(name);
    if size <= PART as u64 {
        let content = fs::read(path).await.map_err(|error| unreadable(path, error))?;
        let options = PutOptions { attributes, ..PutOptions::default() };
        return s3.store.put_opts(location, content.into(), options).await.map(drop).map_err(|error| s3.failure(error));
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let upload = s3.store.put_multipart_opts(location, options).await.map_err(|error| s3.failure(error))?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
    match parts(s3, &mut upload, path).await {
        Ok(()) => upload.finish().await.map(drop).map_err(|error| s3.failure(error)),
        Err(error) => {
            // If that fails, too, a rule of the bucket aborts it.
            let _ = upload.abort().await;
            Err(error)
        }
    }
}

async fn parts(s3: &S3, upload: &mut WriteMultipart, path: &Path) -> Result<(), ShelfError> {
    let mut file = File::open(path).await.map_err(|error| unreadable(path, error))?;
    let mut chunk = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut chunk).await.map_err(|error| unreadable(path, error))?;
        if read == 0 {
            return Ok(());
        }
        upload.wait_for_capacity(PARTS).await.map_err(|error| s3.failure(error))?;
        upload.write(&chunk[..read]);
    }
}

fn unreadable(path: &Path, error: io::Error) -> ShelfError {
    ShelfError::Away { place: path.display().to_string(), reason: error.into() }
}
