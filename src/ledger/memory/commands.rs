//! Commands, as `store/commands.rs` carries them out in SQL.

use std::time::Duration;

use async_trait::async_trait;
use b3scale_postgres::StoreError;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Model, Statement};
use crate::ledger::COMMAND_JOB;
use crate::ledger::{Change, Command, CommandState, Commands, NewJob};

/// How long a command waits for a server.
const PATIENCE: Duration = Duration::from_secs(120);

#[async_trait]
impl Commands for Model {
    async fn begin_command(&self, id: Uuid) -> Result<Option<Command>, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let is_open = |row: &Command| matches!(row.state, CommandState::Requested | CommandState::Running);
            let Some(row) = command(statement, id, is_open) else { return Ok(None) };
            if row.deadline < now {
                (row.state, row.result, row.stopped_at) = (CommandState::Error, Some(json!("timedout")), Some(now));
            } else {
                (row.state, row.result, row.stopped_at) = (CommandState::Running, None, None);
                row.started_at = Some(now);
            }
            let begun = row.clone();
            statement.announced.push(Change::Command(id));
            Ok(Some(begun))
        })
        .await
    }

    async fn finish_command(&self, begun: &Command, outcome: Result<Value, String>) -> Result<bool, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let is_begun = |row: &Command| row.state == CommandState::Running && row.started_at == begun.started_at;
            let Some(row) = command(statement, begun.id, is_begun) else { return Ok(false) };
            let (state, result) = match outcome {
                Ok(result) => (CommandState::Success, result),
                Err(error) => (CommandState::Error, Value::String(error)),
            };
            (row.state, row.result, row.stopped_at) = (state, Some(result), Some(now));
            statement.announced.push(Change::Command(begun.id));
            Ok(true)
        })
        .await
    }
}

impl Model {
    /// Asks for something, under that id: it is announced, and a job carries it out.
    ///
    /// # Errors
    /// Any [`StoreError`] of the trait: the model itself has none.
    pub async fn record_command(&self, id: Uuid, action: &str, params: Option<Value>) -> Result<(), StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let row = Command {
                id,
                seq: statement.version(),
                state: CommandState::Requested,
                action: action.to_owned(),
                params,
                result: None,
                deadline: now + PATIENCE,
                started_at: None,
                stopped_at: None,
                created_at: now,
            };
            statement.tables.commands.insert(id, row);
            let payload = json!({"id": id});
            super::queue::enqueue(statement, &NewJob { kind: COMMAND_JOB, lane: None, payload, delay: Duration::ZERO });
            statement.announced.push(Change::Command(id));
            Ok(())
        })
        .await
    }
}

/// A command that matched when the statement began and, locked, still does.
fn command(statement: &mut Statement, id: Uuid, matches: impl Fn(&Command) -> bool) -> Option<&mut Command> {
    statement.seen.commands.get(&id).filter(|row| matches(row))?;
    statement.tables.commands.get_mut(&id).filter(|row| matches(row))
}
