//! Recordings in memory.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::Memory;
use crate::cluster::{
    FrontendId, NewTrack, RecordId, RecordingChange, RecordingCursor, RecordingPage, RecordingQuery, TextTrack,
};
use crate::fault::Fault;
use crate::ports::Recordings;

impl Recordings for Memory {
    fn list<'a>(
        &'a self,
        _: FrontendId,
        _: &'a RecordingQuery,
        _: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>> {
        ready(Ok(RecordingPage::default())).boxed()
    }

    fn change<'a>(
        &'a self,
        _: FrontendId,
        _: &'a [RecordId],
        _: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(false)).boxed()
    }

    fn tracks<'a>(&'a self, _: FrontendId, _: &'a RecordId) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>> {
        ready(Ok(None)).boxed()
    }

    fn put_track<'a>(&'a self, _: FrontendId, _: &'a RecordId, _: NewTrack) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(false)).boxed()
    }
}
