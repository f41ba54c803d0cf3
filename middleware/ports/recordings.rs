//! What stages ask of the recordings.

use futures_util::future::BoxFuture;

use crate::cluster::{
    FrontendId, NewTrack, RecordId, RecordingChange, RecordingCursor, RecordingPage, RecordingQuery, TextTrack,
};
use crate::fault::Fault;

/// The recordings of all frontends. A recording of another frontend does not exist for a caller.
pub trait Recordings: Send + Sync {
    /// A part of a list: its beginning, or from that place on. A list with a limit is whole in one part. Links are whole URLs, those of protected recordings with a ticket.
    fn list<'a>(
        &'a self,
        frontend: FrontendId,
        query: &'a RecordingQuery,
        from: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>>;

    /// Changes all of these recordings, or none. Ids that the frontend does not have are passed over, deleted ones too. `false`: it has none of them.
    fn change<'a>(
        &'a self,
        frontend: FrontendId,
        ids: &'a [RecordId],
        change: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>>;

    /// The text tracks of a recording. `None`: there is no such recording.
    fn tracks<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
    ) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>>;

    /// Puts a text track to a recording, in place of an earlier one of its kind and language. `false`: there is no such recording.
    fn put_track<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
        track: NewTrack,
    ) -> BoxFuture<'a, Result<bool, Fault>>;
}
