//! Meetings: their places, and their nodes' reports.

mod info;
mod strays;

use axum::extract::State;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::MeetingState;
use b3scale_middleware::ports::Directory as _;
use serde::Deserialize;
use uuid::Uuid;

use super::Admin;
use super::access::{Admins, Caller, Nodes};
use super::body::{Filter, Given, Name, is_yes};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{Meeting, MeetingChange, MeetingStage};
use crate::store::{BackendFilter, FrontendFilter, MeetingEntry, MeetingFilter};
use info::Form;

/// Which meetings. One of these must be said.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those on that backend.
    backend_id: Option<String>,
    /// Those on the backend with that URL.
    backend_host: Option<String>,
    /// Those of that frontend. Not known to the original.
    frontend_key: Option<String>,
    /// `yes`, `true` or `1`: every one. Not known to the original.
    all: Option<String>,
}

/// List meetings. While the database does not answer, they come from this server's memory.
#[utoipa::path(get, path = "/api/v1/meetings", tag = "meetings", params(Which),
    responses((status = OK, description = "The meetings in the order of their placement, then strays", body = Vec<Meeting>),
        (status = NOT_FOUND)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(which): Filter<Which>,
) -> Result<Reply<Vec<Meeting>>, Problem> {
    let backend = backend_named(&admin, which.backend_id.as_deref(), which.backend_host.as_deref()).await?;
    let frontend = match &which.frontend_key {
        None => None,
        Some(key) => Some(frontend_with(&admin, key).await?),
    };
    if backend.is_none() && frontend.is_none() && !is_yes(which.all.as_deref()) {
        return Err(Problem::BadRequest);
    }
    let filter = MeetingFilter { backend, frontend, ..MeetingFilter::default() };
    let entries = entries(&admin, filter).await?;
    let owned = entries.iter().map(|entry| shown(&admin, entry));
    Ok(Reply(owned.chain(admin.strays(filter)).collect()))
}

/// Show a meeting, by the id its node knows it by, or by `internal:` and the node's own id of it.
#[utoipa::path(get, path = "/api/v1/meetings/{id}", tag = "meetings", params(("id" = String, Path)),
    responses((status = OK, description = "The meeting", body = Meeting)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Name(id): Name,
) -> Result<Reply<Meeting>, Problem> {
    let filter = named(&id, own(&admin, &who).await?);
    if let Some(entry) = entries(&admin, filter).await?.first() {
        return Ok(Reply(shown_to(&who, &admin, entry)));
    }
    admin.strays(filter).into_iter().next().map(Reply).ok_or(Problem::NotFound)
}

/// Change a meeting. The change holds until its node's next report.
#[utoipa::path(patch, path = "/api/v1/meetings/{id}", tag = "meetings", params(("id" = String, Path)),
    request_body = MeetingChange,
    responses((status = OK, description = "The meeting as it is now", body = Meeting), (status = CONFLICT)))]
pub(super) async fn change(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Name(id): Name,
    given: Given<Form>,
) -> Result<Reply<Meeting>, Problem> {
    let said = given.said["meeting"].clone();
    if said.is_null() {
        return show(State(admin), who, Name(id)).await;
    }
    let own = own(&admin, &who).await?;
    let patch = |entry: &MeetingEntry| info::changed(&shown(&admin, entry).meeting, said.clone());
    let filter = named(&id, own);
    let patched = admin.store.meetings().patch(filter, patch).await?.ok_or_else(|| admin.without_row(filter))?;
    who.audit("a meeting was changed", patched.meeting.id.as_ref());
    Ok(Reply(shown_to(&who, &admin, &patched)))
}

/// Forget a meeting that has ended. A meeting that still runs is found again.
#[utoipa::path(delete, path = "/api/v1/meetings/{id}", tag = "meetings", params(("id" = String, Path)),
    responses((status = OK, description = "The meeting as it was", body = Meeting), (status = CONFLICT)))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Name(id): Name,
) -> Result<Reply<Meeting>, Problem> {
    let filter = named(&id, own(&admin, &who).await?);
    let entry = entries(&admin, filter).await?.into_iter().next();
    let entry = entry.ok_or_else(|| admin.without_row(filter))?;
    let shown = shown_to(&who, &admin, &entry);
    if entry.meeting.state == MeetingState::Claimed {
        let why = format!("the meeting is just being created: its `{}` has not been answered yet", CallKind::Create);
        return Err(Problem::Conflict(why));
    }
    admin.cluster.forget_now(&entry.meeting).await?;
    who.audit("a meeting was forgotten", entry.meeting.id.as_ref());
    Ok(Reply(shown))
}

/// The meeting of that name: the id its node knows it by, or `internal:` and the node's own. An agent sees those of its backend.
fn named(id: &str, backend: Option<Uuid>) -> MeetingFilter<'_> {
    let (id, internal_id) = id.strip_prefix("internal:").map_or((Some(id), None), |internal| (None, Some(internal)));
    MeetingFilter { backend, id, internal_id, ..MeetingFilter::default() }
}

/// The backend that bounds the caller's view of meetings, if any.
async fn own(admin: &Admin, who: &Caller<Nodes>) -> Result<Option<Uuid>, Problem> {
    if who.is_admin() { Ok(None) } else { Ok(Some(super::agent::backend_of(admin, who.subject()).await?.0)) }
}

/// The backend that is named by its id, its URL, or both. `None`: neither is said.
async fn backend_named(admin: &Admin, id: Option<&str>, host: Option<&str>) -> Result<Option<Uuid>, Problem> {
    let [id, host] = [id, host].map(|text| text.map(str::trim).filter(|text| !text.is_empty()));
    if id.is_none() && host.is_none() {
        return Ok(None);
    }
    let id = id.map(str::parse::<Uuid>).transpose().map_err(|_| Problem::NotFound)?;
    let host = host.map(super::backends::with_slash);
    let filter = BackendFilter { host: host.clone(), ..BackendFilter::default() };
    let found = match admin.store.backends().list(&filter).await {
        Err(error) if error.is_away() => {
            let remembered = |host: String| admin.remembered_backend(&host).map(|backend| backend.id.0);
            let named = host.map_or(id, remembered).filter(|named| id.is_none_or(|id| *named == id));
            return named.map(Some).ok_or(Problem::NotFound);
        }
        found => found?,
    };
    let found = found.into_iter().map(|entry| entry.backend.id.0).find(|found| id.is_none_or(|id| *found == id));
    found.map(Some).ok_or(Problem::NotFound)
}

async fn frontend_with(admin: &Admin, key: &str) -> Result<Uuid, Problem> {
    let filter = FrontendFilter { key: Some(key.to_owned()), ..FrontendFilter::default() };
    let found = match admin.store.frontends().list(&filter).await {
        Err(error) if error.is_away() => admin.cluster.frontend(key).map(|frontend| frontend.id.0),
        found => found?.into_iter().next().map(|frontend| frontend.id.0),
    };
    found.ok_or(Problem::NotFound)
}

/// Meetings of the database or, while it does not answer, of memory.
async fn entries(admin: &Admin, filter: MeetingFilter<'_>) -> Result<Vec<MeetingEntry>, Problem> {
    match admin.store.meetings().entries(filter).await {
        Err(error) if error.is_away() => Ok(admin.remembered_meetings(filter)),
        entries => Ok(entries?),
    }
}

/// A meeting as the REST API shows it.
fn shown(admin: &Admin, entry: &MeetingEntry) -> Meeting {
    let meeting = &entry.meeting;
    let created_at = meeting.placed_at.into();
    Meeting {
        id: meeting.id.to_string(),
        internal_id: meeting.internal_id.clone().unwrap_or_default(),
        meeting: info::read(meeting, &admin.cluster, entry.patch.as_ref()),
        frontend_id: Some(meeting.frontend.0),
        backend_id: Some(meeting.backend.0),
        created_at,
        updated_at: entry.updated_at,
        synced_at: entry.synced_at.unwrap_or(created_at),
        state: match meeting.state {
            MeetingState::Claimed => MeetingStage::Claimed,
            MeetingState::Live => MeetingStage::Live,
            MeetingState::Ending => MeetingStage::Ending,
            MeetingState::Detached => MeetingStage::Detached,
        },
        frontend_meeting_id: meeting.meeting_id.to_string(),
    }
}

/// The same for an agent or an operator.
fn shown_to(who: &Caller<Nodes>, admin: &Admin, entry: &MeetingEntry) -> Meeting {
    let mut shown = shown(admin, entry);
    if let Some(metadata) = &mut shown.meeting.metadata {
        who.hide_callbacks(metadata);
    }
    shown
}
