//! The people in each meeting as agents report them, younger than any report of a node.

use std::collections::HashMap;
use std::time::Duration;

use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::{Attendee, BackendId, Meeting, Presence, PresentMeeting};
use dashmap::DashMap;
use tokio::time::Instant;

use super::crowd::Crowd;
use super::entry::Entry;

/// How long an agent's report counts after it was last complete. Then its node's reports count again.
const COUNTS_FOR: Duration = Duration::from_secs(15);

/// The reports of all agents.
#[derive(Default)]
pub(crate) struct Presences(DashMap<BackendId, Present>);

/// The report of the agent of one node.
#[derive(Debug, Default)]
struct Present {
    /// The number of its backend's status up to which this is all.
    seq: i64,
    /// When all of it was reported. `None`: something is missing.
    told_at: Option<Instant>,
    /// By the node's own ids.
    meetings: HashMap<String, Shown>,
}

/// A meeting, and its entry in a list.
#[derive(Debug, Default)]
struct Shown {
    present: PresentMeeting,
    /// The report's entry with present attendees. `None`: the meeting was not reported.
    entry: Option<Entry>,
}

impl Presences {
    /// The number of a backend's status up to which its agent's report is known.
    pub(crate) fn seq(&self, backend: BackendId) -> i64 {
        self.0.get(&backend).map_or(0, |present| present.seq)
    }

    /// Whether an agent has reported for a node, and does not count now.
    pub(crate) fn is_doubted(&self, backend: BackendId) -> bool {
        self.0.get(&backend).is_some_and(|present| present.seq > 0 && !present.counts())
    }

    /// The age of an agent's last full report.
    pub(crate) fn age(&self, backend: BackendId) -> Option<Duration> {
        Some(self.0.get(&backend)?.told_at?.elapsed())
    }

    /// People in a meeting, if its agent counts.
    pub(super) fn people(&self, meeting: &Meeting) -> Option<u32> {
        self.shown(meeting, |there| u32::try_from(there.present.attendees.len()).unwrap_or(u32::MAX))
    }

    /// The same, and who of them shows themselves.
    pub(super) fn crowd(&self, meeting: &Meeting) -> Option<Crowd> {
        self.shown(meeting, |there| {
            let with_video = there.present.attendees.values().filter(|one| one.has_video).count();
            Crowd::of(there.present.attendees.len(), with_video)
        })
    }

    /// A meeting's entry with the people who are there now, if its agent counts. `young`: the entry of a meeting that
    /// no report has yet.
    pub(super) fn entry(&self, meeting: &Meeting, young: impl FnOnce() -> Option<Entry>) -> Option<Entry> {
        let entry = |there: &Shown| there.entry.clone().or_else(|| with_people(&young()?, &there.present));
        self.shown(meeting, entry).flatten()
    }

    /// Takes in the changes up to `seq`. `reported`: the report's entry of a meeting. Returns whether that is news.
    pub(super) fn take(
        &self,
        backend: BackendId,
        news: Presence,
        (seq, told_at): (i64, Option<Instant>),
        reported: impl Fn(&PresentMeeting) -> Option<Entry>,
    ) -> bool {
        let mut present = self.0.entry(backend).or_default();
        if seq < present.seq {
            return false;
        }
        let counted = present.counts();
        let mut changed = present.apply(news);
        changed.sort_unstable();
        changed.dedup();
        for id in &changed {
            if let Some(there) = present.meetings.get_mut(id) {
                there.renew(&reported);
            }
        }
        (present.seq, present.told_at) = (seq, told_at);
        !changed.is_empty() || counted != present.counts()
    }

    /// A node has reported: the entries of its meetings are made again.
    pub(super) fn renew(&self, backend: BackendId, reported: impl Fn(&PresentMeeting) -> Option<Entry>) {
        if let Some(mut present) = self.0.get_mut(&backend) {
            present.meetings.values_mut().for_each(|there| there.renew(&reported));
        }
    }

    /// Forgets all reports.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn retain(&self, is_there: impl Fn(BackendId) -> bool) {
        self.0.retain(|id, _| is_there(*id));
    }

    fn shown<T>(&self, meeting: &Meeting, read: impl FnOnce(&Shown) -> T) -> Option<T> {
        let internal_id = meeting.internal_id.as_ref()?;
        let present = self.0.get(&meeting.backend)?;
        present.meetings.get(internal_id).filter(|_| present.counts()).map(read)
    }
}

impl Present {
    fn counts(&self) -> bool {
        self.told_at.is_some_and(|told_at| told_at.elapsed() < COUNTS_FOR)
    }

    /// Applies changes, and returns the meetings that they concern.
    fn apply(&mut self, news: Presence) -> Vec<String> {
        let mut changed = Vec::new();
        for (id, meeting) in news.meetings {
            match meeting {
                Some(meeting) => self.meetings.entry(id.clone()).or_default().present.meeting = meeting,
                None => drop(self.meetings.remove(&id)),
            }
            changed.push(id);
        }
        for ((meeting, id), attendee) in news.attendees {
            let Some(there) = self.meetings.get_mut(&meeting) else { continue };
            match attendee {
                Some(attendee) => drop(there.present.attendees.insert(id, attendee)),
                None => drop(there.present.attendees.remove(&id)),
            }
            changed.push(meeting);
        }
        changed
    }
}

impl Shown {
    fn renew(&mut self, reported: impl Fn(&PresentMeeting) -> Option<Entry>) {
        self.entry = reported(&self.present).and_then(|entry| with_people(&entry, &self.present));
    }
}

fn with_people(entry: &Entry, present: &PresentMeeting) -> Option<Entry> {
    let mut people: Vec<&Attendee> = present.attendees.values().collect();
    people.sort_by(|one, other| one.internal_id.cmp(&other.internal_id));
    let people: Vec<_> = people.into_iter().map(listed).collect();
    entry.changed(|element| xml::with_attendees(element, &people)).ok()
}

fn listed(one: &Attendee) -> xml::Attendee<'_> {
    xml::Attendee {
        id: if one.user_id.is_empty() { &one.internal_id } else { &one.user_id },
        full_name: &one.full_name,
        moderator: one.moderator,
        presenter: one.presenter,
        listening_only: one.listening_only,
        joined_voice: one.joined_voice,
        has_video: one.has_video,
        client_type: &one.client_type,
    }
}
