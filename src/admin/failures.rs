//! How many bad tokens came from where. Good ones are never held up by bad ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most failures of an address within [`WINDOW`].
const MOST: u32 = 20;

/// After it, an address starts from zero.
const WINDOW: Duration = Duration::from_secs(60);

/// The most remembered addresses. A client with more is not stopped by any number.
const MOST_ADDRESSES: usize = 10_000;

/// The bad tokens of late.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Tally>>);

#[derive(Clone, Copy, Debug)]
struct Tally {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Counts one more, and says whether that is too many.
    pub(super) fn too_many(&self, address: IpAddr) -> bool {
        self.count(address, Instant::now()) > MOST
    }

    fn count(&self, address: IpAddr, now: Instant) -> u32 {
        let address = network(address);
        let is_old = |tally: &Tally| now.duration_since(tally.since) >= WINDOW;
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MOST_ADDRESSES && !tallies.contains_key(&address) {
            tallies.retain(|_, tally| !is_old(tally));
            if tallies.len() >= MOST_ADDRESSES {
                tallies.clear();
            }
        }
        let tally = tallies.entry(address).or_insert(Tally { since: now, count: 0 });
        if is_old(tally) {
            *tally = Tally { since: now, count: 0 };
        }
        tally.count = tally.count.saturating_add(1);
        tally.count
    }
}

/// The owner of one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_told_to_wait_and_another_is_not() {
        let (failures, now) = (Failures::default(), Instant::now());
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        assert_eq!((1..=3).map(|_| failures.count(one, now)).last(), Some(3));
        assert_eq!(failures.count(other, now), 1);
        assert_eq!(failures.count(one, now + WINDOW), 1, "it begins anew");
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let (failures, now) = (Failures::default(), Instant::now());
        failures.count("2001:db8::1".parse().unwrap(), now);
        assert_eq!(failures.count("2001:db8::2".parse().unwrap(), now), 2);
    }

    #[test]
    fn memory_is_bounded() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..30_000_u32 {
            failures.count(IpAddr::from(number.to_be_bytes()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= MOST_ADDRESSES);
    }
}
