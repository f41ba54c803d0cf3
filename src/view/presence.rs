//! Attendees by the nodes' agents, in memory: younger than any report.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::{XmlError, xml};
use b3scale_middleware::cluster::{Attendee, Backend, BackendId, Meeting, Presence, PresentMeeting};
use bytes::Bytes;

use super::entry::Entry;
use super::{Crowd, View};

/// How long an agent's word counts after it has said all there is. Then its node's reports count again.
const COUNTS_FOR: Duration = Duration::from_secs(15);

/// The attendees by one node's agent.
#[derive(Debug, Default)]
pub(crate) struct Present {
    /// The number of its backend's status up to which this is all.
    seq: i64,
    /// When it said all there is. `None`: something is missing.
    told_at: Option<Instant>,
    /// By the node's own ids.
    meetings: HashMap<String, Shown>,
}

/// A meeting, and its entry in lists.
#[derive(Debug, Default)]
struct Shown {
    said: PresentMeeting,
    /// The report's entry with present attendees. `None`: the meeting was not reported.
    entry: Option<Entry>,
}

impl Present {
    fn counts(&self) -> bool {
        self.told_at.is_some_and(|told_at| told_at.elapsed() < COUNTS_FOR)
    }
}

impl View {
    /// The last known `seq` of the agent's rows.
    pub(crate) fn presence_seq(&self, backend: BackendId) -> i64 {
        self.present.get(&backend).map_or(0, |present| present.seq)
    }

    /// Takes in an agent's rows up to `seq`.
    pub(crate) fn take_presence(&self, backend: &Backend, news: Presence, seq: i64, told_at: Option<Instant>) {
        let mut present = self.present.entry(backend.id).or_default();
        if seq < present.seq {
            return;
        }
        let counted = present.counts();
        let mut changed: Vec<String> = Vec::new();
        for (id, meeting) in news.meetings {
            match meeting {
                Some(meeting) => present.meetings.entry(id.clone()).or_default().said.meeting = meeting,
                None => drop(present.meetings.remove(&id)),
            }
            changed.push(id);
        }
        for ((meeting, id), attendee) in news.attendees {
            let Some(there) = present.meetings.get_mut(&meeting) else { continue };
            match attendee {
                Some(attendee) => drop(there.said.attendees.insert(id, attendee)),
                None => drop(there.said.attendees.remove(&id)),
            }
            changed.push(meeting);
        }
        changed.sort_unstable();
        changed.dedup();
        for id in &changed {
            if let Some(there) = present.meetings.get_mut(id) {
                there.entry = self.entry_with(backend.id, &there.said);
            }
        }
        (present.seq, present.told_at) = (seq, told_at);
        let is_news = !changed.is_empty() || counted != present.counts();
        drop(present);
        if is_news {
            self.recount_one(backend);
            self.changed.notify_waiters();
        }
    }

    /// A node has reported: the entries of its meetings are made again.
    pub(crate) fn renew_entries(&self, backend: BackendId) {
        let Some(mut present) = self.present.get_mut(&backend) else { return };
        for there in present.meetings.values_mut() {
            there.entry = self.entry_with(backend, &there.said);
        }
    }

    /// Everything is loaded again.
    pub(crate) fn forget_presence(&self) {
        self.present.clear();
    }

    /// People in a meeting by the word of its node's agent, if that counts.
    pub(crate) fn people_present(&self, meeting: &Meeting) -> Option<u32> {
        self.with_present(meeting, |there| u32::try_from(there.said.attendees.len()).unwrap_or(u32::MAX))
    }

    /// The same, and who of them shows themselves.
    pub(crate) fn crowd_present(&self, meeting: &Meeting) -> Option<Crowd> {
        self.with_present(meeting, |there| {
            let with_video = there.said.attendees.values().filter(|one| one.has_video).count();
            Crowd::of(there.said.attendees.len(), with_video)
        })
    }

    /// How long ago the agent of a backend said all there is.
    pub(crate) fn presence_age(&self, backend: BackendId) -> Option<Duration> {
        Some(self.present.get(&backend)?.told_at?.elapsed())
    }

    /// A meeting's entry by its node's agent, if that counts. Without a report it is the entry of a meeting without one,
    /// with present attendees.
    pub(crate) fn entry_present(&self, meeting: &Meeting) -> Option<Entry> {
        let said = |there: &Shown| match &there.entry {
            Some(entry) => Some(entry.clone()),
            None => self.young_entry(meeting)?.changed(|entry| with_attendees(entry, &there.said)).ok(),
        };
        self.with_present(meeting, said).flatten()
    }

    /// Whether an agent has spoken for a node, and its word does not count now.
    pub(crate) fn is_doubted(&self, backend: BackendId) -> bool {
        self.present.get(&backend).is_some_and(|present| present.seq > 0 && !present.counts())
    }

    fn with_present<T>(&self, meeting: &Meeting, read: impl FnOnce(&Shown) -> T) -> Option<T> {
        let internal_id = meeting.internal_id.as_ref()?;
        let present = self.present.get(&meeting.backend)?;
        present.meetings.get(internal_id).filter(|_| present.counts()).map(read)
    }

    /// The report's entry of a meeting with present attendees.
    fn entry_with(&self, backend: BackendId, said: &PresentMeeting) -> Option<Entry> {
        let reported = self.reported_entry(backend, &said.meeting)?;
        reported.changed(|entry| with_attendees(entry, said)).ok()
    }
}

/// An entry of a list with present attendees. Its other fields of the meeting and of attendees in the report
/// before stays as it is.
fn with_attendees(entry: &Bytes, said: &PresentMeeting) -> Result<Bytes, XmlError> {
    let mut people: Vec<&Attendee> = said.attendees.values().collect();
    people.sort_by(|one, other| one.internal_id.cmp(&other.internal_id));
    let reported = xml::elements(entry, &["meeting", "attendees", "attendee"])?;
    let mut known: HashMap<String, Vec<Bytes>> = HashMap::new();
    for attendee in reported {
        let [id] = xml::fields(&attendee, ["userID"])?;
        known.entry(id.unwrap_or_default()).or_default().push(attendee);
    }
    let mut list = xml::Writer::element("attendees");
    for one in &people {
        let before = known.get_mut(shown_id(one)).and_then(Vec::pop);
        list = list.raw(&match before {
            Some(before) => renewed(&before, one)?,
            None => written(one),
        });
    }
    let counts = counts(&people);
    let counted = xml::rewrite(entry, |path, _| match path.names() {
        ["meeting", name] => counts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()),
        _ => None,
    })?;
    xml::replace(&counted, &["meeting", "attendees"], &list.finish())
}

/// What BBB counts of the people in a meeting.
fn counts(people: &[&Attendee]) -> Vec<(&'static str, String)> {
    let count = |is: fn(&Attendee) -> bool| people.iter().filter(|one| is(one)).count().to_string();
    let mut counts = vec![
        ("participantCount", people.len().to_string()),
        ("listenerCount", count(|one| one.listening_only)),
        ("voiceParticipantCount", count(|one| one.joined_voice)),
        ("videoCount", count(|one| one.has_video)),
        ("moderatorCount", count(|one| one.moderator)),
    ];
    // Of an empty one the node says for a while that it runs, and for how long is for the node to say.
    if !people.is_empty() {
        counts.extend(["running", "hasUserJoined"].map(|name| (name, true.to_string())));
    }
    counts
}

/// BBB's id of an attendee in lists.
fn shown_id(one: &Attendee) -> &str {
    if one.user_id.is_empty() { &one.internal_id } else { &one.user_id }
}

fn fields(one: &Attendee) -> [(&'static str, String); 8] {
    let role = if one.moderator { "MODERATOR" } else { "VIEWER" };
    [
        ("userID", shown_id(one).to_owned()),
        ("fullName", one.full_name.clone()),
        ("role", role.to_owned()),
        ("isPresenter", one.presenter.to_string()),
        ("isListeningOnly", one.listening_only.to_string()),
        ("hasJoinedVoice", one.joined_voice.to_string()),
        ("hasVideo", one.has_video.to_string()),
        ("clientType", one.client_type.clone()),
    ]
}

fn written(one: &Attendee) -> Bytes {
    let attendee = fields(one).iter().fold(xml::Writer::element("attendee"), |xml, (name, text)| xml.field(name, text));
    attendee.finish()
}

/// A reported attendee, with changed fields.
fn renewed(before: &Bytes, one: &Attendee) -> Result<Bytes, XmlError> {
    let fields = fields(one);
    xml::rewrite(before, |path, text| match path.names() {
        // What BBB calls a dial-in user and others stays: the agent knows two roles.
        ["attendee", "role"] if !matches!(text, "MODERATOR" | "VIEWER") => None,
        ["attendee", name] => fields.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone()),
        _ => None,
    })
}
