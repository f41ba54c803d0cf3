//! Deliveries: messages to the callbacks of frontends. The original has none.

use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A message to a callback of a frontend. Settled ones are kept for a month. The URL is a secret of the frontend, and only its host is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Identity, which the receiver gets as `webhook-id`.
    pub id: Uuid,
    /// The event.
    pub kind: CallbackKind,
    /// How far it is.
    pub state: DeliveryState,
    /// The key of the frontend.
    pub frontend: String,
    /// The frontend's id of the meeting.
    pub meeting_id: String,
    /// The id by which nodes know the meeting.
    pub scoped_id: String,
    /// The recording, if it is about one.
    pub record_id: Option<String>,
    /// The host of the frontend's URL.
    pub host: Option<String>,
    /// How many tries there were.
    pub attempts: u32,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When it was queued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last tried.
    #[serde(with = "time::serde::rfc3339::option")]
    pub tried_at: Option<OffsetDateTime>,
    /// When the next try is due.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_try: Option<OffsetDateTime>,
    /// When it was settled.
    #[serde(with = "time::serde::rfc3339::option")]
    pub settled_at: Option<OffsetDateTime>,
}
