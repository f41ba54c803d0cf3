//! Commands: an operator gives one here, and any server carries it out.

use axum::extract::State;
use serde_json::Value;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Given, Id, Shaped};
use super::problem::Problem;
use super::reply::{Accepted, Reply};
use crate::ledger;
use crate::rest::shape::Shape;
use crate::rest::{Command, CommandState, NewCommand};

/// An action, and the name of its parameter.
const ACTIONS: [(&str, &str); 2] = [("end_all_meetings", "BackendID"), ("end_meeting", "ID")];

/// The fields of a new command.
pub(super) struct Form;

impl Shaped for Form {
    const SHAPE: &'static Shape = &Shape::Object(&[("action", Shape::Text), ("params", Shape::Any)]);
}

/// List recent commands, finished ones included.
#[utoipa::path(get, path = "/api/v1/commands", tag = "commands",
    responses((status = OK, description = "The commands in the order of the requests", body = Vec<Command>)))]
pub(super) async fn list(State(admin): State<Admin>, _: Caller<Admins>) -> Result<Reply<Vec<Command>>, Problem> {
    Ok(Reply(admin.store.commands().load().await?.into_iter().map(Command::from).collect()))
}

/// Queue a command: `end_all_meetings` with `BackendID`, or `end_meeting` with `ID`. With `BackendID` as well, only the
/// copy of the meeting on that backend is ended.
#[utoipa::path(post, path = "/api/v1/commands", tag = "commands", request_body = NewCommand,
    responses((status = ACCEPTED, description = "The command, to be asked for again", body = Command)))]
pub(super) async fn add(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    given: Given<Form>,
) -> Result<Accepted<Command>, Problem> {
    let action = given.said["action"].as_str().unwrap_or_default();
    let Some((_, param)) = ACTIONS.iter().find(|(known, _)| *known == action) else {
        let why = if action.is_empty() { "this field is required" } else { "this action is not allowed" };
        return Err(Problem::field("action", why));
    };
    if !given.said["params"][param].is_string() {
        return Err(Problem::field(&format!("params.{param}"), "this field is required"));
    }
    let params: &Value = &given.said["params"];
    let command = admin.store.commands().record(action, Some(params)).await?;
    who.audit("a command was given", &format!("{action} {}", params[param]));
    Ok(Accepted(command.into()))
}

/// Show a command.
#[utoipa::path(get, path = "/api/v1/commands/{id}", tag = "commands", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The command", body = Command)))]
pub(super) async fn show(State(admin): State<Admin>, _: Caller<Admins>, Id(id): Id) -> Result<Reply<Command>, Problem> {
    let found = admin.store.commands().find(id).await?;
    Ok(Reply(found.ok_or(Problem::NotFound)?.into()))
}

impl From<ledger::Command> for Command {
    fn from(row: ledger::Command) -> Self {
        Self {
            id: row.id,
            seq: row.seq,
            state: row.state.into(),
            action: row.action,
            params: row.params,
            result: row.result,
            deadline: row.deadline.into(),
            started_at: row.started_at.map(Into::into),
            stopped_at: row.stopped_at.map(Into::into),
            created_at: row.created_at.into(),
        }
    }
}

impl From<ledger::CommandState> for CommandState {
    /// In the words of the original. Its tools know no running command.
    fn from(state: ledger::CommandState) -> Self {
        match state {
            ledger::CommandState::Requested | ledger::CommandState::Running => Self::Requested,
            ledger::CommandState::Success => Self::Success,
            ledger::CommandState::Error => Self::Error,
        }
    }
}
