//! How meetings end, in the database and in the view.

use std::sync::Arc;

use b3scale_middleware::cluster::Meeting;

use super::replica::Replica;
use crate::store::StoreError;

/// Writes down the ends of meetings. A step that cannot be written is taken by the node's next report.
pub(super) struct Endings(pub(super) Arc<Replica>);

impl Endings {
    /// The node has accepted the meeting's end.
    pub(super) async fn record_accepted(&self, meeting: &Meeting) {
        let Replica { store, view, .. } = &*self.0;
        match self.0.observe(store.record_ending(meeting).await) {
            Ok(Some(ending)) => view.take_meeting(&Arc::new(ending)),
            Ok(None) => self.0.reread_meeting(&meeting.id).await,
            Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Recording a meeting's ending failed"),
        }
    }

    /// The meeting is gone.
    pub(super) async fn forget(&self, meeting: &Meeting) {
        if let Err(error) = self.try_forget(meeting).await {
            tracing::warn!(meeting.id = %meeting.id, %error, "Recording a meeting's end failed");
        }
    }

    /// The same for a caller who wants to know whether it could be written.
    ///
    /// # Errors
    /// It could not.
    pub(super) async fn try_forget(&self, meeting: &Meeting) -> Result<(), StoreError> {
        if self.0.observe(self.0.store.forget_meeting(meeting).await)? {
            self.0.view.remove_meeting(&meeting.id, meeting.version);
        } else {
            self.0.reread_meeting(&meeting.id).await;
        }
        Ok(())
    }

    /// The meeting's place is needed before its node has carried out its end.
    pub(super) async fn let_go(&self, meeting: &Meeting) {
        match self.0.observe(self.0.store.let_go_of_meeting(meeting).await) {
            Ok(true) => self.0.view.remove_meeting(&meeting.id, meeting.version),
            Ok(false) => self.0.reread_meeting(&meeting.id).await,
            Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Letting go of a meeting failed"),
        }
    }
}
