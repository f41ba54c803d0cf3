//! Reading sets and hashes from Redis, many at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisError};

use crate::import::ImportError;

/// How long to wait for a connection, and for the answers to one batch.
const LIMIT: Duration = Duration::from_secs(10);
/// Commands that are sent before their answers are read.
const BATCH: usize = 1000;

/// The fields of a hash.
pub(super) type Hash = HashMap<String, String>;

/// Redis, as far as one prefix goes.
pub(super) struct Redis {
    connection: MultiplexedConnection,
    namespace: String,
    place: String,
}

impl Redis {
    pub(super) async fn connect(url: &str, namespace: &str) -> Result<Self, ImportError> {
        let wrong = |error: RedisError| ImportError::Redis { place: "that URL".to_owned(), reason: reason(&error) };
        let client = Client::open(url).map_err(wrong)?;
        let place = place(client.get_connection_info().addr());
        let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        let connected = client.get_multiplexed_async_connection_with_config(&limits).await;
        let connection =
            connected.map_err(|error| ImportError::Redis { place: place.clone(), reason: reason(&error) })?;
        Ok(Self { connection, namespace: namespace.to_owned(), place })
    }

    /// Host and port, or the socket.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The members of some sets.
    pub(super) async fn sets<const N: usize>(&self, keys: [&str; N]) -> Result<[BTreeSet<String>; N], ImportError> {
        let sets = self.members(keys.map(str::to_owned).into()).await?;
        Ok(sets.try_into().unwrap_or_else(|_| keys.map(|_| BTreeSet::new())))
    }

    /// The members of sets, in the order of their keys. A set that is not there is empty.
    pub(super) async fn members(&self, keys: Vec<String>) -> Result<Vec<BTreeSet<String>>, ImportError> {
        self.ask("SMEMBERS", &keys).await
    }

    /// The hashes of a kind by their ids: `kind:id`. Missing ones are left out.
    pub(super) async fn hashes(
        &self,
        kind: &str,
        ids: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Hash>, ImportError> {
        let keys: Vec<_> = ids.iter().map(|id| format!("{kind}:{id}")).collect();
        let hashes: Vec<Hash> = self.ask("HGETALL", &keys).await?;
        Ok(ids.iter().cloned().zip(hashes).filter(|(_, hash)| !hash.is_empty()).collect())
    }

    async fn ask<T: FromRedisValue>(&self, command: &str, keys: &[String]) -> Result<Vec<T>, ImportError> {
        let mut connection = self.connection.clone();
        let mut answers = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let mut pipe = redis::pipe();
            for key in batch {
                pipe.cmd(command).arg(format!("{}:{key}", self.namespace));
            }
            let answered: Result<Vec<T>, RedisError> = pipe.query_async(&mut connection).await;
            let failed = |error| ImportError::Redis { place: self.place.clone(), reason: reason(&error) };
            answers.extend(answered.map_err(failed)?);
        }
        Ok(answers)
    }
}

/// The error in one line, with the remedy where it is plain.
fn reason(error: &RedisError) -> String {
    const PASSWORD: &str = "it wants another password; the URL has it as redis://:PASSWORD@HOST";
    // A batch that fails tells of every command in it, and the first says it all.
    let refusals = error.clone().into_server_errors().unwrap_or_default();
    if let Some((_, refusal)) = refusals.first() {
        let (code, details) = (refusal.code(), refusal.details().unwrap_or("it refuses to answer"));
        return if code == "NOAUTH" { PASSWORD.to_owned() } else { format!("{details} ({code})") };
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => PASSWORD.to_owned(),
        _ if error.is_timeout() => format!("it does not answer within {} s", LIMIT.as_secs()),
        ErrorKind::InvalidClientConfig => format!("{error}; a URL is redis://HOST, rediss://HOST or unix:///SOCKET"),
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            format!("a key holds something else than scalelite's: {error}")
        }
        _ => error.to_string(),
    }
}

fn place(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Unix(path) => format!("`{}`", path.display()),
        other => format!("`{other}`"),
    }
}
