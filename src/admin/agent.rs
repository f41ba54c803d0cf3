//! Agents: their heartbeats, and the events of their nodes.
//!
//! Ours send batches, and each counts once. The original's send single events in any order, so none
//! is counted: the node is polled soon, and its answer counts.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use b3scale_middleware::bbb::{cut, cut_at};
use b3scale_middleware::cluster::BackendId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use super::Admin;
use super::access::{Agents, Caller};
use super::body::{Document, Given, Shaped};
use super::problem::Problem;
use super::reply::{Reply, json};
use crate::ledger::{Ingest, Ingested, Polls};
use crate::rest::shape::Shape;
use crate::rest::{Backend, Batch, Heartbeat, Receipt, RpcReply, RpcRequest, RpcStatus};
use crate::store::POST_HOOKS_JOB;
use crate::telemetry::catalog::{INGEST_BATCHES, INGEST_EVENTS, INGEST_SNAPSHOTS};

/// Between two polls of a node after events of its agent.
const PAUSE: Duration = Duration::from_secs(1);

/// The most characters of why a request is none, which may quote it.
const LONGEST_REASON: usize = 500;

/// The fields of an agent's request.
pub(super) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[("action", Shape::Text), ("payload", Shape::Any)]);
}

/// Show the backend of the agent.
#[utoipa::path(get, path = "/api/v1/agent/backend", tag = "agents",
    responses((status = OK, description = "The backend", body = Backend), (status = NOT_FOUND)))]
pub(super) async fn backend(State(admin): State<Admin>, who: Caller<Agents>) -> Result<Reply<Backend>, Problem> {
    let found = admin.store.backends().of_agent(who.subject()).await?;
    found.map(|entry| Reply(admin.shown_backend(entry))).ok_or(Problem::NotFound)
}

/// Say that the agent is there.
#[utoipa::path(post, path = "/api/v1/agent/heartbeat", tag = "agents",
    responses((status = OK, description = "The time of the heartbeat", body = Heartbeat), (status = NOT_FOUND)))]
pub(super) async fn heartbeat(State(admin): State<Admin>, who: Caller<Agents>) -> Result<Reply<Heartbeat>, Problem> {
    let backend = admin.store.backends().id_of_agent(who.subject()).await?.ok_or(Problem::NotFound)?;
    let heard = admin.store.record_heartbeat(backend, None).await?.ok_or(Problem::NotFound)?;
    Ok(Reply(Heartbeat { backend_id: backend.0, heartbeat: heard.into() }))
}

/// Send the node's events since the last batch. Each batch counts once, however often it is sent.
#[utoipa::path(post, path = "/api/v1/agent/ingest", tag = "agents", request_body = Batch,
    responses((status = OK, description = "Up to which batch all is known", body = Receipt)))]
pub(super) async fn ingest(
    State(admin): State<Admin>,
    who: Caller<Agents>,
    Document(mut batch, _room): Document<Batch>,
) -> Result<Reply<Receipt>, Problem> {
    if batch.is_too_long() {
        return Err(Problem::TooLarge);
    }
    batch.tidy();
    let backend = backend_of(&admin, who.subject()).await?;
    let ingested = admin.store.ingest(backend, &batch.report()).await;
    count(&batch, ingested.as_ref().ok());
    let ingested = ingested?;
    if ingested.posts {
        admin.waker.wake(POST_HOOKS_JOB);
    }
    admin.cluster.act_on_agent(backend, &ingested).await;
    Ok(Reply(ingested.receipt))
}

/// Counts a batch by its outcome. `None`: it could not be recorded.
fn count(batch: &Batch, ingested: Option<&Ingested>) {
    let outcome = match ingested {
        Some(ingested) if ingested.counts => "counted",
        Some(ingested) if ingested.receipt.snapshot => "refused",
        Some(_) => "repeated",
        None => "failed",
    };
    INGEST_BATCHES.with([outcome]).increment(1);
    if outcome == "counted" {
        INGEST_EVENTS.with([]).increment(batch.events.len() as u64);
        INGEST_SNAPSHOTS.with([]).increment(u64::from(batch.snapshot.is_some()));
    }
}

/// Say that something has changed on the node.
#[utoipa::path(post, path = "/api/v1/agent/rpc", tag = "agents", request_body = RpcRequest,
    responses((status = OK, description = "Whether it was understood", body = RpcReply),
        (status = BAD_REQUEST, description = "The body is no request", body = RpcReply)))]
pub(super) async fn rpc(
    State(admin): State<Admin>,
    who: Caller<Agents>,
    given: Result<Given<Form>, Problem>,
) -> Result<Response, Problem> {
    let given = match given {
        Ok(given) => given.said,
        Err(Problem::Body(why)) => return Ok(json(StatusCode::BAD_REQUEST, &failed(&why))),
        Err(problem) => return Err(problem),
    };
    let backend = backend_of(&admin, who.subject()).await?;
    let action = given["action"].as_str().unwrap_or_default();
    let event = match Event::read(action, &given["payload"]) {
        Ok(event) => event,
        Err(why) => return Ok(Reply(failed(&why)).into_response()),
    };
    debug!(backend.id = %backend, meeting.internal_id = &*cut(&event.internal_meeting_id), action, "Received an agent's batch");
    // The original waits until the meeting is known, and holds a connection of the database for as long.
    admin.store.hasten_poll(backend, PAUSE).await?;
    Ok(Reply(RpcReply { status: RpcStatus::Ok, result: Value::Null }).into_response())
}

fn failed(why: &str) -> RpcReply {
    RpcReply { status: RpcStatus::Error, result: (*cut_at(why, LONGEST_REASON)).into() }
}

/// The backend of an agent.
pub(super) async fn backend_of(admin: &Admin, agent_ref: &str) -> Result<BackendId, Problem> {
    admin.store.backends().id_of_agent(agent_ref).await?.ok_or(Problem::Forbidden)
}

/// An event of a meeting. The node itself has its details.
#[derive(Debug, Deserialize)]
struct Event {
    internal_meeting_id: String,
}

impl Event {
    /// Reads an event: a JSON object, or the same as base64, as the original's agent sends it.
    fn read(action: &str, payload: &Value) -> Result<Self, String> {
        const ACTIONS: [&str; 4] =
            ["meeting_state_reset", "meeting_set_running", "meeting_add_attendee", "meeting_remove_attendee"];
        if !ACTIONS.contains(&action) {
            // In the spelling of the original, which its tools may know.
            return Err("the requsted RPC action is unknown".to_owned());
        }
        let read = match payload {
            Value::Null => return Err("unexpected end of JSON input".to_owned()),
            Value::String(text) if text.is_empty() => return Err("unexpected end of JSON input".to_owned()),
            Value::String(text) => {
                let json = STANDARD.decode(text).map_err(|error| format!("the payload is no base64: {error}"))?;
                serde_json::from_slice(&json)
            }
            object => Self::deserialize(object),
        };
        read.map_err(|error| format!("the payload cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(action: &str, payload: &Value) -> Result<String, String> {
        Event::read(action, payload).map(|event| event.internal_meeting_id)
    }

    #[test]
    fn a_payload_is_an_object_or_the_same_as_base64() {
        let object = json!({"internal_meeting_id": "m-1", "attendee": null});
        let text = Value::from(STANDARD.encode(object.to_string()));
        for payload in [object, text] {
            assert_eq!(read("meeting_add_attendee", &payload).as_deref(), Ok("m-1"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_in_the_words_of_the_original() {
        assert_eq!(read("bogus", &json!({})), Err("the requsted RPC action is unknown".to_owned()));
        for payload in [json!(null), json!("")] {
            assert_eq!(read("meeting_set_running", &payload), Err("unexpected end of JSON input".to_owned()));
        }
        for payload in [json!("%"), json!("e30="), json!({}), json!(7), json!({"internal_meeting_id": 7})] {
            assert!(read("meeting_set_running", &payload).is_err(), "{payload}");
        }
    }
}
