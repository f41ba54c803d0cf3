//! The table of seats: people on their way to a meeting, of frontends that may have only so many.
//!
//! A seat is gone once its owner has come, which the node's agent says, or when its time is over. Nothing of it is announced.

use async_trait::async_trait;
use b3scale_middleware::ports::{NewSeat, Seat};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::column;
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};
use crate::ledger::{Crowd, Seats};

const TABLE: &str = "seats";

#[async_trait]
impl Seats for Store {
    async fn take_seat(&self, id: Uuid, wanted: NewSeat<'_>, crowd: Crowd<'_>) -> Result<Seat, StoreError> {
        self.transaction(&Seating { id, wanted, crowd }, Ending::Commit).await
    }

    async fn return_seat(&self, id: Uuid) -> Result<(), StoreError> {
        self.rows("return a seat", "DELETE FROM seats WHERE id = $1 AND NOT reopened", &[&id]).await.map(drop)
    }
}

struct Seating<'a> {
    id: Uuid,
    wanted: NewSeat<'a>,
    crowd: Crowd<'a>,
}

impl Work for Seating<'_> {
    const TASK: &'static str = "take a seat";
    type Done = Seat;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Seat, StoreError> {
        let NewSeat { frontend, limit, meeting, user, link } = self.wanted;
        // A statement of its own, so that the next one sees the seats of the last holder of the lock.
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('seats:' || $1::uuid, 0))";
        transaction.rows(lock, &[&frontend.0]).await?;
        let (backends, people): (Vec<_>, Vec<_>) = self.crowd.people.iter().map(|(id, people)| (id.0, *people)).unzip();
        let id = meeting.id.as_ref();
        let (link, name) = link.map(|link| (link.digest.to_vec(), link.name.to_vec())).unzip();
        let params: [&(dyn ToSql + Sync); 12] = [
            &self.id,
            &frontend.0,
            &limit,
            &id,
            &user,
            &meeting.backend.0,
            &meeting.internal_id,
            &backends,
            &people,
            &self.crowd.namesakes,
            &link,
            &name,
        ];
        let rows = transaction.rows(SEAT, &params).await?;
        let missing = || StoreError::Row { row: format!("seat {}", self.id), problem: "there is no answer".to_owned() };
        let row = rows.first().ok_or_else(missing)?;
        Ok(match (column(TABLE, row, "held")?, column(TABLE, row, "taken")?) {
            (true, _) => Seat::Held,
            (false, true) => Seat::Taken(self.id),
            (false, false) => Seat::Full,
        })
    }
}

/// Takes a seat, unless the attendee is there already, once, or all are taken. An agent speaks for its node once it has sent a
/// snapshot; agents of the original never do.
///
/// People are counted, not their ids, since a frontend chooses the ids. With one id a second person may come while the first is
/// there, as after a reload of the page. A third one needs a free seat.
const SEAT: &str = "WITH speaking AS MATERIALIZED (
        SELECT backend_id FROM backend_status WHERE told_at > now() - interval '30 seconds'),
    lasting AS (
        SELECT CASE WHEN $6 IN (SELECT backend_id FROM speaking) THEN interval '60 seconds' ELSE interval '30 seconds' END
            AS patience),
    namesakes AS (
        SELECT CASE WHEN $6 IN (SELECT backend_id FROM speaking) THEN (
                SELECT count(*) FROM attendees
                WHERE backend_id = $6 AND meeting = $7 AND user_id = $5 AND gone_at IS NULL)
            ELSE $10::int8 END AS people),
    -- Seats that another transaction has locked are left to it.
    swept AS (
        DELETE FROM seats WHERE id IN (
            SELECT id FROM seats WHERE frontend_id = $2 AND expires_at <= now() FOR UPDATE SKIP LOCKED)),
    -- Each time a link is opened its seat lasts as long as at first.
    reopened AS (
        UPDATE seats SET reopened = true, expires_at = greatest(expires_at, now() + (SELECT patience FROM lasting))
        WHERE frontend_id = $2 AND meeting = $4 AND (user_id = $5 OR link = $11) AND expires_at > now()
            AND (SELECT people FROM namesakes) < 2
        RETURNING 1),
    held AS (
        SELECT 1 FROM reopened
        UNION ALL
        SELECT 1 FROM namesakes WHERE people = 1),
    there AS (
        SELECT count(*) AS people FROM meetings
        JOIN speaking USING (backend_id)
        JOIN node_meetings AS running USING (backend_id, internal_id)
        JOIN attendees ON attendees.backend_id = running.backend_id AND attendees.meeting = running.internal_id
        WHERE meetings.frontend_id = $2 AND meetings.state IN ('live', 'ending') AND running.gone_at IS NULL
            -- People in a breakout are in its parent, unless its frontend created it: then it has an id of its own here.
            AND (NOT running.breakout OR (meetings.breakout AND meetings.id <> meetings.meeting_id))
            AND attendees.gone_at IS NULL),
    elsewhere AS (
        SELECT coalesce(sum(people), 0)::int8 AS people FROM unnest($8::uuid[], $9::int8[]) AS crowd (backend_id, people)
        WHERE backend_id NOT IN (SELECT backend_id FROM speaking)),
    expected AS (
        SELECT count(*) AS people FROM seats JOIN meetings ON meetings.id = seats.meeting
        WHERE seats.frontend_id = $2 AND expires_at > now()),
    taken AS (
        INSERT INTO seats (id, frontend_id, meeting, user_id, link, name, expires_at)
        SELECT $1::uuid, $2, $4, $5, $11, $12, now() + patience FROM lasting, there, elsewhere, expected
        WHERE NOT EXISTS (SELECT FROM held) AND there.people + elsewhere.people + expected.people < $3
        RETURNING id)
    SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM taken) AS taken";
