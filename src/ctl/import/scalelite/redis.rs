//! Reading sets and hashes from Redis, many at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, Value};

use crate::import::{ImportError, Imported};

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
    address: ConnectionAddr,
}

impl Redis {
    pub(super) async fn connect(url: &str, namespace: &str) -> Result<Self, ImportError> {
        let wrong =
            |error: RedisError| ImportError::Redis { place: "the URL of --from".to_owned(), reason: reason(&error) };
        let client = Client::open(url).map_err(wrong)?;
        let address = client.get_connection_info().addr().clone();
        let limits = AsyncConnectionConfig::new().set_connection_timeout(Some(LIMIT)).set_response_timeout(Some(LIMIT));
        let connected = client.get_multiplexed_async_connection_with_config(&limits).await;
        let connection = connected.map_err(|error| lost(&error, &address))?;
        Ok(Self { connection, namespace: namespace.to_owned(), address })
    }

    /// Host and port, or the socket.
    pub(super) fn place(&self) -> String {
        place(&self.address)
    }

    /// The members of some sets.
    pub(super) async fn sets<const N: usize>(&self, keys: [&str; N]) -> Result<[BTreeSet<String>; N], ImportError> {
        let sets = self.members(keys.map(str::to_owned).into()).await?;
        Ok(sets.try_into().unwrap_or_else(|_| keys.map(|_| BTreeSet::new())))
    }

    /// The members of sets, in the order of their keys. A set that is not there is empty.
    pub(super) async fn members(&self, keys: Vec<String>) -> Result<Vec<BTreeSet<String>>, ImportError> {
        let failed = |reason| ImportError::Redis { place: self.place(), reason };
        let sets = self.ask("SMEMBERS", &keys).await?.into_iter();
        sets.map(|set| set.map_err(failed)).collect()
    }

    /// The hashes of a kind by their ids: `kind:id`. Missing ones are left out, and unreadable ones with a note.
    pub(super) async fn hashes(
        &self,
        kind: &str,
        ids: &BTreeSet<String>,
        imported: &mut Imported,
    ) -> Result<BTreeMap<String, Hash>, ImportError> {
        let keys: Vec<_> = ids.iter().map(|id| format!("{kind}:{id}")).collect();
        let mut found = BTreeMap::new();
        for (id, hash) in ids.iter().zip(self.ask::<Hash>("HGETALL", &keys).await?) {
            match hash {
                Ok(hash) if hash.is_empty() => {}
                Ok(hash) => drop(found.insert(id.clone(), hash)),
                Err(why) => imported.note(format!("Left out: {why}.")),
            }
        }
        Ok(found)
    }

    /// The answer for each key, or why it cannot be read.
    async fn ask<T: FromRedisValue>(
        &self,
        command: &str,
        keys: &[String],
    ) -> Result<Vec<Result<T, String>>, ImportError> {
        let mut connection = self.connection.clone();
        let mut answers = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let key = |key: &str| format!("{}:{key}", self.namespace);
            let mut pipe = redis::pipe();
            pipe.ignore_errors();
            for name in batch {
                pipe.cmd(command).arg(key(name));
            }
            let answered: Result<Vec<Result<Value, RedisError>>, RedisError> = pipe.query_async(&mut connection).await;
            let failed = |error| lost(&error, &self.address);
            for (name, answer) in batch.iter().zip(answered.map_err(failed)?) {
                let read = match answer {
                    Ok(value) => T::from_redis_value(value).map_err(|_| "it holds text that is not UTF-8".to_owned()),
                    Err(error) if is_denied(&error) => return Err(failed(error)),
                    Err(error) => Err(reason(&error)),
                };
                answers.push(read.map_err(|why| format!("the key `{}` cannot be read: {why}", key(name))));
            }
        }
        Ok(answers)
    }
}

/// There is no connection, or it was lost.
fn lost(error: &RedisError, address: &ConnectionAddr) -> ImportError {
    ImportError::Redis { place: place(address), reason: of_connection(error, address) }
}

/// Why there is no connection, in one line with the remedy.
fn of_connection(error: &RedisError, address: &ConnectionAddr) -> String {
    // Its first answer is none of Redis, or it hangs up.
    let is_other = matches!(error.kind(), ErrorKind::Parse | ErrorKind::UnexpectedReturnType)
        || error.is_connection_dropped() && !error.is_connection_refusal();
    if !(is_other || error.is_io_error() || error.is_timeout()) {
        return reason(error);
    }
    let why = if is_other { "what answers there is no Redis".to_owned() } else { reason(error) };
    let tls = match address {
        ConnectionAddr::TcpTls { .. } => ", and whether it speaks TLS: a URL without is redis://HOST",
        _ => "",
    };
    format!("{why}; check host and port{tls}")
}

/// Whether Redis wants another password or user.
fn is_denied(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM"))
}

/// The error in one line, with the remedy where it is plain.
fn reason(error: &RedisError) -> String {
    // An `@` after `://` would be taken for a URL's, and the text before it for a password.
    const PASSWORD: &str = "it wants another password; the URL has it between `redis://:` and `@HOST`";
    // A batch that fails tells of every command in it, and the first says it all.
    let refusals = error.clone().into_server_errors().unwrap_or_default();
    if is_denied(error) || refusals.iter().any(|(_, refusal)| refusal.code() == "NOAUTH") {
        return PASSWORD.to_owned();
    }
    if let Some((_, refusal)) = refusals.first() {
        return format!("{} ({})", refusal.details().unwrap_or("it refuses to answer"), refusal.code());
    }
    match error.kind() {
        _ if error.is_timeout() => format!("it does not answer within {} s", LIMIT.as_secs()),
        ErrorKind::InvalidClientConfig => format!("{error}; a URL is redis://HOST, rediss://HOST or unix:///SOCKET"),
        _ => error.to_string(),
    }
}

fn place(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Unix(path) => format!("`{}`", path.display()),
        other => format!("`{other}`"),
    }
}
