//! What people and tools ask of the cluster that calls do not.

use b3scale_middleware::cluster::Meeting;
use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Cluster;

impl Cluster {
    /// This server, as it introduces itself to the others. Made anew with each start.
    pub fn server_id(&self) -> Uuid {
        self.0.id
    }

    /// What a meeting's node last said of it: a `meeting` element. `None`: nothing yet.
    pub fn reported(&self, meeting: &Meeting) -> Option<Bytes> {
        self.0.view.entry(meeting)
    }

    /// People in a meeting, as its node last said.
    pub fn attendees(&self, meeting: &Meeting) -> u32 {
        self.0.view.attendees(meeting)
    }

    /// Rings whenever some server was asked to let every server reload its pipeline.
    pub fn reloads(&self) -> &Notify {
        &self.0.reloads
    }
}
