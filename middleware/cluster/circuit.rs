//! The circuit of a backend: keeps a node that does not answer from holding connections.
//!
//! After a few failures in a row no call is sent to the node for a while; then one is, and its outcome decides. The
//! calls in flight are bounded, too: before a node that stalls has failed often enough, it could hold any number of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many failures in a row open the circuit.
const FAILURES_TO_OPEN: u32 = 5;

/// How long no call is sent, before one is.
const REST: Duration = Duration::from_secs(5);

/// The most calls that wait for one node at a time.
const MOST_IN_FLIGHT: u32 = 256;

/// The circuit of one backend. Clones are the same circuit.
#[derive(Clone, Debug, Default)]
pub struct Circuit(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    in_flight: u32,
    /// When the circuit opened, or last let a call through since.
    opened: Option<Instant>,
}

/// A call on its way through a circuit. Dropped, it says nothing of the node.
#[derive(Debug)]
pub struct Passage(Circuit);

impl Circuit {
    /// Lets a call through, or returns the reason of an open circuit.
    pub fn admit(&self, now: Instant) -> Result<Passage, &'static str> {
        let mut state = self.state();
        if state.in_flight >= MOST_IN_FLIGHT {
            return Err("as many calls as it may have are waiting for it");
        }
        if let Some(opened) = &mut state.opened {
            if now.saturating_duration_since(*opened) < REST {
                return Err("it has failed several times in a row");
            }
            // The others go on resting until this one is back.
            *opened = now;
        }
        state.in_flight += 1;
        Ok(Passage(self.clone()))
    }

    /// Whether calls are kept from the node.
    pub fn is_open(&self) -> bool {
        self.state().opened.is_some()
    }

    /// The node has answered any request.
    pub fn close(&self) {
        let mut state = self.state();
        (state.failures, state.opened) = (0, None);
    }

    /// The node is not there: no call is sent for a while. Returns whether that has just opened the circuit.
    pub fn trip(&self, now: Instant) -> bool {
        self.fail(FAILURES_TO_OPEN, now)
    }

    fn fail(&self, count: u32, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(count);
        let opens = state.failures >= FAILURES_TO_OPEN && state.opened.is_none();
        if state.failures >= FAILURES_TO_OPEN {
            state.opened = Some(now);
        }
        opens
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage {
    /// The node answered.
    pub fn answered(self) {
        self.0.close();
    }

    /// The node did not answer. Returns whether that has just opened the circuit.
    pub fn failed(self, now: Instant) -> bool {
        self.0.fail(1, now)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail_often(circuit: &Circuit, now: Instant) -> Vec<bool> {
        (0..FAILURES_TO_OPEN).map(|_| circuit.admit(now).expect("it is closed").failed(now)).collect()
    }

    #[test]
    fn a_few_failures_in_a_row_open_it_and_one_answer_closes_it() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        assert_eq!(fail_often(&circuit, now), [false, false, false, false, true]);
        assert!(circuit.is_open() && circuit.admit(now).is_err());
        circuit.admit(now + REST).expect("one is let through").answered();
        assert!(!circuit.is_open() && circuit.admit(now).is_ok());
    }

    #[test]
    fn a_node_that_is_found_missing_is_left_alone_at_once() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        assert!(circuit.trip(now) && !circuit.trip(now));
        assert!(circuit.admit(now).is_err() && circuit.admit(now + REST).is_ok());
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..FAILURES_TO_OPEN {
                circuit.admit(now).expect("it is closed").failed(now);
            }
            circuit.admit(now).expect("it is closed").answered();
        }
        assert!(!circuit.is_open());
    }

    #[test]
    fn while_it_rests_one_call_at_a_time_is_let_through() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        fail_often(&circuit, now);
        let later = now + REST;
        let probe = circuit.admit(later).expect("the rest is over");
        assert!(circuit.admit(later).is_err(), "the others wait for it");
        assert!(!probe.failed(later), "it was open already");
        assert!(circuit.admit(later + REST / 2).is_err());
        drop(circuit.admit(later + REST).expect("the next one"));
        assert!(circuit.is_open(), "a call that was given up says nothing");
    }

    #[test]
    fn a_node_that_stalls_does_not_hold_any_number_of_calls() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        let held: Vec<_> = (0..MOST_IN_FLIGHT).map(|_| circuit.admit(now).expect("there is room")).collect();
        assert!(circuit.admit(now).is_err());
        drop(held);
        assert!(circuit.admit(now).is_ok());
    }
}
