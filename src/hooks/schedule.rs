//! The consequence of a try: bbb-webhooks' own, but that a hook is paused and not lost.

use std::time::Duration;

use crate::outbox::{Answered, Outcome};

/// The pauses between tries, in milliseconds.
const PAUSES: [u64; 12] = [100, 500, 1000, 2000, 4000, 8000, 10_000, 30_000, 60_000, 60_000, 60_000, 60_000];
/// The pause of a permanent hook after these.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// The consequence of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has the event.
    Delivered,
    /// Another try follows after that pause.
    Later(Duration),
    /// The hook is paused.
    Pause,
}

/// The consequence of a try, the `number`th at an event, from 1. A receiver that knows none of the `secrets` cannot be helped by a
/// repetition: BBB takes its 401 for a success.
pub(super) fn judge(outcome: &Outcome, number: u32, secrets: u32, is_permanent: bool) -> Verdict {
    let is_refused = |answered: &Answered| answered.status.as_u16() == 401 && number >= secrets;
    if outcome.as_ref().is_ok_and(|answered| answered.status.is_success() || is_refused(answered)) {
        return Verdict::Delivered;
    }
    let pause = usize::try_from(number).ok().and_then(|number| PAUSES.get(number.checked_sub(1)?));
    match pause {
        Some(pause) => Verdict::Later(Duration::from_millis(*pause)),
        None if is_permanent => Verdict::Later(LAST_PAUSE),
        None => Verdict::Pause,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::outbox::Unsent;

    fn answer(status: u16) -> Outcome {
        Ok(Answered { status: StatusCode::from_u16(status).expect("a status"), retry_after: None })
    }

    #[test]
    fn a_success_and_a_401_are_deliveries() {
        for status in [200, 202, 204, 299, 401] {
            assert_eq!(judge(&answer(status), 1, 1, false), Verdict::Delivered, "{status}");
        }
        for status in [301, 302, 307, 400, 403, 404, 410, 429, 500, 503] {
            assert_eq!(judge(&answer(status), 1, 1, false), Verdict::Later(Duration::from_millis(100)), "{status}");
        }
    }

    #[test]
    fn a_401_asks_for_the_other_secret_first() {
        assert_eq!(judge(&answer(401), 1, 2, false), Verdict::Later(Duration::from_millis(100)));
        assert_eq!(judge(&answer(401), 2, 2, false), Verdict::Delivered);
    }

    #[test]
    fn a_hook_is_paused_after_twelve_repetitions_and_a_permanent_one_never() {
        for outcome in [answer(500), Err(Unsent::TooSlow), Err(Unsent::Inward("localhost".to_owned()))] {
            let verdicts =
                |is_permanent| -> Vec<_> { (1..=15).map(|number| judge(&outcome, number, 1, is_permanent)).collect() };
            let of_bbb: Vec<_> = PAUSES.iter().map(|pause| Verdict::Later(Duration::from_millis(*pause))).collect();
            assert_eq!(verdicts(false)[..12], of_bbb);
            assert_eq!(verdicts(false)[12..], [Verdict::Pause; 3]);
            assert_eq!(verdicts(true)[..12], of_bbb);
            assert_eq!(verdicts(true)[12..], [Verdict::Later(LAST_PAUSE); 3]);
        }
    }
}
