//! Places for strangers, without a proved checksum. Once all are taken, a newcomer pushes out the longest waiting one.
//!
//! So a waiting crowd keeps no honest client out: that one needs its place for a moment, and has gone before its turn to leave
//! comes. A known client keeps its place during a call. Between two calls it can be pushed out too, once known clients rest on
//! more than half of the places. An address with many places pushes out its own first.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::net::address::network;
use crate::site::Connection;

/// So many places, and so many for one address.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_one: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// All that are taken.
    taken: usize,
    /// Resting places without a proof, the oldest first.
    strangers: BTreeMap<u64, Resting>,
    /// Resting places with an earlier proof, the longest resting first.
    known: BTreeMap<u64, Resting>,
    by_address: HashMap<IpAddr, Own>,
}

/// A place that can be taken away.
#[derive(Debug)]
struct Resting {
    /// `None`: a proxy that speaks for many.
    address: Option<IpAddr>,
    leave: Arc<Notify>,
}

/// The places of one address.
#[derive(Debug, Default)]
struct Own {
    taken: usize,
    resting: BTreeSet<u64>,
}

impl Places {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, state: Mutex::default() })
    }

    /// Takes a place. `address`: its client, unless many share that address. `None`: no taken place is at rest.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        let mut state = self.state();
        if let Some(own) = address.and_then(|address| state.by_address.get(&address))
            && own.taken >= self.most_of_one
        {
            let oldest = *own.resting.first()?;
            state.push_out(oldest);
        }
        if state.taken >= self.most {
            let oldest = state.oldest(self.most)?;
            state.push_out(oldest);
        }
        let (number, leave) = (state.number(), Arc::new(Notify::new()));
        state.taken += 1;
        if let Some(address) = address {
            let own = state.by_address.entry(address).or_default();
            own.taken += 1;
            own.resting.insert(number);
        }
        state.strangers.insert(number, Resting { address, leave: Arc::clone(&leave) });
        let (number, kept) = (AtomicU64::new(number), AtomicBool::new(false));
        Some(Place { places: Arc::clone(self), address, leave, number, kept })
    }

    /// Takes away the next place in turn. Returns whether there was one at rest.
    pub(super) fn push_out_oldest(&self) -> bool {
        let mut state = self.state();
        let oldest = state.oldest(self.most);
        oldest.is_some_and(|oldest| state.push_out(oldest))
    }

    /// Whether the next one to come is refused.
    pub(super) fn are_in_use(&self) -> bool {
        let state = self.state();
        state.taken >= self.most && state.oldest(self.most).is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The place at rest that is taken away next. Known holders keep theirs as long as they rest on no more than half of all.
    fn oldest(&self, most: usize) -> Option<u64> {
        let (stranger, known) = (self.strangers.first_key_value(), self.known.first_key_value());
        let oldest = if self.known.len() > most / 2 { known.or(stranger) } else { stranger.or(known) };
        oldest.map(|(number, _)| *number)
    }

    /// Takes a place away. Returns whether it was at rest.
    fn push_out(&mut self, number: u64) -> bool {
        let Some(resting) = self.wake(number) else { return false };
        self.give_back(resting.address);
        resting.leave.notify_one();
        true
    }

    /// Ends the rest of a place.
    fn wake(&mut self, number: u64) -> Option<Resting> {
        let resting = self.strangers.remove(&number).or_else(|| self.known.remove(&number))?;
        if let Some(own) = resting.address.and_then(|address| self.by_address.get_mut(&address)) {
            own.resting.remove(&number);
        }
        Some(resting)
    }

    fn give_back(&mut self, address: Option<IpAddr>) {
        self.taken -= 1;
        if let Some(address) = address
            && let Entry::Occupied(mut own) = self.by_address.entry(address)
        {
            own.get_mut().taken -= 1;
            if own.get().taken == 0 {
                own.remove();
            }
        }
    }
}

/// A place that is taken, until it is dropped or taken away.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
    leave: Arc<Notify>,
    /// By which it rests. This and `kept` change only with the state locked.
    number: AtomicU64,
    kept: AtomicBool,
}

impl Place {
    /// Its holder is known now, and cannot be pushed out until the place rests again. Returns whether it is still its holder's.
    pub(super) fn keep(&self) -> bool {
        let mut state = self.places.state();
        let was_at_rest = state.wake(self.number.load(Relaxed)).is_some();
        self.kept.fetch_or(was_at_rest, Relaxed) || was_at_rest
    }

    /// Its holder's proof no longer counts. Others come first again, if they have rested for longer.
    pub(super) fn rest(&self) {
        let mut state = self.places.state();
        if !self.kept.swap(false, Relaxed) {
            return;
        }
        let number = state.number();
        self.number.store(number, Relaxed);
        if let Some(own) = self.address.and_then(|address| state.by_address.get_mut(&address)) {
            own.resting.insert(number);
        }
        state.known.insert(number, Resting { address: self.address, leave: Arc::clone(&self.leave) });
    }

    /// Waits until the place is taken away.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Connection for Place {
    fn keep(&self) {
        Place::keep(self);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if state.wake(*self.number.get_mut()).is_some() || *self.kept.get_mut() {
            state.give_back(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some([10, 0, 0, last].into())
    }

    fn is_lost(place: &Place) -> bool {
        place.lost().now_or_never().is_some()
    }

    #[test]
    fn a_newcomer_takes_the_place_of_whoever_has_waited_longest() {
        let places = Places::new(2, 2);
        let [first, second, third] = [1, 2, 3].map(|last| places.take(address(last)).expect("there is a place"));
        assert!(is_lost(&first) && !is_lost(&second) && !is_lost(&third));
        drop(first);
        assert_eq!(places.state().taken, 2, "a place that was taken away is not given back again");
    }

    #[test]
    fn a_kept_place_is_not_taken_away_until_it_rests() {
        let places = Places::new(2, 2);
        let [first, second] = [1, 2].map(|last| places.take(address(last)).expect("there is a place"));
        assert!(first.keep());
        let third = places.take(address(3)).expect("the second makes room");
        assert!(!is_lost(&first) && is_lost(&second) && !second.keep());
        third.keep();
        assert!(places.are_in_use() && places.take(address(4)).is_none(), "both may stay");
        first.rest();
        let fourth = places.take(address(4)).expect("the first is at rest");
        assert!(is_lost(&first) && !is_lost(&third));
        drop((first, second, third, fourth));
        assert_eq!(places.state().taken, 0);
    }

    #[test]
    fn known_holders_at_rest_have_half_of_the_places_and_no_more() {
        let places = Places::new(4, 4);
        let known: Vec<_> = (0..4).map(|last| places.take(address(last)).expect("there is a place")).collect();
        known.iter().for_each(|place| assert!(place.keep()));
        known.iter().for_each(Place::rest);
        let newcomers: Vec<_> = (4..20).map(|last| places.take(address(last)).expect("there is a place")).collect();
        assert_eq!([0, 1, 2, 3].map(|place| is_lost(&known[place])), [true, true, false, false]);
        assert!(!is_lost(&newcomers[14]) && !is_lost(&newcomers[15]));
    }

    #[test]
    fn an_address_is_refused_when_all_its_places_are_kept() {
        let places = Places::new(100, 2);
        let own = [1, 1].map(|last| places.take(address(last)).expect("there is a place"));
        assert!(own.iter().all(Place::keep));
        assert!(places.take(address(1)).is_none() && places.take(address(2)).is_some());
        own[1].rest();
        assert!(places.take(address(1)).is_some() && is_lost(&own[1]));
    }

    #[test]
    fn an_address_with_many_places_pushes_out_its_own() {
        let places = Places::new(100, 2);
        let other = places.take(address(1)).expect("there is a place");
        let own = [2, 2, 2].map(|last| places.take(address(last)).expect("there is a place"));
        assert!(!is_lost(&other) && is_lost(&own[0]) && !is_lost(&own[1]));
        let proxied = [None; 5].map(|address| places.take(address).expect("there is a place"));
        assert!(!proxied.iter().any(is_lost), "a proxy speaks for many");
        drop((other, own, proxied));
        let state = places.state();
        assert!(
            state.taken == 0 && state.strangers.is_empty() && state.known.is_empty() && state.by_address.is_empty()
        );
    }
}
