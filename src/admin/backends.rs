//! Backends.

pub(super) mod form;

use axum::extract::State;
use b3scale_middleware::cluster::{self, BackendId, NodeStatus};
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller, Nodes};
use super::body::{Asked, Filter, Given, Id, is_yes};
use super::operators::{factor_by_agent, guard_agent, guard_move};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{AdminState, Backend, BackendChange, StateBackend};
use crate::state::lines;
use crate::store::{BackendEntry, BackendFilter, Standing};
use form::Form;
pub(super) use form::with_slash;

/// Which backends.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The one with that URL.
    host: Option<String>,
    /// Backends with this text in their URL; `%` and `_` are wildcards.
    #[serde(rename = "host__like")]
    host_like: Option<String>,
    /// The same in any case.
    #[serde(rename = "host__ilike")]
    host_ilike: Option<String>,
}

/// How to remove a backend.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `yes`, `true` or `1`: now, even with running meetings. Else it is removed when its last meeting has ended.
    force: Option<String>,
}

/// List the backends.
#[utoipa::path(get, path = "/api/v1/backends", tag = "backends", params(Which),
    responses((status = OK, description = "The backends by their host", body = Vec<Backend>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(which): Filter<Which>,
) -> Result<Reply<Vec<Backend>>, Problem> {
    let Which { host, host_like, host_ilike } = which;
    let filter = BackendFilter { host: host.as_deref().map(with_slash), host_like, host_ilike };
    let found = admin.store.backends().list(&filter).await?;
    Ok(Reply(found.into_iter().map(|entry| admin.shown_backend(entry)).collect()))
}

/// Add a backend. With the scope `b3scale:node` it is the token's own, and waits for an operator to enable it; an existing backend
/// with this host, this secret and no agent becomes the token's own, and keeps all that was set of it. A token with both scopes
/// registers an agent if `b3scaleagent` sends it, or if the body is what b3scale's agent sends: a whole backend, its `id` empty, its
/// `node_state` and `admin_state` `init`, its `tags` `null`.
#[utoipa::path(post, path = "/api/v1/backends", tag = "backends", request_body = BackendChange,
    responses((status = OK, description = "The new backend", body = Backend), (status = CONFLICT)))]
pub(super) async fn add(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    given: Given<Form>,
) -> Result<Reply<Backend>, Problem> {
    let by_agent = who.is_agent(form::is_registration(&given.said));
    let new = form::filled(given.said, by_agent.then(|| who.subject().to_owned()))?;
    if by_agent {
        guard_agent(&admin.agent_tags, None, &new)?;
        if let Some(adopted) = adopted(&admin, &new).await? {
            who.audit("an agent adopted a backend", &adopted.backend.url);
            return Ok(Reply(admin.shown_backend(adopted)));
        }
    }
    admin.store.backends().add(&new).await?;
    who.audit("a backend was added", &new.url);
    let added = admin.store.backends().entry(new.id).await?;
    let added = added.unwrap_or(BackendEntry { backend: new, status: NodeStatus::default() });
    Ok(Reply(Backend::of(added.backend, &added.status)))
}

/// Show a backend.
#[utoipa::path(get, path = "/api/v1/backends/{id}", tag = "backends", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The backend", body = Backend)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Id(id): Id,
) -> Result<Reply<Backend>, Problem> {
    let found = admin.store.backends().entry(BackendId(id)).await?;
    let found = found.filter(|entry| may_see(&who, &entry.backend)).ok_or(Problem::NotFound)?;
    Ok(Reply(admin.shown_backend(found)))
}

/// Change a backend. As an agent, with the scope `b3scale:node` alone or by `b3scaleagent`: its secret, its load factor within bounds
/// (not lower than it is, once an operator has enabled it), tags that operators let agents set, its address until an operator has
/// enabled it, and whether it takes meetings, unless an operator has stopped it.
#[utoipa::path(patch, path = "/api/v1/backends/{id}", tag = "backends", params(("id" = Uuid, Path)),
    request_body = BackendChange,
    responses((status = OK, description = "The backend as it is now", body = Backend), (status = CONFLICT)))]
pub(super) async fn change(
    State(admin): State<Admin>,
    who: Caller<Nodes>,
    Id(id): Id,
    given: Given<Form>,
) -> Result<Reply<Backend>, Problem> {
    let by_agent = who.is_agent(form::is_restart(&given.said));
    let change = |there: &cluster::Backend, standing: Standing| {
        if by_agent && !is_own(&who, there) {
            return Err(Problem::NotFound);
        }
        let mut changed = form::changed(there, given.said.clone())?;
        if by_agent {
            guard_agent(&admin.agent_tags, Some((there, standing)), &changed)?;
            guard_move(there, standing, &changed)?;
            changed.load_factor = factor_by_agent(there, standing, changed.load_factor);
        }
        Ok(changed)
    };
    let changed = admin.store.backends().change(BackendId(id), by_agent, change).await?;
    let (before, after) = changed.ok_or(Problem::NotFound)?;
    let differences = lines(&StateBackend::from(before.backend), &StateBackend::from(after.backend.clone()));
    who.audit_change("a backend was changed", &after.backend.url, &differences);
    Ok(Reply(admin.shown_backend(after)))
}

/// Remove a backend: when its last meeting has ended or, by force, now. Its meetings go on there, and may be created again elsewhere.
#[utoipa::path(delete, path = "/api/v1/backends/{id}", tag = "backends", params(("id" = Uuid, Path), How),
    responses((status = OK, description = "The backend as it is now", body = Backend)))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
    Asked(how): Asked<How>,
) -> Result<Reply<Backend>, Problem> {
    let store = &admin.store;
    let mut backend = admin.shown_backend(store.backends().entry(BackendId(id)).await?.ok_or(Problem::NotFound)?);
    if is_yes(how.force.as_deref()) {
        if !store.backends().remove(BackendId(id)).await? {
            return Err(Problem::NotFound);
        }
        who.audit("a backend was removed", &backend.bbb.host);
        backend.admin_state = AdminState::Destroyed;
        return Ok(Reply(backend));
    }
    store
        .backends()
        .record_admin_state(BackendId(id), cluster::AdminState::Decommissioned)
        .await?
        .ok_or(Problem::NotFound)?;
    who.audit("a backend was decommissioned", &backend.bbb.host);
    backend.admin_state = AdminState::Decommissioned;
    Ok(Reply(backend))
}

/// The backend that an operator added for the node of an agent that registers. `None`: there is none.
///
/// # Errors
/// A conflict that says what to do, if the backend has another secret or another agent.
async fn adopted(admin: &Admin, new: &cluster::Backend) -> Result<Option<BackendEntry>, Problem> {
    if let Some(id) = admin.store.backends().adopt(new).await? {
        return Ok(admin.store.backends().entry(id).await?);
    }
    let filter = BackendFilter { host: Some(new.url.clone()), ..BackendFilter::default() };
    let Some(there) = admin.store.backends().list(&filter).await?.pop() else { return Ok(None) };
    let cluster::Backend { url: host, agent_ref, .. } = &there.backend;
    let other = match agent_ref {
        None => format!(
            "secret: compare it with securitySalt of BBB, or set it with `b3scalectl set backend {host} --secret SECRET`"
        ),
        Some(agent) if Some(agent) != new.agent_ref.as_ref() => {
            format!("agent: use that agent's token, or remove the backend with `b3scalectl delete backend {host}`")
        }
        Some(_) => return Ok(None),
    };
    Err(Problem::Conflict(format!("a backend with this host exists already, with another {other}")))
}

/// Whether a backend is the agent's that asks, or an operator asks.
///
/// Defect 47 of the original: an operator's token that was an agent's, too, saw only the agent's backend.
fn may_see(who: &Caller<Nodes>, backend: &cluster::Backend) -> bool {
    who.is_admin() || is_own(who, backend)
}

fn is_own(who: &Caller<Nodes>, backend: &cluster::Backend) -> bool {
    backend.agent_ref.as_deref() == Some(who.subject())
}
