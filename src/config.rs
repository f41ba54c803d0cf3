//! What the programs read from their environment.
//!
//! A value that cannot be used stops the start with one line that names the variable, the value and what is accepted. An empty
//! value is none, but for a few variables that are refused empty (`NEVER_EMPTY`). A `B3SCALE_` variable that no program of b3scale
//! knows is a warning, and so is one of the original that does nothing yet. The files of the original are read as it reads them:
//! only if `B3SCALE_DB_URL` is not set, the later ones winning.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use b3scale_middleware::bbb::cut;
use http::HeaderValue;
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::admin::OperatorField;
use crate::budget::Budget;
use crate::pipeline::nearest;
use crate::telemetry::{LogFormat, LogSettings};
use crate::upstream::UpstreamSettings;

/// Where settings may be kept beside the environment.
const FILES: [&str; 3] = [".env", "/etc/default/b3scale", "/etc/sysconfig/b3scale"];
/// The same for an agent.
const AGENTS_FILES: [&str; 4] = [FILES[0], FILES[1], FILES[2], "/etc/default/b3scaleagent"];

/// Every variable that a program of b3scale knows, this one, one beside it or one of the original.
const KNOWN: [&str; 37] = [
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
    "B3SCALE_RECORDINGS_INBOX_PATH",
    "B3SCALE_RECORDINGS_PLAYBACK_HOST",
    "B3SCALE_RECORDINGS_PUBLISHED_PATH",
    "B3SCALE_RECORDINGS_UNPUBLISHED_PATH",
    "B3SCALE_REVERSE_PROXY_MODE",
    "B3SCALE_TEST_DB_URL",
    "B3SCALE_TEST_REDIS_URL",
    "B3SCALE_TRUSTED_PROXIES",
    "B3SCALE_YES",
];

/// Variables that are refused empty. Without them b3scale makes a database or a secret, takes another pipeline, or opens a page.
const NEVER_EMPTY: [&str; 5] =
    ["B3SCALE_API_JWT_SECRET", "B3SCALE_DATA_DIR", "B3SCALE_DB_URL", "B3SCALE_METRICS_TOKEN", "B3SCALE_PIPELINE"];

/// Variables of the original that a server does not heed yet, each with what that means.
const IDLE: [(&str, &str); 8] = [
    (
        "B3SCALE_API_URL",
        "only b3scalectl and b3scaleagent use it: nodes are told the callbacks of frontends as they are",
    ),
    ("B3SCALE_CMD_WORKER_POOL_SIZE", "each server carries out one command at a time"),
    ("B3SCALE_RECORDINGS_DEFAULT_VISIBILITY", "recordings are not served"),
    ("B3SCALE_RECORDINGS_INBOX_PATH", "recordings are not served"),
    ("B3SCALE_RECORDINGS_PLAYBACK_HOST", "recordings are not served"),
    ("B3SCALE_RECORDINGS_PUBLISHED_PATH", "recordings are not served"),
    ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", "recordings are not served"),
    ("B3SCALE_REVERSE_PROXY_MODE", "browsers are sent to the nodes themselves"),
];

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}=`{}`: {wanted}", cut(value))]
pub struct ConfigError {
    name: &'static str,
    value: String,
    wanted: String,
}

/// The environment, files included.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
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

    fn with_files(unless: &str, files: &[&str]) -> Self {
        let values = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
        let mut environment = Self { values: values.collect(), files: Vec::new() };
        if environment.text(unless).is_none() {
            files.iter().for_each(|file| environment.read_file(Path::new(file)));
        }
        environment
    }

    fn read_file(&mut self, path: &Path) {
        let Ok(text) = std::fs::read_to_string(path) else { return };
        self.values.extend(text.lines().filter_map(assignment));
        self.files.push(path.to_owned());
    }

    /// A value of another program's variable. An empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A value as it stands. An empty one is none.
    ///
    /// # Errors
    /// It is not UTF-8, or it is empty and its default would make or open something.
    pub(crate) fn value(&self, name: &'static str) -> Result<Option<&str>, ConfigError> {
        let refused = |wanted: &str| {
            let value = self.values.get(name).cloned().unwrap_or_default();
            Err(ConfigError { name, value, wanted: wanted.to_owned() })
        };
        match self.text(name) {
            Some(value) if value.contains(char::REPLACEMENT_CHARACTER) => refused("UTF-8 is wanted"),
            None if NEVER_EMPTY.contains(&name) && self.values.contains_key(name) => {
                refused("it is empty; set it to something, or unset it to have its default")
            }
            value => Ok(value),
        }
    }

    /// The same for a path.
    ///
    /// # Errors
    /// Those of `value`.
    pub(crate) fn path(&self, name: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.value(name)?.map(PathBuf::from))
    }

    /// Logs the files that were read, and the variables that no program reads.
    pub(crate) fn log(&self) {
        for file in &self.files {
            tracing::info!(file = %file.display(), "Settings have been read from a file");
        }
        for name in self.unknown() {
            tracing::warn!(name, nearest = Self::meant(name), "No program knows this variable");
        }
    }

    /// What may have been meant by a variable that no program reads.
    pub(crate) fn meant(unknown: &str) -> Option<&'static str> {
        nearest(unknown, KNOWN)
    }

    /// The variables that look like ours and that nobody reads.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        let ours = self.values.keys().filter(|name| name.starts_with("B3SCALE_"));
        ours.map(String::as_str).filter(|name| !KNOWN.contains(name))
    }

    /// The variables of the original that are set and that a server does not heed yet, each with what that means. One that says
    /// what is done anyhow is none.
    pub fn idle(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let is_off =
            |name| name == "B3SCALE_REVERSE_PROXY_MODE" && !matches!(self.text(name), Some("yes" | "true" | "1"));
        IDLE.into_iter().filter(move |(name, _)| self.text(name).is_some() && !is_off(*name))
    }

    /// A value as what it is to be; `wanted` is what people are told who wrote something else.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let refused =
            |error: T::Err| ConfigError { name, value: value.to_owned(), wanted: format!("{error}; {wanted}") };
        value.trim().parse().map(Some).map_err(refused)
    }

    fn list<T: FromStr<Err: Display>>(&self, name: &'static str, wanted: &str) -> Result<Vec<T>, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(Vec::new()) };
        let refused =
            |error: T::Err| ConfigError { name, value: value.to_owned(), wanted: format!("{error}; {wanted}") };
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| item.parse().map_err(refused)).collect()
    }

    fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        let seconds = self.parse(name, "a whole number of seconds is wanted")?;
        Ok(Duration::from_secs(seconds.unwrap_or(default)))
    }

    fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)], default: T) -> Result<T, ConfigError> {
        let Some(value) = self.value(name)? else { return Ok(default) };
        let chosen = choices.iter().find(|(word, _)| *word == value.trim());
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let words = choices.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
            ConfigError { name, value: value.to_owned(), wanted: format!("one of {words} is wanted") }
        })
    }
}

/// A line `NAME=value`, as the original reads it: spaces and then quotes are cut off both ends, nothing is expanded.
fn assignment(line: &str) -> Option<(String, String)> {
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
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

/// Whether a server changes the database's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrate {
    /// At its start.
    Auto,
    /// Never: it only checks, and does not start if something is missing.
    Manual,
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database. `None`: a private cluster.
    pub db_url: Option<String>,
    /// Where a private cluster is kept. `None`: where the system keeps such things.
    pub data_dir: Option<PathBuf>,
    /// Connections to the database.
    pub db_pool_size: usize,
    /// Whether its schema is changed at the start.
    pub migrate: Migrate,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What tokens are signed with. `None`: the secret that the cluster shares.
    pub jwt_secret: Option<String>,
    /// Proxies whose word is taken for where a request of the REST API comes from, beside those on this machine.
    pub trusted_proxies: Vec<IpAddr>,
    /// The origins of pages that may use the REST API in a browser; `*` for any. None: no page may.
    pub cors_origins: Vec<HeaderValue>,
    /// What customers do not change of their frontends.
    pub operator_fields: Vec<OperatorField>,
    /// The tags that agents may give their nodes, and take.
    pub agent_tags: Vec<String>,
    /// The pipeline file. `None`: the one that is compiled in.
    pub pipeline: Option<PathBuf>,
    /// How nodes are asked, and which of their certificates are trusted.
    pub upstream: UpstreamSettings,
    /// Wanted of whoever asks for metrics.
    pub metrics_token: Option<String>,
    /// Whether metrics name each meeting.
    pub metrics_per_meeting: bool,
    /// Between not-ready and closing.
    pub drain_delay: Duration,
    /// The longest a call may take, but for creates, which try several nodes, and for the time its body takes.
    pub request_timeout: Duration,
    /// The longest its head may take.
    pub header_timeout: Duration,
    /// The longest an answer may stay untaken.
    pub write_timeout: Duration,
    /// The longest a connection may rest.
    pub idle_timeout: Duration,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let text = |name| Ok::<_, ConfigError>(environment.value(name)?.map(str::to_owned));
        let pool_size = environment.parse("B3SCALE_DB_POOL_SIZE", "a number of connections from 1 on is wanted")?;
        let listen = environment.parse("B3SCALE_LISTEN_HTTP", "an address such as 127.0.0.1:42353 is wanted")?;
        Ok(Self {
            db_url: text("B3SCALE_DB_URL")?,
            data_dir: environment.path("B3SCALE_DATA_DIR")?,
            db_pool_size: pool_size.map_or(16, std::num::NonZeroUsize::get),
            migrate: environment.choice(
                "B3SCALE_DB_MIGRATE",
                &[("auto", Migrate::Auto), ("manual", Migrate::Manual)],
                Migrate::Auto,
            )?,
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 42353))),
            jwt_secret: text("B3SCALE_API_JWT_SECRET")?,
            trusted_proxies: environment
                .list("B3SCALE_TRUSTED_PROXIES", "addresses with commas in between are wanted")?,
            cors_origins: cors_origins(environment)?,
            operator_fields: environment.list(
                "B3SCALE_API_OPERATOR_FIELDS",
                "fields of frontends such as required_tags,attendees_limit are wanted",
            )?,
            agent_tags: environment.list("B3SCALE_AGENT_TAGS", "tags with commas in between are wanted")?,
            pipeline: environment.path("B3SCALE_PIPELINE")?,
            upstream: UpstreamSettings {
                ca_file: environment.path("B3SCALE_NODE_CA_FILE")?,
                budget: memory_budget(environment)?,
                ..UpstreamSettings::default()
            },
            metrics_token: text("B3SCALE_METRICS_TOKEN")?,
            metrics_per_meeting: environment.choice(
                "B3SCALE_METRICS_PER_MEETING",
                &[("true", true), ("false", false)],
                true,
            )?,
            drain_delay: environment.seconds("B3SCALE_DRAIN_DELAY", 5)?,
            request_timeout: environment.seconds("B3SCALE_HTTP_REQUEST_TIMEOUT", 60)?,
            header_timeout: environment.seconds("B3SCALE_HTTP_READ_HEADER_TIMEOUT", 5)?,
            write_timeout: environment.seconds("B3SCALE_HTTP_WRITE_TIMEOUT", 60)?,
            idle_timeout: environment.seconds("B3SCALE_HTTP_IDLE_TIMEOUT", 120)?,
        })
    }
}

/// The origin of a page that may use the REST API, or `*`.
struct Origin(HeaderValue);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_origin = |url: Url| url.origin().is_tuple() && url.origin().ascii_serialization() == text;
        let value = HeaderValue::from_str(text).ok().filter(|_| text == "*" || Url::parse(text).is_ok_and(is_origin));
        value.map(Self).ok_or("it is not an origin: scheme and host, in lower case, and no path")
    }
}

fn cors_origins(environment: &Environment) -> Result<Vec<HeaderValue>, ConfigError> {
    let wanted = "origins such as https://admin.example with commas in between are wanted, or *";
    let origins: Vec<Origin> = environment.list("B3SCALE_API_CORS_ORIGINS", wanted)?;
    Ok(origins.into_iter().map(|Origin(value)| value).collect())
}

/// The least budget with which a body of the largest kind can still be taken.
const LEAST_BUDGET: usize = 64;

fn memory_budget(environment: &Environment) -> Result<Budget, ConfigError> {
    let name = "B3SCALE_MEMORY_BUDGET";
    let Some(mib) = environment.parse::<usize>(name, "a whole number of MiB is wanted")? else {
        return Ok(Budget::default());
    };
    let usable = mib.checked_mul(1 << 20).filter(|_| mib >= LEAST_BUDGET);
    usable.map(Budget::of).ok_or_else(|| {
        let value = mib.to_string();
        ConfigError { name, value, wanted: format!("at least {LEAST_BUDGET} MiB are wanted") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(values: &[(&str, &str)]) -> Environment {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment { values: values.collect(), files: Vec::new() }
    }

    #[test]
    fn without_a_word_everything_has_a_default() {
        let config = Config::read(&environment(&[])).unwrap();
        assert_eq!((config.db_url, config.db_pool_size), (None, 16));
        assert_eq!(config.listen.to_string(), "127.0.0.1:42353");
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named_with_what_is_wanted() {
        let said = |name, value| Config::read(&environment(&[(name, value)])).unwrap_err().to_string();
        let listen = said("B3SCALE_LISTEN_HTTP", "localhost");
        assert!(
            listen.starts_with("B3SCALE_LISTEN_HTTP=`localhost`:") && listen.contains("127.0.0.1:42353"),
            "{listen}"
        );
        assert!(said("B3SCALE_DB_POOL_SIZE", "0").contains("from 1 on"));
        assert!(said("B3SCALE_MEMORY_BUDGET", "63").contains("at least 64 MiB"));
        assert!(said("B3SCALE_DB_MIGRATE", "never").contains("`auto`, `manual`"));
        assert!(said("B3SCALE_DRAIN_DELAY", "5s").contains("whole number of seconds"));
        assert!(said("B3SCALE_API_CORS_ORIGINS", "*,admin.example").contains("it is not an origin: "));
        assert!(said("B3SCALE_API_CORS_ORIGINS", "https://admin.example/").contains("no path"));
        assert!(Config::read(&environment(&[("B3SCALE_API_CORS_ORIGINS", "https://a.example:8443, *")])).is_ok());
        assert!(said("B3SCALE_API_OPERATOR_FIELDS", "active,requird_tags").contains("did you mean `required_tags`?"));
    }

    #[test]
    fn an_empty_value_is_refused_where_its_default_makes_or_opens_something_and_else_is_none() {
        for name in KNOWN {
            let read = |value| environment(&[(name, value)]).value(name).map(|value| value.is_none());
            for value in ["", " "] {
                if NEVER_EMPTY.contains(&name) {
                    let said = read(value).unwrap_err().to_string();
                    assert!(
                        said.ends_with(": it is empty; set it to something, or unset it to have its default"),
                        "{said}"
                    );
                } else {
                    assert_eq!(read(value), Ok(true), "{name}");
                }
            }
        }
        assert!(NEVER_EMPTY.iter().all(|name| KNOWN.contains(name)));
        let harmless = KNOWN.into_iter().filter(|name| !NEVER_EMPTY.contains(name));
        let environment = environment(&harmless.map(|name| (name, "")).collect::<Vec<_>>());
        assert!(Config::read(&environment).is_ok() && LogSettings::read(&environment).is_ok());
        assert_eq!(environment.parse("B3SCALE_LOAD_FACTOR", "a number is wanted"), Ok(None::<f64>));
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_refused() {
        let said = |name| Config::read(&environment(&[(name, "\u{fffd}.toml")])).unwrap_err().to_string();
        assert!(said("B3SCALE_PIPELINE").ends_with("UTF-8 is wanted"));
        assert!(said("B3SCALE_AGENT_TAGS").ends_with("UTF-8 is wanted"));
    }

    #[test]
    fn levels_of_the_original_are_understood() {
        let level =
            |value| LogSettings::read(&environment(&[("B3SCALE_LOG_LEVEL", value)])).map(|settings| settings.level);
        assert_eq!(level("-1"), Ok(LevelFilter::TRACE));
        assert_eq!(level("fatal"), Ok(LevelFilter::ERROR));
        assert!(level("loud").is_err());
    }

    #[test]
    fn a_variable_that_nobody_reads_is_found() {
        let environment = environment(&[("B3SCALE_LISTEN", "x"), ("B3SCALE_LISTEN_HTTP", "x"), ("PATH", "x")]);
        assert_eq!(environment.unknown().collect::<Vec<_>>(), ["B3SCALE_LISTEN"]);
        assert_eq!(Environment::meant("B3SCALE_DB_ULR"), Some("B3SCALE_DB_URL"));
        assert_eq!(Environment::meant("B3SCALE_COLOUR"), None);
    }

    #[test]
    fn a_variable_of_the_original_that_does_nothing_yet_is_named_with_what_that_means() {
        let all: Vec<_> = IDLE.iter().map(|(name, _)| (*name, "1")).collect();
        assert_eq!(environment(&all).idle().collect::<Vec<_>>(), IDLE);
        assert!(IDLE.iter().all(|(name, _)| KNOWN.contains(name)), "it is not warned about twice");
        let silent = [("B3SCALE_REVERSE_PROXY_MODE", "false"), ("B3SCALE_RECORDINGS_INBOX_PATH", "")];
        assert_eq!(environment(&silent).idle().count(), 0);
    }

    #[test]
    fn a_line_of_a_file_is_read_as_the_original_reads_it() {
        assert_eq!(assignment("A = \"b # c\" "), Some(("A".to_owned(), "b # c".to_owned())));
        assert_eq!(assignment("# A=b"), None);
        assert_eq!(assignment("nothing"), None);
    }
}
