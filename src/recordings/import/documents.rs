//! The `metadata.xml` of a format in a folder.

use std::path::Path;

use b3scale_middleware::bbb::xml::{self, DocumentError, LARGEST_METADATA, RecordingDocument};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::Failure;
use crate::offload::DOCUMENTS;

const NAME: &str = "metadata.xml";

/// Reads the document of a format.
pub(super) async fn of_folder(folder: &Path) -> Result<RecordingDocument, Failure> {
    let file = match File::open(folder.join(NAME)).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Refused("there is no metadata.xml".to_owned()));
        }
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut document = Vec::new();
    let read = file.take(LARGEST_METADATA as u64 + 1).read_to_end(&mut document).await;
    read.map_err(|error| unreadable(folder, &error))?;
    Ok(parsed(document).await?)
}

/// Reads a document away from the threads that answer calls.
pub(super) async fn parsed(document: Vec<u8>) -> Result<RecordingDocument, DocumentError> {
    DOCUMENTS.work(document.len(), move || xml::recording(&document)).await
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::Passing(format!("{}/{NAME} cannot be read: {error}", folder.display()))
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self::Refused(error.to_string())
    }
}
