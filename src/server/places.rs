//! Places for strangers, who have proved nothing yet. Once all are taken, a newcomer pushes out the one that has waited longest.
//!
//! So a waiting crowd keeps no honest client out: that one needs its place for a moment, and has gone before its turn to leave
//! comes. An address with many places pushes out its own first.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

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
    /// Those that can be taken away, the oldest first.
    strangers: BTreeMap<u64, Stranger>,
    by_address: HashMap<IpAddr, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Stranger {
    /// `None`: a proxy that speaks for many.
    address: Option<IpAddr>,
    leave: Arc<Notify>,
}

impl Places {
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, state: Mutex::default() })
    }

    /// Takes a place. `address`: whose it is, unless many share that address. `None`: all are taken by those who may stay.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let address = address.map(network);
        let mut state = self.state();
        if let Some(own) = address.and_then(|address| state.by_address.get(&address))
            && own.len() >= self.most_of_one
            && let Some(oldest) = own.first().copied()
        {
            state.push_out(oldest);
        }
        if state.taken >= self.most {
            let oldest = *state.strangers.first_key_value()?.0;
            state.push_out(oldest);
        }
        let (number, leave) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.taken += 1;
        state.strangers.insert(number, Stranger { address, leave: Arc::clone(&leave) });
        if let Some(address) = address {
            state.by_address.entry(address).or_default().insert(number);
        }
        Some(Place { places: Arc::clone(self), number, leave, kept: AtomicBool::new(false) })
    }

    /// Pushes out the stranger that has waited longest. Returns whether there was one.
    pub(super) fn push_out_oldest(&self) -> bool {
        let mut state = self.state();
        let oldest = state.strangers.first_key_value().map(|(oldest, _)| *oldest);
        oldest.is_some_and(|oldest| state.push_out(oldest))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes a place away. Returns whether it could be: it is not its holder's for good, and not given up already.
    fn push_out(&mut self, number: u64) -> bool {
        let Some(stranger) = self.forget(number) else { return false };
        self.taken -= 1;
        stranger.leave.notify_one();
        true
    }

    fn forget(&mut self, number: u64) -> Option<Stranger> {
        let stranger = self.strangers.remove(&number)?;
        if let Some(address) = stranger.address
            && let Some(own) = self.by_address.get_mut(&address)
        {
            own.remove(&number);
            if own.is_empty() {
                self.by_address.remove(&address);
            }
        }
        Some(stranger)
    }
}

/// A place that is taken, until it is dropped or taken away.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    leave: Arc<Notify>,
    kept: AtomicBool,
}

impl Place {
    /// Its holder is known now, and cannot be pushed out any more.
    pub(super) fn keep(&self) {
        if self.places.state().forget(self.number).is_some() {
            self.kept.store(true, Relaxed);
        }
    }

    /// Waits until the place is taken away.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if state.forget(self.number).is_some() || *self.kept.get_mut() {
            state.taken -= 1;
        }
    }
}

/// The address to count by: for IPv6 the network, since one host has as many addresses in it as it likes.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
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
    fn who_is_known_keeps_the_place() {
        let places = Places::new(2, 2);
        let [first, second] = [1, 2].map(|last| places.take(address(last)).expect("there is a place"));
        first.keep();
        let third = places.take(address(3)).expect("the second makes room");
        assert!(!is_lost(&first) && is_lost(&second));
        third.keep();
        assert!(places.take(address(4)).is_none(), "both may stay");
        drop(first);
        assert!(places.take(address(4)).is_some());
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
        assert!(state.taken == 0 && state.strangers.is_empty() && state.by_address.is_empty());
    }

    #[test]
    fn a_host_is_one_address_however_many_it_has() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
