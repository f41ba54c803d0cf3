//! The change feed: changes of other servers, through `LISTEN` on a connection of its own.

use std::future::poll_fn;
use std::time::Duration;

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, FrontendId, RecordId};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Connection, Socket};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::ledger::{Announcements, Change, Feed};

/// Changes that wait to be read. When it is full, PostgreSQL keeps the rest.
const CAPACITY: usize = 1024;
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a feed may bring nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);

impl Change {
    /// Reads an announcement. `None` for an unknown one of a newer version.
    fn parse(payload: &str) -> Option<Self> {
        let (kind, id) = payload.split_once(':')?;
        match kind {
            "frontend" => Some(Self::Frontend(FrontendId(id.parse().ok()?))),
            "backend" => Some(Self::Backend(BackendId(id.parse().ok()?))),
            "meeting" => Some(Self::Meeting(ScopedId::verbatim(id))),
            "command" => Some(Self::Command(id.parse().ok()?)),
            "recording" => Some(Self::Recording(RecordId::new(id)?)),
            "pipeline" => Some(Self::Pipeline),
            "echo" => Some(Self::Echo(id.parse().ok()?)),
            _ => None,
        }
    }
}

#[async_trait]
impl Announcements for Store {
    async fn echo(&self, server: Uuid) -> Result<(), StoreError> {
        let sql = "SELECT pg_notify('b3scale', 'echo:' || $1::text)::text";
        self.rows("announce an echo", sql, &[&server.to_string()]).await.map(drop)
    }

    async fn announce_pipeline(&self) -> Result<(), StoreError> {
        self.rows("announce a pipeline", "SELECT pg_notify('b3scale', 'pipeline:reload')::text", &[]).await.map(drop)
    }

    fn feed(&self) -> Feed {
        let (changes, feed) = mpsc::channel(CAPACITY);
        let store = self.clone();
        tokio::spawn(async move {
            let listening = listen_forever(&store, &changes);
            tokio::select! {
                () = listening => {}
                () = changes.closed() => {}
            }
        });
        feed
    }
}

async fn listen_forever(store: &Store, changes: &mpsc::Sender<Change>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        if let Err(error) = listen(store, changes).await {
            tracing::warn!(%error, "Change feed lost, reconnecting");
        }
        // Only a connection that held proves that the trouble is over.
        pause = if began.elapsed() > LONGEST_PAUSE { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}

/// Listens until the connection is lost.
async fn listen(store: &Store, changes: &mpsc::Sender<Change>) -> Result<(), StoreError> {
    let failed = |error: &tokio_postgres::Error| StoreError::from_postgres("listen", store.place(), error);
    let connected = store.target.config.connect(store.connector.clone()).await;
    let (client, connection) = connected.map_err(|error| failed(&error))?;
    let subscribed = async {
        client.batch_execute("LISTEN b3scale").await?;
        // Anything committed from here on is announced, so a full load begun now misses nothing.
        let _ = changes.send(Change::Reconnected).await;
        // The connection lives as long as its client.
        std::future::pending::<Result<(), tokio_postgres::Error>>().await
    };
    let outcome = tokio::select! {
        outcome = forward(connection, changes) => outcome,
        outcome = subscribed => outcome,
    };
    outcome.map_err(|error| failed(&error))
}

async fn forward<T: TlsStream + Unpin>(
    mut connection: Connection<Socket, T>,
    changes: &mpsc::Sender<Change>,
) -> Result<(), tokio_postgres::Error> {
    loop {
        // Echoes come every few seconds. A connection that brings none is dead, or leads to something that does not listen.
        let message = timeout(LONGEST_SILENCE, poll_fn(|context| connection.poll_message(context))).await;
        let Ok(Some(message)) = message else { return Ok(()) };
        let AsyncMessage::Notification(announcement) = message? else { continue };
        if let Some(change) = Change::parse(announcement.payload()) {
            let _ = changes.send(change).await;
        }
    }
}
