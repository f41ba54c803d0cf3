//! Events to report, and the time of the next batch.

use std::collections::VecDeque;
use std::time::Duration;

use b3scale_base::rest::{Event, MappedEvent};
use tokio::time::Instant;

use super::tales::Tales;

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
    /// Events for webhooks, while these want any.
    tales: Option<Tales>,
    /// How many of the events were heard before that: webhooks get what these hold.
    untold: usize,
}

/// The events of a batch.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    pub(super) events: Vec<Event>,
    /// For webhooks. `None`: they get what the events hold.
    pub(super) mapped: Option<Vec<MappedEvent>>,
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

    /// Drops all events: a snapshot replaces them, or they are too late. Those for webhooks stay.
    pub(super) fn clear(&mut self) {
        (self.events, self.untold) = (VecDeque::new(), 0);
    }

    /// From here on webhooks want events of their own, or none.
    pub(super) fn tell(&mut self, on: bool) {
        match (on, &self.tales) {
            (true, None) => (self.tales, self.untold) = (Some(Tales::default()), self.events.len()),
            (false, Some(_)) => (self.tales, self.untold) = (None, 0),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Adds an event for webhooks.
    pub(super) fn push_told(&mut self, event: MappedEvent) {
        if let Some(tales) = &mut self.tales {
            tales.push(event);
        }
    }

    /// Whether events for webhooks wait.
    pub(super) fn has_told(&self) -> bool {
        self.tales.as_ref().is_some_and(|tales| tales.waiting() > 0)
    }

    /// The last batch has come there, or its events for webhooks are sent again.
    pub(super) fn settle(&mut self, arrived: bool) {
        if let Some(tales) = &mut self.tales {
            tales.settle(arrived);
        }
    }

    /// Lets batches go, the first at once.
    pub(super) fn open(&mut self, now: Instant) {
        self.sent.get_or_insert(now.checked_sub(BEAT).unwrap_or(now));
    }

    /// When the next batch is due, with or without more to say than these events.
    pub(super) fn due(&self, more: bool) -> Option<Instant> {
        let pause = match self.events.len() {
            LARGEST.. => Duration::ZERO,
            0 if !more => BEAT,
            _ => PACE,
        };
        Some(self.sent? + pause)
    }

    /// The events of the next batch. `tells`: with those for webhooks, if the server knows the meetings.
    pub(super) fn take(&mut self, now: Instant, tells: bool) -> Load {
        self.sent = Some(now);
        // A batch holds events of one kind: webhooks hear of each once.
        let most = if self.untold > 0 { self.untold.min(LARGEST) } else { LARGEST };
        let events: Vec<Event> = self.events.drain(..self.events.len().min(most)).collect();
        if self.events.is_empty() {
            self.events.shrink_to(LARGEST);
        }
        let tales = self.tales.as_mut().filter(|_| self.untold == 0);
        self.untold = self.untold.saturating_sub(most);
        let mapped = tales.map(|tales| if tells { tales.take(LARGEST) } else { Vec::new() });
        Load { events, mapped }
    }
}

#[cfg(test)]
mod tests {
    use b3scale_base::rest::RawJson;

    use super::*;

    fn event(number: usize) -> Event {
        Event::MeetingEnded { meeting: number.to_string() }
    }

    #[test]
    fn batches_are_small_and_in_order() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert!((0..LARGEST + 1).all(|number| outbox.push(event(number))));
        let first = outbox.take(now, true).events;
        assert_eq!((first.len(), &first[0]), (LARGEST, &event(0)));
        assert_eq!(outbox.take(now, true), Load { events: vec![event(LARGEST)], mapped: None });
        assert_eq!(outbox.take(now, true).events, []);
    }

    #[test]
    fn a_batch_is_due_the_sooner_the_more_it_has_to_say() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        assert_eq!(outbox.due(true), None);
        outbox.open(now);
        assert!(outbox.due(false).is_some_and(|due| due <= now));
        assert!(outbox.take(now, true).events.is_empty());
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
        assert!(outbox.take(now, true).events.is_empty());
    }

    #[test]
    fn webhooks_get_each_event_in_one_form() {
        let told = |ts| MappedEvent {
            meeting: "m".to_owned(),
            name: "user-left".to_owned(),
            ts,
            attributes: RawJson::new(&serde_json::json!({})),
            raw: None,
        };
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.push_told(told(0));
        assert!(outbox.push(event(0)) && !outbox.has_told());
        outbox.tell(true);
        outbox.tell(true);
        assert!(outbox.push(event(1)));
        outbox.push_told(told(1));
        assert_eq!(outbox.take(now, true), Load { events: vec![event(0)], mapped: None }, "it was heard before");
        let both = Load { events: vec![event(1)], mapped: Some(vec![told(1)]) };
        assert_eq!(outbox.take(now, true), both);
        outbox.settle(false);
        assert_eq!(outbox.take(now, true), Load { events: Vec::new(), mapped: Some(vec![told(1)]) });
        outbox.settle(true);
        outbox.push_told(told(2));
        outbox.clear();
        assert_eq!(outbox.take(now, false), Load { events: Vec::new(), mapped: Some(Vec::new()) });
        assert!(outbox.has_told(), "a snapshot replaces other events only");
        outbox.tell(false);
        assert_eq!(outbox.take(now, true), Load { events: Vec::new(), mapped: None });
    }
}
