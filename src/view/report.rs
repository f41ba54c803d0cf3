//! A node's list of its meetings.
//!
//! A list is read meeting by meeting: an entry that cannot be read spoils no other. A meeting that a list leaves open (it was cut short, or an
//! entry does not say which meeting it is) is neither running nor ended until the node was asked for that meeting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use b3scale_middleware::bbb::{ScopedId, XmlError, xml};
use b3scale_middleware::ports::Born;
use bytes::Bytes;

use super::entry::{Entry, Unshown};

/// A node's list of its meetings, taken apart.
#[derive(Debug)]
pub(crate) struct Report {
    /// When the node was asked, by the clock of the store: nothing in it is older.
    pub(crate) asked_at: SystemTime,
    pub(crate) meetings: BTreeMap<ScopedId, Arc<Reported>>,
    /// Meetings that the node does not run, by its answers about each.
    gone: BTreeSet<ScopedId>,
    /// Meetings that were left open, and are as an earlier report has them.
    inherited: BTreeSet<ScopedId>,
    /// Whether the list came to its end.
    pub(crate) is_whole: bool,
    /// Whether a meeting that is not in it has ended.
    pub(crate) is_complete: bool,
    /// Why some of it could not be read.
    flaw: Option<String>,
    /// The last poll with the same answer.
    confirmed_at: Mutex<SystemTime>,
}

/// One meeting of a report.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) born: Born,
    pub(crate) attendees: u32,
    /// Those of them who show themselves.
    pub(crate) with_video: u32,
    /// Whether someone has come, in the node's own words.
    pub(crate) running: bool,
    pub(crate) breakout: bool,
    /// The internal id of the meeting that it is a breakout of.
    pub(crate) parent: Option<String>,
    /// As a tenant may read it. `None`: it is unreadable.
    pub(crate) entry: Option<Entry>,
    pub(crate) unshown: Unshown,
}

/// The word of a report about one meeting.
pub(crate) enum Word<'a> {
    Runs(&'a Reported),
    Ended,
    /// The list leaves it open.
    Open,
}

impl Report {
    /// Reads a list of meetings.
    ///
    /// # Errors
    /// It is no list. Nothing ended by it.
    pub(crate) fn read(document: &Bytes, asked_at: SystemTime) -> Result<Self, String> {
        let document = xml::printable(document);
        match Self::read_whole(&document, asked_at) {
            Ok(report) => report.ok_or_else(|| "it is no list of meetings".to_owned()),
            Err(error) => Self::read_pieces(&document, asked_at, &error).ok_or_else(|| error.to_string()),
        }
    }

    fn read_whole(document: &Bytes, asked_at: SystemTime) -> Result<Option<Self>, XmlError> {
        let outcome = xml::outcome(document)?;
        let list = xml::elements(document, &["response", "meetings"])?;
        if !outcome.is_success() || list.is_empty() {
            return Ok(None);
        }
        let entries = xml::elements(document, &["response", "meetings", "meeting"])?;
        let read = entries.iter().filter_map(Reported::read);
        let meetings = read.map(|(id, reported)| (id, Arc::new(reported))).collect();
        Ok(Some(Self { meetings, ..Self::empty(asked_at) }))
    }

    fn read_pieces(document: &Bytes, asked_at: SystemTime, error: &XmlError) -> Option<Self> {
        let xml::Pieces { entries, is_whole } = xml::pieces(document, "meetings")?;
        let read: Vec<_> = entries.iter().map(Reported::read).collect();
        let is_complete = is_whole && read.iter().all(Option::is_some);
        let meetings: BTreeMap<_, _> = read.into_iter().flatten().map(|(id, one)| (id, Arc::new(one))).collect();
        let readable = meetings.values().filter(|one| one.entry.is_some()).count();
        let unreadable = entries.len() - readable;
        let flaw = if is_whole {
            format!("{unreadable} of {} meetings in its list cannot be read: {error}", entries.len())
        } else {
            format!("its list of meetings is cut short after {readable} of them: {error}")
        };
        Some(Self { meetings, is_whole, is_complete, flaw: Some(flaw), ..Self::empty(asked_at) })
    }

    /// A node without meetings.
    pub(crate) fn empty(asked_at: SystemTime) -> Self {
        Self {
            asked_at,
            meetings: BTreeMap::new(),
            gone: BTreeSet::new(),
            inherited: BTreeSet::new(),
            is_whole: true,
            is_complete: true,
            flaw: None,
            confirmed_at: Mutex::new(asked_at),
        }
    }

    /// A node that gave no list: every meeting is left open.
    pub(crate) fn open(asked_at: SystemTime) -> Self {
        Self { is_whole: false, is_complete: false, ..Self::empty(asked_at) }
    }

    /// Its word about a meeting. Inherited meetings are open.
    pub(crate) fn word(&self, id: &ScopedId) -> Word<'_> {
        match self.own(id) {
            Some(reported) => Word::Runs(reported),
            None if self.is_complete || self.gone.contains(id) => Word::Ended,
            None => Word::Open,
        }
    }

    /// Why some of it could not be read.
    pub(crate) fn flaw(&self) -> Option<&str> {
        self.flaw.as_deref()
    }

    /// The node was asked for one meeting, and runs it.
    pub(crate) fn add(&mut self, id: ScopedId, reported: Arc<Reported>) {
        self.meetings.insert(id, reported);
    }

    /// The node was asked for one meeting, and does not run it.
    pub(crate) fn add_gone(&mut self, id: ScopedId) {
        self.gone.insert(id);
    }

    /// Takes over open meetings from an earlier report, if they still live there.
    pub(crate) fn inherit(&mut self, before: &Self, lives_there: impl Fn(&ScopedId) -> bool) {
        for (id, reported) in &before.meetings {
            if matches!(self.word(id), Word::Open) && lives_there(id) {
                self.meetings.insert(id.clone(), Arc::clone(reported));
                self.inherited.insert(id.clone());
            }
        }
    }

    /// The meetings that it says itself run.
    pub(crate) fn own_meetings(&self) -> impl Iterator<Item = (&ScopedId, &Reported)> {
        let own = self.meetings.iter().filter(|(id, _)| !self.inherited.contains(*id));
        own.map(|(id, reported)| (id, &**reported))
    }

    /// A meeting that runs by this report and not by an earlier one.
    pub(crate) fn own(&self, id: &ScopedId) -> Option<&Reported> {
        self.meetings.get(id).filter(|_| !self.inherited.contains(id)).map(Arc::as_ref)
    }

    /// A poll of that time had the same answer.
    pub(crate) fn confirm(&self, asked_at: SystemTime) {
        let mut confirmed_at = self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner);
        *confirmed_at = asked_at.max(*confirmed_at);
    }

    /// The last poll with this answer, by the database's clock.
    pub(crate) fn holds_since(&self) -> SystemTime {
        *self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// People in its meetings, each counted once.
    pub(crate) fn attendees(&self) -> u32 {
        let counted = self.meetings.iter().filter(|(id, one)| !one.shares_people(id));
        counted.map(|(_, one)| one.attendees).fold(0, u32::saturating_add)
    }
}

impl Reported {
    /// Whether the people in it are in its parent, too, since its node made it by itself. A breakout that a frontend created has
    /// one of our ids.
    pub(crate) fn shares_people(&self, id: &ScopedId) -> bool {
        self.breakout && !id.is_hashed() && id.decode().is_none()
    }

    /// Reads one entry as far as it can be read. `None`: it does not say which meeting it is.
    pub(crate) fn read(entry: &Bytes) -> Option<(ScopedId, Self)> {
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
        let [id, internal_id, create_time, people, video, running, breakout, parent] = xml::legible(entry, names);
        let id = id.filter(|id| !id.is_empty()).map(|id| ScopedId::verbatim(&id))?;
        let create_time = create_time.and_then(|time| time.trim().parse().ok()).unwrap_or_default();
        let born =
            Born { internal_id: internal_id.unwrap_or_default(), create_time, entry: None, callbacks: Vec::new() };
        let attendees = people.map_or(0, |people| count(&people));
        let reported = Self {
            born,
            attendees,
            with_video: video.map_or(0, |video| count(&video)).min(attendees),
            running: running.map_or(attendees > 0, |running| running == "true"),
            breakout: breakout.as_deref() == Some("true"),
            parent: parent.filter(|_| breakout.as_deref() == Some("true")),
            entry: Entry::read(&id, entry),
            unshown: Unshown::read(entry),
        };
        Some((id, reported))
    }

    /// The frontend that the meeting's metadata names, as `meta-frontend` writes it.
    pub(crate) fn frontend_key(&self) -> Option<&str> {
        let named = self.unshown.metadata.iter().find(|(name, _)| name == "b3s-frontend")?;
        Some(&named.1)
    }
}

/// A number as BBB writes it, which may be grouped: `1,234`.
fn count(text: &str) -> u32 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;

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

    #[test]
    fn people_in_a_breakout_that_a_frontend_created_count() {
        let id = ScopedId::new("school", &MeetingId::new("b"));
        let list = format!(
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>{id}</meetingID>\
            <participantCount>7</participantCount><isBreakout>true</isBreakout></meeting></meetings></response>"
        );
        assert_eq!(Report::read(&Bytes::from(list), SystemTime::UNIX_EPOCH).map(|report| report.attendees()), Ok(7));
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
    fn an_unreadable_meeting_spoils_no_other_and_is_counted() {
        let report = report(
            "<response><returncode>SUCCESS</returncode><meetings>\
            <meeting><meetingID>a</meetingID><participantCount>3</participantCount></meeting>\
            <meeting><meetingID>b</meetingID><internalMeetingID>b-1</internalMeetingID>\
            <participantCount>4</participantCount><x y>1</x y></meeting></meetings></response>",
        )
        .unwrap();
        let spoiled = &report.meetings[&ScopedId::verbatim("b")];
        assert_eq!((spoiled.born.internal_id.as_str(), spoiled.entry.is_none()), ("b-1", true));
        assert_eq!((report.attendees(), report.is_whole), (7, true));
        assert!(
            report.flaw().unwrap().starts_with("1 of 2 meetings in its list cannot be read"),
            "{:?}",
            report.flaw()
        );
        assert!(
            matches!(report.word(&ScopedId::verbatim("c")), Word::Ended),
            "both entries say which meeting they are"
        );
    }

    #[test]
    fn what_a_list_leaves_open_has_not_ended() {
        let head = "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID></meeting>";
        for tail in ["<meeting><meetingName>b</x y>", "<meeting><meetingID>b</meetingID>", "<mee", "</meetings>", ""] {
            let cut = Report::read(&Bytes::from(format!("{head}{tail}")), SystemTime::UNIX_EPOCH).unwrap();
            assert!(matches!(cut.word(&ScopedId::verbatim("a")), Word::Runs(_)), "{tail}");
            assert!(matches!(cut.word(&ScopedId::verbatim("c")), Word::Open) && !cut.is_whole, "{tail}");
        }
        let nameless = format!("{head}<meeting><x y>1</x y></meeting></meetings></response>");
        let nameless = Report::read(&Bytes::from(nameless), SystemTime::UNIX_EPOCH).unwrap();
        assert!(matches!(nameless.word(&ScopedId::verbatim("c")), Word::Open) && nameless.is_whole);
    }

    #[test]
    fn a_report_inherits_what_it_leaves_open() {
        let before = report(
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID>\
            <participantCount>3</participantCount></meeting><meeting><meetingID>b</meetingID></meeting></meetings></response>",
        );
        let mut open = Report::open(SystemTime::UNIX_EPOCH);
        open.add_gone(ScopedId::verbatim("b"));
        let before = before.unwrap();
        open.inherit(&before, |_| false);
        assert!(open.meetings.is_empty(), "they live there no more");
        open.inherit(&before, |_| true);
        assert_eq!((open.attendees(), open.meetings.len()), (3, 1));
        assert!(open.own(&ScopedId::verbatim("a")).is_none(), "it is as old as before");
        assert!(matches!(open.word(&ScopedId::verbatim("a")), Word::Open) && open.own_meetings().next().is_none());
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
        let entry = reported.entry.as_ref().unwrap();
        let expected = "<meeting><meetingID>m 1</meetingID><new a='1'>&amp;</new><metadata></metadata></meeting>";
        assert_eq!((&entry.element, entry.is_scoped), (&Bytes::from(expected), false));
        assert_eq!(reported.frontend_key(), Some("fe1"));
    }

    #[test]
    fn what_xml_forbids_spoils_no_list() {
        for odd in ["\u{b}", "\u{fffe}", "&#0;", "&#11;", "\0"] {
            let list = format!(
                "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID><meetingName>x{odd}y\
                </meetingName><1x>z</1x></meeting></meetings></response>"
            );
            let report = Report::read(&Bytes::from(list), SystemTime::UNIX_EPOCH).unwrap();
            let entry = report.meetings[&ScopedId::verbatim("a")].entry.clone().unwrap();
            assert_eq!(entry.element, "<meeting><meetingID>a</meetingID><meetingName>xy</meetingName></meeting>");
            assert_eq!(report.flaw(), None);
        }
    }
}
