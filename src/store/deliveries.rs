//! The tables of callbacks and their deliveries: where a frontend wants to hear of a meeting, and each message to it.

use b3scale_middleware::cluster::CallbackKind;
use uuid::Uuid;

use super::rows::column;
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};

const TABLE: &str = "deliveries";

/// Removes deliveries that were settled a month ago.
pub(super) const SWEEP: &str = "DELETE FROM deliveries WHERE settled_at < now() - interval '30 days'";

/// The deliveries to the callbacks of frontends.
#[derive(Clone, Copy)]
pub struct Deliveries<'s>(pub(super) &'s Store);

/// A message to a callback that is to be queued.
#[derive(Clone, Copy)]
pub struct NewDelivery<'a> {
    /// The callback, a row of `meeting_callbacks`.
    pub callback: Uuid,
    /// Two messages of one subject to one callback are the same message.
    pub subject: &'a str,
    /// The event.
    pub kind: CallbackKind,
    /// The recording, if it is about one.
    pub record: Option<&'a str>,
    /// Whether there is a recording, as the node says at an end. `None`: the node has not said it yet.
    pub marks: Option<bool>,
    /// `GET` or `POST`, for [`CallbackKind::Other`].
    pub method: &'a str,
    /// The media type of the body.
    pub media: Option<&'a str>,
    /// What the node appended to the URL, for [`CallbackKind::Other`].
    pub query: Option<&'a str>,
    /// The body, in the tenant's terms.
    pub body: Option<&'a [u8]>,
    /// The algorithm of the token with which the node signed, such as `HS512`. Each try is signed again.
    pub bearer: Option<&'a str>,
}

/// The outcome of queueing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It is queued.
    New,
    /// It is there already.
    Known,
    /// It was there, waiting for the node's word about a recording, which it now has.
    Hastened,
}

impl Deliveries<'_> {
    /// Queues a message, with its cause.
    pub(crate) async fn queue_in(transaction: &Transaction<'_>, new: &NewDelivery<'_>) -> Result<Queued, StoreError> {
        let sql = "WITH made AS (
                INSERT INTO deliveries
                    (callback_id, subject, kind, record_id, marks, method, media, query, body, bearer)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                ON CONFLICT (callback_id, subject) DO UPDATE SET marks = excluded.marks
                    WHERE deliveries.state = 'waiting' AND deliveries.marks IS NULL AND excluded.marks IS NOT NULL
                RETURNING id, xmax = 0 AS is_new),
            hastened AS (
                UPDATE jobs SET run_after = now() FROM made
                WHERE NOT is_new AND jobs.kind = 'deliver' AND payload->>'id' = made.id::text AND run_by IS NULL)
            SELECT is_new FROM made";
        let NewDelivery { callback, subject, kind, record, marks, method, media, query, body, bearer } = new;
        let rows = transaction
            .rows(sql, &[callback, subject, &kind.word(), record, marks, method, media, query, body, bearer])
            .await?;
        Ok(match rows.first() {
            Some(row) if column(TABLE, row, "is_new")? => Queued::New,
            Some(_) => Queued::Hastened,
            None => Queued::Known,
        })
    }

    /// Queues a message by itself.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn queue(self, new: &NewDelivery<'_>) -> Result<Queued, StoreError> {
        self.0.transaction(new, Ending::Commit).await
    }
}

impl Work for NewDelivery<'_> {
    const TASK: &'static str = "queue a delivery";
    type Done = Queued;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Queued, StoreError> {
        Deliveries::queue_in(transaction, self).await
    }
}
