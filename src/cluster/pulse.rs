//! How far memory is to be trusted: whether the database is there, and how old the picture is.

use std::time::{Duration, Instant};

use crate::store::StoreError;

/// How long memory is trusted while the database is away, or what it announces is not heard.
const TRUST: Duration = Duration::from_secs(600);

/// What is known of the database, and of how true memory is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    away_since: Option<Instant>,
    /// Everything that had been announced by then is in memory.
    proved: Option<Instant>,
}

impl Pulse {
    /// Notes what came of a statement. Returns whether that is news.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, StoreError>, now: Instant) -> bool {
        let before = self.away_since;
        match outcome {
            // Every connection is in use: that is said of us, and not of the database.
            Err(StoreError::Busy { .. }) => {}
            Err(error) if error.is_away() => _ = self.away_since.get_or_insert(now),
            Ok(_) | Err(_) => self.away_since = None,
        }
        self.away_since.is_some() != before.is_some()
    }

    /// Whether the last statement found no database.
    pub(super) fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Everything that had been announced by `then` is in memory.
    pub(super) fn prove(&mut self, then: Instant) {
        self.proved = self.proved.max(Some(then));
    }

    /// How old the picture in memory is.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.proved.map(|proved| now.saturating_duration_since(proved))
    }

    /// Why the database is not to be counted on, if there is a reason.
    pub(super) fn absence(&self, now: Instant) -> Option<String> {
        let away = now.saturating_duration_since(self.away_since?);
        (away > TRUST).then(|| format!("the database has been away for {} s", away.as_secs()))
    }

    /// Why what is in memory is not to be trusted any more, if there is a reason.
    pub(super) fn distrust(&self, now: Instant) -> Option<String> {
        let age = self.age(now).filter(|age| *age > TRUST)?;
        Some(format!("nothing that was announced has been heard for {} s", age.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    const MINUTE: Duration = Duration::from_secs(60);

    fn away() -> Result<(), StoreError> {
        Err(StoreError::Slow { task: "answer", place: Place::new("database `b3scale`".to_owned()), limit: MINUTE })
    }

    #[test]
    fn memory_is_trusted_for_a_while_after_the_database_went_away() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        pulse.note(&Ok(()), start);
        assert!(pulse.note(&away(), start + 60 * MINUTE), "it went away after an hour");
        assert!(!pulse.note(&away(), start + 65 * MINUTE), "which is no news");
        assert_eq!(pulse.absence(start + 69 * MINUTE), None);
        assert!(pulse.absence(start + 71 * MINUTE).is_some());
        assert!(pulse.note(&Ok(()), start + 72 * MINUTE));
        assert_eq!(pulse.absence(start + 72 * MINUTE), None);
    }

    /// A proxy may take statements and keep announcements to itself.
    #[test]
    fn memory_is_not_trusted_for_ever_where_nothing_is_announced() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        pulse.prove(start);
        pulse.note(&Ok(()), start + 60 * MINUTE);
        assert_eq!(pulse.age(start + 9 * MINUTE), Some(9 * MINUTE));
        assert_eq!(pulse.distrust(start + 9 * MINUTE), None);
        assert!(pulse.distrust(start + 11 * MINUTE).is_some());
        pulse.prove(start + 11 * MINUTE);
        pulse.prove(start + 5 * MINUTE);
        assert_eq!(pulse.distrust(start + 12 * MINUTE), None, "an older proof takes nothing back");
    }

    #[test]
    fn a_busy_pool_says_nothing_of_the_database() {
        let (mut pulse, start) = (Pulse::default(), Instant::now());
        assert!(!pulse.note::<()>(&Err(StoreError::Busy { size: 1 }), start));
        assert_eq!(pulse.absence(start + 60 * MINUTE), None);
    }
}
