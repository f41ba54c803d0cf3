//! An agent's settings: the environment for the server, BBB's own files for the node.

use std::fs;
use std::io;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use b3scale_base::client::{Api, ApiError, ApiSettings};
use b3scale_base::net::url::without_user;
use b3scale_base::program::{BBB_CONFIG, Environment};
use b3scale_base::rest::AGENT;
use b3scale_base::rest::check::AGENTS_FACTORS;
use b3scale_middleware::bbb::Secret;
use rustix::io::Errno;
use url::Url;

use super::AgentError;
use super::properties::Properties;

/// What BBB's packages bring.
const PACKAGED: &str = "/usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties";
/// What administrators put over that.
const ADMINS: &str = "/etc/bigbluebutton/bbb-web.properties";
/// Says which BBB is installed.
const RELEASE: &str = "/etc/bigbluebutton/bigbluebutton-release";
/// Where the original's package keeps the token.
const TOKEN_FILE: &str = "/var/lib/b3scaleagent/jwt";
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server, and how to prove who we are.
#[derive(Clone, Debug)]
pub(super) struct Server {
    url: String,
    ca_file: Option<PathBuf>,
    token: TokenSource,
}

#[derive(Clone, Debug)]
enum TokenSource {
    Given(String),
    /// Read again when the server refuses its token.
    File(PathBuf),
}

/// The BBB of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The base URL of its API, ending in a slash.
    pub(super) url: String,
    /// The secret of its checksums.
    pub(super) secret: Secret,
    pub(super) redis: RedisPlace,
    /// Empty: unknown.
    pub(super) bbb_version: String,
}

/// Where BBB's Redis is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedisPlace {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) password: Option<Secret>,
}

/// How much a unit of load counts on this node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LoadFactor(pub(super) f64);

/// An invalid load factor.
#[derive(Debug, thiserror::Error)]
#[error("it is no number from {} to {}", AGENTS_FACTORS.start(), AGENTS_FACTORS.end())]
pub(super) struct NoFactor;

impl FromStr for LoadFactor {
    type Err = NoFactor;

    fn from_str(text: &str) -> Result<Self, NoFactor> {
        text.parse().ok().filter(|factor| AGENTS_FACTORS.contains(factor)).map(Self).ok_or(NoFactor)
    }
}

impl Server {
    /// A known one.
    pub(super) fn given(url: String, token: String) -> Self {
        Self { url, ca_file: None, token: TokenSource::Given(token) }
    }

    pub(super) fn read(environment: &Environment) -> Result<Self, AgentError> {
        let url = environment.value("B3SCALE_API_URL")?.ok_or(AgentError::NoServer)?.to_owned();
        let ca_file = environment.path("B3SCALE_API_CA_FILE")?;
        let token = match environment.value("B3SCALE_API_ACCESS_TOKEN")? {
            Some(token) => TokenSource::Given(token.to_owned()),
            None => TokenSource::File(environment.value("B3SCALE_API_TOKEN_FILE")?.unwrap_or(TOKEN_FILE).into()),
        };
        Ok(Self { url, ca_file, token })
    }

    /// The token as it is now.
    pub(super) fn token(&self) -> Result<String, AgentError> {
        match &self.token {
            TokenSource::Given(token) => Ok(token.clone()),
            TokenSource::File(path) => {
                let missing = |reason: String| AgentError::NoToken { path: path.clone(), reason };
                let text = fs::read_to_string(path).map_err(|error| missing(format!("cannot be read: {error}")))?;
                token_in(&text).ok_or_else(|| missing("holds none".to_owned()))
            }
        }
    }

    /// A client with this token.
    pub(super) fn api(&self, token: &str) -> Result<Api, ApiError> {
        self.patient(token, PATIENCE)
    }

    /// A client without a token, for requests that take so long and are signed one by one.
    pub(super) fn uploader(&self, patience: Duration) -> Result<Api, ApiError> {
        self.patient("", patience)
    }

    fn patient(&self, token: &str, patience: Duration) -> Result<Api, ApiError> {
        let user_agent = format!("{AGENT}/{}", env!("CARGO_PKG_VERSION"));
        let (url, token, ca_file) = (self.url.clone(), token.to_owned(), self.ca_file.clone());
        Api::new(&ApiSettings { url, token, user_agent, ca_file, patience })
    }
}

/// The token that a file holds: by itself, or as the original's package has it, as a variable.
fn token_in(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let token = line.strip_prefix("B3SCALE_API_ACCESS_TOKEN=").unwrap_or(line).trim_matches(['"', '\'']);
    (!token.is_empty()).then(|| token.to_owned())
}

impl Node {
    pub(super) fn read(environment: &Environment) -> Result<Self, AgentError> {
        let given = environment.text(BBB_CONFIG).map(PathBuf::from);
        let packaged = read(Path::new(PACKAGED))?;
        let path = given.clone().unwrap_or_else(|| ADMINS.into());
        let admins = read(&path)?;
        // A named file must exist; one of the two must exist in any case.
        if admins.is_none() && (given.is_some() || packaged.is_none()) {
            return Err(AgentError::Unreadable { path, source: Errno::NOENT.into() });
        }
        let files =
            if packaged.is_some() { format!("{PACKAGED} and {}", path.display()) } else { path.display().to_string() };
        let properties = packaged.unwrap_or_default().overridden_by(admins.unwrap_or_default());
        let release = fs::read_to_string(RELEASE).unwrap_or_default();
        Self::of(&properties, &files, &release)
    }

    fn of(properties: &Properties, files: &str, release: &str) -> Result<Self, AgentError> {
        let value = |key| match properties.value(key) {
            Some(value) if has_reference(&value) => Err(AgentError::Reference { files: files.to_owned(), key }),
            value => Ok(value),
        };
        let missing = |key| AgentError::Missing { files: files.to_owned(), key };
        let wanted = |key| value(key)?.ok_or_else(|| missing(key));
        let url = base(&wanted("bigbluebutton.web.serverURL")?)?;
        let key = "securitySalt";
        let secret = Secret::new(&wanted(key)?).ok_or_else(|| missing(key))?;
        let redis = RedisPlace {
            host: value("redisHost")?.unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: value("redisPort")?.map_or(Ok(6379), port)?,
            password: value("redisPassword")?.and_then(|password| Secret::new(&password)),
        };
        let bbb_version = Properties::parse(release).value("BIGBLUEBUTTON_RELEASE").unwrap_or_default();
        Ok(Self { url, secret, redis, bbb_version })
    }
}

/// `None`: there is no such file.
fn read(path: &Path) -> Result<Option<Properties>, AgentError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(Properties::parse(&String::from_utf8_lossy(&bytes)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AgentError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Whether a value still refers to a property, which is not set or refers to itself.
fn has_reference(value: &str) -> bool {
    value.split_once("${").is_some_and(|(_, rest)| rest.contains('}'))
}

fn port(value: String) -> Result<u16, AgentError> {
    let port: Option<NonZeroU16> = value.parse().ok();
    let wanted = "a port from 1 to 65535 is wanted";
    port.map(NonZeroU16::get).ok_or(AgentError::Property { key: "redisPort", value, wanted })
}

/// The base URL of the API of a BBB at this URL.
fn base(server: &str) -> Result<String, AgentError> {
    let is_web = Url::parse(server).is_ok_and(|url| {
        let is_whole = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.port() != Some(0) && is_whole
    });
    let shown = without_user(server);
    if !is_web || shown != server {
        let (key, wanted) =
            ("bigbluebutton.web.serverURL", "a URL such as https://node.example is wanted, without a path");
        return Err(AgentError::Property { key, value: shown.into_owned(), wanted });
    }
    Ok(format!("{}/bigbluebutton/api/", server.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Result<Node, String> {
        let release = "BIGBLUEBUTTON_RELEASE=3.0.4\n";
        Node::of(&Properties::parse(text), "bbb-web.properties", release).map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_is_read_from_its_properties() {
        let node =
            node("bigbluebutton.web.serverURL=https://n.example/\nsecuritySalt=s\nredisPassword=p@ss/#\n").unwrap();
        assert_eq!(node.url, "https://n.example/bigbluebutton/api/");
        assert_eq!((node.secret.expose(), &*node.bbb_version), ("s", "3.0.4"));
        assert_eq!((&*node.redis.host, node.redis.port), ("127.0.0.1", 6379));
        assert_eq!(node.redis.password.as_ref().map(Secret::expose), Some("p@ss/#"));
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named() {
        let url = "bigbluebutton.web.serverURL=https://n.example\n";
        assert!(node(url).unwrap_err().starts_with("bbb-web.properties has no securitySalt"));
        assert!(node("securitySalt=s").unwrap_err().contains("bigbluebutton.web.serverURL"));
        let wrong = node(&format!("{url}securitySalt=s\nredisPort=six")).unwrap_err();
        assert_eq!(wrong, "redisPort=`six` in the settings of bbb-web: a port from 1 to 65535 is wanted");
        assert!(node(&format!("{url}securitySalt=s\nredisPort=0")).unwrap_err().starts_with("redisPort=`0` in"));
        for url in
            ["n.example", "https://n/bigbluebutton/api", "https://n/?a", "https://n/#a", "https://n:0", "https://"]
        {
            let said = node(&format!("bigbluebutton.web.serverURL={url}\nsecuritySalt=s")).unwrap_err();
            assert!(said.contains("a URL such as https://node.example is wanted, without a path"), "{url}: {said}");
        }
    }

    #[test]
    fn a_reference_to_a_property_that_is_not_set_is_refused_and_no_secret_is_shown() {
        let good = [("bigbluebutton.web.serverURL", "https://n"), ("securitySalt", "s"), ("redisHost", "h")];
        for (key, value) in [
            ("bigbluebutton.web.serverURL", "https://${hots}"),
            ("securitySalt", "geheim${slat}"),
            ("redisHost", "${redis}"),
            ("redisPort", "${redisPort}"),
            ("redisPassword", "geheim${word}"),
        ] {
            let lines = good.into_iter().chain([(key, value)]).map(|(key, value)| format!("{key}={value}\n"));
            let said = node(&lines.collect::<String>()).unwrap_err();
            assert!(said.starts_with(&format!("{key} in bbb-web.properties refers to a property")), "{said}");
            assert!(!said.contains("geheim"), "{said}");
        }
        let open = node("bigbluebutton.web.serverURL=https://n\nsecuritySalt=a${b").unwrap();
        assert_eq!(open.secret.expose(), "a${b");
    }

    #[test]
    fn a_token_may_stand_alone_or_as_a_variable() {
        assert_eq!(token_in("\n# for node 1\na.b.c\n").as_deref(), Some("a.b.c"));
        assert_eq!(token_in("B3SCALE_API_ACCESS_TOKEN=\"a.b.c\"").as_deref(), Some("a.b.c"));
        assert_eq!(token_in(" \n"), None);
    }

    #[test]
    fn a_load_factor_is_within_bounds() {
        let factor = |text: &str| text.parse::<LoadFactor>().ok().map(|factor| factor.0);
        assert_eq!(
            ["1.5", "0", "1e-300", "11", "NaN", "inf", "x"].map(factor),
            [Some(1.5), None, None, None, None, None, None]
        );
    }
}
