//! Events for webhooks that wait for the server. They are kept as text, so that their memory is bounded.

use std::collections::VecDeque;

use b3scale_base::rest::{Batch, MappedEvent};
use tracing::{debug, warn};

/// Events that wait, and their bytes. Beyond that the oldest are dropped.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
/// Bytes of one batch.
const LARGEST: usize = 4 << 20;

/// Events that wait, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Tales {
    waiting: VecDeque<String>,
    bytes: usize,
    /// How many of them are on their way.
    sent: usize,
    dropped: u64,
}

impl Tales {
    /// Adds an event. One that the server would not take is dropped.
    pub(super) fn push(&mut self, mut event: MappedEvent) {
        if event.attributes.text().len() > Batch::LARGEST_ATTRIBUTES {
            return debug!(event.name, "Dropping an event of webhooks: it is too large");
        }
        event.raw.take_if(|raw| raw.text().len() > Batch::LARGEST_RAW);
        let Ok(text) = serde_json::to_string(&event) else { return };
        self.bytes += text.len();
        self.waiting.push_back(text);
        while self.waiting.len() > MOST || self.bytes > MOST_BYTES {
            self.shift();
            self.sent = self.sent.saturating_sub(1);
            if self.dropped == 0 {
                warn!("Dropping events of webhooks: too many wait for the server");
            }
            self.dropped += 1;
        }
    }

    /// How many are still to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len() - self.sent
    }

    /// The next ones. They stay here until [`settle`](Self::settle).
    pub(super) fn take(&mut self, most: usize) -> Vec<MappedEvent> {
        let mut room = LARGEST;
        let fits = |text: &&String| {
            let left = room.checked_sub(text.len());
            room = left.unwrap_or_default();
            left.is_some()
        };
        let texts: Vec<&String> = self.waiting.iter().take(most).take_while(fits).collect();
        let events = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        self.sent = texts.len();
        events
    }

    /// What was sent has come there, or has not and is sent again.
    pub(super) fn settle(&mut self, arrived: bool) {
        for _ in 0..std::mem::take(&mut self.sent) {
            if arrived {
                self.shift();
            }
        }
        if self.dropped > 0 && self.waiting.is_empty() {
            warn!(events = self.dropped, "Events of webhooks were dropped; the server takes them again");
            self.dropped = 0;
        }
    }

    fn shift(&mut self) {
        self.bytes -= self.waiting.pop_front().map_or(0, |text| text.len());
    }
}

#[cfg(test)]
mod tests {
    use b3scale_base::rest::RawJson;
    use serde_json::json;

    use super::*;

    fn told(ts: i64, attributes: &serde_json::Value) -> MappedEvent {
        let attributes = RawJson::new(attributes);
        MappedEvent { meeting: "m".to_owned(), name: "pad-content".to_owned(), ts, attributes, raw: None }
    }

    fn numbers(events: &[MappedEvent]) -> Vec<i64> {
        events.iter().map(|event| event.ts).collect()
    }

    #[test]
    fn what_has_not_arrived_is_sent_again() {
        let mut tales = Tales::default();
        (0..3).for_each(|ts| tales.push(told(ts, &json!({}))));
        assert_eq!((numbers(&tales.take(2)), tales.waiting()), (vec![0, 1], 1));
        tales.settle(false);
        assert_eq!((numbers(&tales.take(2)), tales.waiting()), (vec![0, 1], 1));
        tales.settle(true);
        assert_eq!(numbers(&tales.take(2)), [2]);
        tales.settle(true);
        assert_eq!((tales.take(2), tales.bytes), (Vec::new(), 0));
    }

    #[test]
    fn of_too_many_the_oldest_are_dropped() {
        let mut tales = Tales::default();
        tales.push(told(0, &json!({})));
        assert_eq!(numbers(&tales.take(1)), [0]);
        (1..=MOST as i64).for_each(|ts| tales.push(told(ts, &json!({}))));
        assert_eq!(tales.dropped, 1);
        tales.settle(true);
        assert_eq!((numbers(&tales.take(1)), tales.waiting()), (vec![1], MOST - 1), "the dropped one was the sent one");
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut tales = Tales::default();
        tales.push(told(0, &json!({ "text": "x".repeat(Batch::LARGEST_ATTRIBUTES) })));
        assert_eq!(tales.waiting(), 0, "the server would not take it");
        let long = json!({ "text": "x".repeat(16_000) });
        (0..2_000).for_each(|ts| tales.push(told(ts, &long)));
        assert!(tales.bytes <= MOST_BYTES && tales.dropped > 0);
        let batch = tales.take(500);
        assert!(serde_json::to_string(&batch).unwrap().len() < LARGEST + 500 && batch.len() > 200);
    }
}
