//! What the answer to a delivery means, and when the next try is.

use std::time::Duration;

use super::courier::{Answered, Unsent};

/// A frontend that is away is waited for, for three days.
const LONGEST: Duration = Duration::from_hours(72);
/// The pause after the first try at a receiver that is away. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// The pause after an answer that will hardly change.
const SHORT_PAUSE: Duration = Duration::from_mins(1);
/// How many such answers are believed.
const MOST_DENIALS: u32 = 4;

/// The answer to a message, or why there is none.
pub(crate) type Outcome = Result<Answered, Unsent>;

/// The consequence of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Another try follows after that pause.
    Later(Duration),
    /// The receiver wants no other try, or cannot be called.
    Refused,
    /// There were tries for three days.
    Dead,
}

/// Whether the receiver may know another secret.
pub(super) fn suspects_signature(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|answered| matches!(answered.status.as_u16(), 400 | 401 | 403))
}

/// The consequence of a try. `tries` counts it, `age` is the time since the first.
pub(super) fn judge(outcome: &Outcome, tries: u32, age: Duration) -> Verdict {
    let pause = match outcome {
        Ok(Answered { status, retry_after }) => match status.as_u16() {
            200..=299 => return Verdict::Delivered,
            410 => return Verdict::Refused,
            400 | 401 | 403 => slowly(tries),
            429 | 503 => growing(tries).max(retry_after.unwrap_or_default().min(LONGEST_PAUSE)),
            408 | 425 | 500 | 502 | 504..=599 => growing(tries),
            _ if tries >= MOST_DENIALS => return Verdict::Refused,
            _ => SHORT_PAUSE,
        },
        Err(Unsent::Unusable | Unsent::Inward(_)) => return Verdict::Refused,
        Err(Unsent::Unreachable(_) | Unsent::TooSlow) => growing(tries),
    };
    if age + pause > LONGEST { Verdict::Dead } else { Verdict::Later(pause) }
}

fn growing(tries: u32) -> Duration {
    let factor = 2_u32.saturating_pow(tries.saturating_sub(1));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// The pauses of a receiver that knows neither secret: an operator of it may be changing them.
fn slowly(tries: u32) -> Duration {
    match tries {
        0 | 1 => SHORT_PAUSE,
        2 => SHORT_PAUSE * 10,
        _ => LONGEST_PAUSE,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(status: u16) -> Outcome {
        Ok(Answered { status: StatusCode::from_u16(status).expect("a status"), retry_after: None })
    }

    fn later(seconds: u64) -> Verdict {
        Verdict::Later(Duration::from_secs(seconds))
    }

    #[test]
    fn each_answer_has_its_consequence() {
        let judge = |status, tries| judge(&answer(status), tries, Duration::ZERO);
        for status in [200, 202, 204] {
            assert_eq!(judge(status, 1), Verdict::Delivered, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(
                [1, 2, 3, 9, 10, 900].map(|tries| judge(status, tries)),
                [10, 20, 40, 2560, 3600, 3600].map(later)
            );
        }
        for status in [400, 401, 403] {
            assert_eq!([1, 2, 3, 50].map(|tries| judge(status, tries)), [60, 600, 3600, 3600].map(later), "{status}");
        }
        for status in [301, 302, 404, 405, 406, 422, 501] {
            assert_eq!([1, 2, 3].map(|tries| judge(status, tries)), [60; 3].map(later), "{status}");
            assert_eq!(judge(status, 4), Verdict::Refused, "{status}");
        }
        assert_eq!(judge(410, 1), Verdict::Refused);
    }

    #[test]
    fn a_receiver_that_is_away_is_waited_for_and_an_address_inside_is_not() {
        let away = Err(Unsent::Unreachable("connection refused".to_owned()));
        for outcome in [away, Err(Unsent::TooSlow)] {
            assert_eq!(judge(&outcome, 3, Duration::ZERO), later(40), "{outcome:?}");
        }
        for outcome in [Err(Unsent::Unusable), Err(Unsent::Inward("localhost".to_owned()))] {
            assert_eq!(judge(&outcome, 1, Duration::ZERO), Verdict::Refused, "{outcome:?}");
        }
    }

    #[test]
    fn a_receiver_says_how_long_it_wants_to_be_left_alone() {
        for (seconds, pause) in [(5, 10), (300, 300), (90_000, 3600)] {
            let answered =
                Answered { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(Duration::from_secs(seconds)) };
            assert_eq!(judge(&Ok(answered), 1, Duration::ZERO), later(pause));
        }
    }

    #[test]
    fn tries_end_after_three_days() {
        assert_eq!(judge(&answer(500), 90, Duration::from_hours(71)), later(3600));
        assert_eq!(judge(&answer(500), 90, Duration::from_hours(71) + Duration::from_secs(1)), Verdict::Dead);
        assert_eq!(judge(&answer(401), 80, Duration::from_hours(73)), Verdict::Dead);
        assert_eq!(judge(&answer(200), 90, Duration::from_hours(73)), Verdict::Delivered);
    }
}
