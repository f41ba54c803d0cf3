//! The library: the port of the stages that answer calls about recordings.

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::cut;
use b3scale_middleware::cluster::{
    Frontend, FrontendId, NewTrack, RecordId, Recording, RecordingChange, RecordingCursor, RecordingPage,
    RecordingQuery, RecordingState, TextTrack, Visibility,
};
use b3scale_middleware::ports::Recordings;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::links::Links;
use super::owner::{Giver, Owner, own_id};
use super::settings::RecordingsConfig;
use super::settle::{Settle, UPLOAD};
use crate::store::{self, ChangeError, PAGE, POST_HOOKS_JOB, Store, StoreError, StoredTrack};
use crate::work::{Job, Waker};

/// The recordings of all frontends.
pub struct Library {
    store: Store,
    links: Links,
    waker: Waker,
    giver: Giver,
}

impl Library {
    /// The library over these tables. The waker is that of the bench, where [`Settle`] moves the files.
    pub fn new(store: Store, links: Links, waker: Waker, config: &RecordingsConfig) -> Self {
        let giver = Giver::new(store.clone(), config.default_visibility, config.ready_per_format);
        Self { store, links, waker, giver }
    }

    /// A part of a list for operators.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn all(
        &self,
        owner: store::Owner,
        query: &RecordingQuery,
        from: Option<&RecordingCursor>,
    ) -> Result<RecordingPage, StoreError> {
        let mut page = self.store.recordings().list(owner, query, from).await?;
        page.recordings.iter_mut().for_each(|recording| self.links.complete(recording));
        Ok(page)
    }

    /// One recording for operators, in any state.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn find(&self, id: &RecordId) -> Result<Option<Recording>, StoreError> {
        Ok(self.store.recordings().find(id).await?.map(|found| self.completed(found)))
    }

    /// Sets who may see a recording of any frontend. A deleted one comes back from the trash.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn set_visibility(&self, id: &RecordId, visibility: Visibility) -> Result<Option<Recording>, StoreError> {
        let changed = self.store.recordings().set_visibility(id, visibility).await?;
        self.wake();
        Ok(changed.map(|changed| self.completed(changed)))
    }

    /// Moves a recording of any frontend to the trash. `None`: there is none, or it is there.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn delete(&self, id: &RecordId) -> Result<Option<Recording>, StoreError> {
        let deleted = self.store.recordings().delete(id).await?;
        self.wake();
        Ok(deleted.map(|deleted| self.completed(deleted)))
    }

    /// Gives a recording to a frontend, as one of that meeting, else of its own. If the recording was unpublished only because no
    /// frontend had it, it gets the visibility of a new one. `None`: one of both is gone.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn assign(
        &self,
        recording: Recording,
        frontend: Frontend,
        meeting_id: Option<&str>,
    ) -> Result<Option<Recording>, StoreError> {
        let is_owned = recording.frontend.is_some();
        let own = || if is_owned { recording.meeting_id.clone() } else { own_id(&recording.meeting_id) };
        let owner = Owner { meeting_id: meeting_id.map_or_else(own, str::to_owned), frontend };
        let assigned = self.giver.give(recording, &owner).await?;
        self.wake();
        Ok(assigned.map(|assigned| self.completed(assigned)))
    }

    /// The files move, and hooks hear of the change.
    fn wake(&self) {
        [Settle::KIND, POST_HOOKS_JOB].into_iter().for_each(|kind| self.waker.wake(kind));
    }

    fn completed(&self, mut recording: Recording) -> Recording {
        self.links.complete(&mut recording);
        recording
    }

    async fn page(
        &self,
        frontend: FrontendId,
        query: &RecordingQuery,
        from: Option<&RecordingCursor>,
    ) -> Result<RecordingPage, Fault> {
        let owner = store::Owner::Frontend(frontend);
        // A list without a limit comes page by page. Its first page alone passes over the offset.
        let offset = if from.is_some() { 0 } else { query.offset };
        let wanted = RecordingQuery { offset, limit: query.limit.or(Some(PAGE)), ..query.clone() };
        let page = self.all(owner, &wanted, from).await.map_err(|error| fault(&error))?;
        if query.limit.is_none() {
            return Ok(page);
        }
        let total = self.store.recordings().count(owner, query).await.map_err(|error| fault(&error))?;
        Ok(RecordingPage { total: Some(total), next: None, ..page })
    }

    async fn changed(&self, frontend: FrontendId, ids: &[RecordId], change: &RecordingChange) -> Result<bool, Fault> {
        let changed = self.store.recordings().change(frontend, ids, change).await;
        let changed = changed.map_err(|error| match error {
            ChangeError::Store(error) => fault(&error),
            ChangeError::TooMuchMetadata(_) => Fault::validation(error.to_string()),
        })?;
        self.wake();
        Ok(!changed.is_empty())
    }

    /// A recording that the frontend may see.
    async fn visible(&self, frontend: FrontendId, id: &RecordId) -> Result<Option<Recording>, Fault> {
        let found = self.store.recordings().find(id).await.map_err(|error| fault(&error))?;
        Ok(found.filter(|found| found.frontend == Some(frontend) && found.state != RecordingState::Deleted))
    }

    async fn text_tracks(&self, frontend: FrontendId, id: &RecordId) -> Result<Option<Vec<TextTrack>>, Fault> {
        let Some(recording) = self.visible(frontend, id).await? else { return Ok(None) };
        let tracks = self.store.recordings().tracks(id).await.map_err(|error| fault(&error))?;
        let shown = tracks.into_iter().map(|track| TextTrack {
            href: self.links.track(frontend, &recording, track.kind, &track.lang),
            kind: track.kind,
            lang: track.lang,
            label: track.label,
            source: track.source,
        });
        Ok(Some(shown.collect()))
    }

    async fn take_track(&self, frontend: FrontendId, id: &RecordId, new: NewTrack) -> Result<bool, Fault> {
        let NewTrack { kind, lang, label, vtt } = new;
        // It becomes part of a path.
        if lang.is_empty() || !lang.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            let message = format!("Malformed lang param, received={}", cut(&lang));
            return Err(Fault::InvalidParam { key: "invalidLang", message: message.into() });
        }
        if self.visible(frontend, id).await?.is_none() {
            return Ok(false);
        }
        let track = StoredTrack { kind, lang, label, source: UPLOAD.to_owned(), content: vtt };
        let put = self.store.recordings().put_track(id, &track).await.map_err(|error| fault(&error))?;
        self.wake();
        Ok(put)
    }
}

impl Recordings for Library {
    fn list<'a>(
        &'a self,
        frontend: FrontendId,
        query: &'a RecordingQuery,
        from: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>> {
        self.page(frontend, query, from).boxed()
    }

    fn change<'a>(
        &'a self,
        frontend: FrontendId,
        ids: &'a [RecordId],
        change: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        async move { self.changed(frontend, ids, &change).await }.boxed()
    }

    fn tracks<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
    ) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>> {
        self.text_tracks(frontend, id).boxed()
    }

    fn put_track<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
        track: NewTrack,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        self.take_track(frontend, id, track).boxed()
    }
}

fn fault(error: &StoreError) -> Fault {
    if error.is_away() { Fault::StoreAway(error.to_string()) } else { Fault::Internal(error.to_string()) }
}
