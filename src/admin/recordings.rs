//! Recordings of all frontends, for operators.

use axum::extract::State;
use b3scale_middleware::cluster::{self, FrontendId, RecordId, RecordingCursor, RecordingQuery, RecordingState};
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Filter, Given, Name, Shaped, is_yes};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::check::REQUIRED;
use crate::rest::shape::Shape;
use crate::rest::{ASSIGNMENT, Assignment, Recording, VISIBILITY, Visibility, VisibilityChange};
use crate::store::{FrontendFilter, Owner};

/// The most recordings in one list.
const MOST: u64 = 1000;

/// Which recordings. By default those of all frontends.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of that frontend.
    frontend_id: Option<String>,
    /// Those of the frontend with that key, unless `frontend_id` is given.
    frontend_key: Option<String>,
    /// `yes`, `true` or `1`: those without a frontend. Not known to the original.
    unassigned: Option<String>,
    /// `yes`, `true` or `1`: those in the trash, too. Not known to the original.
    deleted: Option<String>,
    /// The most, up to 1000, which is also the default. Not known to the original.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Those that follow the recording with that id. Not known to the original.
    after: Option<String>,
}

/// List recordings, the newest first.
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", params(Which),
    responses((status = OK, description = "The recordings", body = Vec<Recording>), (status = NOT_FOUND)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(which): Filter<Which>,
) -> Result<Reply<Vec<Recording>>, Problem> {
    let owner = match (&which.frontend_id, &which.frontend_key) {
        (Some(id), _) => Owner::Frontend(frontend_named(&admin, id).await?),
        (None, Some(key)) => Owner::Frontend(frontend_with(&admin, key).await?.ok_or(Problem::NotFound)?.id),
        (None, None) if is_yes(which.unassigned.as_deref()) => Owner::Unknown,
        (None, None) => Owner::Any,
    };
    let mut states = vec![RecordingState::Published, RecordingState::Unpublished];
    states.extend(is_yes(which.deleted.as_deref()).then_some(RecordingState::Deleted));
    let limit = which.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::field("limit", "should be from 1 to 1000"));
    }
    let from = match &which.after {
        None => None,
        Some(id) => {
            let last = found(&admin, id).await.map_err(|problem| match problem {
                Problem::NotFound => Problem::field("after", "there is no such recording"),
                other => other,
            })?;
            Some(RecordingCursor { start_time: last.start_time, id: last.id })
        }
    };
    let query = RecordingQuery { states, limit: Some(limit), ..RecordingQuery::default() };
    let page = admin.library.all(owner, &query, from.as_ref()).await?;
    Ok(Reply(page.recordings.into_iter().map(Recording::from).collect()))
}

/// Show a recording.
#[utoipa::path(get, path = "/api/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path)),
    responses((status = OK, description = "The recording", body = Recording)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Name(id): Name,
) -> Result<Reply<Recording>, Problem> {
    Ok(Reply(found(&admin, &id).await?.into()))
}

/// Move a recording to the trash. `POST /api/v1/recordings-visibility` brings it back, as long as its files are there.
#[utoipa::path(delete, path = "/api/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path)),
    responses((status = OK, description = "The recording as it is now", body = Recording)))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Name(id): Name,
) -> Result<Reply<Recording>, Problem> {
    let id = RecordId::new(&id).ok_or(Problem::NotFound)?;
    let deleted = admin.library.delete(&id).await?.ok_or(Problem::NotFound)?;
    who.audit("a recording was deleted", id.as_str());
    Ok(Reply(deleted.into()))
}

/// The fields of a wish for another visibility.
pub(super) struct VisibilityForm;

impl Shaped for VisibilityForm {
    const SHAPE: &'static Shape = &VISIBILITY;
}

/// Set who may see a recording.
///
/// Defects 45 and 46 of the original: a missing id was an internal error, and a missing visibility unpublished the recording.
#[utoipa::path(post, path = "/api/v1/recordings-visibility", tag = "recordings", request_body = VisibilityChange,
    responses((status = OK, description = "The recording as it is now", body = Recording)))]
pub(super) async fn set_visibility(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    given: Given<VisibilityForm>,
) -> Result<Reply<Recording>, Problem> {
    let text = |name: &str| given.said[name].as_str().map(str::trim).filter(|text| !text.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| Problem::field(name, REQUIRED));
    let (record_id, visibility) = (needed("record_id")?, needed("visibility")?);
    let visibility = Visibility::try_from(visibility.to_owned()).map_err(Problem::Body)?;
    let unknown = || Problem::field("record_id", "there is no such recording");
    let id = RecordId::new(record_id).ok_or_else(unknown)?;
    let changed = admin.library.set_visibility(&id, visibility).await?.ok_or_else(unknown)?;
    who.audit("a recording's visibility was set", id.as_str());
    Ok(Reply(changed.into()))
}

/// The fields of an assignment.
pub(super) struct AssignmentForm;

impl Shaped for AssignmentForm {
    const SHAPE: &'static Shape = &ASSIGNMENT;
}

/// Give a recording without a frontend to one. It is announced there, and has the visibility of the frontend's settings, if they
/// have one.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/assign", tag = "recordings", params(("id" = String, Path)),
    request_body = Assignment,
    responses((status = OK, description = "The recording as it is now", body = Recording), (status = CONFLICT)))]
pub(super) async fn assign(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Name(id): Name,
    given: Given<AssignmentForm>,
) -> Result<Reply<Recording>, Problem> {
    let recording = found(&admin, &id).await?;
    let key = given.said["frontend_key"].as_str().unwrap_or_default().trim();
    if key.is_empty() {
        return Err(Problem::field("frontend_key", REQUIRED));
    }
    let unknown = || Problem::field("frontend_key", "there is no such frontend");
    let frontend = frontend_with(&admin, key).await?.ok_or_else(unknown)?;
    if recording.frontend.is_some_and(|owner| owner != frontend.id) {
        return Err(Problem::Conflict("the recording belongs to another frontend".to_owned()));
    }
    let meeting_id = given.said["meeting_id"].as_str().map(str::trim).filter(|id| !id.is_empty());
    let assigned = admin.library.assign(recording, frontend, meeting_id).await?.ok_or(Problem::NotFound)?;
    who.audit("a recording was assigned", &format!("{id} {key}"));
    Ok(Reply(assigned.into()))
}

/// Announce a recording to its frontend again.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/ready", tag = "recordings", params(("id" = String, Path)),
    responses((status = OK, description = "The recording", body = Recording), (status = CONFLICT)))]
pub(super) async fn ready(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Name(id): Name,
) -> Result<Reply<Recording>, Problem> {
    let recording = found(&admin, &id).await?;
    if !admin.store.recordings().announce(&recording.id).await? {
        let why = "the recording has no frontend, or it is in the trash: assign it, or set its visibility, first";
        return Err(Problem::Conflict(why.to_owned()));
    }
    who.audit("a recording was announced again", &id);
    Ok(Reply(recording.into()))
}

async fn found(admin: &Admin, id: &str) -> Result<cluster::Recording, Problem> {
    let id = RecordId::new(id).ok_or(Problem::NotFound)?;
    admin.library.find(&id).await?.ok_or(Problem::NotFound)
}

/// The frontend of that id. An unknown one is not found, and a malformed id is unknown.
async fn frontend_named(admin: &Admin, id: &str) -> Result<FrontendId, Problem> {
    let id = id.trim().parse().map(FrontendId).map_err(|_| Problem::NotFound)?;
    let found = admin.store.frontends().find(id).await?;
    found.map(|frontend| frontend.id).ok_or(Problem::NotFound)
}

pub(super) async fn frontend_with(admin: &Admin, key: &str) -> Result<Option<cluster::Frontend>, Problem> {
    let filter = FrontendFilter { key: Some(key.to_owned()), ..FrontendFilter::default() };
    Ok(admin.store.frontends().list(&filter).await?.into_iter().next())
}
