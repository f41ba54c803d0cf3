//! Moving in: another system's records, as a document that `state::import` takes.
//!
//! The other system is only read, and may go on running. It may be read again later.

pub mod b3scale;
pub(crate) mod command;
mod recordings;
pub mod scalelite;

use std::fmt;

use b3scale_base::rest::check::LOAD_FACTORS;
use b3scale_base::rest::{StateDocument, VERSION};
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_postgres::{CONNECTING, ForeignDatabase, StoreError, Trouble};

/// The most recordings in one document.
const RECORDINGS_AT_ONCE: usize = 5000;

/// The records of another system.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Records that can be imported.
    pub document: StateDocument,
    /// Records that cannot, and other remarks: a sentence each.
    pub notes: Vec<String>,
}

impl Imported {
    fn new() -> Self {
        let document = StateDocument {
            version: VERSION,
            frontends: Vec::new(),
            backends: Vec::new(),
            meetings: Vec::new(),
            history: Vec::new(),
            recordings: Vec::new(),
        };
        Self { document, notes: Vec::new() }
    }

    /// The document in parts that a server takes: the first has all but the later recordings.
    pub fn into_parts(mut self) -> Vec<StateDocument> {
        let frontends = self.document.frontends.clone();
        let mut recordings = std::mem::take(&mut self.document.recordings).into_iter();
        self.document.recordings.extend(recordings.by_ref().take(RECORDINGS_AT_ONCE));
        let mut parts = vec![self.document];
        while !recordings.as_slice().is_empty() {
            let recordings = recordings.by_ref().take(RECORDINGS_AT_ONCE).collect();
            parts.push(StateDocument { frontends: frontends.clone(), recordings, ..Self::new().document });
        }
        parts
    }

    fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Notes how many of something were left out, unless none were. `why` goes on from the thing's name.
    fn left_out(&mut self, count: usize, thing: &str, why: &str) {
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            self.note(format!("Left out: {count} {thing}{plural} {why}."));
        }
    }
}

/// Why another system could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Its PostgreSQL could not be read.
    #[error("{}", of_postgres(.0))]
    Postgres(#[from] StoreError),
    /// The URL of its PostgreSQL cannot be used.
    #[error("the URL of {flag} cannot be used: {reason}")]
    Url {
        /// The flag that names it.
        flag: &'static str,
        /// The reason, and the remedy.
        reason: String,
    },
    /// Its Redis could not be read.
    #[error("cannot read Redis on {place}: {reason}")]
    Redis {
        /// Host and port, or the socket.
        place: String,
        /// The error of the network or of Redis.
        reason: String,
    },
    /// The frontend that the command line describes cannot be made.
    #[error("the frontend of --key `{key}` cannot be made: {reason}")]
    Single {
        /// The given key.
        key: String,
        /// The reason, and the remedy.
        reason: String,
    },
    /// It is a different system.
    #[error("{place} is not {system}'s: {reason}")]
    Stranger {
        /// Host and database, or the file.
        place: String,
        /// The expected system.
        system: &'static str,
        /// The reason, and the remedy.
        reason: String,
    },
}

impl ImportError {
    fn stranger(place: impl fmt::Display, system: &'static str, reason: impl Into<String>) -> Self {
        Self::Stranger { place: place.to_string(), system, reason: reason.into() }
    }
}

/// Opens another system's PostgreSQL, which a flag names.
async fn open(flag: &'static str, url: &str) -> Result<ForeignDatabase, ImportError> {
    // A second `@` would make the end of a password the begin of a host, which errors name.
    if url.contains("://") && url.matches('@').count() > 1 {
        let reason = "an `@` in the user or the password is to be written %40".to_owned();
        return Err(ImportError::Url { flag, reason });
    }
    ForeignDatabase::open(flag, url).await.map_err(|error| match error {
        StoreError::Setting(reason) => ImportError::Url { flag, reason },
        error => error.into(),
    })
}

/// An error of another system's PostgreSQL, with a remedy for who imports. Those of our own database are about our settings.
fn of_postgres(error: &StoreError) -> String {
    match error {
        StoreError::Away { .. } => format!("{error}; check host and port, and whether PostgreSQL runs there"),
        StoreError::Slow { task, .. } if *task == CONNECTING => {
            format!("{error}; check host and port, and whether it is PostgreSQL that answers there")
        }
        StoreError::Troubled { task, place, trouble, message, code } => {
            let advice = match trouble {
                Trouble::Missing => "; check the name of the database",
                Trouble::Unauthorized => "; check user, password and rights, and the pg_hba.conf there",
                _ => "",
            };
            format!("PostgreSQL cannot {task}, {place}: {message} (SQLSTATE {code}){advice}")
        }
        error => error.to_string(),
    }
}

/// What of an entry cannot be kept, so that it stays behind. `None`: it comes over.
fn unkept(wrong: Vec<(String, String)>) -> Option<String> {
    let fields: Vec<_> = wrong.into_iter().map(|(field, why)| format!("`{field}` {why}")).collect();
    (!fields.is_empty()).then(|| fields.join("; "))
}

/// How much a unit of load counts on a node by the word of another system, as it can be kept, and whether that is the same.
fn load_factor(given: Option<f64>) -> (f64, bool) {
    let given = given.filter(|factor| factor.is_finite());
    let usable = given.filter(|factor| *factor > 0.0).unwrap_or(1.0);
    let kept = usable.clamp(*LOAD_FACTORS.start(), *LOAD_FACTORS.end());
    (kept, given == Some(kept))
}

/// The remark that a load factor was not kept.
fn changed_factor(host: &str, given: &str, kept: f64) -> String {
    let (least, most) = (LOAD_FACTORS.start(), LOAD_FACTORS.end());
    format!("The load factor of `{host}` is {given} there and {kept} here: it should be from {least} to {most}.")
}

/// A frontend's id of a meeting, from the id that nodes have.
fn tenants_id(id: &str) -> String {
    let decoded = ScopedId::verbatim(id).decode();
    decoded.map_or_else(|| MeetingId::new(id), |(_, meeting_id)| meeting_id).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_that_is_none_is_one_and_is_not_kept_silently() {
        assert_eq!(load_factor(Some(1.1)), (1.1, true));
        for given in [Some(0.0), Some(-2.0), Some(f64::NAN), Some(f64::INFINITY), None] {
            assert_eq!(load_factor(given), (1.0, false), "{given:?}");
        }
        assert_eq!([1e-30, 1e30].map(|given| load_factor(Some(given))), [(0.01, false), (100.0, false)]);
    }
}
