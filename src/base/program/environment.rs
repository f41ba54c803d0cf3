//! Settings of the programs, from their environment.
//!
//! An unusable value stops the start with one line: the variable, its value and the accepted ones. An empty
//! value is none, but for a few variables that are refused empty (`NEVER_EMPTY`). A `B3SCALE_` variable that no program of b3scale
//! knows is a warning, and so is one of the original that does nothing yet. The files of the original are read as it reads them:
//! only if `B3SCALE_DB_URL` is not set, the later ones winning.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use b3scale_middleware::bbb::cut;
use tracing::level_filters::LevelFilter;

use crate::names::nearest;
use crate::telemetry::{LogFormat, LogSettings};

/// A file of settings, in addition to the environment.
const FILES: [&str; 3] = [".env", "/etc/default/b3scale", "/etc/sysconfig/b3scale"];
/// The same for an agent.
const AGENTS_FILES: [&str; 4] = [FILES[0], FILES[1], FILES[2], "/etc/default/b3scaleagent"];

/// Every variable that a program of b3scale or of the original knows.
pub const KNOWN: [&str; 53] = [
    "B3SCALE_AGENT_TAGS",
    "B3SCALE_API_ACCESS_TOKEN",
    "B3SCALE_API_CA_FILE",
    "B3SCALE_API_CORS_ORIGINS",
    "B3SCALE_API_JWT_SECRET",
    "B3SCALE_API_OPERATOR_FIELDS",
    "B3SCALE_API_TOKEN_FILE",
    "B3SCALE_API_URL",
    "B3SCALE_CMD_WORKER_POOL_SIZE",
    "B3SCALE_DATA_DIR",
    "B3SCALE_DB_MIGRATE",
    "B3SCALE_DB_POOL_SIZE",
    "B3SCALE_DB_URL",
    "B3SCALE_DRAIN_DELAY",
    "B3SCALE_EGRESS_ALLOW",
    "B3SCALE_HTTP_IDLE_TIMEOUT",
    "B3SCALE_HTTP_READ_HEADER_TIMEOUT",
    "B3SCALE_HTTP_REQUEST_TIMEOUT",
    "B3SCALE_HTTP_WRITE_TIMEOUT",
    "B3SCALE_LISTEN_HTTP",
    "B3SCALE_LOAD_FACTOR",
    "B3SCALE_LOG_FORMAT",
    "B3SCALE_LOG_LEVEL",
    "B3SCALE_MEMORY_BUDGET",
    "B3SCALE_METRICS_PER_MEETING",
    "B3SCALE_METRICS_TOKEN",
    "B3SCALE_NODE_CA_FILE",
    "B3SCALE_PIPELINE",
    "B3SCALE_RECORDINGS_DEFAULT_VISIBILITY",
    "B3SCALE_RECORDINGS_DELETED_PATH",
    "B3SCALE_RECORDINGS_INBOX_PATH",
    "B3SCALE_RECORDINGS_KEEP_FREE",
    "B3SCALE_RECORDINGS_LARGEST",
    "B3SCALE_RECORDINGS_PLAYBACK_HOST",
    "B3SCALE_RECORDINGS_PLAYER_PATH",
    "B3SCALE_RECORDINGS_PROTECTION",
    "B3SCALE_RECORDINGS_PUBLISHED_PATH",
    "B3SCALE_RECORDINGS_READY",
    "B3SCALE_RECORDINGS_S3_ACCESS_KEY",
    "B3SCALE_RECORDINGS_S3_BUCKET",
    "B3SCALE_RECORDINGS_S3_DELIVERY",
    "B3SCALE_RECORDINGS_S3_ENDPOINT",
    "B3SCALE_RECORDINGS_S3_REGION",
    "B3SCALE_RECORDINGS_S3_SECRET_KEY",
    "B3SCALE_RECORDINGS_SPOOL_PATH",
    "B3SCALE_RECORDINGS_STORAGE",
    "B3SCALE_RECORDINGS_UNPUBLISHED_PATH",
    "B3SCALE_RECORDINGS_WORK_PATH",
    "B3SCALE_REVERSE_PROXY_MODE",
    "B3SCALE_TEST_DB_URL",
    "B3SCALE_TEST_REDIS_URL",
    "B3SCALE_TRUSTED_PROXIES",
    "B3SCALE_YES",
];

/// The variable of the settings of bbb-web, for agents.
pub const BBB_CONFIG: &str = "BBB_CONFIG";

/// Variables that are refused empty. Without them b3scale makes a database or a secret, takes another pipeline, or opens a page.
pub const NEVER_EMPTY: [&str; 5] =
    ["B3SCALE_API_JWT_SECRET", "B3SCALE_DATA_DIR", "B3SCALE_DB_URL", "B3SCALE_METRICS_TOKEN", "B3SCALE_PIPELINE"];

/// Variables that hold a secret. No error prints their values.
const SECRET: [&str; 5] = [
    "B3SCALE_API_ACCESS_TOKEN",
    "B3SCALE_API_JWT_SECRET",
    "B3SCALE_DB_URL",
    "B3SCALE_METRICS_TOKEN",
    "B3SCALE_RECORDINGS_S3_SECRET_KEY",
];

/// Variables of the original without effect here, each with the consequence.
const IDLE: [(&str, &str); 2] = [
    ("B3SCALE_CMD_WORKER_POOL_SIZE", "each server carries out one command at a time"),
    ("B3SCALE_REVERSE_PROXY_MODE", "browsers are sent to the nodes themselves"),
];

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}{shown}: {wanted}")]
pub struct ConfigError {
    name: &'static str,
    /// The value, unless it is a secret, empty or not UTF-8.
    shown: String,
    wanted: String,
}

impl ConfigError {
    /// A variable, its unusable value and the accepted ones.
    pub fn new(name: &'static str, value: &str, wanted: impl Into<String>) -> Self {
        let is_shown = !SECRET.contains(&name) && !value.trim().is_empty() && is_utf_8(value);
        let shown = if is_shown { format!("=`{}`", cut(value)) } else { String::new() };
        Self { name, shown, wanted: wanted.into() }
    }
}

/// The environment, files included.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Their lines that set nothing, as `FILE:LINE`.
    pub ignored: Vec<String>,
    /// The files that exist and cannot be read, each with why.
    pub unreadable: Vec<ConfigError>,
}

impl Environment {
    /// Reads the process's environment, and the files if it names no database.
    pub fn read() -> Self {
        Self::with_files("B3SCALE_DB_URL", &FILES)
    }

    /// The same for an agent: the files are read if it is not told its server.
    pub fn read_for_agent() -> Self {
        Self::with_files("B3SCALE_API_URL", &AGENTS_FILES)
    }

    fn with_files(unless: &'static str, files: &[&str]) -> Self {
        let values = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
        let mut environment = Self { values: values.collect(), ..Self::default() };
        if environment.text(unless).is_none() {
            files.iter().for_each(|file| environment.read_file(Path::new(file), unless));
        }
        environment
    }

    fn read_file(&mut self, path: &Path, unless: &'static str) {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let why = format!("it is not set, and {}, which may set it, cannot be read: {error}", path.display());
                return self.unreadable.push(ConfigError::new(unless, "", why));
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        // Editors of Windows begin a file with a mark of its encoding.
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            match Line::read(line) {
                Line::Empty => {}
                Line::Assignment(name, value) => drop(self.values.insert(name, value)),
                // It is not repeated: it may hold a secret.
                Line::Other => self.ignored.push(format!("{}:{number}", path.display())),
            }
        }
        self.files.push(path.to_owned());
    }

    /// Refuses a file that exists and cannot be read: its settings would be missing.
    ///
    /// # Errors
    /// The first such file, with why.
    pub fn require_files(&self) -> Result<(), ConfigError> {
        self.unreadable.first().cloned().map_or(Ok(()), Err)
    }

    /// A value of another program's variable. An empty one is none.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A value as it stands. An empty one is none.
    ///
    /// # Errors
    /// It is not UTF-8, or it is empty and its default would make or open something.
    pub fn value(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        let wanted = match self.text(name) {
            Some(value) if !is_utf_8(value) => "it is not UTF-8",
            None if NEVER_EMPTY.contains(&name) && self.values.contains_key(name) => {
                "it is empty; set it to something, or unset it to have its default"
            }
            value => return Ok(value),
        };
        Err(ConfigError::new(name, self.text(name).unwrap_or_default(), wanted))
    }

    /// The same for a path.
    ///
    /// # Errors
    /// Those of `value`.
    pub fn path(&self, name: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.value(name)?.map(PathBuf::from))
    }

    /// Logs the files that were read, and the variables that no program reads.
    pub fn log(&self) {
        for file in &self.files {
            tracing::info!(file = %file.display(), "Read settings from a file");
        }
        for place in &self.ignored {
            tracing::warn!(place, "Ignoring a line of a settings file that is not NAME=value");
        }
        for name in self.unknown() {
            tracing::warn!(name, nearest = Self::meant(name), "Unknown environment variable");
        }
    }

    /// The nearest name to an unknown variable.
    pub fn meant(unknown: &str) -> Option<&'static str> {
        nearest(unknown, KNOWN.into_iter().chain([BBB_CONFIG]))
    }

    /// Variables with our prefix, or nearly with our name for BBB's settings, that no program reads.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let is_meant = |name: &str| name.starts_with("BBB_") && nearest(name, [BBB_CONFIG]).is_some();
        let ours = self.values.keys().filter(move |name| name.starts_with("B3SCALE_") || is_meant(name));
        ours.map(String::as_str).filter(|name| !KNOWN.contains(name) && *name != BBB_CONFIG)
    }

    /// The variables of the original that are set and have no effect here, each with the consequence. A variable with
    /// the effective value is left out.
    pub fn idle(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_off =
            |name| name == "B3SCALE_REVERSE_PROXY_MODE" && !matches!(self.text(name), Some("yes" | "true" | "1"));
        IDLE.into_iter().filter(move |(name, _)| self.text(name).is_some() && !is_off(*name))
    }

    /// Parses a value; `wanted` names the accepted ones in the error.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &'static str, wanted: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let refused = |error: T::Err| ConfigError::new(name, value, format!("{error}; {wanted}"));
        value.trim().parse().map(Some).map_err(refused)
    }

    /// Parses values with commas in between.
    ///
    /// # Errors
    /// As for [`Environment::parse`].
    pub fn list<T: FromStr<Err: Display>>(&self, name: &'static str, wanted: &str) -> Result<Vec<T>, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(Vec::new()) };
        let refused = |error: T::Err| ConfigError::new(name, value, format!("{error}; {wanted}"));
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| item.parse().map_err(refused)).collect()
    }

    /// Parses a whole number of seconds.
    ///
    /// # Errors
    /// As for [`Environment::parse`].
    pub fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        let seconds = self.parse(name, "a whole number of seconds is wanted")?;
        Ok(Duration::from_secs(seconds.unwrap_or(default)))
    }

    /// Parses one of a few words.
    ///
    /// # Errors
    /// It is a different word.
    pub fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)], default: T) -> Result<T, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(default) };
        let chosen = choices.iter().find(|(word, _)| *word == value.trim());
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let words = choices.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            ConfigError::new(name, value, format!("one of {words} is wanted"))
        })
    }
}

impl FromIterator<(String, String)> for Environment {
    /// An environment of these values alone.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self { values: values.into_iter().collect(), ..Self::default() }
    }
}

/// Whether all of a value came as UTF-8. It was decoded with a sign in place of each byte that is not.
fn is_utf_8(value: &str) -> bool {
    !value.contains(char::REPLACEMENT_CHARACTER)
}

/// A line of a settings file.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// `NAME=value`.
    Assignment(String, String),
    /// Nothing, or a comment.
    Empty,
    /// Neither: it sets nothing.
    Other,
}

impl Line {
    /// Reads a line as the original does: spaces and then quotes are cut off both ends, nothing is expanded.
    fn read(line: &str) -> Self {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return Self::Empty;
        }
        let is_name = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match line.split_once('=').map(|(name, value)| (name.trim(), value)) {
            Some((name, value)) if !name.is_empty() && is_name(name) => {
                Self::Assignment(name.to_owned(), value.trim().trim_matches(['"', '\'']).to_owned())
            }
            _ => Self::Other,
        }
    }
}

impl LogSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        // The names and the numbers of the original.
        let levels = [
            ("trace", LevelFilter::TRACE),
            ("debug", LevelFilter::DEBUG),
            ("info", LevelFilter::INFO),
            ("warn", LevelFilter::WARN),
            ("error", LevelFilter::ERROR),
            ("fatal", LevelFilter::ERROR),
            ("panic", LevelFilter::ERROR),
            ("-1", LevelFilter::TRACE),
            ("0", LevelFilter::DEBUG),
            ("1", LevelFilter::INFO),
            ("2", LevelFilter::WARN),
            ("3", LevelFilter::ERROR),
            ("4", LevelFilter::ERROR),
            ("5", LevelFilter::ERROR),
        ];
        let formats = [("structured", Some(LogFormat::Structured)), ("plain", Some(LogFormat::Plain))];
        Ok(Self {
            level: environment.choice("B3SCALE_LOG_LEVEL", &levels, LevelFilter::INFO)?,
            format: environment.choice("B3SCALE_LOG_FORMAT", &formats, None)?,
        })
    }
}

#[cfg(test)]
mod tests;
