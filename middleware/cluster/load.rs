//! The load of a backend: present and expected attendees.

use std::time::{Duration, Instant};

use super::{AgentReport, Size};

/// The least load of a meeting at its start, in attendees. People join after a meeting was placed, so an empty one is not
/// free.
pub const MEETING_FLOOR: u32 = 15;

/// A meeting as load sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    /// Its size, from its create.
    pub size: Size,
    /// Whether its people are in its parent, too: see [`Meeting::shares_people`](super::Meeting::shares_people).
    pub shared: bool,
    /// People in it, as its node last reported.
    pub attendees: u32,
    /// When it was given its place.
    pub since: Instant,
}

/// The load model. The unit is an attendee on a node with factor 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadModel {
    /// The least load of a meeting at its start.
    pub floor: u32,
    /// How long it takes until a meeting counts no more than who is in it. Zero: as long as it runs.
    pub settles_after: Duration,
    /// The most that a size hint counts.
    pub largest_hint: u32,
    /// The extra load of fully busy processors.
    pub cpu_weight: f64,
    /// The extra load of a full memory.
    pub memory_weight: f64,
}

impl Default for LoadModel {
    fn default() -> Self {
        Self {
            floor: MEETING_FLOOR,
            settles_after: Duration::from_secs(15 * 60),
            largest_hint: 500,
            cpu_weight: 100.0,
            memory_weight: 50.0,
        }
    }
}

impl LoadModel {
    /// The load of one meeting: present attendees or, while it is young, expected ones.
    ///
    /// A hint takes the place of the floor, and neither exceeds the most that the meeting takes. A breakout that its node made
    /// counts nothing: its people stay in its parent, and are counted there.
    pub fn of_meeting(&self, seats: &Seats, now: Instant) -> f64 {
        if seats.shared {
            return 0.0;
        }
        let hinted = seats.size.hint.map_or(self.floor, |hint| hint.min(self.largest_hint));
        let expected = seats.size.limit.map_or(hinted, |limit| hinted.min(limit));
        let left = f64::from(expected) * self.youth(now.saturating_duration_since(seats.since));
        left.max(f64::from(seats.attendees))
    }

    /// The load of a node's own figures.
    pub fn of_agent(&self, report: &AgentReport) -> f64 {
        self.cpu_weight * f64::from(report.cpu) + self.memory_weight * f64::from(report.memory)
    }

    /// From 1 at the start of a meeting to 0 once it has settled.
    fn youth(&self, age: Duration) -> f64 {
        if self.settles_after.is_zero() {
            return 1.0;
        }
        (1.0 - age.as_secs_f64() / self.settles_after.as_secs_f64()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn counted(size: Size, attendees: u32, age: Duration) -> f64 {
        let since = Instant::now();
        LoadModel::default().of_meeting(&Seats { size, shared: false, attendees, since }, since + age).round()
    }

    #[test]
    fn a_young_meeting_counts_as_a_small_class_and_less_as_it_grows_older() {
        assert_eq!(counted(Size::default(), 0, Duration::ZERO), 15.0);
        assert_eq!(counted(Size::default(), 0, 5 * MINUTE), 10.0);
        assert_eq!(counted(Size::default(), 0, 15 * MINUTE), 0.0);
        assert_eq!(counted(Size::default(), 0, 24 * 60 * MINUTE), 0.0);
    }

    #[test]
    fn attendees_count_once_they_exceed_what_was_expected() {
        assert_eq!(counted(Size::default(), 200, Duration::ZERO), 200.0);
        assert_eq!(counted(Size::default(), 3, 60 * MINUTE), 3.0);
    }

    #[test]
    fn a_hint_takes_the_place_of_the_floor_within_reason() {
        let hinted = |hint| counted(Size { hint: Some(hint), ..Size::default() }, 0, Duration::ZERO);
        assert_eq!((hinted(120), hinted(2), hinted(1_000_000)), (120.0, 2.0, 500.0));
    }

    #[test]
    fn no_more_are_expected_than_the_meeting_takes() {
        let size = Size { hint: Some(120), limit: Some(30), breakout: false };
        assert_eq!(counted(size, 0, Duration::ZERO), 30.0);
        assert_eq!(counted(Size { hint: None, limit: Some(5), breakout: false }, 0, Duration::ZERO), 5.0);
    }

    /// Defect 32 of the original: people in breakouts were counted twice.
    #[test]
    fn a_breakout_that_its_node_made_counts_nothing_beside_its_parent() {
        let size = Size { breakout: true, ..Size::default() };
        let since = Instant::now();
        let seats = Seats { size, shared: true, attendees: 40, since };
        assert_eq!(LoadModel::default().of_meeting(&seats, since), 0.0);
    }

    #[test]
    fn a_breakout_that_its_frontend_created_counts_like_any_meeting() {
        let size = Size { breakout: true, ..Size::default() };
        assert_eq!((counted(size, 0, Duration::ZERO), counted(size, 40, Duration::ZERO)), (15.0, 40.0));
    }

    #[test]
    fn a_floor_can_last_as_long_as_the_meeting() {
        let model = LoadModel { settles_after: Duration::ZERO, ..LoadModel::default() };
        let since = Instant::now();
        let seats = Seats { size: Size::default(), shared: false, attendees: 0, since };
        assert_eq!(model.of_meeting(&seats, since + 600 * MINUTE), 15.0);
    }

    #[test]
    fn a_busy_node_counts_as_if_people_were_there() {
        let busy = AgentReport { heartbeat: Instant::now(), cpu: 0.5, memory: 0.2 };
        assert_eq!(LoadModel::default().of_agent(&busy).round(), 60.0);
    }
}
