//! One budget over all bytes that wait in memory: answers of nodes, bodies, documents, heads.
//!
//! Every byte has an owner, and an owner may hold at most half of what is left free. So one that is greedy gets a third of the
//! budget and sixty get a bit each, and there is always room for the next. Small amounts are let in while there is any room:
//! they are given back soon. Strangers may not give theirs back. So they share a part of their own and take none from the others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::iter;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use b3scale_middleware::cluster::BackendId;
use bytes::Bytes;

use crate::telemetry::Sheet;
use crate::telemetry::catalog::{BUFFER_REFUSALS, BUFFERED, BUFFERED_LIMIT, BUFFERED_PEAK};

/// What is small: most answers and bodies are.
const SMALL: usize = 64 << 10;

/// The part of strangers: one in so many bytes.
const STRANGERS: usize = 8;

/// The least room that is made for a buffer with something in it.
const FIRST: usize = 4 << 10;

/// The most room that is made for it at a time.
const PART: usize = 256 << 10;

/// Spare parts are kept while so much of the budget is held: one in so many bytes.
const BUSY: usize = 8;

/// Whose bytes they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A node's.
    Backend(BackendId),
    /// A tenant's, by its key.
    Frontend(Box<str>),
    /// Of someone with a token for the REST API, by its subject.
    Caller(Box<str>),
    /// Of someone who has proved nothing yet, by address.
    Stranger(IpAddr),
}

impl Owner {
    fn name(&self) -> &'static str {
        match self {
            Owner::Backend(_) => "backend",
            Owner::Frontend(_) => "frontend",
            Owner::Caller(_) => "caller",
            Owner::Stranger(_) => "stranger",
        }
    }
}

/// There is no room for these bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the memory for what is under way is used up")]
pub(crate) struct Full;

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
    by_owner: HashMap<Owner, usize>,
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
    pub(crate) fn room(&self, owner: Owner) -> Room {
        Room { pool: Arc::clone(&self.0), owner, bytes: 0 }
    }

    /// An empty buffer of an owner's.
    pub(crate) fn buffer(&self, owner: Owner) -> Buffer {
        Buffer { before: Vec::new(), last: Vec::new(), length: 0, room: self.room(owner) }
    }

    pub(crate) fn write_figures(&self, sheet: &mut Sheet) {
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

    fn take(&mut self, limit: usize, owner: &Owner, small: bool, more: usize) -> Result<(), Full> {
        let strangers = limit / STRANGERS;
        let limit = if matches!(owner, Owner::Stranger(_)) { strangers } else { limit - strangers };
        let part = self.part(owner);
        let free = limit.checked_sub(*part).and_then(|free| free.checked_sub(more)).ok_or(Full)?;
        let its = self.by_owner.get(owner).copied().unwrap_or_default() + more;
        let shares = !small || matches!(owner, Owner::Stranger(_));
        if shares && its > free / 2 {
            return Err(Full);
        }
        *self.part(owner) += more;
        self.by_owner.insert(owner.clone(), its);
        self.peak = self.peak.max(self.all());
        Ok(())
    }

    fn give_back(&mut self, owner: &Owner, bytes: usize) {
        *self.part(owner) -= bytes;
        if let Entry::Occupied(mut its) = self.by_owner.entry(owner.clone()) {
            *its.get_mut() -= bytes;
            if *its.get() == 0 {
                its.remove();
            }
        }
    }
}

/// Bytes that an owner holds, given back when this is dropped.
pub(crate) struct Room {
    pool: Arc<Pool>,
    owner: Owner,
    bytes: usize,
}

impl Room {
    /// Takes up more bytes.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), Full> {
        let small = self.bytes + more <= SMALL;
        let taken = self.pool.held().take(self.pool.limit, &self.owner, small, more);
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
    pub(crate) fn pass_to(&mut self, owner: Owner) -> Result<(), Full> {
        if owner != self.owner {
            let mut room = Room { pool: Arc::clone(&self.pool), owner, bytes: 0 };
            room.grow(self.bytes)?;
            *self = room;
        }
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        if rest > 0 {
            self.pool.held().give_back(&self.owner, rest);
            self.bytes -= rest;
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

/// Bytes that come piece by piece, and the room that they take up. They are put together at the end: a buffer that moved whenever
/// it grows would leave as much behind as it holds.
pub(crate) struct Buffer {
    before: Vec<Vec<u8>>,
    last: Vec<u8>,
    length: usize,
    room: Room,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Adds a piece. There will be no more than `most` bytes in all, so that no room beyond is made.
    pub(crate) fn push(&mut self, piece: &[u8], most: usize) -> Result<(), Full> {
        let free = self.last.capacity() - self.last.len();
        let (fits, rest) = piece.split_at(free.min(piece.len()));
        self.last.extend_from_slice(fits);
        self.length += fits.len();
        if !rest.is_empty() {
            let roomy = self.length.clamp(FIRST, PART).min(most.saturating_sub(self.length)).max(rest.len());
            // Where there is no room for as much again, there may be for this.
            let capacity = match self.room.grow(roomy) {
                Ok(()) => roomy,
                Err(Full) => self.room.grow(rest.len()).map(|()| rest.len())?,
            };
            let part = self.room.pool.part(capacity);
            self.before.push(mem::replace(&mut self.last, part));
            self.last.extend_from_slice(rest);
            self.length += rest.len();
        }
        Ok(())
    }

    /// The bytes, and the room to be kept for as long as they are.
    pub(crate) fn finish(mut self) -> (Bytes, Room) {
        let mut whole = Vec::with_capacity(self.length);
        self.before.iter().chain([&self.last]).for_each(|part| whole.extend_from_slice(part));
        self.room.shrink_to(self.length);
        let nothing = Room { pool: Arc::clone(&self.room.pool), owner: self.room.owner.clone(), bytes: 0 };
        (whole.into(), mem::replace(&mut self.room, nothing))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.room.shrink_to(0);
        let parts = mem::take(&mut self.before).into_iter().chain([mem::take(&mut self.last)]);
        self.room.pool.keep(parts.map(|mut part| {
            part.clear();
            part
        }));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MIB: usize = 1 << 20;

    fn node(number: u128) -> Owner {
        Owner::Backend(BackendId(Uuid::from_u128(number)))
    }

    fn stranger(last: u8) -> Owner {
        Owner::Stranger([10, 0, 0, last].into())
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
        assert_eq!(first.bytes / MIB, 70);
        let second = greedy(&budget, node(2));
        assert!(second.bytes / MIB >= 46, "{}", second.bytes / MIB);
        drop((first, second));
        assert_eq!(budget.held(), 0);
        assert!(budget.peak() > 110 * MIB);
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
        assert_eq!(rooms.iter().map(|room| room.bytes).sum::<usize>() / MIB, 70);
        assert!(budget.room(node(1)).grow(SMALL).is_ok(), "what is small is let in");
        assert!(budget.room(node(2)).grow(20 * MIB).is_ok());
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
        assert!(tenants.grow(70 * MIB).is_ok());
        drop((rooms, more));
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

    #[test]
    fn a_buffer_takes_up_what_it_has_room_for_and_gives_the_rest_back() {
        let budget = Budget::of(240 * MIB);
        let mut buffer = budget.buffer(node(1));
        assert_eq!(budget.held(), 0, "what only was announced takes nothing up");
        for _ in 0..5 {
            buffer.push(&[b'x'; 1000], MIB).unwrap();
        }
        assert_eq!(budget.held(), 8192);
        let (bytes, room) = buffer.finish();
        assert_eq!((bytes.len(), budget.held()), (5000, 5000));
        drop(room);
        assert_eq!(budget.held(), 0);
        let mut small = Budget::of(8 * 1024).buffer(node(1));
        assert_eq!(small.push(&[b'x'; 8000], MIB), Err(Full));
    }

    #[test]
    fn parts_are_used_again_while_there_is_much_to_do() {
        let budget = Budget::of(16 * MIB);
        let filled = |number| {
            let mut buffer = budget.buffer(node(number));
            while buffer.len() < 2 * MIB {
                buffer.push(&[b'x'; SMALL], 2 * MIB).unwrap();
            }
            buffer
        };
        let (first, second) = (filled(1), filled(2));
        drop(first);
        let spare = budget.0.spare().len();
        assert!(spare > 0 && spare * PART + budget.held() <= budget.limit(), "{spare}");
        let third = filled(3);
        assert!(budget.0.spare().len() < spare);
        drop((second, third));
        assert!(budget.0.spare().is_empty(), "what is not needed is given back");
    }

    #[test]
    fn no_more_room_is_made_than_there_may_be_bytes() {
        let budget = Budget::of(240 * MIB);
        let mut buffer = budget.buffer(node(1));
        buffer.push(&[b'x'; 5000], 6000).unwrap();
        buffer.push(&[b'x'; 1000], 6000).unwrap();
        assert_eq!(budget.held(), 6000);
    }
}
