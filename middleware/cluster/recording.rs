//! Recordings: what meetings leave, and who may see them.

mod described;

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::FrontendId;

pub use described::{described, is_format};

/// The longest id of a recording, in bytes.
const LONGEST_ID: usize = 255;

/// Settings of a frontend's recordings. The original knows the first alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RecordingSettings {
    /// Their visibility, instead of the meeting's.
    pub visibility_override: Option<Visibility>,
    /// Days after the end of the meeting until they go to the trash. `null`: they stay.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 36500))]
    pub keep_days: Option<i64>,
    /// The most bytes of all of them together, without the trash. The oldest go there first. `null`: any number.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 9007199254740991_i64))]
    pub keep_bytes: Option<i64>,
    /// Days until the trash loses their files. `null`: 7.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 36500))]
    pub trash_days: Option<i64>,
}

/// Days until the trash loses files, unless the frontend has another number.
pub const TRASH_DAYS: i64 = 7;

/// Who may see a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", rename_all = "snake_case")]
pub enum Visibility {
    /// No one.
    Unpublished,
    /// Anyone with the link.
    Published,
    /// Users admitted by the frontend.
    Protected,
    /// Anyone: it is listed.
    Public,
    /// It is listed for anyone, and opened for users admitted by the frontend.
    PublicProtected,
}

impl TryFrom<String> for Visibility {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Ok(match &*word {
            "unpublished" => Self::Unpublished,
            "published" => Self::Published,
            "protected" => Self::Protected,
            "public" => Self::Public,
            "public_protected" => Self::PublicProtected,
            // In the words of the original.
            _ => return Err(format!("unknown recording visibility: '{word}'")),
        })
    }
}

impl Visibility {
    /// Whether a recording of that visibility is published.
    pub const fn is_published(self) -> bool {
        !matches!(self, Self::Unpublished)
    }

    /// Whether its links need a ticket.
    pub const fn is_protected(self) -> bool {
        matches!(self, Self::Protected | Self::PublicProtected)
    }

    /// Whether Greenlight lists it for anyone: the metadata `gl-listed`.
    pub const fn is_listed(self) -> bool {
        matches!(self, Self::Public | Self::PublicProtected)
    }
}

/// The id of a recording, which is the internal id that its node gave the meeting. It is safe as a part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(Box<str>);

impl RecordId {
    /// The id, if it has letters, digits, `-` and `_` alone, and at most 255 of them.
    pub fn new(id: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_usable = !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(is_plain);
        is_usable.then(|| Self(id.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The state of a recording, as BBB spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// It can be played.
    Published,
    /// It is listed and cannot be played.
    Unpublished,
    /// It is in the trash. Its record stays as a tombstone, so that a late import does not bring it back.
    Deleted,
}

impl RecordingState {
    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "published" => Self::Published,
            "unpublished" => Self::Unpublished,
            "deleted" => Self::Deleted,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Deleted => "deleted",
        }
    }
}

/// A recording in all its formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its id.
    pub id: RecordId,
    /// Its frontend. `None`: the meeting is unknown here, or its frontend was removed. Only operators see it.
    pub frontend: Option<FrontendId>,
    /// The meeting, by the frontend's id.
    pub meeting_id: String,
    /// The meeting, by the node's id.
    pub internal_meeting_id: String,
    /// The name of the meeting.
    pub name: String,
    /// Whether the meeting was a breakout.
    pub is_breakout: bool,
    /// Its state.
    pub state: RecordingState,
    /// Whether its links need a ticket.
    pub protected: bool,
    /// When the meeting began, in milliseconds since 1970.
    pub start_time: i64,
    /// When the meeting ended, in milliseconds since 1970.
    pub end_time: i64,
    /// How many people came.
    pub participants: i64,
    /// The size of the raw material, in bytes.
    pub raw_size: i64,
    /// Its metadata, without ours.
    pub metadata: BTreeMap<String, String>,
    /// Of a breakout: its place in the parent.
    pub breakout: Option<BreakoutOf>,
    /// The breakouts of the meeting.
    pub breakout_rooms: Vec<String>,
    /// Its formats by name.
    pub formats: Vec<RecordingFormat>,
    /// Counts the changes that end its tickets: unpublish, protect, delete.
    pub epoch: i32,
    /// When its first format arrived.
    pub created_at: SystemTime,
    /// Its last change.
    pub updated_at: SystemTime,
}

impl Recording {
    /// Who may see it.
    pub fn visibility(&self) -> Visibility {
        let is_listed = self.metadata.get("gl-listed").is_some_and(|listed| listed == "true");
        match (self.state, self.protected, is_listed) {
            (RecordingState::Unpublished | RecordingState::Deleted, ..) => Visibility::Unpublished,
            (RecordingState::Published, false, false) => Visibility::Published,
            (RecordingState::Published, true, false) => Visibility::Protected,
            (RecordingState::Published, false, true) => Visibility::Public,
            (RecordingState::Published, true, true) => Visibility::PublicProtected,
        }
    }

    /// Gives it that visibility.
    pub fn show(&mut self, visibility: Visibility) {
        self.state = if visibility.is_published() { RecordingState::Published } else { RecordingState::Unpublished };
        self.protected = visibility.is_protected();
        if visibility.is_listed() {
            self.metadata.insert("gl-listed".to_owned(), "true".to_owned());
        } else {
            self.metadata.remove("gl-listed");
        }
    }

    /// The size of all formats, in bytes.
    pub fn size(&self) -> i64 {
        self.formats.iter().map(|format| format.size).sum()
    }
}

/// The place of a breakout in its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakoutOf {
    /// The parent, by the node's id.
    pub parent_id: String,
    /// Its number among the breakouts.
    pub sequence: i64,
    /// Whether people could choose it by themselves.
    pub free_join: bool,
}

/// One format of a recording, such as `presentation` or `video`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordingFormat {
    /// Its name: letters, digits, `-` and `_`.
    pub kind: String,
    /// Its link: path and query on the host of playback. In a page for a tenant: the whole URL.
    pub link: String,
    /// How long the node worked on it, in milliseconds.
    pub processing_time: i64,
    /// How long it plays, in milliseconds.
    pub duration: i64,
    /// Its size, in bytes.
    pub size: i64,
    /// Its thumbnails.
    pub images: Vec<PreviewImage>,
    /// Further children of `extensions`, as XML.
    pub extensions: String,
}

/// A thumbnail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewImage {
    /// Its path on the host of playback. In a page for a tenant: the whole URL.
    pub link: String,
    /// Its text.
    pub alt: String,
    /// Its width in pixels, as the node wrote it.
    pub width: String,
    /// Its height in pixels, as the node wrote it.
    pub height: String,
}

/// Which recordings of a frontend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingQuery {
    /// With one of these beginnings of their id. Empty: any.
    pub record_ids: Vec<String>,
    /// Of one of these meetings. Empty: any.
    pub meeting_ids: Vec<String>,
    /// In one of these states. Empty: none, since no state of ours was named.
    pub states: Vec<RecordingState>,
    /// With all of this metadata. A `%` at either end of a value stands for any text.
    pub metadata: Vec<(String, String)>,
    /// Protected ones, or those that are not.
    pub protected: Option<bool>,
    /// How many of the newest to pass over.
    pub offset: u64,
    /// The most to list. `None`: all.
    pub limit: Option<u64>,
}

/// The place in a list behind which its next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCursor {
    /// The start of the last recording.
    pub start_time: i64,
    /// Its id.
    pub id: RecordId,
}

/// A part of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingPage {
    /// The recordings.
    pub recordings: Vec<Recording>,
    /// How many there are in the whole list, without offset and limit. `None`: the query has no limit, so nobody asks.
    pub total: Option<u64>,
    /// Where the next page begins. `None`: this was the last.
    pub next: Option<RecordingCursor>,
}

/// A change to recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingChange {
    /// Publish or unpublish.
    Publish(bool),
    /// Set metadata: an empty value removes its key. And protect, or end the protection.
    Update {
        /// Names and values.
        metadata: Vec<(String, String)>,
        /// `None`: as it is.
        protect: Option<bool>,
    },
    /// Move to the trash.
    Delete,
}

/// Captions or subtitles of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextTrack {
    /// What it is for.
    pub kind: TrackKind,
    /// Its language, such as `en-US`.
    pub lang: String,
    /// Its name for people.
    pub label: String,
    /// Where it comes from: `live`, `upload` or `automatic`.
    pub source: String,
    /// Where to fetch it.
    pub href: String,
}

/// The purpose of a text track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// Sounds and speech, for those who do not hear.
    Captions,
    /// Speech in another language.
    Subtitles,
}

impl TrackKind {
    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "captions" => Self::Captions,
            "subtitles" => Self::Subtitles,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Captions => "captions",
            Self::Subtitles => "subtitles",
        }
    }
}

/// A text track that a frontend puts to a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrack {
    /// What it is for.
    pub kind: TrackKind,
    /// Its language, such as `en-US`.
    pub lang: String,
    /// Its name for people.
    pub label: String,
    /// Its text, as `WebVTT`.
    pub vtt: String,
}
