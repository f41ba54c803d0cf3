//! The memory of documents that are made here. It belongs to the frontend, as that of every other byte on its way.

use std::error::Error;
use std::sync::Arc;

use b3scale_middleware::call::{self, Room};
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyDataStream, Either};

use super::visit::Visit;
use crate::budget::{Full, Owner};
use crate::site::{self, Answer, Body};

/// Smaller documents, in bytes, take up less than their connection.
const SMALL: usize = 4 << 10;

/// Sets memory aside for a document of ours. A node's has room already.
pub(super) fn with_room(visit: &Visit, reply: Reply) -> Result<Reply, Fault> {
    if reply.body.len() <= SMALL || !reply.room.is_empty() {
        return Ok(reply);
    }
    let room = room(visit, reply.body.len())?;
    Ok(Reply { room, ..reply })
}

/// Lets the pieces of a tail follow an answer. The call keeps its place until the last of them, and a fault cuts the connection.
pub(super) fn followed(visit: &Arc<Visit>, answer: Answer, tail: call::Pieces) -> Answer {
    let visit = Arc::clone(visit);
    let tail = tail.map(move |piece| {
        piece.and_then(|piece| with_room_of(&visit, piece)).map_err(|fault| {
            visit.cut_short(&fault);
            Box::<dyn Error + Send + Sync>::from(fault)
        })
    });
    answer.map(|start| {
        let start = BodyDataStream::new(start).map_err(|error| -> Box<dyn Error + Send + Sync> { error });
        Either::Right(Body::from_stream(start.chain(tail)))
    })
}

fn with_room_of(visit: &Visit, piece: Bytes) -> Result<Bytes, Fault> {
    let room = room(visit, piece.len())?;
    Ok(site::kept(piece, room))
}

fn room(visit: &Visit, bytes: usize) -> Result<Room, Fault> {
    let owner = Owner::Frontend(visit.door.frontend_key.clone());
    let mut room = visit.shared.parts.budget.room(owner);
    room.grow(bytes).map_err(|Full| Fault::Overloaded)?;
    Ok(Room::of(room))
}
