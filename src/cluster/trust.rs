//! Trust in memory: whether the database works, and how old memory is.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{StoreError, Trouble};

/// How long memory is trusted without the database or its announcements.
const TRUST: Duration = Duration::from_secs(600);

/// The state of the database, and the age of memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trust {
    away_since: Option<Instant>,
    /// It answers, and no meeting can be created.
    trouble: Option<Trouble>,
    /// It went away or got into trouble then, and no create has been rehearsed since.
    unwell_since: Option<Instant>,
    /// A statement last failed of that then.
    failed_at: Option<Instant>,
    /// Everything that had been announced by then is in memory.
    proved: Option<Instant>,
}

/// Something that a server should have and lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Why, in words.
    pub problem: String,
    /// Whether memory makes up for it: known meetings go on, and none can be created.
    pub tolerable: bool,
}

impl Trust {
    /// Records the outcome of a statement. Returns whether that is news.
    pub(super) fn record<T>(&mut self, outcome: &Result<T, StoreError>, now: Instant) -> bool {
        let before = (self.is_away(), self.trouble);
        match outcome {
            // These concern this server or the statement, and not the database.
            Err(StoreError::Busy { .. } | StoreError::GivenUp { .. }) => {}
            Err(StoreError::Troubled { trouble, .. }) => {
                self.failed_at = Some(now);
                self.trouble = Some(*trouble);
                self.away_since = trouble.is_total().then(|| self.away_since.unwrap_or(now));
            }
            Err(error) if error.is_away() => {
                self.failed_at = Some(now);
                self.trouble = None;
                self.away_since.get_or_insert(now);
            }
            // That something else works does not end a trouble.
            Ok(_) | Err(_) => self.away_since = None,
        }
        if self.is_away() || self.trouble.is_some() {
            self.unwell_since.get_or_insert(now);
        }
        before != (self.is_away(), self.trouble)
    }

    /// Whether it is yet to be shown that meetings can be created again.
    pub(super) fn is_unwell(&self) -> bool {
        self.unwell_since.is_some()
    }

    /// Records that a create would go through, by a rehearsal that began at `begun`. It says nothing of a failure since then.
    /// Returns since when no create would go through, if that is news.
    pub(super) fn recover(&mut self, begun: Instant) -> Option<Instant> {
        if self.failed_at.is_some_and(|failed| failed >= begun) {
            return None;
        }
        self.trouble = None;
        self.unwell_since.take()
    }

    /// Whether the last statement found no database.
    pub(super) fn is_away(&self) -> bool {
        self.away_since.is_some()
    }

    /// Why no meeting can be created, as far as that is known.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// Everything that had been announced by `then` is in memory.
    pub(super) fn prove(&mut self, then: Instant) {
        self.proved = self.proved.max(Some(then));
    }

    /// The age of memory.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.proved.map(|proved| now.saturating_duration_since(proved))
    }

    /// The fault of the database, if it has one.
    pub(super) fn absence(&self, now: Instant) -> Option<Lack> {
        let away = self.away_since.map(|since| now.saturating_duration_since(since));
        let problem = match (self.trouble, away) {
            (Some(trouble), _) => trouble.obstacle(),
            (None, Some(away)) => format!("PostgreSQL has been away for {} s", away.as_secs()),
            (None, None) => return None,
        };
        Some(Lack { problem, tolerable: away.is_none_or(|away| away <= TRUST) })
    }

    /// Why memory is not to be trusted any more, if there is a reason.
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
        let (mut trust, start) = (Trust::default(), Instant::now());
        trust.record(&Ok(()), start);
        assert!(trust.record(&away(), start + 60 * MINUTE), "it went away after an hour");
        assert!(!trust.record(&away(), start + 65 * MINUTE), "which is no news");
        let tolerable = |lack: Lack| lack.tolerable;
        assert_eq!(trust.absence(start + 69 * MINUTE).map(tolerable), Some(true));
        assert_eq!(trust.absence(start + 71 * MINUTE).map(tolerable), Some(false));
        assert!(trust.record(&Ok(()), start + 72 * MINUTE));
        assert_eq!(trust.absence(start + 72 * MINUTE), None);
    }

    /// A proxy may take statements and keep announcements to itself.
    #[test]
    fn memory_is_not_trusted_for_ever_where_nothing_is_announced() {
        let (mut trust, start) = (Trust::default(), Instant::now());
        trust.prove(start);
        trust.record(&Ok(()), start + 60 * MINUTE);
        assert_eq!(trust.age(start + 9 * MINUTE), Some(9 * MINUTE));
        assert_eq!(trust.distrust(start + 9 * MINUTE), None);
        assert!(trust.distrust(start + 11 * MINUTE).is_some());
        trust.prove(start + 11 * MINUTE);
        trust.prove(start + 5 * MINUTE);
        assert_eq!(trust.distrust(start + 12 * MINUTE), None, "an older proof takes nothing back");
    }

    #[test]
    fn a_busy_pool_says_nothing_of_the_database() {
        let (mut trust, start) = (Trust::default(), Instant::now());
        assert!(!trust.record::<()>(&Err(StoreError::Busy { size: 1 }), start));
        assert_eq!(trust.absence(start + 60 * MINUTE), None);
    }

    fn troubled(trouble: Trouble) -> Result<(), StoreError> {
        let place = Place::new("database `b3scale`".to_owned());
        Err(StoreError::Troubled { task: "beat", place, trouble, message: String::new(), code: String::new() })
    }

    #[test]
    fn a_full_disk_is_told_at_once_and_until_a_create_would_go_through() {
        let (mut trust, start) = (Trust::default(), Instant::now());
        assert!(trust.record(&troubled(Trouble::DiskFull), start));
        assert!(!trust.is_away(), "it can be read");
        assert!(!trust.record(&Ok(()), start + MINUTE), "a statement that needs no space says nothing");
        let lack = trust.absence(start + 60 * MINUTE).expect("it is full");
        assert!(lack.tolerable && lack.problem.contains("its disk is full"), "{lack:?}");
        let end = start + 60 * MINUTE;
        assert_eq!(trust.recover(end), Some(start));
        assert_eq!((trust.absence(end), trust.recover(end)), (None, None));
    }

    #[test]
    fn a_rehearsal_does_not_end_a_trouble_that_came_after_it_began() {
        for failure in [troubled(Trouble::DiskFull), away()] {
            let (mut trust, start) = (Trust::default(), Instant::now());
            trust.record(&troubled(Trouble::ReadOnly), start);
            let (begun, failed) = (start + MINUTE, start + 2 * MINUTE);
            trust.record(&failure, failed);
            let before = trust.absence(failed);
            assert!(before.is_some(), "{failure:?}");
            assert_eq!((trust.recover(begun), trust.absence(failed)), (None, before), "{failure:?}");
            assert_eq!(trust.recover(failed + MINUTE), Some(start), "the next rehearsal ends it: {failure:?}");
        }
    }

    #[test]
    fn a_database_that_was_away_is_back_once_a_create_would_go_through() {
        let (mut trust, start) = (Trust::default(), Instant::now());
        trust.record(&Ok(()), start);
        assert!(!trust.is_unwell());
        trust.record(&away(), start + MINUTE);
        trust.record(&Ok(()), start + 2 * MINUTE);
        assert!(!trust.is_away() && trust.is_unwell(), "it may be a standby by now");
        let end = start + 3 * MINUTE;
        assert_eq!((trust.recover(end), trust.recover(end)), (Some(start + MINUTE), None));
        assert!(!trust.is_unwell());
    }

    #[test]
    fn a_database_that_lets_nobody_in_is_away_and_says_why() {
        let (mut trust, start) = (Trust::default(), Instant::now());
        trust.record(&troubled(Trouble::TooManyConnections), start);
        assert!(trust.is_away());
        let lack = trust.absence(start + 11 * MINUTE).expect("nobody gets in");
        assert!(!lack.tolerable && lack.problem.contains("max_connections"), "{lack:?}");
    }
}
