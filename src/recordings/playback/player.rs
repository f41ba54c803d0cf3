//! The stock player, bbb-playback, as an operator has built or copied it.

use std::path::PathBuf;

use b3scale_middleware::cluster::RecordId;
use http::StatusCode;
use http::request::Parts;

use super::super::shelf::local::Folder;
use super::super::shelf::{FilePath, Opened};
use super::file::{Keep, Sending, Unserved, whole};
use super::policy;
use crate::budget::Room;
use crate::site::Answer;

/// The most bytes of its page.
const LARGEST_PAGE: u64 = 1 << 20;

/// Folders of files with names that change with their content.
const HASHED: [&str; 2] = ["static/", "assets/"];

/// The files of a player.
pub(super) struct Player {
    folder: Folder,
    page: FilePath,
}

impl Player {
    /// The player in a folder.
    pub(super) fn new(folder: PathBuf) -> Option<Self> {
        Some(Self { folder: Folder::new(folder), page: FilePath::new("index.html")? })
    }

    /// Whether it plays the recording: it refuses ids that BBB does not make, such as those of chapters.
    pub(super) fn takes(record: &RecordId) -> bool {
        let is_letter = |letter: u8| letter.is_ascii_digit() || letter.is_ascii_lowercase();
        record.as_str().split_once('-').is_some_and(|(meeting, time)| {
            meeting.len() == 40
                && meeting.bytes().all(is_letter)
                && time.len() == 13
                && time.bytes().all(|digit| digit.is_ascii_digit())
        })
    }

    /// Its page, which plays the recording in its address.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(super) async fn page(&self, keep: Keep, mut room: Room, request: &Parts) -> Result<Answer, Unserved> {
        let Some(page) = self.folder.open(&self.page).await? else { return Ok(missing()) };
        let (modified, tag) = (page.modified, page.tag.clone());
        let Some(content) = whole(page, LARGEST_PAGE, &mut room).await? else { return Ok(missing()) };
        let policy = policy::of_player(&String::from_utf8_lossy(&content));
        let opened = Opened::of(content, modified, tag);
        Sending { opened, path: self.page.as_str(), keep, policy, room }.answer(request).await
    }

    /// A file of it.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub(super) async fn file(&self, path: &FilePath, room: Room, request: &Parts) -> Result<Answer, Unserved> {
        if *path == self.page {
            return self.page(Keep::Asking, room, request).await;
        }
        let Some(opened) = self.folder.open(path).await? else { return Ok(missing()) };
        let is_hashed = HASHED.iter().any(|folder| path.as_str().starts_with(folder));
        let keep = if is_hashed { Keep::Forever } else { Keep::Asking };
        Sending { opened, path: path.as_str(), keep, policy: None, room }.answer(request).await
    }
}

fn missing() -> Answer {
    policy::words(StatusCode::NOT_FOUND, "The player has no such file.\n")
}
