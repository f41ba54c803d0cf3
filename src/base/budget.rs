//! One budget over all bytes that wait in memory: answers of nodes, bodies, documents, heads.
//!
//! Every byte has an owner, and an owner may hold at most half of the free rest. So one greedy owner gets a third of the
//! budget and sixty get a bit each, and there is always room for the next. Small amounts are let in beyond that, up to a bound for
//! each owner: they are given back soon. Strangers may not give theirs back. So they share a part of their own and take none from
//! the others. A last part is kept for polls: they work even when tenants have used up the server's memory.

mod buffer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::iter;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use b3scale_middleware::cluster::BackendId;

use crate::net::address::network;
use crate::telemetry::Sheet;
use crate::telemetry::catalog::{BUFFER_REFUSALS, BUFFERED, BUFFERED_LIMIT, BUFFERED_PEAK};

/// The size of a small buffer: most answers and bodies fit.
const SMALL: usize = 64 << 10;

/// The part for one owner's small buffers, on top of its share: one in so many bytes.
const SMALL_ONES: usize = 64;

/// The part of strangers: one in so many bytes.
const STRANGERS: usize = 8;

/// The part for answers to the server's own polls: one in so many bytes.
const POLLS: usize = 16;

/// The most room that is made for a buffer at a time.
const PART: usize = 256 << 10;

/// Spare parts are kept while so much of the budget is held: one in so many bytes.
const BUSY: usize = 8;

/// The owner of bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A node's.
    Backend(BackendId),
    /// A node's, which this server has asked how it is.
    Poll(BackendId),
    /// A tenant's, by its key.
    Frontend(Box<str>),
    /// Of someone with a token for the REST API, by its subject.
    Caller(Box<str>),
    /// Of someone who has proved nothing yet, by address: see [`Owner::stranger`].
    Stranger(IpAddr),
}

impl Owner {
    /// Someone at an address. All addresses that one host may have are one owner.
    pub fn stranger(address: IpAddr) -> Self {
        Owner::Stranger(network(address))
    }

    fn name(&self) -> &'static str {
        match self {
            Owner::Backend(_) => "backend",
            Owner::Poll(_) => "poll",
            Owner::Frontend(_) => "frontend",
            Owner::Caller(_) => "caller",
            Owner::Stranger(_) => "stranger",
        }
    }

    /// What owners of this kind may hold together.
    fn part_of(&self, limit: usize) -> usize {
        let strangers = limit / STRANGERS;
        match self {
            Owner::Stranger(_) => strangers,
            Owner::Poll(_) => limit - strangers,
            Owner::Backend(_) | Owner::Frontend(_) | Owner::Caller(_) => limit - strangers - limit / POLLS,
        }
    }
}

/// There is no room for these bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for calls in flight is used up")]
pub struct Full;

/// The budget of a process. Clones are the same budget.
#[derive(Clone)]
pub struct Budget(Arc<Pool>);

struct Pool {
    limit: usize,
    held: Mutex<Held>,
    /// Parts of buffers that are no more. While there is a lot to do they are used again: an allocator takes a while to give memory
    /// back, and would hold far more meanwhile.
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Held {
    /// By strangers, and by all others.
    strangers: usize,
    others: usize,
    peak: usize,
    by_owner: HashMap<Owner, Holding>,
}

/// The bytes of one owner.
#[derive(Clone, Copy, Default)]
struct Holding {
    /// In buffers that are small, and in the others.
    small: usize,
    large: usize,
}

impl Budget {
    /// A budget of that many bytes.
    pub fn of(limit: usize) -> Self {
        Self(Arc::new(Pool { limit, held: Mutex::default(), spare: Mutex::default() }))
    }

    /// How many bytes there are in all.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How many are held now.
    pub fn held(&self) -> usize {
        self.0.held().all()
    }

    /// The most that were ever held at once.
    pub fn peak(&self) -> usize {
        self.0.held().peak
    }

    /// Room for an owner's bytes. It holds none yet.
    pub fn room(&self, owner: Owner) -> Room {
        Room { pool: Arc::clone(&self.0), owner, bytes: 0 }
    }

    /// Writes how much is taken, for `/metrics`.
    pub fn write_figures(&self, sheet: &mut Sheet) {
        sheet.set(&BUFFERED, [], self.held());
        sheet.set(&BUFFERED_PEAK, [], self.peak());
        sheet.set(&BUFFERED_LIMIT, [], self.limit());
    }
}

impl Default for Budget {
    /// 256 MiB.
    fn default() -> Self {
        Self::of(256 << 20)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit()).field("held", &self.held()).finish()
    }
}

impl Pool {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty part of a buffer.
    fn part(&self, bytes: usize) -> Vec<u8> {
        let spare = if bytes == PART { self.spare().pop() } else { None };
        spare.unwrap_or_else(|| Vec::with_capacity(bytes))
    }

    /// Keeps parts for other buffers, if there is much to do. Held and spare bytes together never exceed the budget.
    fn keep(&self, parts: impl Iterator<Item = Vec<u8>>) {
        let held = self.held().all();
        let most = if held < self.limit / BUSY { 0 } else { (self.limit - held) / PART };
        let mut spare = self.spare();
        spare.extend(parts.filter(|part| part.capacity() == PART));
        spare.truncate(most);
    }
}

impl Held {
    fn all(&self) -> usize {
        self.strangers + self.others
    }

    fn part(&mut self, owner: &Owner) -> &mut usize {
        if matches!(owner, Owner::Stranger(_)) { &mut self.strangers } else { &mut self.others }
    }

    /// Lets a buffer of an owner's grow.
    fn grow(&mut self, limit: usize, owner: &Owner, from: usize, to: usize) -> Result<(), Full> {
        let part = *self.part(owner);
        let free = owner.part_of(limit).checked_sub(part + to - from).ok_or(Full)?;
        let its = self.by_owner.get(owner).copied().unwrap_or_default().resized(from, to);
        let is_small = to <= SMALL && its.small <= limit / SMALL_ONES && !matches!(owner, Owner::Stranger(_));
        if !is_small && its.small + its.large > free / 2 {
            return Err(Full);
        }
        *self.part(owner) += to - from;
        self.by_owner.insert(owner.clone(), its);
        self.peak = self.peak.max(self.all());
        Ok(())
    }

    /// Lets a buffer of an owner's shrink.
    fn shrink(&mut self, owner: &Owner, from: usize, to: usize) {
        *self.part(owner) -= from - to;
        if let Entry::Occupied(mut its) = self.by_owner.entry(owner.clone()) {
            *its.get_mut() = its.get().resized(from, to);
            if its.get().small + its.get().large == 0 {
                its.remove();
            }
        }
    }
}

impl Holding {
    /// The same when one buffer has another size.
    fn resized(mut self, from: usize, to: usize) -> Self {
        *self.kind(from) -= from;
        *self.kind(to) += to;
        self
    }

    fn kind(&mut self, bytes: usize) -> &mut usize {
        if bytes <= SMALL { &mut self.small } else { &mut self.large }
    }
}

/// Bytes that an owner holds, given back when this is dropped.
pub struct Room {
    pool: Arc<Pool>,
    owner: Owner,
    bytes: usize,
}

impl Room {
    /// Takes up more bytes.
    pub fn grow(&mut self, more: usize) -> Result<(), Full> {
        let taken = self.pool.held().grow(self.pool.limit, &self.owner, self.bytes, self.bytes + more);
        match taken {
            Ok(()) => {
                self.bytes += more;
                self.pool.keep(iter::empty());
            }
            Err(Full) => BUFFER_REFUSALS.with([self.owner.name()]).increment(1),
        }
        taken
    }

    /// Lets another owner hold the bytes.
    pub fn pass_to(&mut self, owner: Owner) -> Result<(), Full> {
        if owner != self.owner {
            let mut room = Room { pool: Arc::clone(&self.pool), owner, bytes: 0 };
            room.grow(self.bytes)?;
            *self = room;
        }
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if bytes < self.bytes {
            self.pool.held().shrink(&self.owner, self.bytes, bytes);
            self.bytes = bytes;
            self.pool.keep(iter::empty());
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("owner", &self.owner).field("bytes", &self.bytes).finish()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MIB: usize = 1 << 20;

    fn id(number: u128) -> BackendId {
        BackendId(Uuid::from_u128(number))
    }

    fn node(number: u128) -> Owner {
        Owner::Backend(id(number))
    }

    fn stranger(last: u8) -> Owner {
        Owner::stranger([10, 0, 0, last].into())
    }

    /// Takes a MiB at a time until there is no more.
    fn greedy(budget: &Budget, owner: Owner) -> Room {
        let mut room = budget.room(owner);
        while room.grow(MIB).is_ok() {}
        room
    }

    #[test]
    fn a_greedy_owner_leaves_most_of_the_budget_to_others() {
        let budget = Budget::of(240 * MIB);
        let first = greedy(&budget, node(1));
        assert_eq!(first.bytes / MIB, 65);
        let second = greedy(&budget, node(2));
        assert!(second.bytes / MIB >= 43, "{}", second.bytes / MIB);
        drop((first, second));
        assert_eq!(budget.held(), 0);
        assert!(budget.peak() > 105 * MIB);
    }

    #[test]
    fn after_sixty_greedy_owners_there_is_room_for_the_next() {
        let budget = Budget::of(240 * MIB);
        let mut greedy: Vec<_> = (0..60).map(|number| budget.room(node(number))).collect();
        while greedy.iter_mut().filter_map(|room| room.grow(SMALL).ok()).count() > 0 {}
        assert!(budget.room(node(100)).grow(2 * MIB).is_ok());
        assert!(budget.held() <= budget.limit());
        drop(greedy);
    }

    #[test]
    fn many_buffers_of_one_owner_count_as_one() {
        let budget = Budget::of(240 * MIB);
        let rooms: Vec<_> = (0..200).map(|_| greedy(&budget, node(1))).collect();
        assert_eq!(rooms.iter().map(|room| room.bytes).sum::<usize>() / MIB, 65);
        assert!(budget.room(node(1)).grow(SMALL).is_ok(), "a small buffer has room beside the share");
        assert!(budget.room(node(2)).grow(20 * MIB).is_ok());
    }

    #[test]
    fn many_small_buffers_of_one_owner_are_no_more_than_its_share() {
        let budget = Budget::of(240 * MIB);
        let owners = [node(1), Owner::Frontend("school".into()), Owner::Caller("agent".into()), Owner::Poll(id(1))];
        for owner in owners {
            let mut rooms: Vec<_> = (0..4000).map(|_| budget.room(owner.clone())).collect();
            rooms.iter_mut().for_each(|room| while room.grow(SMALL / 4).is_ok() {});
            assert!(budget.held() <= 75 * MIB, "{owner:?}: {}", budget.held());
            assert!(budget.room(Owner::Frontend("other".into())).grow(40 * MIB).is_ok());
        }
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn polls_have_room_when_tenants_have_used_up_theirs() {
        let budget = Budget::of(240 * MIB);
        let mut rooms: Vec<_> = (0..5000).map(|number| budget.room(node(number))).collect();
        rooms.iter_mut().for_each(|room| while room.grow(SMALL).is_ok() {});
        assert_eq!(budget.room(node(9999)).grow(SMALL), Err(Full), "tenants and nodes have used up all of theirs");
        assert!(budget.room(Owner::Poll(id(1))).grow(4 * MIB).is_ok());
        let _first = greedy(&budget, Owner::Poll(id(1)));
        assert!(budget.room(Owner::Poll(id(2))).grow(2 * MIB).is_ok(), "one node's list leaves room for another's");
        assert!(budget.held() <= 225 * MIB);
    }

    #[test]
    fn strangers_take_nothing_from_the_others() {
        let budget = Budget::of(240 * MIB);
        let mut rooms: Vec<_> = (0..4000).map(|_| budget.room(stranger(0))).collect();
        rooms.iter_mut().for_each(|room| while room.grow(SMALL).is_ok() {});
        let held = budget.held();
        assert!((9 * MIB..=10 * MIB).contains(&held), "{held}: one stranger is an owner like any other");
        let more: Vec<_> = (1..=255).map(|last| greedy(&budget, stranger(last))).collect();
        assert!(budget.held() <= 30 * MIB);
        let mut tenants = budget.room(Owner::Frontend("school".into()));
        assert!(tenants.grow(65 * MIB).is_ok());
        drop((rooms, more));
    }

    #[test]
    fn a_host_with_many_addresses_is_one_owner() {
        let budget = Budget::of(240 * MIB);
        let addresses = (0..200).map(|number| std::net::Ipv6Addr::from((0x2001_0db8 << 96) + number));
        let rooms: Vec<_> = addresses.map(|address| greedy(&budget, Owner::stranger(address.into()))).collect();
        assert_eq!(budget.held() / MIB, 10);
        drop(rooms);
    }

    #[test]
    fn room_can_pass_to_another_owner() {
        let budget = Budget::of(240 * MIB);
        let mut room = budget.room(stranger(1));
        room.grow(8 * MIB).unwrap();
        room.pass_to(node(1)).unwrap();
        assert_eq!((budget.held(), room.bytes), (8 * MIB, 8 * MIB));
        assert!(budget.room(stranger(1)).grow(9 * MIB).is_ok(), "the stranger's part is free again");
        drop(room);
        assert_eq!(budget.held(), 0);
    }
}
