//! Recordings. Fields inside `recording` are spelt as the original's structs are.

use std::collections::BTreeMap;

use b3scale_middleware::cluster::{self, PreviewImage, RecordingFormat, Visibility};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::shape::Shape;

/// A recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recording {
    /// Its id: the node's internal id of the meeting.
    pub record_id: String,
    /// What its frontend sees of it.
    pub recording: RecordingInfo,
    /// The meeting, by the frontend's id.
    pub meeting_id: String,
    /// The meeting, by the node's id.
    pub internal_meeting_id: String,
    /// Its frontend. `null`: the meeting is unknown here, or its frontend was removed.
    pub frontend_id: Option<Uuid>,
    /// When its first format arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// The same. The original keeps another time.
    #[serde(with = "time::serde::rfc3339")]
    pub synced_at: OffsetDateTime,
    /// Who may see it. Not known to the original.
    pub visibility: Visibility,
    /// The size of all formats, in bytes. Not known to the original.
    pub size: i64,
}

/// What a frontend sees of a recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct RecordingInfo {
    /// Always empty. The original shows the name of an XML element here and in all parts.
    #[serde(rename = "XMLName")]
    pub xml_name: XmlName,
    /// Its id.
    #[serde(rename = "RecordID")]
    pub record_id: String,
    /// The meeting, by the frontend's id.
    #[serde(rename = "MeetingID")]
    pub meeting_id: String,
    /// The meeting, by the node's id.
    #[serde(rename = "InternalMeetingID")]
    pub internal_meeting_id: String,
    /// The name of the meeting.
    pub name: String,
    /// Whether the meeting was a breakout.
    pub is_breakout: bool,
    /// Whether it can be played.
    pub published: bool,
    /// `published`, `unpublished` or `deleted`.
    pub state: String,
    /// When the meeting began, in milliseconds since 1970.
    pub start_time: i64,
    /// When the meeting ended, in milliseconds since 1970.
    pub end_time: i64,
    /// How many people came.
    pub participants: i64,
    /// Its metadata, with `gl-listed` and `protect`.
    pub metadata: BTreeMap<String, String>,
    /// Its formats.
    pub formats: Vec<Format>,
}

/// An empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct XmlName {
    /// Empty.
    pub space: String,
    /// Empty.
    pub local: String,
}

/// A format of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Format {
    /// Empty.
    #[serde(rename = "XMLName")]
    pub xml_name: XmlName,
    /// Its name, such as `presentation`.
    pub r#type: String,
    /// Its link.
    #[serde(rename = "URL")]
    pub url: String,
    /// How long the node worked on it, in milliseconds.
    pub processing_time: i64,
    /// How long it plays, in whole minutes.
    pub length: i64,
    /// Its thumbnails. `null`: none.
    pub preview: Option<Preview>,
}

/// The thumbnails of a format.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Preview {
    /// Empty.
    #[serde(rename = "XMLName")]
    pub xml_name: XmlName,
    /// The thumbnails.
    pub images: Images,
}

/// A list of thumbnails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Images {
    /// Empty.
    #[serde(rename = "XMLName")]
    pub xml_name: XmlName,
    /// The thumbnails.
    pub all: Vec<Image>,
}

/// A thumbnail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Image {
    /// Empty.
    #[serde(rename = "XMLName")]
    pub xml_name: XmlName,
    /// Its text.
    pub alt: String,
    /// In pixels.
    pub height: i64,
    /// In pixels.
    pub width: i64,
    /// Its link.
    #[serde(rename = "URL")]
    pub url: String,
}

impl From<cluster::Recording> for Recording {
    fn from(recording: cluster::Recording) -> Self {
        let (visibility, size) = (recording.visibility(), recording.size());
        let updated_at = recording.updated_at.into();
        Self {
            record_id: recording.id.to_string(),
            meeting_id: recording.meeting_id.clone(),
            internal_meeting_id: recording.internal_meeting_id.clone(),
            frontend_id: recording.frontend.map(|frontend| frontend.0),
            created_at: recording.created_at.into(),
            updated_at,
            synced_at: updated_at,
            visibility,
            size,
            recording: recording.into(),
        }
    }
}

impl From<cluster::Recording> for RecordingInfo {
    fn from(recording: cluster::Recording) -> Self {
        let visibility = recording.visibility();
        let mut metadata = recording.metadata;
        metadata.insert("gl-listed".to_owned(), visibility.is_listed().to_string());
        metadata.insert("protect".to_owned(), recording.protected.to_string());
        Self {
            xml_name: XmlName::default(),
            record_id: recording.id.to_string(),
            meeting_id: recording.meeting_id,
            internal_meeting_id: recording.internal_meeting_id,
            name: recording.name,
            is_breakout: recording.is_breakout,
            published: visibility.is_published(),
            state: recording.state.name().to_owned(),
            start_time: recording.start_time,
            end_time: recording.end_time,
            participants: recording.participants,
            metadata,
            formats: recording.formats.into_iter().map(Format::from).collect(),
        }
    }
}

impl From<RecordingFormat> for Format {
    fn from(format: RecordingFormat) -> Self {
        let all: Vec<Image> = format.images.into_iter().map(Image::from).collect();
        let images = Images { xml_name: XmlName::default(), all };
        Self {
            xml_name: XmlName::default(),
            r#type: format.kind,
            url: format.link,
            processing_time: format.processing_time,
            length: format.duration / 60_000,
            preview: (!images.all.is_empty()).then(|| Preview { xml_name: XmlName::default(), images }),
        }
    }
}

impl From<PreviewImage> for Image {
    fn from(image: PreviewImage) -> Self {
        let pixels = |text: &str| text.trim().parse().unwrap_or_default();
        let (height, width) = (pixels(&image.height), pixels(&image.width));
        Self { xml_name: XmlName::default(), alt: image.alt, height, width, url: image.link }
    }
}

/// A wish for another visibility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VisibilityChange {
    /// The recording.
    pub record_id: String,
    /// Its visibility from now on.
    pub visibility: Visibility,
}

/// The fields of a [`VisibilityChange`].
pub static VISIBILITY: Shape =
    Shape::Object(&[("record_id", Shape::Optional(&Shape::Text)), ("visibility", Shape::Optional(&Shape::Text))]);

/// The frontend that gets a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Assignment {
    /// The key of the frontend.
    pub frontend_key: String,
    /// The frontend's id of the meeting. `null`: as the recording has it.
    #[serde(default)]
    pub meeting_id: Option<String>,
}

/// The fields of an [`Assignment`].
pub static ASSIGNMENT: Shape =
    Shape::Object(&[("frontend_key", Shape::Text), ("meeting_id", Shape::Optional(&Shape::Text))]);
