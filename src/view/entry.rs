//! A node's entry of a meeting: a `meeting` element, and the parts that tenants do not read.

use std::cell::Cell;

use b3scale_middleware::bbb::{ScopedId, XmlError, unscoped, xml};
use bytes::Bytes;

/// The entry of a meeting in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) element: Bytes,
    /// Whether the ids in it are still the node's, because they cannot be read off without knowing the meetings.
    pub(crate) is_scoped: bool,
}

impl Entry {
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
        Some(Self { element: if is_slice { Bytes::copy_from_slice(&shown) } else { shown }, is_scoped })
    }

    /// The same meeting with a changed element.
    pub(crate) fn changed(&self, change: impl FnOnce(&Bytes) -> Result<Bytes, XmlError>) -> Result<Self, XmlError> {
        Ok(Self { element: change(&self.element)?, ..*self })
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
}
