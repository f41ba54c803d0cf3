//! The settings of a server, from its environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use crate::admin::OperatorField;
use crate::budget::Budget;
use crate::net::egress::EgressSettings;
use crate::net::nodes::UpstreamSettings;
use crate::program::{ConfigError, Environment};
use crate::recordings::RecordingsConfig;

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
    /// Proxies trusted to name the client of a request, in addition to those on this machine.
    pub trusted_proxies: Vec<IpAddr>,
    /// The origins of pages that may use the REST API in a browser; `*` for any. None: no page may.
    pub cors_origins: Vec<HeaderValue>,
    /// What customers do not change of their frontends.
    pub operator_fields: Vec<OperatorField>,
    /// The tags that agents may give their nodes, and take.
    pub agent_tags: Vec<String>,
    /// The pipeline file. `None`: the compiled-in one.
    pub pipeline: Option<PathBuf>,
    /// How nodes are asked, and which of their certificates are trusted.
    pub upstream: UpstreamSettings,
    /// How addresses that tenants name are reached, and which inward networks are open to that.
    pub egress: EgressSettings,
    /// Where recordings are, and who sees them.
    pub recordings: RecordingsConfig,
    /// Required from clients that ask for metrics.
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
            egress: EgressSettings {
                allow: environment.list("B3SCALE_EGRESS_ALLOW", "networks such as 10.1.0.0/16,fd00::/8 are wanted")?,
                ..EgressSettings::default()
            },
            recordings: RecordingsConfig::read(environment)?,
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
    usable
        .map(Budget::of)
        .ok_or_else(|| ConfigError::new(name, &mib.to_string(), format!("at least {LEAST_BUDGET} MiB are wanted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(values: &[(&str, &str)]) -> Environment {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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
        assert!(said("B3SCALE_EGRESS_ALLOW", "10.0.0.0/33").contains("networks such as 10.1.0.0/16"));
        let open = Config::read(&environment(&[("B3SCALE_EGRESS_ALLOW", "10.1.0.0/16, fd00::/8")])).unwrap();
        assert_eq!(open.egress.allow.len(), 2);
        assert!(said("B3SCALE_API_CORS_ORIGINS", "*,admin.example").contains("it is not an origin: "));
        assert!(said("B3SCALE_API_CORS_ORIGINS", "https://admin.example/").contains("no path"));
        assert!(Config::read(&environment(&[("B3SCALE_API_CORS_ORIGINS", "https://a.example:8443, *")])).is_ok());
        assert!(said("B3SCALE_API_OPERATOR_FIELDS", "active,requird_tags").contains("did you mean `required_tags`?"));
    }
}
