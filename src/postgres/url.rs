//! The database URL, in both forms of libpq and with every `sslmode`.
//!
//! `tokio-postgres` knows three of the six modes and no `sslrootcert`, so these two are taken out before it sees the text.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Negotiation};

use super::error::reason;
use super::tls::{Roots, Trust};
use super::{Place, StoreError};

/// A database URL, understood.
#[derive(Clone)]
pub struct Target {
    /// Hosts, user, database, limits.
    pub config: Config,
    /// The check of a server's certificate.
    pub trust: Trust,
    /// Host, name and user, without the password.
    pub place: Place,
}

impl Target {
    /// Reads `postgresql://…` or `key=value …`.
    ///
    /// # Errors
    /// [`StoreError::Setting`], without the password.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let words = if is_url(text) { split_url(text)? } else { split_pairs(text)? };
        let config: Config = words.rest.parse().map_err(|error| StoreError::Setting(unusable(&error)))?;
        let (negotiation, trust) = trust(words.mode.as_deref(), words.roots.as_deref())?;
        let mut target = Self { place: place(&config), config, trust };
        target.complete(negotiation);
        Ok(target)
    }

    fn complete(&mut self, negotiation: Negotiation) {
        if self.config.get_hosts().is_empty() {
            // The host is also the name that certificates are checked for.
            let addresses: Vec<_> = self.config.get_hostaddrs().iter().map(ToString::to_string).collect();
            for address in &addresses {
                self.config.host(address);
            }
            if addresses.is_empty() {
                self.config.host_path("/var/run/postgresql");
            }
        }
        // As libpq does it: TLS does not apply to unix sockets in any mode.
        let local = self.config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        self.config.ssl_mode(if local { Negotiation::Disable } else { negotiation });
        self.config.application_name("b3scaled");
        self.limit();
    }

    /// A dead network must not hold a connection for the two hours that are the default.
    fn limit(&mut self) {
        const DEFAULT_IDLE: Duration = Duration::from_secs(2 * 60 * 60);
        let config = &mut self.config;
        if config.get_keepalives_idle() == DEFAULT_IDLE {
            config.keepalives_idle(Duration::from_secs(10));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(20));
        }
    }
}

/// Words taken out of a URL, and the text without them.
#[derive(Default)]
struct Words {
    rest: String,
    mode: Option<String>,
    roots: Option<String>,
}

impl Words {
    /// Whether the pair was one of ours.
    fn take(&mut self, key: &str, value: &str) -> bool {
        let slot = match key {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.roots,
            _ => return false,
        };
        *slot = Some(value.to_owned());
        true
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn split_url(text: &str) -> Result<Words, StoreError> {
    // A password may hold a question mark, so the query is looked for after the credentials.
    let authority = text.find('@').unwrap_or(0);
    let Some(mark) = text[authority..].find('?').map(|at| at + authority) else {
        return Ok(Words { rest: text.to_owned(), ..Words::default() });
    };
    let mut words = Words::default();
    let mut kept = Vec::new();
    for pair in text[mark + 1..].split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = percent_decode_str(value).decode_utf8();
        let value = decoded.map_err(|_| StoreError::Setting(format!("`{key}` is not UTF-8")))?;
        if !words.take(key, &value) {
            kept.push(pair);
        }
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    words.rest = format!("{}{separator}{}", &text[..mark], kept.join("&"));
    Ok(words)
}

fn split_pairs(text: &str) -> Result<Words, StoreError> {
    let mut words = Words::default();
    let mut left = text.trim_start();
    while !left.is_empty() {
        let Some((key, value)) = left.split_once('=') else {
            return Err(StoreError::Setting(
                "it is neither a URL such as postgresql://HOST/DATABASE nor pairs of key=value".to_owned(),
            ));
        };
        let key = key.trim_end();
        let (value, rest) = pair_value(value.trim_start());
        if !words.take(key, &value) {
            let quoted = value.replace('\\', r"\\").replace('\'', r"\'");
            words.rest.push_str(&format!("{key}='{quoted}' "));
        }
        left = rest.trim_start();
    }
    Ok(words)
}

/// Why a text is no database URL, with the remedy where it is plain.
fn unusable(error: &tokio_postgres::Error) -> String {
    let why = reason(error);
    if why.ends_with("`port`") { format!("{why}; a port is a number from 1 to 65535") } else { why }
}

/// One value, bare or in quotes, with its backslashes resolved, and the text after it.
fn pair_value(text: &str) -> (String, &str) {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |inner| (true, inner));
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return (value, &text[at + 1..]),
            _ if !quoted && letter.is_whitespace() => return (value, &text[at..]),
            _ => value.push(letter),
        }
    }
    (value, "")
}

fn trust(mode: Option<&str>, roots: Option<&str>) -> Result<(Negotiation, Trust), StoreError> {
    let named = roots.map(|path| if path == "system" { Roots::System } else { Roots::File(PathBuf::from(path)) });
    let known = || named.clone().unwrap_or_else(Roots::usual);
    Ok(match mode.unwrap_or("prefer") {
        "disable" => (Negotiation::Disable, Trust::Any),
        "allow" | "prefer" => (Negotiation::Prefer, Trust::Any),
        // With roots at hand libpq checks the chain here, too.
        "require" => (Negotiation::Require, named.map_or(Trust::Any, Trust::Chain)),
        "verify-ca" => (Negotiation::Require, Trust::Chain(known())),
        "verify-full" => (Negotiation::Require, Trust::ChainAndName(known())),
        other => {
            let modes = "disable, allow, prefer, require, verify-ca, verify-full";
            return Err(StoreError::Setting(format!("sslmode `{other}` is unknown; one of {modes} is accepted")));
        }
    })
}

fn place(config: &Config) -> Place {
    let port = |index: usize| config.get_ports().get(index).or_else(|| config.get_ports().first()).unwrap_or(&5432);
    let host = |(index, host): (usize, &Host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(index)),
        Host::Unix(folder) => folder.display().to_string(),
    };
    let hosts: Vec<_> = config.get_hosts().iter().enumerate().map(host).collect();
    let name = config.get_dbname().or(config.get_user()).unwrap_or("?");
    let user = config.get_user().map(|user| format!(" as user `{user}`")).unwrap_or_default();
    Place::new(format!("database `{name}` on `{}`{user}", hosts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_mode_is_known_in_both_forms() {
        for (mode, negotiation) in [
            ("disable", Negotiation::Disable),
            ("allow", Negotiation::Prefer),
            ("prefer", Negotiation::Prefer),
            ("require", Negotiation::Require),
            ("verify-ca", Negotiation::Require),
            ("verify-full", Negotiation::Require),
        ] {
            let url = parse(&format!("postgres://u:p@h/d?connect_timeout=3&sslmode={mode}"));
            let pairs = parse(&format!("host=h sslmode = '{mode}' user=u dbname=d"));
            assert_eq!(url.config.get_ssl_mode(), negotiation, "{mode}");
            assert_eq!(pairs.config.get_ssl_mode(), negotiation, "{mode}");
        }
    }

    #[test]
    fn a_port_that_is_none_is_named_with_what_is_accepted() {
        for text in ["postgres://h:543x/d", "host=h port=70000"] {
            let error = Target::parse(text).err().expect("it is refused").to_string();
            assert!(error.ends_with("; a port is a number from 1 to 65535"), "{error}");
        }
    }

    #[test]
    fn an_unknown_mode_is_named_with_what_is_accepted() {
        let error = Target::parse("postgres://h/d?sslmode=always").err().expect("it is refused");
        assert!(error.to_string().contains("sslmode `always` is unknown; one of disable, allow"), "{error}");
    }

    #[test]
    fn roots_are_taken_out_and_decoded() {
        let target = parse("postgres://h/d?sslrootcert=%2Fetc%2Fmy%20ca.pem&sslmode=verify-full");
        assert!(matches!(target.trust, Trust::ChainAndName(Roots::File(path)) if path.as_os_str() == "/etc/my ca.pem"));
    }

    #[test]
    fn roots_make_require_check_the_chain() {
        assert!(matches!(parse("host=h sslmode=require sslrootcert=/ca").trust, Trust::Chain(_)));
        assert!(matches!(parse("host=h sslmode=require").trust, Trust::Any));
    }

    #[test]
    fn quotes_and_backslashes_of_other_pairs_survive() {
        let target = parse(r"host=h user='o\'neil' password='a \\ b' sslmode=disable dbname=d");
        assert_eq!(target.config.get_user(), Some("o'neil"));
        assert_eq!(target.config.get_password(), Some(br"a \ b".as_slice()));
    }

    #[test]
    fn a_question_mark_in_the_password_is_not_the_query() {
        let target = parse("postgres://u:wh?t@h/d?sslmode=require");
        assert_eq!(target.config.get_password(), Some(b"wh?t".as_slice()));
        assert_eq!(target.config.get_ssl_mode(), Negotiation::Require);
    }

    #[test]
    fn unix_sockets_never_speak_tls() {
        let target = parse("postgres:///d?host=/run/pg&user=u&sslmode=require");
        assert_eq!(target.config.get_ssl_mode(), Negotiation::Disable);
    }

    #[test]
    fn the_place_names_no_password() {
        let target = parse("postgres://u:hunter2@h:6000/d");
        assert_eq!(target.place.to_string(), "database `d` on `h:6000` as user `u`");
    }
}
