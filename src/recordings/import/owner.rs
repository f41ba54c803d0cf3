//! The frontend of an arriving recording.

use b3scale_middleware::bbb::{ScopedId, xml};
use b3scale_middleware::cluster::{CALLBACK_PATH, Frontend, Recording, restored};

use super::Failure;
use crate::recordings::owner::{Owner, own_id};
use crate::store::{FrontendFilter, Import, Store, StoreError};

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

/// The owner of a recording, as far as the tables know.
pub(super) async fn known(store: &Store, recording: &Recording) -> Result<Option<Owner>, StoreError> {
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

/// Gives the metadata back to its owner: without ours, and with the owner's URLs in place of our addresses of its callbacks.
pub(super) async fn restore(store: &Store, recording: &mut Recording, owner: Option<&Owner>) -> Result<(), StoreError> {
    let mut callbacks = Vec::new();
    if let Some(owner) = owner {
        // A node gives a breakout the metadata of its parent.
        let parent = recording.breakout.as_ref().map(|breakout| breakout.parent_id.as_str());
        for internal_id in internal_ids(&recording.internal_meeting_id).chain(parent) {
            callbacks.extend(store.callbacks().of_session(owner.frontend.id, internal_id).await?);
        }
    }
    recording.metadata.retain(|name, text| {
        if let Some(own) = restored(text, &callbacks) {
            *text = own;
            return true;
        }
        !xml::is_ours(name) && !text.contains(CALLBACK_PATH)
    });
    Ok(())
}
