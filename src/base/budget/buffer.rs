//! Buffers with an owner.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;

use super::{Budget, Full, Owner, PART, Room};

/// The least room that is made for a buffer with something in it.
const FIRST: usize = 4 << 10;

/// Bytes that come piece by piece, and the room that they take up. They are put together at the end: a buffer that moved whenever
/// it grows would leave as much behind as it holds.
pub struct Buffer {
    before: Vec<Vec<u8>>,
    last: Vec<u8>,
    length: usize,
    room: Room,
}

impl Budget {
    /// An empty buffer of an owner's.
    pub fn buffer(&self, owner: Owner) -> Buffer {
        Buffer { before: Vec::new(), last: Vec::new(), length: 0, room: self.room(owner) }
    }
}

impl Buffer {
    pub fn len(&self) -> usize {
        self.length
    }

    /// Adds a piece. There will be no more than `most` bytes in all, so that no room beyond is made.
    pub fn push(&mut self, piece: &[u8], most: usize) -> Result<(), Full> {
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
    pub fn finish(mut self) -> (Bytes, Room) {
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
    use b3scale_middleware::cluster::BackendId;
    use uuid::Uuid;

    use super::super::SMALL;
    use super::*;

    const MIB: usize = 1 << 20;

    fn node(number: u128) -> Owner {
        Owner::Backend(BackendId(Uuid::from_u128(number)))
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
