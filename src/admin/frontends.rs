//! Frontends.

pub(super) mod form;

use axum::extract::State;
use b3scale_middleware::cluster::{self, FrontendId};
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller, Users};
use super::body::{Filter, Given, Id};
use super::problem::Problem;
use super::reply::Reply;
use crate::rest::{Frontend, FrontendChange, StateFrontend};
use crate::state::lines;
use crate::store::FrontendFilter;
use form::Form;

/// Which frontends.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of that customer.
    account_ref: Option<String>,
    /// The one with that key.
    key: Option<String>,
    /// Frontends with this text in their key; `%` and `_` are wildcards.
    #[serde(rename = "key__like")]
    key_like: Option<String>,
}

/// List frontends. A token without `b3scale:admin` sees the frontends with its subject as their `account_ref`.
#[utoipa::path(get, path = "/api/v1/frontends", tag = "frontends", params(Which),
    responses((status = OK, description = "The frontends by their key", body = Vec<Frontend>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    who: Caller<Users>,
    Filter(which): Filter<Which>,
) -> Result<Reply<Vec<Frontend>>, Problem> {
    let Which { account_ref, key, key_like } = which;
    let owner = (!who.is_admin()).then(|| who.subject().to_owned());
    let filter = FrontendFilter { owner, account_ref, key, key_like };
    let found = admin.store.frontends().list(&filter).await?;
    Ok(Reply(found.into_iter().map(Frontend::from).collect()))
}

/// Add a frontend.
#[utoipa::path(post, path = "/api/v1/frontends", tag = "frontends", request_body = FrontendChange,
    responses((status = OK, description = "The new frontend", body = Frontend), (status = CONFLICT)))]
pub(super) async fn add(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    given: Given<Form>,
) -> Result<Reply<Frontend>, Problem> {
    let added = admin.store.frontends().add(&form::filled(given.said)?).await?;
    who.audit("a frontend was added", &added.key);
    Ok(Reply(added.into()))
}

/// Show a frontend.
#[utoipa::path(get, path = "/api/v1/frontends/{id}", tag = "frontends", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The frontend", body = Frontend)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    who: Caller<Users>,
    Id(id): Id,
) -> Result<Reply<Frontend>, Problem> {
    let found = admin.store.frontends().find(FrontendId(id)).await?.filter(|frontend| may_see(&who, frontend));
    found.map(|frontend| Reply(frontend.into())).ok_or(Problem::NotFound)
}

/// Change a frontend. With the scope `b3scale` alone: all but `account_ref`, `allowed_tags` and `webhooks`, which stay as they are, and the fields
/// that `B3SCALE_API_OPERATOR_FIELDS` names: their change is refused.
#[utoipa::path(patch, path = "/api/v1/frontends/{id}", tag = "frontends", params(("id" = Uuid, Path)),
    request_body = FrontendChange,
    responses((status = OK, description = "The frontend as it is now", body = Frontend), (status = CONFLICT)))]
pub(super) async fn change(
    State(admin): State<Admin>,
    who: Caller<Users>,
    Id(id): Id,
    given: Given<Form>,
) -> Result<Reply<Frontend>, Problem> {
    let change = |there: &cluster::Frontend, has_meetings| {
        if !may_see(&who, there) {
            return Err(Problem::NotFound);
        }
        let operators = (!who.is_admin()).then_some(&*admin.operator_fields);
        let changed = form::changed(there, given.said.clone(), operators)?;
        if changed.key != there.key && has_meetings {
            let why = "meetings run under the old key: change it when they have ended, or end them first";
            return Err(Problem::Conflict(why.to_owned()));
        }
        Ok(changed)
    };
    let changed = admin.store.frontends().change(FrontendId(id), change).await?;
    let (before, after) = changed.ok_or(Problem::NotFound)?;
    let differences = lines(&StateFrontend::from(before), &StateFrontend::from(after.clone()));
    who.audit_change("a frontend was changed", &after.key, &differences);
    Ok(Reply(after.into()))
}

/// Remove a frontend. Its meetings are ended.
#[utoipa::path(delete, path = "/api/v1/frontends/{id}", tag = "frontends", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The frontend as it was, and not active any more", body = Frontend)))]
pub(super) async fn remove(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Frontend>, Problem> {
    let mut frontend = admin.store.frontends().find(FrontendId(id)).await?.ok_or(Problem::NotFound)?;
    frontend.active = false;
    if !admin.store.frontends().remove(FrontendId(id)).await? {
        return Err(Problem::NotFound);
    }
    who.audit("a frontend was removed", &frontend.key);
    Ok(Reply(frontend.into()))
}

/// Whether a frontend is theirs who ask, or they may see all.
fn may_see(who: &Caller<Users>, frontend: &cluster::Frontend) -> bool {
    who.is_admin() || frontend.account_ref.as_deref() == Some(who.subject())
}
