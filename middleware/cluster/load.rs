//! The load of a backend.

/// What a meeting counts at least, in attendees. People join after a meeting was placed, so an empty one is not free.
pub const MEETING_FLOOR: u32 = 15;

/// The load that new meetings are placed by: `factor × max(15 × meetings, attendees)`, b3scale's formula.
///
/// `factor` is the backend's own; the result is in attendees of a node whose factor is 1.
pub fn load(factor: f64, meetings: u32, attendees: u32) -> f64 {
    factor * f64::from(meetings.saturating_mul(MEETING_FLOOR).max(attendees))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_meeting_counts_as_a_small_class() {
        assert_eq!(load(1.0, 2, 0), 30.0);
    }

    #[test]
    fn attendees_count_once_they_exceed_the_floor() {
        assert_eq!(load(1.0, 2, 200), 200.0);
    }

    #[test]
    fn a_weak_node_fills_sooner() {
        assert_eq!(load(2.0, 1, 0), 30.0);
    }
}
