//! The table of commands: actions requested by an operator, with state and result. A job carries each out.

use async_trait::async_trait;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{column, readable, word};
use super::{Store, StoreError};
use crate::ledger::{self, COMMAND_JOB, Command};

const TABLE: &str = "commands";

/// The table of commands.
#[derive(Clone, Copy)]
pub struct Commands<'s>(pub(super) &'s Store);

impl Commands<'_> {
    /// Asks for something. It is announced, and a job carries it out, if one can within two minutes.
    pub async fn record(self, action: &str, params: Option<&Value>) -> Result<Command, StoreError> {
        let sql = "WITH job AS (
                INSERT INTO jobs (id, kind, payload) VALUES ($1, $4, jsonb_build_object('id', $1::uuid)))
            INSERT INTO commands (id, action, params) VALUES ($1, $2, $3) RETURNING *";
        let row = self.0.row("record a command", sql, &[&Uuid::now_v7(), &action, &params, &COMMAND_JOB]).await?;
        let gone = || StoreError::Row { row: format!("command `{action}`"), problem: "it is gone".to_owned() };
        command(&row.ok_or_else(gone)?)
    }

    /// One command.
    pub async fn find(self, id: Uuid) -> Result<Option<Command>, StoreError> {
        let row = self.0.row("find a command", "SELECT * FROM commands WHERE id = $1", &[&id]).await?;
        row.as_ref().map(command).transpose()
    }

    /// Recent commands, finished ones included.
    pub async fn load(self) -> Result<Vec<Command>, StoreError> {
        Ok(readable(&self.0.rows("load the commands", "SELECT * FROM commands ORDER BY seq", &[]).await?, command))
    }
}

#[async_trait]
impl ledger::Commands for Store {
    async fn begin_command(&self, id: Uuid) -> Result<Option<Command>, StoreError> {
        let sql = "UPDATE commands SET
                state = CASE WHEN deadline < now() THEN 'error' ELSE 'running' END,
                result = CASE WHEN deadline < now() THEN '\"timedout\"'::jsonb END,
                started_at = CASE WHEN deadline < now() THEN started_at ELSE now() END,
                stopped_at = CASE WHEN deadline < now() THEN now() END
            WHERE id = $1 AND state IN ('requested', 'running') RETURNING *";
        self.row("begin a command", sql, &[&id]).await?.as_ref().map(command).transpose()
    }

    async fn finish_command(&self, begun: &Command, outcome: Result<Value, String>) -> Result<bool, StoreError> {
        let sql = "UPDATE commands SET state = $3, result = $4, stopped_at = now()
            WHERE id = $1 AND started_at = $2 AND state = 'running' RETURNING id";
        let (state, result) = match outcome {
            Ok(result) => ("success", result),
            Err(error) => ("error", Value::String(error)),
        };
        Ok(self.row("finish a command", sql, &[&begun.id, &begun.started_at, &state, &result]).await?.is_some())
    }
}

fn command(row: &Row) -> Result<Command, StoreError> {
    Ok(Command {
        id: column(TABLE, row, "id")?,
        seq: column(TABLE, row, "seq")?,
        state: word(TABLE, row, "state")?,
        action: column(TABLE, row, "action")?,
        params: column(TABLE, row, "params")?,
        result: column(TABLE, row, "result")?,
        deadline: column(TABLE, row, "deadline")?,
        started_at: column(TABLE, row, "started_at")?,
        stopped_at: column(TABLE, row, "stopped_at")?,
        created_at: column(TABLE, row, "created_at")?,
    })
}
