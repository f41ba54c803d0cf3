//! Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.
//!
//! Each is sent an end until its node says that it has none. In between, its meeting can be created there again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::cluster::{Backend, BackendId};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Cluster;
use crate::store::{MeetingCopy, StoreError};
use crate::telemetry::catalog::COPIES_ENDED;

/// How many copies are ended at once on one node.
const COPIES_AT_ONCE: usize = 4;

/// How long a node must say that it has no copy before it is believed. A create that it got before it answered anything may
/// still be under way. Should that take longer, the meeting is a stray in the node's next report.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Why a copy could not be ended.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Node(#[from] Fault),
}

impl Cluster {
    /// Ends what can be ended of them, on every node at once.
    pub(super) async fn end_copies(&self) -> Result<(), StoreError> {
        let mut places: HashMap<BackendId, Vec<MeetingCopy>> = HashMap::new();
        for copy in self.0.store.load_copies().await? {
            places.entry(copy.backend).or_default().push(copy);
        }
        stream::iter(places).for_each_concurrent(None, |(id, copies)| self.end_copies_on(id, copies)).await;
        Ok(())
    }

    /// The first end that fails leaves the rest for later: a node that hangs takes none of the others.
    async fn end_copies_on(&self, id: BackendId, copies: Vec<MeetingCopy>) {
        let backend = self.0.view.roster().backend(id).cloned();
        let Some(backend) = backend.filter(|backend| backend.is_up()) else { return };
        let ends = stream::iter(copies).map(|copy| self.end_copy(copy, &backend));
        if let Err(error) = ends.buffer_unordered(COPIES_AT_ONCE).try_for_each(async |()| Ok(())).await {
            tracing::debug!(backend.id = %id, %error, "A copy could not be ended yet");
        }
    }

    async fn end_copy(&self, copy: MeetingCopy, backend: &Arc<Backend>) -> Result<(), CopyError> {
        let store = &self.0.store;
        if !self.noted(store.take_copy(&copy).await)? {
            return Ok(());
        }
        let mut params = Params::default();
        params.set("meetingID", copy.id.as_ref());
        let reply = self.ask(backend, CallKind::End, &params).await?;
        if reply.failed_with("notFound") && self.noted(store.forget_copy(&copy, SETTLED_AFTER).await)? {
            COPIES_ENDED.with([]).increment(1);
            tracing::info!(meeting.id = %copy.id, backend.id = %backend.id, "A copy has been ended");
            return Ok(());
        }
        // An end that was not answered may yet be carried out: then the copy stays taken for as long as that may take.
        Ok(self.noted(store.rest_copy(&copy, reply.is_success()).await)?)
    }
}
