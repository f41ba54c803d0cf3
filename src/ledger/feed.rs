//! Announcements: how servers hear of each other's changes.

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, FrontendId, RecordId};
use tokio::sync::mpsc;
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// Changes in the order of their commits. Dropping it ends the connection.
pub type Feed = mpsc::Receiver<Change>;

/// Announcing, and hearing of announcements.
#[async_trait]
pub trait Announcements: Send + Sync {
    /// Starts listening. The first thing to come is [`Change::Reconnected`]; so it is after every lost connection, which is
    /// made again with growing pauses of at most two seconds.
    fn feed(&self) -> Feed;

    /// Announces a [`Change::Echo`] to every server.
    async fn echo(&self, server: Uuid) -> Result<(), StoreError>;

    /// Announces a [`Change::Pipeline`] to every server.
    async fn announce_pipeline(&self) -> Result<(), StoreError>;
}

/// Something to read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Listening has begun, the first time or again: load everything, since changes may have been missed.
    Reconnected,
    /// A frontend was configured or removed.
    Frontend(FrontendId),
    /// A backend was configured or removed.
    Backend(BackendId),
    /// A meeting was placed, moved, or is gone.
    Meeting(ScopedId),
    /// A command was recorded, or has come a step further.
    Command(Uuid),
    /// A recording was changed such that running tickets may end, or is gone.
    Recording(RecordId),
    /// Every server is to read its pipeline again.
    Pipeline,
    /// A server has made sure that it hears announcements: everything before this has been heard.
    Echo(Uuid),
}

impl Change {
    /// The word used in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Change::Reconnected => "reconnected",
            Change::Frontend(_) => "frontend",
            Change::Backend(_) => "backend",
            Change::Meeting(_) => "meeting",
            Change::Command(_) => "command",
            Change::Recording(_) => "recording",
            Change::Pipeline => "pipeline",
            Change::Echo(_) => "echo",
        }
    }
}
