//! Something that fails for a while: it is tried again after growing pauses, and said once for each reason.

use std::time::Duration;

/// What fails, if anything does.
#[derive(Debug)]
pub(super) struct Trouble {
    why: Option<String>,
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Trouble {
    /// None yet. The pauses grow from `first` to `most`.
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { why: None, first, most, next: first }
    }

    /// It has failed. True: that is news, and to be said.
    pub(super) fn met(&mut self, why: &str) -> bool {
        let news = self.why.as_deref() != Some(why);
        if news {
            self.why = Some(why.to_owned());
        }
        news
    }

    /// It has succeeded. True: it had failed before.
    pub(super) fn over(&mut self) -> bool {
        self.next = self.first;
        self.why.take().is_some()
    }

    /// How long to wait before the next attempt. Many agents that lost one server do not come back at one moment.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.75 + fastrand::f64() / 4.0);
        self.next = (self.next * 2).min(self.most);
        pause
    }

    /// Takes the longest pause at once: this will not pass soon.
    pub(super) fn is_lasting(&mut self) {
        self.next = self.most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_and_pauses_grow_until_it_is_over() {
        let mut trouble = Trouble::new(Duration::from_secs(1), Duration::from_secs(3));
        assert!(trouble.met("gone") && !trouble.met("gone") && trouble.met("no password"));
        let pauses = [trouble.pause(), trouble.pause(), trouble.pause(), trouble.pause()];
        assert!(pauses[0] <= Duration::from_secs(1) && pauses[3] <= Duration::from_secs(3));
        assert!(pauses[3] > Duration::from_secs(2), "{pauses:?}");
        assert!(trouble.over() && !trouble.over());
        assert!(trouble.met("gone") && trouble.pause() <= Duration::from_secs(1));
    }
}
