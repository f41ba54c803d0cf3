//! Recordings: who may see them.

use serde::{Deserialize, Serialize};

/// The handling of a frontend's recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RecordingSettings {
    /// Who may see them. It overrides the meeting's own parameter.
    pub visibility_override: Option<Visibility>,
}

/// Who may see a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", rename_all = "snake_case")]
pub enum Visibility {
    /// No one.
    Unpublished,
    /// Everyone with the link.
    Published,
    /// Whom the frontend lets.
    Protected,
    /// Everybody: it is listed.
    Public,
    /// It is listed for everybody, and opened for whom the frontend lets.
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
