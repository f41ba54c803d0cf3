//! Events to report, and the time of the next batch.

use std::collections::VecDeque;
use std::time::Duration;

use b3scale_base::rest::Event;
use tokio::time::Instant;

/// Events of one batch.
pub(super) const LARGEST: usize = 500;
/// Events that wait for a server that is away. When there are more, a snapshot says it in fewer words.
pub(super) const MOST: usize = 10_000;
/// Between two batches that have something to say.
const PACE: Duration = Duration::from_millis(250);
/// Between two that have not.
const BEAT: Duration = Duration::from_secs(1);

/// Events to report.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    events: VecDeque<Event>,
    sent: Option<Instant>,
}

impl Outbox {
    /// Adds an event. False: there are too many, and all of them were dropped.
    #[must_use]
    pub(super) fn push(&mut self, event: Event) -> bool {
        self.events.push_back(event);
        let fits = self.events.len() <= MOST;
        if !fits {
            self.clear();
        }
        fits
    }

    /// Drops all events: a snapshot replaces them, or they are too late.
    pub(super) fn clear(&mut self) {
        self.events = VecDeque::new();
    }

    /// Lets batches go, the first at once.
    pub(super) fn open(&mut self, now: Instant) {
        self.sent.get_or_insert(now.checked_sub(BEAT).unwrap_or(now));
    }

    /// When the next batch is due, with or without a snapshot.
    pub(super) fn due(&self, snapshot: bool) -> Option<Instant> {
        let pause = match self.events.len() {
            LARGEST.. => Duration::ZERO,
            0 if !snapshot => BEAT,
            _ => PACE,
        };
        Some(self.sent? + pause)
    }

    /// The events of the next batch.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Event> {
        self.sent = Some(now);
        let events = self.events.drain(..self.events.len().min(LARGEST)).collect();
        if self.events.is_empty() {
            self.events.shrink_to(LARGEST);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Event {
        Event::MeetingEnded { meeting: number.to_string() }
    }

    #[test]
    fn batches_are_small_and_in_order() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert!((0..LARGEST + 1).all(|number| outbox.push(event(number))));
        let first = outbox.take(now);
        assert_eq!((first.len(), &first[0]), (LARGEST, &event(0)));
        assert_eq!(outbox.take(now), [event(LARGEST)]);
        assert_eq!(outbox.take(now), []);
    }

    #[test]
    fn a_batch_is_due_the_sooner_the_more_it_has_to_say() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert_eq!(outbox.due(true), None);
        outbox.open(now);
        assert!(outbox.due(false).is_some_and(|due| due <= now));
        assert!(outbox.take(now).is_empty());
        assert_eq!([outbox.due(false), outbox.due(true)], [Some(now + BEAT), Some(now + PACE)]);
        assert!(outbox.push(event(0)));
        assert_eq!(outbox.due(false), Some(now + PACE));
        assert!((1..LARGEST).all(|number| outbox.push(event(number))));
        assert_eq!(outbox.due(false), Some(now));
    }

    #[test]
    fn what_is_too_much_is_dropped() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert!((0..MOST).all(|number| outbox.push(event(number))));
        assert!(!outbox.push(event(MOST)));
        assert!(outbox.take(now).is_empty());
    }
}
