//! A node's entry of a meeting: a `meeting` element, and the parts that tenants do not read.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use b3scale_middleware::bbb::{ScopedId, XmlError, unscoped, xml};
use b3scale_middleware::cluster::{CALLBACK_PATH, Callback, restored};
use bytes::Bytes;
use memchr::memmem;

/// The entry of a meeting in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) element: Bytes,
    /// Whether the ids in it are still the node's, because they cannot be read off without knowing the meetings.
    pub(crate) is_scoped: bool,
    /// Addresses of callbacks in it.
    pub(super) addresses: Addresses,
}

/// Addresses of ours in an entry, in the place of a frontend's URLs.
#[derive(Clone, Debug, Default)]
pub(super) enum Addresses {
    /// There is none.
    #[default]
    None,
    /// The entry with the frontend's URLs, once it was made. The callbacks of a session never change.
    Some(Arc<OnceLock<Bytes>>),
}

// The entry that is made follows from the other parts.
impl PartialEq for Addresses {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::None, Self::None) | (Self::Some(_), Self::Some(_)))
    }
}

impl Eq for Addresses {}

impl Addresses {
    fn of(element: &[u8]) -> Self {
        let has_one = memmem::find(element, CALLBACK_PATH.as_bytes()).is_some();
        if has_one { Self::Some(Arc::default()) } else { Self::None }
    }
}

impl Entry {
    /// The entry of a create, as its frontend wrote it. Its ids are still the node's.
    pub(super) fn of_create(element: Bytes) -> Self {
        Self { element, is_scoped: true, addresses: Addresses::None }
    }

    /// The element with the frontend's URLs of these callbacks.
    pub(super) fn restored(&self, callbacks: &[Callback]) -> Option<Bytes> {
        let Addresses::Some(made) = &self.addresses else { return Some(self.element.clone()) };
        if let Some(made) = made.get() {
            return Some(made.clone());
        }
        let element = xml::shown(&self.element, |text| restored(text, callbacks)).ok()?;
        // The report may be younger than all that is known here of the meeting.
        if memmem::find(&element, CALLBACK_PATH.as_bytes()).is_none() {
            made.get_or_init(|| element.clone());
        }
        Some(element)
    }

    /// Reads a node's entry of the meeting `id`. `None`: it is unreadable.
    pub(crate) fn read(id: &ScopedId, element: &Bytes) -> Option<Self> {
        let key = id.decode().map(|(key, _)| key);
        let is_scoped = Cell::new(false);
        let own = |id: &ScopedId| {
            let is_open = id.is_hashed() || (key.is_none() && id.decode().is_some());
            is_scoped.set(is_scoped.get() || is_open);
            id.decode_for(key.as_deref()?)
        };
        let mut shown = xml::shown(element, |text| unscoped(text, own)).ok()?;
        let is_scoped = is_scoped.get();
        if is_scoped {
            // Ids are decoded once: a tenant may be a b3scale itself.
            shown = xml::shown(element, |_| None).ok()?;
        }
        // A slice would keep the whole report in memory.
        let is_slice = shown.as_ptr() == element.as_ptr();
        let element = if is_slice { Bytes::copy_from_slice(&shown) } else { shown };
        Some(Self { addresses: Addresses::of(&element), element, is_scoped })
    }

    /// The same meeting with a changed element.
    pub(crate) fn changed(&self, change: impl FnOnce(&Bytes) -> Result<Bytes, XmlError>) -> Result<Self, XmlError> {
        let element = change(&self.element)?;
        Ok(Self { addresses: Addresses::of(&element), element, is_scoped: self.is_scoped })
    }
}

/// The parts of a node's entry that its tenant reads otherwise, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unshown {
    /// The metadata that is ours.
    pub metadata: Vec<(String, String)>,
    /// Its breakouts by the ids that nodes know.
    pub breakout_rooms: Vec<String>,
}

impl Unshown {
    pub(crate) fn read(element: &[u8]) -> Self {
        let rooms = xml::children(element, &["meeting", "breakoutRooms"]).unwrap_or_default();
        Self { metadata: xml::ours(element), breakout_rooms: rooms.into_iter().map(|(_, room)| room).collect() }
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;
    use b3scale_middleware::cluster::CallbackKind;

    use super::*;

    fn scoped(key: &str, id: &str) -> ScopedId {
        ScopedId::new(key, &MeetingId::new(id))
    }

    fn read(id: &ScopedId, text: &str) -> (String, bool) {
        let element =
            |id: &str| format!("<meeting><meetingID>{id}</meetingID><metadata><a>{text}</a></metadata></meeting>");
        let entry = Entry::read(id, &Bytes::from(element(id.as_ref()))).unwrap();
        let text = xml::children(&entry.element, &["meeting", "metadata"]).unwrap().remove(0).1;
        (text, entry.is_scoped)
    }

    #[test]
    fn an_entry_keeps_the_ids_of_other_keys() {
        let foreign = scoped("fe2", "m 1").to_string();
        assert_eq!(read(&scoped("fe1", "m 1"), &foreign), (foreign, false));
        let own = scoped("fe1", "b 1").to_string();
        assert_eq!(read(&scoped("fe1", "m 1"), &own), ("b 1".to_owned(), false));
    }

    #[test]
    fn ids_that_cannot_be_read_off_leave_all_ids_to_those_who_know_the_meetings() {
        let (hashed, own) = (scoped("fe1", &"x".repeat(250)), scoped("fe1", "b 1"));
        let both = format!("{own} {hashed}");
        assert_eq!(read(&scoped("fe1", "m 1"), &both), (both.clone(), true));
        assert_eq!(read(&ScopedId::verbatim("native"), own.as_ref()), (own.to_string(), true));
        assert_eq!(read(&ScopedId::verbatim("native"), "Why"), ("Why".to_owned(), false));
    }

    #[test]
    fn an_entry_shows_the_frontends_urls_once_its_callbacks_are_known() {
        let callback = |token: &str, url: &str| Callback {
            name: "meta_endcallbackurl".to_owned(),
            kind: CallbackKind::End,
            url: url.to_owned(),
            token: token.to_owned(),
            address: String::new(),
        };
        let address = format!("https://b3scale.example{CALLBACK_PATH}t1");
        let element = format!(
            "<meeting><meetingID>m</meetingID><metadata><endcallbackurl>{address}</endcallbackurl></metadata></meeting>"
        );
        let entry = Entry::read(&ScopedId::verbatim("m"), &Bytes::from(element)).unwrap();
        let shown = |callbacks: &[Callback]| {
            xml::children(&entry.restored(callbacks).unwrap(), &["meeting", "metadata"]).unwrap().remove(0).1
        };
        assert_eq!(shown(&[]), address);
        assert_eq!(shown(&[callback("t0", "https://earlier")]), address, "of an earlier session");
        for _ in 0..2 {
            assert_eq!(
                shown(&[callback("t2", "https://b"), callback("t1", "https://a/?x=1&y=%2F")]),
                "https://a/?x=1&y=%2F"
            );
        }
    }
}
