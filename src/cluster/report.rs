//! What a node says of its meetings.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use b3scale_middleware::bbb::{ScopedId, XmlError, xml};
use b3scale_middleware::ports::Born;
use bytes::Bytes;

/// A node's list of its meetings, taken apart.
#[derive(Debug)]
pub(super) struct Report {
    /// When the node was asked, by the clock of the store: nothing in it is older.
    pub(super) asked_at: SystemTime,
    pub(super) meetings: HashMap<ScopedId, Reported>,
    /// When it was last asked and said the same.
    confirmed_at: Mutex<SystemTime>,
}

/// One meeting of a report.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) born: Born,
    pub(super) attendees: u32,
    /// Those of them who show themselves.
    pub(super) with_video: u32,
    /// Whether someone has come, in the node's own words.
    pub(super) running: bool,
    pub(super) breakout: bool,
    /// The internal id of the meeting that it is a breakout of.
    pub(super) parent: Option<String>,
    /// The element itself, under the tenant's id where that can be told from the node's.
    pub(super) entry: Bytes,
}

impl Report {
    /// Reads a list of meetings. Anything else that a node may say, be it in a document, is no report: nothing ended by it.
    pub(super) fn read(document: &Bytes, asked_at: SystemTime) -> Result<Self, String> {
        let unreadable = |error: XmlError| error.to_string();
        let outcome = xml::outcome(document).map_err(unreadable)?;
        let list = xml::elements(document, &["response", "meetings"]).map_err(unreadable)?;
        if !outcome.is_success() || list.is_empty() {
            return Err("it is no list of meetings".to_owned());
        }
        let entries = xml::elements(document, &["response", "meetings", "meeting"]).map_err(unreadable)?;
        let read = entries.iter().filter_map(|entry| Reported::read(entry).transpose());
        Ok(Self { meetings: read.collect::<Result<_, _>>().map_err(unreadable)?, ..Self::empty(asked_at) })
    }

    /// A node of which nothing is known.
    pub(super) fn empty(asked_at: SystemTime) -> Self {
        Self { asked_at, meetings: HashMap::new(), confirmed_at: Mutex::new(asked_at) }
    }

    /// The node was asked then, and said the same.
    pub(super) fn confirm(&self, asked_at: SystemTime) {
        let mut confirmed_at = self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *confirmed_at = asked_at.max(*confirmed_at);
    }

    /// When the node was asked that last said this, by the clock of the store.
    pub(super) fn holds_since(&self) -> SystemTime {
        *self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// People in its meetings. Whoever is in a breakout stays in its parent, and is counted there.
    pub(super) fn attendees(&self) -> u32 {
        self.meetings.values().filter(|meeting| !meeting.breakout).map(|one| one.attendees).fold(0, u32::saturating_add)
    }
}

impl Reported {
    /// Reads one entry. `None`: it does not say which meeting it is.
    fn read(entry: &Bytes) -> Result<Option<(ScopedId, Self)>, XmlError> {
        let names = [
            "meetingID",
            "internalMeetingID",
            "createTime",
            "participantCount",
            "videoCount",
            "running",
            "isBreakout",
            "parentMeetingID",
        ];
        let [id, internal_id, create_time, people, video, running, breakout, parent] = xml::fields(entry, names)?;
        let Some(id) = id.filter(|id| !id.is_empty()).map(|id| ScopedId::verbatim(&id)) else { return Ok(None) };
        let create_time = create_time.and_then(|time| time.trim().parse().ok()).unwrap_or_default();
        let born = Born { internal_id: internal_id.unwrap_or_default(), create_time, entry: None };
        let attendees = people.map_or(0, |people| count(&people));
        let reported = Self {
            born,
            attendees,
            with_video: video.map_or(0, |video| count(&video)).min(attendees),
            running: running.map_or(attendees > 0, |running| running == "true"),
            breakout: breakout.as_deref() == Some("true"),
            parent: parent.filter(|_| breakout.as_deref() == Some("true")),
            entry: match id.decode() {
                Some((_, tenants)) => under_tenants_id(entry, &id, tenants.as_ref())?,
                // A slice would keep the whole report in memory.
                None => Bytes::copy_from_slice(entry),
            },
        };
        Ok(Some((id, reported)))
    }

    /// The frontend that the meeting's metadata names, as `meta-frontend` writes it.
    pub(super) fn frontend_key(&self) -> Option<String> {
        let found = xml::elements(&self.entry, &["meeting", "metadata"]).ok()?.pop()?;
        let [key] = xml::fields(&found, ["b3s-frontend"]).ok()?;
        key
    }
}

/// An entry of a list with the tenant's id wherever the node's own was.
pub(super) fn under_tenants_id(entry: &Bytes, id: &ScopedId, tenants: &str) -> Result<Bytes, XmlError> {
    xml::rewrite(entry, |_, text| (text == id.as_ref()).then(|| tenants.to_owned()))
}

/// A number as BBB writes it, which may be grouped: `1,234`.
fn count(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(meetings: &'static str) -> Result<Report, String> {
        Report::read(&Bytes::from_static(meetings.as_bytes()), SystemTime::UNIX_EPOCH)
    }

    /// Defect 32 of the original: people in breakouts were counted twice.
    #[test]
    fn a_report_counts_people_once_and_reads_grouped_numbers() {
        let report = report(
            "<response><returncode>SUCCESS</returncode><meetings>\
            <meeting><meetingID>a</meetingID><participantCount>1,234</participantCount></meeting>\
            <meeting><meetingID>b</meetingID><participantCount>7</participantCount><isBreakout>true</isBreakout></meeting>\
            <meeting><name>without an id</name></meeting></meetings></response>",
        )
        .unwrap();
        assert_eq!((report.attendees(), report.meetings.len()), (1234, 2));
    }

    /// Defect 35 of the original: an answer that was no list ended every meeting of the node.
    #[test]
    fn what_is_no_list_of_meetings_is_no_report() {
        let empty = "<response><returncode>SUCCESS</returncode><meetings/></response>";
        assert!(report(empty).is_ok_and(|report| report.meetings.is_empty()));
        for other in [
            "<response><returncode>FAILED</returncode><messageKey>internalError</messageKey></response>",
            "<response><returncode>SUCCESS</returncode><version>2.0</version></response>",
            "<html/>",
            "",
        ] {
            assert!(report(other).is_err(), "{other}");
        }
    }

    #[test]
    fn entries_stand_under_the_tenants_id_and_lose_nothing() {
        let report = report(
            "<response><returncode>SUCCESS</returncode><meetings><meeting>\
            <meetingID>WyJmZTEiLCJtIDEiLCJiM3NjbCJd</meetingID><new a='1'>&amp;</new>\
            <metadata><b3s-frontend>fe1</b3s-frontend></metadata></meeting></meetings></response>",
        )
        .unwrap();
        let (_, reported) = report.meetings.iter().next().unwrap();
        assert!(reported.entry.starts_with(b"<meeting><meetingID>m 1</meetingID><new a='1'>&amp;</new>"));
        assert_eq!(reported.frontend_key().as_deref(), Some("fe1"));
    }
}
