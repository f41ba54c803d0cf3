//! The frontend of an arriving recording, and the recording as that frontend reads it.

use b3scale_middleware::bbb::{MeetingId, ScopedId, unscoped, xml};
use b3scale_middleware::cluster::{Frontend, Recording, RecordingState, Visibility};

use super::Failure;
use crate::store::{FrontendFilter, Import, Store, StoreError};

/// A frontend, and its own id of a meeting.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) frontend: Frontend,
    pub(super) meeting_id: String,
}

/// The owner of a recording: as the import says, else by the history of meetings, else by the id of the meeting itself. A breakout
/// belongs to the frontend of its parent.
pub(super) async fn owner(store: &Store, recording: &Recording, import: &Import) -> Result<Option<Owner>, Failure> {
    let known = known(store, recording).await?;
    let frontend = match (&import.frontend, known.as_ref()) {
        (None, None) => return Ok(None),
        (None, Some(owner)) => owner.frontend.clone(),
        (Some(key), _) => {
            let found = by_key(store, key).await?;
            found.ok_or_else(|| Failure::Refused(format!("a frontend with key `{key}` could not be found")))?
        }
    };
    let given = import.meeting_id.clone();
    let meeting_id = given.or(known.map(|owner| owner.meeting_id)).unwrap_or_else(|| own_id(&recording.meeting_id));
    Ok(Some(Owner { frontend, meeting_id }))
}

async fn known(store: &Store, recording: &Recording) -> Result<Option<Owner>, StoreError> {
    for internal_id in internal_ids(&recording.internal_meeting_id) {
        if let Some(owner) = by_history(store, internal_id).await? {
            return Ok(Some(owner));
        }
    }
    if let Some(breakout) = &recording.breakout
        && let Some(parent) = by_history(store, &breakout.parent_id).await?
    {
        return Ok(Some(Owner { meeting_id: own_id(&recording.meeting_id), ..parent }));
    }
    let Some((key, id)) = ScopedId::verbatim(&recording.meeting_id).decode() else { return Ok(None) };
    let frontend = by_key(store, &key).await?;
    Ok(frontend.map(|frontend| Owner { frontend, meeting_id: id.to_string() }))
}

/// The ids under which a node may know the meeting: a part of a recording that was cut into chapters has a second time at its end.
fn internal_ids(id: &str) -> impl Iterator<Item = &str> {
    let of_chapter = id.match_indices('-').nth(1).map(|(end, _)| &id[..end]);
    [Some(id), of_chapter].into_iter().flatten()
}

async fn by_history(store: &Store, internal_id: &str) -> Result<Option<Owner>, StoreError> {
    let Some((id, meeting_id)) = store.recordings().owner_of(internal_id).await? else { return Ok(None) };
    let frontend = store.frontends().find(id).await?;
    Ok(frontend.map(|frontend| Owner { frontend, meeting_id }))
}

async fn by_key(store: &Store, key: &str) -> Result<Option<Frontend>, StoreError> {
    let filter = FrontendFilter { key: Some(key.to_owned()), ..FrontendFilter::default() };
    Ok(store.frontends().list(&filter).await?.into_iter().next())
}

/// The frontend's own id in a scoped one. Any other id is its own.
fn own_id(id: &str) -> String {
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
        let forced = self.frontend.settings.recordings.as_ref().and_then(|settings| settings.visibility_override);
        forced.filter(|_| recording.state == RecordingState::Published).unwrap_or(of_meeting)
    }
}

/// Drops the metadata that is ours.
pub(super) fn without_ours(recording: &mut Recording) {
    recording.metadata.retain(|name, _| !xml::is_ours(name));
}
