//! Meetings on a node that do not live there.

use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, MeetingState, Seats, Size};
use bytes::Bytes;

use super::View;
use super::entry::Unshown;
use super::oddities::Oddities;
use super::report::{Report, Reported};

/// A meeting that a node runs and that no frontend owns.
#[derive(Clone, Debug)]
pub struct Stray {
    /// The id its node knows it by.
    pub id: ScopedId,
    /// Where it runs.
    pub backend: BackendId,
    /// The node's own id of it.
    pub internal_id: String,
    /// When it was made, by its node's clock.
    pub made_at: SystemTime,
    /// When its node last listed it.
    pub seen_at: SystemTime,
    /// People in it.
    pub attendees: u32,
    /// Those of them who show themselves.
    pub with_video: u32,
    /// Whether they are in its parent, too.
    pub shares_people: bool,
    /// Its node's entry: a `meeting` element. `None`: that is unreadable.
    pub entry: Option<Bytes>,
    /// The parts that a tenant would read otherwise, or not at all.
    pub unshown: Unshown,
}

/// The kinds of meetings that do not live where they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// No frontend owns it.
    Stray,
    /// It lives elsewhere.
    Copy,
    /// It has no place now, and may get this one.
    Homeless,
}

impl View {
    /// The meetings that nodes run and that no frontend owns: those of one backend, or all.
    pub(crate) fn all_strays(&self, backend: Option<BackendId>) -> Vec<Stray> {
        let roster = self.roster();
        let backends = roster.backends().iter().filter(|one| backend.is_none_or(|wanted| one.id == wanted));
        backends.flat_map(|backend| self.strays(backend)).collect()
    }

    /// The meetings on a node that no frontend owns. A lost node has none.
    pub(crate) fn strays(&self, backend: &Backend) -> Vec<Stray> {
        let report = self.reports.of(backend.id);
        let Some(report) = report.filter(|_| !backend.is_lost()) else { return Vec::new() };
        let seen_at = report.holds_since();
        let strays = self.others(backend.id, &report).filter(|(.., other)| *other == Other::Stray);
        let strays = strays.map(|(id, reported, _)| Stray {
            id: id.clone(),
            backend: backend.id,
            internal_id: reported.born.internal_id.clone(),
            made_at: made_at(reported, seen_at),
            seen_at,
            attendees: reported.attendees,
            with_video: reported.with_video,
            shares_people: reported.shares_people(id),
            entry: reported.entry.as_ref().map(|entry| entry.element.clone()),
            unshown: reported.unshown.clone(),
        });
        let mut strays: Vec<Stray> = strays.collect();
        strays.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        strays
    }

    /// The oddities in the last report of a node.
    pub(crate) fn oddities(&self, backend: BackendId) -> Oddities {
        let Some(report) = self.reports.of(backend) else {
            return Oddities::default();
        };
        let unreadable = report.own_meetings().filter(|(_, reported)| reported.entry.is_none()).count();
        let mut odd = Oddities { unreadable: u32::try_from(unreadable).unwrap_or(u32::MAX), ..Oddities::default() };
        for (_, reported, other) in self.others(backend, &report) {
            match other {
                Other::Stray => odd.strays += 1,
                Other::Copy => odd.occupied_copies += u32::from(reported.attendees > 0),
                Other::Homeless => {}
            }
        }
        odd
    }

    /// When a node was asked that then ran nothing but what lives there. `None`: it ran something else, or copies with people, or
    /// did not say all that it ran.
    pub(crate) fn clear_since(&self, backend: BackendId) -> Option<SystemTime> {
        let Some(report) = self.reports.of(backend) else {
            return Some(SystemTime::UNIX_EPOCH);
        };
        let odd = self.oddities(backend);
        (report.is_complete && odd.strays == 0 && odd.occupied_copies == 0).then(|| report.holds_since())
    }

    /// The meetings of a report that do not live on its node.
    pub(super) fn others<'r>(
        &self,
        backend: BackendId,
        report: &'r Report,
    ) -> impl Iterator<Item = (&'r ScopedId, &'r Reported, Other)> {
        let holds_since = self.clock.instant_of(report.holds_since());
        report.own_meetings().filter_map(move |(id, reported)| {
            let other = match self.meetings.there(id.as_ref()) {
                Some(meeting) if meeting.backend == backend => return None,
                Some(meeting) if meeting.state == MeetingState::Detached => Other::Homeless,
                Some(_) => Other::Copy,
                None if self.meetings.ended_at(id).is_some_and(|ended| ended >= holds_since) => return None,
                None => Other::Stray,
            };
            Some((id, reported, other))
        })
    }

    /// A meeting without an owner as load sees it.
    pub(super) fn seats_of_stray(&self, id: &ScopedId, reported: &Reported) -> Seats {
        let size = Size { breakout: reported.breakout, ..Size::default() };
        let since = self.clock.instant_of(made_at(reported, self.clock.time())).into_std();
        Seats { size, shared: reported.shares_people(id), attendees: reported.attendees, since }
    }
}

/// When a node made a meeting, as it says. A time that is still to come is no answer.
fn made_at(reported: &Reported, latest: SystemTime) -> SystemTime {
    let millis = u64::try_from(reported.born.create_time).unwrap_or_default();
    let said = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    said.map_or(latest, |said| said.min(latest))
}
