//! Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.
//!
//! Each is sent an end until its node says that it has none. In between, its meeting can be created there again.

use std::sync::Arc;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::cluster::Backend;
use futures_util::{StreamExt, stream};

use super::{ATTEMPT_LIMIT, Cluster};
use crate::store::{MeetingCopy, StoreError};
use crate::telemetry::catalog::COPIES_ENDED;

/// How many copies are ended at once.
const COPIES_AT_ONCE: usize = 16;

/// Why a copy could not be ended.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Node(#[from] Fault),
}

impl Cluster {
    /// Ends what can be ended of them.
    pub(super) async fn end_copies(&self) -> Result<(), StoreError> {
        let copies = self.0.store.load_copies().await?;
        stream::iter(&copies).for_each_concurrent(COPIES_AT_ONCE, |copy| self.end_copy(copy)).await;
        Ok(())
    }

    async fn end_copy(&self, copy: &MeetingCopy) {
        let backend = self.0.view.roster().backend(copy.backend).cloned();
        let Some(backend) = backend.filter(|backend| backend.is_up()) else { return };
        if let Err(error) = self.try_to_end(copy, &backend).await {
            tracing::debug!(meeting.id = %copy.id, backend.id = %backend.id, %error, "A copy could not be ended yet");
        }
    }

    async fn try_to_end(&self, copy: &MeetingCopy, backend: &Arc<Backend>) -> Result<(), CopyError> {
        let store = &self.0.store;
        if !self.noted(store.take_copy(copy).await)? {
            return Ok(());
        }
        let mut params = Params::default();
        params.set("meetingID", copy.id.as_ref());
        let reply = self.ask(backend, CallKind::End, &params).await?;
        if reply.failed_with("notFound") && self.noted(store.forget_copy(copy, ATTEMPT_LIMIT).await)? {
            COPIES_ENDED.with([]).increment(1);
            tracing::info!(meeting.id = %copy.id, backend.id = %backend.id, "A copy has been ended");
            return Ok(());
        }
        // An end that was not answered may yet be carried out: then the copy stays taken for as long as that may take.
        Ok(self.noted(store.rest_copy(copy).await)?)
    }
}
