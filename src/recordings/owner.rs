//! Frontends as owners of recordings: a recording as its frontend reads it, and the way there.

use b3scale_middleware::bbb::{MeetingId, ScopedId, unscoped};
use b3scale_middleware::cluster::{CallbackKind, Frontend, Recording, RecordingState, Visibility};

use crate::store::{Store, StoreError};

/// A frontend, and its own id of a meeting.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) frontend: Frontend,
    pub(super) meeting_id: String,
}

/// Gives listed recordings to frontends.
#[derive(Clone)]
pub(super) struct Giver {
    store: Store,
    default_visibility: Visibility,
    ready_per_format: bool,
}

impl Giver {
    /// One with the visibility of new recordings, and whether each format is announced.
    pub(super) fn new(store: Store, default_visibility: Visibility, ready_per_format: bool) -> Self {
        Self { store, default_visibility, ready_per_format }
    }

    /// Gives a recording to a frontend, as one of that meeting, and announces it. A recording held for want of a frontend gets the
    /// visibility of a new one. Any other stays as visible as it is, or gets the frontend's override if it is published. URLs of
    /// callbacks in its metadata may be those of a frontend before, so a new one does not read them.
    ///
    /// `None`: one of both is gone.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub(super) async fn give(&self, mut recording: Recording, owner: &Owner) -> Result<Option<Recording>, StoreError> {
        let (imports, recordings) = (self.store.imports(), self.store.recordings());
        let earlier = recording.frontend;
        if earlier != Some(owner.frontend.id) {
            let is_callback = |name: &str| CallbackKind::of_name(&format!("meta_{name}")).is_some();
            let urls: Vec<_> =
                recording.metadata.extract_if(.., |name, _| is_callback(name)).map(|(name, _)| name).collect();
            imports.drop_metadata(&recording.id, &urls).await?;
        }
        let before = recording.metadata.clone();
        owner.claim(&mut recording);
        let changed = recording.metadata.iter().filter(|(name, value)| before.get(*name) != Some(value));
        imports.rename(&recording.id, &changed.collect()).await?;
        let visibility = if imports.is_held(&recording.id).await? {
            // Its node has it published, or it would not have been held.
            let published = Recording { state: RecordingState::Published, ..recording.clone() };
            Some(owner.visibility(&published, self.default_visibility))
        } else {
            owner.forced(&recording).filter(|_| earlier != Some(owner.frontend.id))
        };
        if let Some(visibility) = visibility {
            recordings.set_visibility(&recording.id, visibility).await?;
        }
        // Last, since a recording with a frontend is not adopted again, and the frontend never sees it otherwise.
        recordings.assign(&recording.id, owner.frontend.id, &owner.meeting_id, self.ready_per_format).await
    }
}

/// The frontend's own id in a scoped one. Any other id is its own.
pub(super) fn own_id(id: &str) -> String {
    ScopedId::verbatim(id).decode().map_or_else(|| id.to_owned(), |(_, own)| own.to_string())
}

impl Owner {
    /// Gives a recording to the frontend: with its own ids in all texts.
    pub(super) fn claim(&self, recording: &mut Recording) {
        let nodes_id = std::mem::replace(&mut recording.meeting_id, self.meeting_id.clone());
        recording.frontend = Some(self.frontend.id);
        let own = |id: &ScopedId| {
            let is_this = id.as_ref() == nodes_id;
            if is_this { Some(MeetingId::new(&self.meeting_id)) } else { id.decode_for(&self.frontend.key) }
        };
        for value in recording.metadata.values_mut() {
            if let Some(text) = unscoped(value, own) {
                *value = text;
            }
        }
        if let Some(id) = recording.metadata.get_mut("meetingId") {
            id.clone_from(&self.meeting_id);
        }
    }

    /// The visibility of a new recording. A recording that its node does not publish stays unpublished.
    pub(super) fn visibility(&self, recording: &Recording, default: Visibility) -> Visibility {
        let says = |name: &str| recording.metadata.get(name).is_some_and(|value| value == "true");
        let of_meeting = match (says("gl-listed"), says("protect")) {
            _ if recording.state != RecordingState::Published => Visibility::Unpublished,
            (true, true) => Visibility::PublicProtected,
            (true, false) => Visibility::Public,
            (false, true) => Visibility::Protected,
            (false, false) => default,
        };
        self.forced(recording).unwrap_or(of_meeting)
    }

    /// The visibility that the frontend's settings give to each published recording.
    fn forced(&self, recording: &Recording) -> Option<Visibility> {
        let settings = self.frontend.settings.recordings.as_ref();
        let forced = settings.and_then(|settings| settings.visibility_override);
        forced.filter(|_| recording.state == RecordingState::Published)
    }
}
