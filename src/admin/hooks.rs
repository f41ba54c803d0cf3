//! Hooks of frontends, for operators.

use axum::extract::State;
use serde::Deserialize;
use uuid::Uuid;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Filter, Id};
use super::problem::Problem;
use super::reply::Reply;
use crate::outbox::host;
use crate::rest::Hook;
use crate::store::{HookEntry, HookFilter, POST_HOOKS_JOB, StoreError};

/// The most hooks in one list.
const MOST: u32 = 1000;

/// Which hooks. By default all.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of the frontend of that key.
    frontend: Option<String>,
    /// Those of the one meeting that their frontend knows by that id.
    meeting: Option<String>,
}

/// List 1000 hooks of frontends: the paused, the retrying, the others, each with the oldest first.
#[utoipa::path(get, path = "/api/v1/hooks", tag = "hooks", params(Which),
    responses((status = OK, description = "The hooks", body = Vec<Hook>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(Which { frontend, meeting }): Filter<Which>,
) -> Result<Reply<Vec<Hook>>, Problem> {
    let found = admin.store.hooks().load(&HookFilter { frontend, meeting }, MOST).await?;
    Ok(Reply(found.into_iter().map(shown).collect::<Result<_, _>>()?))
}

/// Show a hook.
#[utoipa::path(get, path = "/api/v1/hooks/{id}", tag = "hooks", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The hook", body = Hook)))]
pub(super) async fn show(State(admin): State<Admin>, _: Caller<Admins>, Id(id): Id) -> Result<Reply<Hook>, Problem> {
    Ok(Reply(shown(find(&admin, id).await?)?))
}

/// Begin a hook again at the event that failed, with all its tries.
#[utoipa::path(post, path = "/api/v1/hooks/{id}/resume", tag = "hooks", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The hook", body = Hook)))]
pub(super) async fn resume(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Hook>, Problem> {
    if !admin.store.hooks().resume(&id.to_string()).await? {
        return Err(Problem::NotFound);
    }
    admin.waker.wake(POST_HOOKS_JOB);
    let resumed = find(&admin, id).await?;
    who.audit("a hook was resumed", &named(&resumed));
    Ok(Reply(shown(resumed)?))
}

/// Remove a hook, with the events that it has not heard. Its frontend may create it again. A permanent one is removed by taking it
/// out of the frontend's settings.
#[utoipa::path(delete, path = "/api/v1/hooks/{id}", tag = "hooks", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The hook as it was", body = Hook), (status = CONFLICT)))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Hook>, Problem> {
    let last = find(&admin, id).await?;
    if last.hook.permanent {
        let problem = format!("the hook is permanent: take it out of `webhooks.permanent` of `{}`", last.frontend);
        return Err(Problem::Conflict(problem));
    }
    if !admin.store.hooks().remove(&id.to_string()).await? {
        return Err(Problem::NotFound);
    }
    who.audit("a hook was removed", &named(&last));
    Ok(Reply(shown(last)?))
}

async fn find(admin: &Admin, id: Uuid) -> Result<HookEntry, Problem> {
    admin.store.hooks().find(&id.to_string()).await?.ok_or(Problem::NotFound)
}

fn named(entry: &HookEntry) -> String {
    format!("{} of {}", entry.hook.id, entry.frontend)
}

fn shown(entry: HookEntry) -> Result<Hook, StoreError> {
    let HookEntry { hook, frontend, state, behind, delivered, lost, status, problem, .. } = entry;
    let unreadable = || StoreError::Row { row: format!("hook `{}`", hook.id), problem: "its id is none".to_owned() };
    Ok(Hook {
        id: hook.id.parse().map_err(|_| unreadable())?,
        frontend,
        state,
        host: host(&hook.url),
        meeting_id: hook.meeting_id,
        events: hook.events,
        raw: hook.raw,
        permanent: hook.permanent,
        behind,
        delivered,
        lost,
        status,
        problem,
        created_at: entry.created_at,
        delivered_at: entry.delivered_at,
        paused_at: entry.paused_at,
    })
}
