//! The resources of one call: its place among the calls in flight, and the room of its body.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::places::Place;
use super::shares::{Share, Shares};
use crate::budget::{Full, Owner, Room};
use crate::proxies::Proxies;
use crate::site::Visitor;
use b3scale_middleware::Fault;
use b3scale_middleware::call::Gate;
use http::HeaderMap;

/// Begins empty: a stranger takes up no place of a call and no room of a tenant.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The client's address, from a trusted proxy if one passes the call on.
    pub(super) client: IpAddr,
    /// The same, unless it is a proxy that names no client: that speaks for many.
    pub(super) own_address: Option<IpAddr>,
    frontend_key: Box<str>,
    visitor: Visitor,
    calls: Arc<Shares>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    place: Option<Share>,
    room: Option<Room>,
    /// Among strangers, until the checksum holds or the call ends.
    among_strangers: Option<Place>,
}

impl Ticket {
    pub(super) fn new(
        calls: &Arc<Shares>,
        proxies: &Proxies,
        visitor: &Visitor,
        headers: &HeaderMap,
        frontend_key: &str,
    ) -> Arc<Self> {
        let address = proxies.client(visitor.peer.ip(), headers);
        Arc::new(Self {
            client: address,
            own_address: Some(address).filter(|address| !proxies.trust(*address)),
            frontend_key: frontend_key.into(),
            visitor: visitor.clone(),
            calls: Arc::clone(calls),
            held: Mutex::default(),
        })
    }

    /// Whether the call's frontend is proved.
    pub(super) fn is_admitted(&self) -> bool {
        self.held().place.is_some()
    }

    /// The owner of the bytes of its body.
    pub(super) fn owner(&self) -> Owner {
        if self.is_admitted() { Owner::Frontend(self.frontend_key.clone()) } else { Owner::stranger(self.client) }
    }

    /// Keeps the room of its body until the call has ended: its parsed form is about as large.
    pub(super) fn keep(&self, room: Room) {
        self.held().room = Some(room);
    }

    /// Takes up more room for its body.
    pub(super) fn grow(&self, more: usize) -> Result<(), Full> {
        self.held().room.as_mut().map_or(Ok(()), |room| room.grow(more))
    }

    /// Gives back the room of its body but for so many bytes.
    pub(super) fn shrink_to(&self, bytes: usize) {
        if let Some(room) = &mut self.held().room {
            room.shrink_to(bytes);
        }
    }

    /// Keeps the place of its body until the checksum has been computed.
    pub(super) fn await_proof(&self, place: Place) {
        self.held().among_strangers = Some(place);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Ticket {
    fn admit(&self) -> Result<(), Fault> {
        let mut held = self.held();
        if held.place.is_none() {
            held.place = Some(self.calls.take(&self.frontend_key).ok_or(Fault::Overloaded)?);
        }
        held.among_strangers = None;
        self.visitor.admit();
        let owner = Owner::Frontend(self.frontend_key.clone());
        held.room.as_mut().map_or(Ok(()), |room| room.pass_to(owner)).map_err(|Full| Fault::Overloaded)
    }
}
