//! The table of commands: what somebody asked for, its state and its result.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{column, readable, word};
use super::{Store, StoreError};
pub use crate::rest::CommandState;

const TABLE: &str = "commands";

/// Something to be done by whichever server comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Identity in the store.
    pub id: Uuid,
    /// In the order of the requests.
    pub seq: i64,
    /// How far it has come.
    pub state: CommandState,
    /// What is to be done.
    pub action: String,
    /// With what.
    pub params: Option<Value>,
    /// What came of it.
    pub result: Option<Value>,
    /// When it is of no use any more.
    pub deadline: SystemTime,
    /// When it was begun, the last time.
    pub started_at: Option<SystemTime>,
    /// When it was done.
    pub stopped_at: Option<SystemTime>,
    /// When it was asked for.
    pub created_at: SystemTime,
}

impl Store {
    /// Asks for something. It is announced, and waits for a server for two minutes.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn record_command(&self, action: &str, params: Option<&Value>) -> Result<Command, StoreError> {
        let sql = "INSERT INTO commands (id, action, params) VALUES ($1, $2, $3) RETURNING *";
        let row = self.row("record a command", sql, &[&Uuid::now_v7(), &action, &params]).await?;
        let gone = || StoreError::Row { row: format!("command `{action}`"), problem: "it is gone".to_owned() };
        command(&row.ok_or_else(gone)?)
    }

    /// Takes the oldest command that is to be done, and has it for `lease`. One whose server is lost, or takes longer than
    /// that, is taken again; one past its deadline is in error.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn take_command(&self, lease: Duration, server: Uuid) -> Result<Option<Command>, StoreError> {
        let sql = "WITH late AS (
                UPDATE commands SET state = 'error', result = '\"timedout\"', stopped_at = now()
                WHERE state IN ('requested', 'running') AND deadline < now() AND (lease < now()) IS NOT FALSE),
            next AS (
                SELECT id FROM commands WHERE deadline >= now()
                    AND (state = 'requested' OR state = 'running' AND (lease < now() OR is_lost(run_by, $2)))
                ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED)
            UPDATE commands SET state = 'running', started_at = now(), lease = now() + make_interval(secs => $1),
                run_by = $2
            FROM next WHERE commands.id = next.id RETURNING commands.*";
        let row = self.row("take a command", sql, &[&lease.as_secs_f64(), &server]).await?;
        row.as_ref().map(command).transpose()
    }

    /// How many commands wait for a server.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn count_commands(&self) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) AS waiting FROM commands WHERE state = 'requested'";
        let row = self.row("count the commands", sql, &[]).await?;
        row.map_or(Ok(0), |row| column(TABLE, &row, "waiting"))
    }

    /// Notes what came of a command. `false`: another server has taken it meanwhile, or it is done.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn finish_command(&self, taken: &Command, outcome: Result<Value, String>) -> Result<bool, StoreError> {
        let sql = "UPDATE commands SET state = $3, result = $4, stopped_at = now(), lease = NULL
            WHERE id = $1 AND started_at = $2 AND state = 'running' RETURNING id";
        let (state, result) = match outcome {
            Ok(result) => ("success", result),
            Err(error) => ("error", Value::String(error)),
        };
        Ok(self.row("finish a command", sql, &[&taken.id, &taken.started_at, &state, &result]).await?.is_some())
    }

    /// One command.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn find_command(&self, id: Uuid) -> Result<Option<Command>, StoreError> {
        let row = self.row("find a command", "SELECT * FROM commands WHERE id = $1", &[&id]).await?;
        row.as_ref().map(command).transpose()
    }

    /// The commands of late, those that are done included.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_commands(&self) -> Result<Vec<Command>, StoreError> {
        Ok(readable(&self.rows("load the commands", "SELECT * FROM commands ORDER BY seq", &[]).await?, command))
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
