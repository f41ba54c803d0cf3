//! The library: the port of the stages that answer calls about recordings.

use b3scale_middleware::Fault;
use b3scale_middleware::cluster::{
    FrontendId, NewTrack, RecordId, RecordingChange, RecordingCursor, RecordingPage, RecordingQuery, TextTrack,
};
use b3scale_middleware::ports::Recordings;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::store::Store;

/// The recordings of all frontends.
pub struct Library {
    store: Store,
}

impl Library {
    /// The library over these tables.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl Recordings for Library {
    fn list<'a>(
        &'a self,
        _: FrontendId,
        _: &'a RecordingQuery,
        _: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>> {
        ready(Err(Fault::StoreAway(self.store.place().to_string()))).boxed()
    }

    fn change<'a>(
        &'a self,
        _: FrontendId,
        _: &'a [RecordId],
        _: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Err(Fault::StoreAway(self.store.place().to_string()))).boxed()
    }

    fn tracks<'a>(&'a self, _: FrontendId, _: &'a RecordId) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>> {
        ready(Err(Fault::StoreAway(self.store.place().to_string()))).boxed()
    }

    fn put_track<'a>(&'a self, _: FrontendId, _: &'a RecordId, _: NewTrack) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Err(Fault::StoreAway(self.store.place().to_string()))).boxed()
    }
}
