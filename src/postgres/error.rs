//! Errors of the database, in one line each, and never with a secret in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use b3scale_base::telemetry::catalog::DB_FAILURES;
use tokio_postgres::error::DbError;

use super::Trouble;

/// Which database: host, name and user, never the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Arc<str>);

impl Place {
    /// A database by its description, which holds no password.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database URL cannot be used.
    #[error("B3SCALE_DB_URL: {0}")]
    Setting(String),
    /// No connection, or it was lost.
    #[error("cannot reach PostgreSQL, {place}: {reason}")]
    Away {
        /// Which database.
        place: Place,
        /// The error of the network or of PostgreSQL.
        reason: String,
    },
    /// Connected, but no answer in time.
    #[error("PostgreSQL did not {task} within {} s, {place}", limit.as_secs())]
    Slow {
        /// The task, as a verb with its object.
        task: &'static str,
        /// Which database.
        place: Place,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It answers, and cannot work.
    #[error("PostgreSQL cannot {task}, {place}: {trouble} ({message}, SQLSTATE {code})")]
    Troubled {
        /// The task, as a verb with its object.
        task: &'static str,
        /// Which database.
        place: Place,
        /// Why it cannot, and what to do about it.
        trouble: Trouble,
        /// PostgreSQL's message without its details.
        message: String,
        /// The five characters of the SQL standard.
        code: String,
    },
    /// It gave the statement up: it waited too long for a lock, or was cancelled.
    #[error("PostgreSQL gave up to {task}: {message} (SQLSTATE {code})")]
    GivenUp {
        /// The task, as a verb with its object.
        task: &'static str,
        /// PostgreSQL's message without its details.
        message: String,
        /// The five characters of the SQL standard.
        code: String,
    },
    /// Every connection of the pool stayed in use.
    #[error("all {size} database connections are in use; raise B3SCALE_DB_POOL_SIZE")]
    Busy {
        /// Connections in the pool.
        size: usize,
    },
    /// PostgreSQL understood and said no.
    #[error("PostgreSQL refused to {task}: {message} (SQLSTATE {code})")]
    Refused {
        /// The task, as a verb with its object.
        task: &'static str,
        /// PostgreSQL's message without its details, which may quote rows and so secrets.
        message: String,
        /// The five characters of the SQL standard.
        code: String,
    },
    /// A unique value exists already.
    #[error("PostgreSQL refused to {task}: `{rule}` would be broken")]
    Taken {
        /// The task, as a verb with its object.
        task: &'static str,
        /// The name of the rule.
        rule: String,
    },
    /// A row holds what no program of ours writes.
    #[error("{row} cannot be read: {problem}")]
    Row {
        /// Table and key.
        row: String,
        /// The problem.
        problem: String,
    },
    /// The schema could not be brought up to date.
    #[error("migration of {place}: {problem}")]
    Migration {
        /// Which database.
        place: Place,
        /// The obstacle.
        problem: String,
    },
    /// The schema is the original b3scale's.
    #[error(
        "{place} belongs to the original b3scale; give B3SCALE_DB_URL an empty database and bring the data over \
         with `b3scalectl import b3scale`"
    )]
    Foreign {
        /// Which database.
        place: Place,
    },
}

impl StoreError {
    /// Whether the database cannot be used for now: the same request may succeed later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away { .. }
            | Self::Slow { .. }
            | Self::Troubled { .. }
            | Self::GivenUp { .. }
            | Self::Busy { .. } => true,
            Self::Setting(_)
            | Self::Refused { .. }
            | Self::Taken { .. }
            | Self::Row { .. }
            | Self::Migration { .. }
            | Self::Foreign { .. } => false,
        }
    }

    /// Why the database cannot be used, for all who ask a server: without its place, and without PostgreSQL's own words.
    pub fn obstacle(&self) -> String {
        match self {
            Self::Away { .. } => "PostgreSQL cannot be reached".to_owned(),
            Self::Slow { .. } => "PostgreSQL does not answer in time".to_owned(),
            Self::Troubled { trouble, .. } => trouble.obstacle(),
            Self::GivenUp { .. } => "PostgreSQL is held up by other work".to_owned(),
            Self::Busy { .. } => self.to_string(),
            Self::Setting(_)
            | Self::Refused { .. }
            | Self::Taken { .. }
            | Self::Row { .. }
            | Self::Migration { .. }
            | Self::Foreign { .. } => "PostgreSQL refuses; the server's log says why".to_owned(),
        }
    }

    /// Whether PostgreSQL takes no changes, perhaps because another one is the primary by now.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Troubled { trouble: Trouble::ReadOnly, .. })
    }

    /// Whether the same request may succeed in a moment.
    pub fn passes_soon(&self) -> bool {
        match self {
            Self::Troubled { trouble, .. } => trouble.passes_soon(),
            error => error.is_away(),
        }
    }

    /// A statement was not answered in time.
    pub fn slow(task: &'static str, place: &Place, limit: Duration) -> Self {
        Self::Slow { task, place: place.clone(), limit }.counted()
    }

    /// An error of the connection or of PostgreSQL, counted for `/metrics`.
    pub fn from_postgres(task: &'static str, place: &Place, error: &tokio_postgres::Error) -> Self {
        let failure = match error.as_db_error() {
            Some(refusal) => Self::from_refusal(task, place, refusal),
            None => Self::Away { place: place.clone(), reason: reason(error) },
        };
        failure.counted()
    }

    fn from_refusal(task: &'static str, place: &Place, refusal: &DbError) -> Self {
        let (message, code) = (refusal.message().to_owned(), refusal.code().code().to_owned());
        if let Some(trouble) = Trouble::of(refusal.code()) {
            return Self::Troubled { task, place: place.clone(), trouble, message, code };
        }
        match code.as_str() {
            "23505" => Self::Taken { task, rule: refusal.constraint().unwrap_or_default().to_owned() },
            "55P03" | "57014" => Self::GivenUp { task, message, code },
            // The connection failed, or PostgreSQL ended it for its silence.
            "25P03" | "57P05" => Self::Away { place: place.clone(), reason: message },
            code if code.starts_with("08") => Self::Away { place: place.clone(), reason: message },
            _ => Self::Refused { task, message, code },
        }
    }

    /// The same, counted for `/metrics`.
    pub fn counted(self) -> Self {
        let reason = match &self {
            Self::Troubled { trouble, .. } => trouble.name(),
            Self::GivenUp { .. } => "given_up",
            Self::Away { .. } => "away",
            Self::Slow { .. } => "slow",
            Self::Busy { .. } => "busy",
            Self::Taken { .. } => "taken",
            Self::Refused { .. }
            | Self::Setting(_)
            | Self::Row { .. }
            | Self::Migration { .. }
            | Self::Foreign { .. } => "refused",
        };
        DB_FAILURES.with([reason]).increment(1);
        self
    }
}

/// The error and what caused it, in one line, without PostgreSQL's details.
pub fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        return refusal.message().to_owned();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
