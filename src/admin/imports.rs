//! The original's import of recordings: a node posts `metadata.xml`, while the files lie in a shared folder.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Admin;
use super::access::{Caller, Nodes};
use super::body::{Filter, Raw};
use super::problem::Problem;
use super::reply::{Accepted, Reply};
use crate::recordings::{FolderError, Posted};
use crate::rest::{self, Recording, RecordingInfo};

/// Whose recording it is, if not as its `metadata.xml` says.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Overrides {
    /// The frontend's id of the meeting.
    override_original_meeting_id: Option<String>,
    /// The key of the frontend.
    override_frontend_key: Option<String>,
}

/// An outcome.
pub(super) enum Imported {
    /// The recording as it is now.
    Now(Box<RecordingInfo>),
    /// It is queued.
    Queued(String),
}

impl IntoResponse for Imported {
    fn into_response(self) -> Response {
        match self {
            Self::Now(recording) => Reply(recording).into_response(),
            Self::Queued(message) => Accepted(rest::Problem { message, ..rest::Problem::default() }).into_response(),
        }
    }
}

/// Import a recording. The body is its `metadata.xml`, of any content type. Its files move from the inbox to their tree; files that are
/// not there are no error. A recording of an unknown meeting has no frontend, and is unpublished until its meeting is known.
#[utoipa::path(post, path = "/api/v1/recordings-import", tag = "recordings", params(Overrides),
    request_body(content = String, content_type = "application/xml"),
    responses(
        (status = OK, description = "The recording as it is now", body = RecordingInfo),
        (status = ACCEPTED, description = "The import is queued, and waits for room or for its turn", body = rest::Problem),
        (status = BAD_REQUEST), (status = NOT_FOUND), (status = CONFLICT)))]
pub(super) async fn add(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Filter(overrides): Filter<Overrides>,
    Raw(document, _room): Raw,
) -> Result<Imported, Problem> {
    let off = "recordings are off: this server has no folder and no bucket for them, or cannot use them";
    let importer = admin.importer.as_ref().ok_or_else(|| Problem::Unavailable(off.to_owned()))?;
    let Overrides { override_original_meeting_id, override_frontend_key } = overrides;
    let posted = Posted {
        document: document.to_vec(),
        meeting_id: override_original_meeting_id,
        frontend: override_frontend_key,
        sender: who.subject().to_owned(),
    };
    match importer.post(posted).await {
        Ok(recording) => {
            who.audit("a recording was imported", recording.id.as_str());
            let recording = admin.library.find(&recording.id).await?.unwrap_or(recording);
            let mut shown = Recording::from(recording).recording;
            who.hide_callbacks(&mut shown.metadata);
            Ok(Imported::Now(Box::new(shown)))
        }
        Err(FolderError::Queued(why)) => Ok(Imported::Queued(why)),
        Err(FolderError::Document(error)) => Err(Problem::Body(error.to_string())),
        Err(error @ FolderError::Frontend(_)) => Err(Problem::Missing(error.to_string())),
        Err(FolderError::Refused(why)) => Err(Problem::Conflict(why)),
        Err(FolderError::Store(error)) => Err(error.into()),
    }
}
