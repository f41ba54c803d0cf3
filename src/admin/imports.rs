//! Imports of recordings that nodes put into a shared folder, as with the original.

use axum::extract::State;
use serde::Deserialize;

use super::Admin;
use super::access::{Caller, Nodes};
use super::body::{AnyType, Filter};
use super::problem::Problem;
use super::reply::Reply;
use crate::recordings::{FolderError, Posted};
use crate::rest::RecordingInfo;

/// Why this server takes no recordings in.
const OFF: &str =
    "recordings are off: B3SCALE_RECORDINGS_PUBLISHED_PATH and B3SCALE_RECORDINGS_UNPUBLISHED_PATH are not set";

/// How a recording is taken in.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Overrides {
    /// The frontend's id of the meeting, instead of that in the document.
    override_original_meeting_id: Option<String>,
    /// The key of the recording's frontend, instead of the frontend of the meeting.
    override_frontend_key: Option<String>,
}

/// Take in a recording by its `metadata.xml`. The files of all its formats in the inbox come with it. A recording of an unknown meeting
/// is kept without a frontend.
///
/// Defects 19 and 43 of the original: a meeting older than seven days, an unknown one and a broken document were internal errors.
#[utoipa::path(post, path = "/api/v1/recordings-import", tag = "recordings", params(Overrides),
    request_body(content = String, content_type = "application/xml"),
    responses((status = OK, description = "The recording", body = RecordingInfo), (status = NOT_FOUND), (status = CONFLICT)))]
pub(super) async fn import(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Filter(overrides): Filter<Overrides>,
    AnyType(document, _room): AnyType,
) -> Result<Reply<RecordingInfo>, Problem> {
    let importer = admin.importer.as_ref().ok_or_else(|| Problem::Unavailable(OFF.to_owned()))?;
    if document.is_empty() {
        return Err(Problem::Body("the body is empty: it should be the metadata.xml of a recording".to_owned()));
    }
    let posted = Posted {
        document: document.into(),
        meeting_id: overrides.override_original_meeting_id,
        frontend: overrides.override_frontend_key,
        sender: who.subject().to_owned(),
    };
    let imported = importer.post(posted, &admin.waker).await.map_err(problem)?;
    who.audit("a recording was imported", imported.id.as_str());
    let shown = admin.library.find(&imported.id).await?.ok_or(Problem::NotFound)?;
    Ok(Reply(shown.into()))
}

fn problem(error: FolderError) -> Problem {
    match error {
        FolderError::Document(_) | FolderError::Refused(_) => Problem::Body(error.to_string()),
        FolderError::Frontend(_) => Problem::Missing(error.to_string()),
        FolderError::Queued(_) => Problem::Unavailable(error.to_string()),
        FolderError::Store(error) => error.into(),
    }
}
