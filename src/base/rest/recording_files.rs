//! Files of recordings: where they lie, which are overdue, and the lines of a verification. The original has none of these.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::shape::Shape;

/// The files of one format of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormatFiles {
    /// The recording.
    pub record_id: String,
    /// The format.
    pub format: String,
    /// The shelf: `local` or `s3`. `null`: there are no files here.
    pub shelf: Option<String>,
    /// The place there.
    pub place: Option<String>,
    /// How many files there are. 0: unknown.
    pub files: i64,
    /// Their size in bytes. 0: unknown.
    pub bytes: i64,
}

/// The shelf that a recording is to move to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordingMove {
    /// `local` or `s3`.
    pub to: String,
}

/// The fields of a [`RecordingMove`].
pub static MOVE: Shape = Shape::Object(&[("to", Shape::Text)]);

/// The recordings that the next run of retention takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retention {
    /// How many there are.
    pub total: i64,
    /// The size of their files in bytes.
    pub bytes: i64,
    /// The first 1000 of them, those of the longest ago first.
    pub recordings: Vec<OverdueRecording>,
}

/// The recordings that retention took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionStep {
    /// How many came to the trash.
    pub dropped: i64,
    /// How many left the trash for good.
    pub purged: i64,
}

/// A recording that the next run of retention takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OverdueRecording {
    /// Its id.
    pub record_id: String,
    /// The key of its frontend. `null`: it has none.
    pub frontend_key: Option<String>,
    /// The name of the meeting.
    pub name: String,
    /// The end of the meeting, or when the recording came to the trash.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// The size of its files in bytes.
    pub bytes: i64,
    /// Why.
    pub reason: OverdueReason,
}

/// Why retention takes a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverdueReason {
    /// It is older than its frontend keeps recordings. It goes to the trash.
    Age,
    /// Newer ones fill the bytes of its frontend. It goes to the trash.
    Size,
    /// It has been in the trash for its days. Its files are removed.
    Trash,
}

/// A line of a verification. The last one is `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerifyLine {
    /// How far it is.
    Progress(VerifyProgress),
    /// Something is wrong.
    Problem(FileProblem),
    /// Everything was compared.
    Done(VerifyTotals),
    /// It could not go on, for this reason.
    Failed(String),
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyProgress {
    /// Formats of rows that were compared with their files.
    pub formats: i64,
    /// Formats of all rows.
    pub total: i64,
    /// Formats on shelves that were compared with the rows, which comes second.
    pub on_shelves: i64,
}

/// The totals of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyTotals {
    /// Formats of rows that were compared with their files.
    pub formats: i64,
    /// Formats on shelves that were compared with the rows.
    pub on_shelves: i64,
    /// Problems that were found.
    pub problems: i64,
    /// Problems that were repaired.
    pub repaired: i64,
}

/// A difference between a row and its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileProblem {
    /// The recording.
    pub record_id: String,
    /// The format.
    pub format: String,
    /// What is wrong.
    pub problem: FileProblemKind,
    /// The shelf: `local` or `s3`. `null`: none is named.
    pub shelf: Option<String>,
    /// The details, and what to do.
    pub detail: String,
    /// Whether it was repaired.
    pub repaired: bool,
}

/// What is wrong with the files of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileProblemKind {
    /// There are no files.
    Missing,
    /// They lie in another place than the row says, or in another one than the state of the recording wants.
    Misplaced,
    /// They have no `metadata.xml`.
    Incomplete,
    /// They differ from the row in number or size.
    Changed,
    /// Files without a row.
    Unlisted,
    /// Files that a row once named, or a second copy of files.
    LeftOver,
    /// The shelf does not answer.
    Unreadable,
}

impl FileProblemKind {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Misplaced => "misplaced",
            Self::Incomplete => "incomplete",
            Self::Changed => "changed",
            Self::Unlisted => "unlisted",
            Self::LeftOver => "left_over",
            Self::Unreadable => "unreadable",
        }
    }
}
