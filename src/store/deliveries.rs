//! The tables of callbacks and their deliveries: where a frontend wants to hear of a meeting, and each message to it.

mod rows;

use std::time::Duration;

use b3scale_middleware::cluster::{CallbackKind, DeliveryState};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{column, readable};
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};
use rows::{delivery, entry};

pub use rows::{Delivery, DeliveryEntry};

/// The kind of the jobs that make deliveries.
pub const DELIVER_JOB: &str = "deliver";

const TABLE: &str = "deliveries";

/// Removes deliveries that were settled a month ago. An end stays with its callback, so that its repetition is known.
pub(super) const SWEEP: &str = "DELETE FROM deliveries WHERE settled_at < now() - interval '30 days' AND subject <> ''";

/// The order of a list: waiting ones, the oldest first, then settled ones, the newest first. An index has it.
const ORDER: &str = "ORDER BY one.settled_at DESC NULLS FIRST, one.created_at, one.id";

/// The deliveries to the callbacks of frontends. The errors of all functions are those of the database.
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
    /// The frontend's id of the breakout, if the recording is one of a breakout, which has its parent's callback.
    pub breakout: Option<&'a str>,
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
    /// The most deliveries of its callback. `None`: any number.
    pub most: Option<i64>,
}

/// Which deliveries. By default all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Those in that state.
    pub state: Option<DeliveryState>,
    /// Those to the frontend of that key.
    pub frontend: Option<String>,
    /// Those about the meeting that nodes know by that id, or frontends.
    pub meeting: Option<String>,
}

/// The beginning of a try.
pub enum Begun {
    /// There is nothing to do any more.
    Settled,
    /// An end of its meeting goes first.
    Behind,
    /// Another delivery to its callback is under way.
    Held,
    /// It is to be sent.
    Due(Box<Delivery>),
}

/// How many deliveries of a kind wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The kind.
    pub kind: String,
    /// Whether their receivers answer and do not want them. Otherwise there is no answer, or an error of the receiver.
    pub unwanted: bool,
    /// Their number.
    pub count: i64,
    /// How long ago the tries of the oldest began.
    pub age: Duration,
}

/// The outcome of an operator's wish for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is due.
    Due,
    /// It is delivered, and its body was removed then.
    Emptied,
    /// There is no such delivery.
    Missing,
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
    /// Its callback has too many deliveries already.
    Full,
}

impl Deliveries<'_> {
    /// Queues a message, with its cause.
    pub(crate) async fn queue_in(transaction: &Transaction<'_>, new: &NewDelivery<'_>) -> Result<Queued, StoreError> {
        let sql = "WITH room AS (
                SELECT $12::int8 IS NULL OR count(*) < $12 OR bool_or(subject = $2) AS is_free
                FROM deliveries WHERE callback_id = $1),
            made AS (
                INSERT INTO deliveries
                    (callback_id, subject, kind, record_id, marks, method, media, query, body, bearer, breakout)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM room WHERE is_free
                ON CONFLICT (callback_id, subject) DO UPDATE SET marks = excluded.marks
                    WHERE deliveries.state = 'waiting' AND deliveries.marks IS NULL AND excluded.marks IS NOT NULL
                RETURNING id, xmax = 0 AS is_new),
            hastened AS (
                UPDATE jobs SET run_after = now() FROM made
                WHERE NOT is_new AND jobs.kind = 'deliver' AND payload->>'id' = made.id::text AND run_by IS NULL)
            SELECT is_free, is_new FROM room LEFT JOIN made ON true";
        let NewDelivery { callback, subject, kind, record, breakout, marks, method, media, query, body, bearer, most } =
            new;
        let kind = kind.word();
        let params: [&(dyn ToSql + Sync); 12] =
            [callback, subject, &kind, record, marks, method, media, query, body, bearer, breakout, most];
        let rows = transaction.rows(sql, &params).await?;
        let Some(row) = rows.first() else { return Ok(Queued::Known) };
        Ok(match (column(TABLE, row, "is_free")?, column(TABLE, row, "is_new")?) {
            (false, _) => Queued::Full,
            (true, Some(true)) => Queued::New,
            (true, Some(false)) => Queued::Hastened,
            (true, None) => Queued::Known,
        })
    }

    /// Queues a message by itself.
    pub async fn queue(self, new: &NewDelivery<'_>) -> Result<Queued, StoreError> {
        self.0.transaction(new, Ending::Commit).await
    }

    /// Begins a try. A recording waits for the end of its meeting, while that has good prospects. Of the deliveries to one callback
    /// one is tried at a time, until [`Deliveries::end`] or until `longest` has passed, as after a kill.
    ///
    /// The callback is locked before the delivery, as the removal of a frontend locks them.
    pub async fn begin(self, id: Uuid, longest: Duration) -> Result<Begun, StoreError> {
        // An end is the only delivery to its callback, and needs no hold.
        let sql = "WITH wanted AS (
                SELECT one.id, callback_id, kept.url, coalesce(one.breakout, kept.meeting_id) AS meeting_id, one.kind IN ('end', 'ended') AS is_only,
                    one.kind = 'ready' AND EXISTS (
                    SELECT FROM meeting_callbacks AS other JOIN deliveries AS earlier ON earlier.callback_id = other.id
                    WHERE other.meeting = kept.meeting AND other.internal_id = kept.internal_id
                        AND earlier.kind IN ('end', 'ended') AND earlier.state = 'waiting' AND earlier.attempts < 5) AS is_behind
                FROM deliveries AS one JOIN meeting_callbacks AS kept ON kept.id = one.callback_id
                WHERE one.id = $1 AND one.state = 'waiting' FOR NO KEY UPDATE OF kept, one),
            held AS (
                UPDATE meeting_callbacks AS kept SET held_by = $1, held_until = now() + make_interval(secs => $2)
                FROM wanted WHERE kept.id = callback_id AND NOT is_only AND NOT is_behind
                    AND (held_by <> $1 AND held_until > now()) IS NOT TRUE
                RETURNING kept.id),
            chosen AS (SELECT *, NOT is_behind AND (is_only OR EXISTS (SELECT FROM held)) AS is_due FROM wanted)
            UPDATE deliveries AS one SET attempts = attempts + is_due::integer,
                tried_at = CASE WHEN is_due THEN now() ELSE tried_at END
            FROM chosen WHERE one.id = chosen.id
            RETURNING one.*, url, meeting_id, NOT is_only AS holds, is_behind, is_due, extract(epoch FROM now() - since)::float8 AS age";
        let row = self.0.row("begin a delivery", sql, &[&id, &longest.as_secs_f64()]).await?;
        let Some(row) = row else { return Ok(Begun::Settled) };
        Ok(match (column(TABLE, &row, "is_due")?, column(TABLE, &row, "is_behind")?) {
            (true, _) => Begun::Due(Box::new(delivery(&row)?)),
            (false, true) => Begun::Behind,
            (false, false) => Begun::Held,
        })
    }

    /// Ends a try: another delivery to its callback may be tried.
    pub async fn end(self, delivery: &Delivery) -> Result<(), StoreError> {
        if !delivery.holds {
            return Ok(());
        }
        let sql = "UPDATE meeting_callbacks SET held_by = NULL, held_until = NULL WHERE id = $1 AND held_by = $2";
        self.0.rows("end a delivery", sql, &[&delivery.callback, &delivery.id]).await.map(drop)
    }

    /// Settles a delivery. A delivered one loses its body, since analytics have names of people. `false`: it was settled already,
    /// or is gone.
    pub async fn settle(
        self,
        id: Uuid,
        state: DeliveryState,
        status: Option<u16>,
        problem: Option<&str>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE deliveries SET state = $2, status = $3, problem = $4, settled_at = now(),
                body = CASE WHEN $2 <> 'delivered' THEN body END, query = CASE WHEN $2 <> 'delivered' THEN query END
            WHERE id = $1 AND state = 'waiting' RETURNING id";
        let status = status.map(i32::from);
        let params: [&(dyn ToSql + Sync); 4] = [&id, &state.word(), &status, &problem];
        Ok(self.0.row("settle a delivery", sql, &params).await?.is_some())
    }

    /// Notes why a try failed that another follows.
    pub async fn note(self, id: Uuid, status: Option<u16>, problem: &str) -> Result<(), StoreError> {
        let sql = "UPDATE deliveries SET status = $2, problem = $3 WHERE id = $1 AND state = 'waiting'";
        self.0.rows("note a failed delivery", sql, &[&id, &status.map(i32::from), &problem]).await.map(drop)
    }

    /// The deliveries: waiting ones, the oldest first, then settled ones, the newest first.
    pub async fn load(self, filter: &DeliveryFilter, most: u32) -> Result<Vec<DeliveryEntry>, StoreError> {
        let sql = entries(&format!(
            "($1::text IS NULL OR one.state = $1) AND ($2::text IS NULL OR frontends.key = $2)
                AND ($3::text IS NULL OR kept.meeting = $3 OR kept.meeting_id = $3) {ORDER} LIMIT $4"
        ));
        let DeliveryFilter { state, frontend, meeting } = filter;
        let params: [&(dyn ToSql + Sync); 4] = [&state.map(DeliveryState::word), frontend, meeting, &i64::from(most)];
        Ok(readable(&self.0.rows("load the deliveries", &sql, &params).await?, entry))
    }

    /// One delivery.
    pub async fn find(self, id: Uuid) -> Result<Option<DeliveryEntry>, StoreError> {
        let sql = entries("one.id = $1");
        self.0.row("find a delivery", &sql, &[&id]).await?.as_ref().map(entry).transpose()
    }

    /// Sends a delivery at once, in any state, with three days for its tries.
    pub async fn retry(self, id: Uuid) -> Result<Retried, StoreError> {
        // A delivery that waits has one job already. That of a settled one is at its end, or waits until a dropped one is due.
        let sql = "WITH found AS (
                SELECT id, callback_id, state, state = 'delivered' AND kind IN ('analytics', 'other') AS is_empty
                FROM deliveries WHERE id = $1 FOR UPDATE),
            earlier AS (SELECT * FROM found WHERE NOT is_empty),
            again AS (
                UPDATE deliveries SET state = 'waiting', attempts = 0, since = now(), settled_at = NULL
                FROM earlier WHERE deliveries.id = earlier.id RETURNING deliveries.id),
            theirs AS (
                SELECT jobs.id FROM jobs JOIN earlier ON payload->>'id' = earlier.id::text
                WHERE kind = 'deliver' AND poisoned_at IS NULL),
            hastened AS (
                UPDATE jobs SET run_after = now() FROM theirs
                WHERE jobs.id = theirs.id AND jobs.run_by IS NULL RETURNING jobs.id),
            queued AS (
                INSERT INTO jobs (kind, payload)
                SELECT 'deliver', jsonb_build_object('id', earlier.id, 'frontend', frontend_id)
                FROM earlier JOIN meeting_callbacks ON meeting_callbacks.id = callback_id
                WHERE NOT EXISTS (SELECT FROM hastened)
                    AND (earlier.state <> 'waiting' OR NOT EXISTS (SELECT FROM theirs)))
            SELECT is_empty FROM found";
        Ok(match self.0.row("retry a delivery", sql, &[&id]).await? {
            Some(row) if column(TABLE, &row, "is_empty")? => Retried::Emptied,
            Some(_) => Retried::Due,
            None => Retried::Missing,
        })
    }

    /// Counts the deliveries that wait, by kind and by their receivers' last answers.
    pub async fn waiting(self) -> Result<Vec<Waiting>, StoreError> {
        let sql = "SELECT kind, coalesce(status < 500 AND status NOT IN (408, 425, 429), false) AS unwanted, count(*),
                extract(epoch FROM now() - min(since))::float8 AS age
            FROM deliveries WHERE state = 'waiting' GROUP BY 1, 2";
        Ok(readable(&self.0.rows("count the deliveries", sql, &[]).await?, |row| {
            Ok(Waiting {
                kind: column(TABLE, row, "kind")?,
                unwanted: column(TABLE, row, "unwanted")?,
                count: column(TABLE, row, "count")?,
                age: rows::seconds(row, "age")?,
            })
        }))
    }
}

/// The chosen deliveries with the parts that operators see, without their bodies. The next try is that of the job: it is looked up
/// for chosen ones only.
fn entries(chosen: &str) -> String {
    format!(
        "WITH one AS (
            SELECT one.id, one.kind, one.record_id, one.state, one.attempts, one.status, one.problem, one.created_at,
                one.tried_at, one.settled_at, kept.meeting, kept.meeting_id, kept.url, frontends.key AS frontend
            FROM deliveries AS one JOIN meeting_callbacks AS kept ON kept.id = one.callback_id
            JOIN frontends ON frontends.id = kept.frontend_id WHERE {chosen})
        SELECT one.*, next_try FROM one, LATERAL (
            SELECT min(run_after) AS next_try FROM jobs
            WHERE one.state = 'waiting' AND kind = 'deliver' AND payload->>'id' = one.id::text) AS queued {ORDER}"
    )
}

impl Work for NewDelivery<'_> {
    const TASK: &'static str = "queue a delivery";
    type Done = Queued;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Queued, StoreError> {
        Deliveries::queue_in(transaction, self).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_no_bodies() {
        let sql = entries("true");
        let (read, _) = sql.split_once("FROM deliveries").expect("it reads that table");
        assert!(!read.contains('*') && !read.contains("body"), "{read}");
    }
}
