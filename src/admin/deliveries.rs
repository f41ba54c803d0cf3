//! Deliveries: messages to the callbacks of frontends, for operators.

use axum::extract::State;
use b3scale_middleware::cluster::DeliveryState;
use serde::Deserialize;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Filter, Id};
use super::problem::Problem;
use super::reply::Reply;
use crate::outbox::{host, tried};
use crate::rest::Delivery;
use crate::store::{DELIVER_JOB, DeliveryEntry, DeliveryFilter, Retried};

/// The most deliveries in one list.
const MOST: u32 = 1000;

const EMPTIED: &str = "it is delivered, and its body was removed then: it cannot be sent again";

/// Which deliveries. By default all.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those in that state.
    state: Option<DeliveryState>,
    /// Those to the frontend of that key.
    frontend: Option<String>,
    /// Those about the meeting that its frontend, or its node, knows by that id.
    meeting: Option<String>,
}

/// List 1000 messages to callbacks of frontends: the waiting ones, the oldest first, and then the settled ones, the newest first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(Which),
    responses((status = OK, description = "The deliveries", body = Vec<Delivery>)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(Which { state, frontend, meeting }): Filter<Which>,
) -> Result<Reply<Vec<Delivery>>, Problem> {
    let filter = DeliveryFilter { state, frontend, meeting };
    let found = admin.store.deliveries().load(&filter, MOST).await?;
    Ok(Reply(found.into_iter().map(Delivery::from).collect()))
}

/// Show a message to a callback.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "deliveries", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The delivery", body = Delivery)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Delivery>, Problem> {
    Ok(Reply(admin.store.deliveries().find(id).await?.ok_or(Problem::NotFound)?.into()))
}

/// Send a message to a callback at once, with three days for further tries. A delivered one is sent again, under the same
/// `webhook-id`: receivers that do not look at that count it twice. Delivered analytics and messages of kind `other` have lost
/// their bodies, and are not sent again.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/retry", tag = "deliveries", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The delivery", body = Delivery), (status = CONFLICT)))]
pub(super) async fn retry(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Delivery>, Problem> {
    match admin.store.deliveries().retry(id).await? {
        Retried::Due => {}
        Retried::Emptied => return Err(Problem::Conflict(EMPTIED.to_owned())),
        Retried::Missing => return Err(Problem::NotFound),
    }
    admin.waker.wake(DELIVER_JOB);
    let retried = admin.store.deliveries().find(id).await?.ok_or(Problem::NotFound)?;
    who.audit("a delivery was retried", &named(&retried));
    Ok(Reply(retried.into()))
}

/// Drop a message to a callback that waits.
#[utoipa::path(delete, path = "/api/v1/deliveries/{id}", tag = "deliveries", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The delivery", body = Delivery)))]
pub(super) async fn discard(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Delivery>, Problem> {
    let deliveries = admin.store.deliveries();
    let last = deliveries.find(id).await?.ok_or(Problem::NotFound)?;
    if !deliveries.settle(id, DeliveryState::Dropped, last.status, last.problem.as_deref()).await? {
        return Err(Problem::NotFound);
    }
    tried(last.kind, "dropped");
    who.audit("a delivery was dropped", &named(&last));
    Ok(Reply(deliveries.find(id).await?.ok_or(Problem::NotFound)?.into()))
}

fn named(entry: &DeliveryEntry) -> String {
    format!("{} {} of {}", entry.kind.word(), entry.id, entry.frontend)
}

impl From<DeliveryEntry> for Delivery {
    fn from(entry: DeliveryEntry) -> Self {
        Self {
            id: entry.id,
            kind: entry.kind,
            state: entry.state,
            frontend: entry.frontend,
            meeting_id: entry.meeting_id,
            scoped_id: entry.meeting,
            record_id: entry.record,
            host: host(&entry.url),
            attempts: entry.attempts,
            status: entry.status,
            problem: entry.problem,
            created_at: entry.created_at,
            tried_at: entry.tried_at,
            next_try: entry.next_try,
            settled_at: entry.settled_at,
        }
    }
}
