//! Seats: people on their way to a meeting, of frontends that may have only so many.

use async_trait::async_trait;
use b3scale_middleware::cluster::BackendId;
use b3scale_middleware::ports::{NewSeat, Seat};
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// Taking seats and giving them back.
#[async_trait]
pub trait Seats: Send + Sync {
    /// Takes a seat, if one is left. It is held under `id`.
    async fn take_seat(&self, id: Uuid, wanted: NewSeat<'_>, crowd: Crowd<'_>) -> Result<Seat, StoreError>;

    /// Gives a seat back, unless another join uses it, too.
    async fn return_seat(&self, id: Uuid) -> Result<(), StoreError>;
}

/// The people that no agent reports.
#[derive(Clone, Copy, Debug)]
pub struct Crowd<'a> {
    /// Attendees of the frontend on each backend. Backends with a reporting agent are left out: the database has theirs.
    pub people: &'a [(BackendId, i64)],
    /// How many people in the meeting have the id of the attendee, by the same source.
    pub namesakes: i64,
}
