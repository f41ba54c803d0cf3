//! From rows to deliveries.

use std::fmt;
use std::time::Duration;

use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio_postgres::Row;
use uuid::Uuid;

use super::TABLE;
use crate::store::StoreError;
use crate::store::rows::{column, time, time_if_any, word};

/// A delivery that is to be sent.
pub struct Delivery {
    /// Its name, for the receiver too.
    pub id: Uuid,
    /// The callback, a row of `meeting_callbacks`.
    pub callback: Uuid,
    /// The event.
    pub kind: CallbackKind,
    /// The frontend's URL.
    pub url: String,
    /// The frontend's id of the meeting.
    pub meeting_id: String,
    /// The recording, if it is about one.
    pub record: Option<String>,
    /// Whether there is a recording, as the node has said.
    pub marks: Option<bool>,
    /// `GET` or `POST`, for [`CallbackKind::Other`].
    pub method: String,
    /// The media type of the body.
    pub media: Option<String>,
    /// What the node appended to the URL.
    pub query: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The algorithm of the token with which the node signed.
    pub bearer: Option<String>,
    /// Whether it holds its callback until the try ends.
    pub holds: bool,
    /// The number of this try, from 1.
    pub attempts: u32,
    /// How long ago its tries began.
    pub age: Duration,
}

/// URL and body are the tenant's.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, attempts, .. } = self;
        f.debug_struct("Delivery")
            .field("id", id)
            .field("kind", kind)
            .field("attempts", attempts)
            .finish_non_exhaustive()
    }
}

/// A delivery as operators see it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeliveryEntry {
    /// Its name, for the receiver too.
    pub id: Uuid,
    /// The event.
    pub kind: CallbackKind,
    /// The key of the frontend.
    pub frontend: String,
    /// The id by which nodes know the meeting.
    pub meeting: String,
    /// The frontend's id of it.
    pub meeting_id: String,
    /// The recording, if it is about one.
    pub record: Option<String>,
    /// The frontend's URL. Not for logs, metrics or answers.
    pub url: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How many tries there were.
    pub attempts: u32,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When it was queued.
    pub created_at: OffsetDateTime,
    /// When it was last tried.
    pub tried_at: Option<OffsetDateTime>,
    /// When it was settled.
    pub settled_at: Option<OffsetDateTime>,
    /// When the next try is due.
    pub next_try: Option<OffsetDateTime>,
}

/// The URL is the tenant's.
impl fmt::Debug for DeliveryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, state, attempts, status, problem, .. } = self;
        f.debug_struct("DeliveryEntry")
            .field("id", id)
            .field("kind", kind)
            .field("state", state)
            .field("attempts", attempts)
            .field("status", status)
            .field("problem", problem)
            .finish_non_exhaustive()
    }
}

pub(super) fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: column(TABLE, row, "id")?,
        callback: column(TABLE, row, "callback_id")?,
        kind: word(TABLE, row, "kind")?,
        url: column(TABLE, row, "url")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        record: column(TABLE, row, "record_id")?,
        marks: column(TABLE, row, "marks")?,
        method: column(TABLE, row, "method")?,
        media: column(TABLE, row, "media")?,
        query: column(TABLE, row, "query")?,
        body: column::<Option<Vec<u8>>>(TABLE, row, "body")?.unwrap_or_default().into(),
        bearer: column(TABLE, row, "bearer")?,
        holds: column(TABLE, row, "holds")?,
        attempts: column::<i32>(TABLE, row, "attempts")?.unsigned_abs(),
        age: seconds(row, "age")?,
    })
}

pub(super) fn entry(row: &Row) -> Result<DeliveryEntry, StoreError> {
    Ok(DeliveryEntry {
        id: column(TABLE, row, "id")?,
        kind: word(TABLE, row, "kind")?,
        frontend: column(TABLE, row, "frontend")?,
        meeting: column(TABLE, row, "meeting")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        record: column(TABLE, row, "record_id")?,
        url: column(TABLE, row, "url")?,
        state: word(TABLE, row, "state")?,
        attempts: column::<i32>(TABLE, row, "attempts")?.unsigned_abs(),
        status: column::<Option<i32>>(TABLE, row, "status")?.and_then(|status| status.try_into().ok()),
        problem: column(TABLE, row, "problem")?,
        created_at: time(TABLE, row, "created_at")?,
        tried_at: time_if_any(TABLE, row, "tried_at")?,
        settled_at: time_if_any(TABLE, row, "settled_at")?,
        next_try: time_if_any(TABLE, row, "next_try")?,
    })
}

/// A number of seconds, none if it is negative: clocks are set back.
pub(super) fn seconds(row: &Row, name: &str) -> Result<Duration, StoreError> {
    let seconds: f64 = column(TABLE, row, name)?;
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}
