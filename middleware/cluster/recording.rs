//! Recordings: who may see them.

use serde::{Deserialize, Serialize};

/// Settings of a frontend's recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RecordingSettings {
    /// Their visibility, instead of the meeting's.
    pub visibility_override: Option<Visibility>,
}

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
