//! How meetings get their places: claimed, moved, inherited, given up, live, adopted.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::cluster::{BackendId, Claim, Meeting, MeetingState, Move, NewMeeting};
use b3scale_middleware::ports::Born;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{TABLE, compared, meeting};
use crate::ledger::{Lookups, Places, Release, Ticket};
use crate::store::rows::{column, readable};
use crate::store::{Store, StoreError, callbacks};

/// How a claim is made: one of the two statements of a create.
//
// 1. `place` keeps the backend from being removed meanwhile. Without the backend there is no claim.
// 2. `there` locks the meeting, if it exists. A meeting is locked before its copies everywhere, or two statements could
//    deadlock.
// 3. `left_there` looks for a copy of the meeting on that backend.
// 4. `spared` puts off the end of that copy, unless a server is just ending it. A claim protects the copy from later
//    statements; the pause protects it from statements that began before the claim was visible.
// 5. `placed` inserts the claim if there is no such copy, or a spared one. On a conflict it takes a detached meeting, with a
//    new attempt. Any other row is written back unchanged: DO NOTHING would return no row while the rival is uncommitted.
// 6. The claim's own number tells the winner. Only a winner announces the meeting.
pub const CLAIM: &str = "WITH place AS MATERIALIZED (SELECT FROM backends WHERE id = $4 FOR KEY SHARE),
    there AS MATERIALIZED (SELECT state FROM meetings WHERE id = $1 FOR UPDATE),
    left_there AS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $4),
    spared AS (
        UPDATE meeting_copies SET spared_until = now() + interval '10 seconds'
        WHERE id = $1 AND backend_id = $4 AND (ending_until > now()) IS NOT TRUE
            AND NOT EXISTS (SELECT FROM there WHERE state <> 'detached') RETURNING id),
    placed AS (
        INSERT INTO meetings AS held (id, frontend_id, meeting_id, backend_id, attempt, state, size_hint,
            size_limit, breakout, claimed_by, claim, version)
        SELECT $1, $2, $3, $4, 1, 'claimed', $5, $6, $7, $8, $9, nextval('versions') FROM place
        WHERE NOT EXISTS (SELECT FROM left_there) OR EXISTS (SELECT FROM spared)
        ON CONFLICT (id) DO UPDATE SET (backend_id, attempt, state, internal_id, create_time, entry, callbacks,
            size_hint, size_limit, breakout, claimed_by, claim, claimed_at, updated_at, version) = (
            SELECT excluded.backend_id, held.attempt + 1, 'claimed', NULL, NULL, NULL, NULL, excluded.size_hint,
                excluded.size_limit, excluded.breakout, excluded.claimed_by, excluded.claim, now(), now(),
                nextval('versions') WHERE held.state = 'detached'
            UNION ALL
            SELECT held.backend_id, held.attempt, held.state, held.internal_id, held.create_time, held.entry,
                held.callbacks, held.size_hint, held.size_limit, held.breakout, held.claimed_by, held.claim, held.claimed_at,
                held.updated_at, held.version WHERE held.state <> 'detached')
        RETURNING *)
    SELECT *, claim = $9 AS won, CASE WHEN claim = $9 THEN pg_notify('b3scale', 'meeting:' || id)::text END
    FROM placed";

/// How the result of a create is noted: the other one.
//
// 1. `place` keeps the backend from being removed meanwhile.
// 2. `before` sees whether the meeting was more than a claim when the statement began.
// 3. `live` makes the claim live, if backend, attempt and claim are still the row's. It inserts the meeting if its claim had
//    been released (`again`). A session that had callbacks keeps them: a node passes over those of a repeated create.
// 4. `called` registers the callbacks of a new session.
// 5. `noted` keeps the node's own id in the history, for late recordings and internal ids.
// 6. `adopted` drops a copy on this backend: it is the meeting now.
// 7. `settled` turns the detached place of a claimed meeting, on another backend, into a mere copy.
// 8. `copied` records a copy if the meeting lives elsewhere by now, so that this one is ended.
// 9. Only a returned or recreated meeting is announced: no server waits for the result of a claim by announcement.
pub const LIVE: &str = "WITH place AS MATERIALIZED (SELECT FROM backends WHERE id = $2 FOR KEY SHARE),
    before AS MATERIALIZED (SELECT FROM meetings WHERE id = $1 AND state <> 'claimed'),
    live AS (
        INSERT INTO meetings AS held (id, backend_id, attempt, internal_id, create_time, frontend_id, meeting_id,
            entry, size_hint, size_limit, breakout, state, claim, callbacks, version)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'live', $12, coalesce(callbacks_of($1, $4), $13::jsonb),
            nextval('versions') FROM place
        ON CONFLICT (id) DO UPDATE SET state = 'live', internal_id = excluded.internal_id,
            create_time = excluded.create_time, entry = excluded.entry, callbacks = excluded.callbacks,
            updated_at = now(), version = excluded.version
        WHERE held.backend_id = excluded.backend_id AND held.attempt = excluded.attempt AND held.claim = excluded.claim
        RETURNING *, held.xmax = 0 AS again),
    called AS (
        INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url,
            breakout)
        SELECT given.token, live.id, live.internal_id, live.frontend_id, live.meeting_id, live.backend_id, given.name,
            given.kind, given.url, live.breakout
        FROM live, jsonb_to_recordset($13) AS given (token text, name text, kind text, url text)
        WHERE NOT EXISTS (SELECT FROM meeting_callbacks WHERE meeting = $1 AND internal_id = $4)
        ON CONFLICT DO NOTHING),
    noted AS (
        INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
        SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM live
        ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL),
    adopted AS (
        DELETE FROM meeting_copies AS copies USING live
        WHERE copies.id = live.id AND copies.backend_id = live.backend_id),
    settled AS (
        UPDATE meeting_copies AS copies SET internal_id = NULL, create_time = NULL FROM live
        WHERE copies.id = live.id AND copies.backend_id <> live.backend_id AND copies.internal_id IS NOT NULL),
    copied AS (
        INSERT INTO meeting_copies (id, backend_id, attempt) SELECT $1, $2, $3 FROM place
        WHERE NOT EXISTS (SELECT FROM live)
            AND NOT EXISTS (SELECT FROM meetings WHERE id = $1 AND backend_id = $2)
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
    SELECT live.*, CASE WHEN again OR EXISTS (SELECT FROM before)
        THEN pg_notify('b3scale', 'meeting:' || id)::text END FROM live";

#[async_trait]
impl Places for Store {
    async fn claim_meeting(&self, new: NewMeeting<'_>, ticket: Ticket) -> Result<Claim, StoreError> {
        let (hint, limit) = (bounded(new.size.hint), bounded(new.size.limit));
        let params: [&(dyn ToSql + Sync); 9] = [
            &new.id.as_ref(),
            &new.frontend.0,
            &new.meeting_id.as_ref(),
            &new.backend.0,
            &hint,
            &limit,
            &new.size.breakout,
            &ticket.server,
            &ticket.number,
        ];
        let Some(row) = self.row("claim a meeting", CLAIM, &params).await? else {
            let placed = self.find_meeting(new.id).await?.filter(|there| there.state != MeetingState::Detached);
            return Ok(placed.map_or(Claim::Barred, |placed| Claim::Taken(Arc::new(placed))));
        };
        let claimed = Arc::new(meeting(&row)?);
        Ok(if column(TABLE, &row, "won")? { Claim::Won(claimed) } else { Claim::Taken(claimed) })
    }

    async fn find_claims(&self, numbers: &[i64]) -> Result<Vec<Meeting>, StoreError> {
        let sql = "SELECT * FROM meetings WHERE state = 'claimed' AND claim = ANY($1)";
        Ok(readable(&self.rows("find some claims", sql, &[&numbers]).await?, meeting))
    }

    async fn move_claim(&self, held: &Meeting, to: BackendId, sent: bool) -> Result<Move, StoreError> {
        let sql = "WITH place AS MATERIALIZED (SELECT FROM backends WHERE id = $4 FOR KEY SHARE),
            ours AS MATERIALIZED (
                SELECT id FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $6
                    AND state = 'claimed' FOR UPDATE),
            left_there AS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $4),
            spared AS (
                UPDATE meeting_copies SET spared_until = now() + interval '10 seconds'
                WHERE id = $1 AND backend_id = $4 AND (ending_until > now()) IS NOT TRUE
                    AND EXISTS (SELECT FROM ours) RETURNING id),
            moved AS (
                UPDATE meetings SET backend_id = $4, attempt = attempt + 1, claimed_at = now(), updated_at = now(),
                    version = nextval('versions')
                WHERE id IN (SELECT id FROM ours) AND EXISTS (SELECT FROM place)
                    AND (NOT EXISTS (SELECT FROM left_there) OR EXISTS (SELECT FROM spared)) RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt)
                SELECT id, $2, $3 FROM moved WHERE $5
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT moved.*, CASE WHEN moved.id IS NOT NULL THEN pg_notify('b3scale', 'meeting:' || moved.id)::text END
            FROM ours LEFT JOIN moved ON moved.id = ours.id";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 6] = [&id, &backend, &attempt, &to.0, &sent, &held.claim];
        let Some(row) = self.row("move a claim", sql, &params).await? else { return Ok(Move::NotOurs) };
        let is_moved = column::<Option<&str>>(TABLE, &row, "id")?.is_some();
        Ok(if is_moved { Move::Moved(Arc::new(meeting(&row)?)) } else { Move::Barred })
    }

    async fn orphaned_claims(&self, observer: Uuid) -> Result<Vec<Meeting>, StoreError> {
        let sql = "SELECT * FROM meetings WHERE state = 'claimed' AND is_lost(claimed_by, $1) ORDER BY claimed_at";
        Ok(readable(&self.rows("look for orphaned claims", sql, &[&observer]).await?, meeting))
    }

    async fn inherit_claim(&self, held: &Meeting, ticket: Ticket) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH inherited AS (
                UPDATE meetings SET attempt = attempt + 1, claimed_by = $4, claimed_at = now(), updated_at = now(),
                    claim = $5, version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $6 AND state = 'claimed'
                    AND is_lost(claimed_by, $4) RETURNING *)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM inherited";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 6] = [&id, &backend, &attempt, &ticket.server, &ticket.number, &held.claim];
        super::one(self, "inherit a claim", sql, &params).await
    }

    async fn record_live(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        let (id, backend, attempt) = compared(held);
        let entry = born.entry.as_deref().map(String::from_utf8_lossy);
        let (hint, limit) = (bounded(held.size.hint), bounded(held.size.limit));
        let callbacks = callbacks::column_of(&born.callbacks);
        let params: [&(dyn ToSql + Sync); 13] = [
            &id,
            &backend,
            &attempt,
            &born.internal_id,
            &born.create_time,
            &held.frontend.0,
            &held.meeting_id.as_ref(),
            &entry,
            &hint,
            &limit,
            &held.size.breakout,
            &held.claim,
            &callbacks,
        ];
        super::one(self, "record a live meeting", LIVE, &params).await
    }

    async fn renew_meeting(&self, held: &Meeting, born: &Born) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH renewed AS (
                UPDATE meetings SET state = 'live', internal_id = $5, create_time = $6, entry = NULL,
                    callbacks = callbacks_of($1, $5), updated_at = now(), version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $7 AND state IN ('live', 'ending')
                    AND internal_id IS NOT DISTINCT FROM $4 RETURNING *),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM renewed
                WHERE past.id = renewed.id AND past.internal_id = $4),
            noted AS (
                INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
                SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM renewed
                ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM renewed";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 7] =
            [&id, &backend, &attempt, &held.internal_id, &born.internal_id, &born.create_time, &held.claim];
        super::one(self, "renew a meeting", sql, &params).await
    }

    async fn release_claim(&self, held: &Meeting, sent: bool) -> Result<Release, StoreError> {
        let sql = "WITH ours AS MATERIALIZED (
                SELECT id FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $5
                    AND state = 'claimed' FOR UPDATE),
            before AS MATERIALIZED (
                SELECT copies.* FROM meeting_copies AS copies JOIN ours USING (id)
                WHERE internal_id IS NOT NULL AND NOT doomed AND NOT ($4 AND backend_id = $2)
                ORDER BY created_at DESC LIMIT 1 FOR UPDATE OF copies),
            restored AS (
                UPDATE meetings SET state = 'detached', backend_id = before.backend_id, attempt = meetings.attempt + 1,
                    internal_id = before.internal_id, create_time = before.create_time,
                    callbacks = callbacks_of(before.id, before.internal_id), updated_at = now(), version = nextval('versions')
                FROM before WHERE meetings.id = before.id RETURNING meetings.*),
            gone AS (
                DELETE FROM meetings USING ours WHERE meetings.id = ours.id AND NOT EXISTS (SELECT FROM before)
                RETURNING meetings.id),
            dropped AS (
                DELETE FROM meeting_copies AS copies USING restored
                WHERE copies.id = restored.id AND copies.backend_id = restored.backend_id),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt)
                SELECT id, $2, $3 FROM ours WHERE $4
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT restored.*, pg_notify('b3scale', 'meeting:' || ours.id)::text
            FROM ours LEFT JOIN restored ON restored.id = ours.id";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 5] = [&id, &backend, &attempt, &sent, &held.claim];
        let Some(row) = self.row("release a claim", sql, &params).await? else {
            return Ok(Release::NotOurs);
        };
        let is_restored = column::<Option<&str>>(TABLE, &row, "id")?.is_some();
        Ok(if is_restored { Release::Detached(meeting(&row)?) } else { Release::Gone })
    }

    async fn adopt_meeting(
        &self,
        new: NewMeeting<'_>,
        born: &Born,
        by_parent: bool,
        asked_at: SystemTime,
    ) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH place AS MATERIALIZED (SELECT FROM backends WHERE id = $4 FOR KEY SHARE),
            adopted AS (
                INSERT INTO meetings AS held (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id,
                    create_time, breakout, callbacks, claim, claimed_at, version)
                SELECT $1, $2, $3, $4, 1, 'live', $5, $6, $7, callbacks_of($1, $5), nextval('versions'),
                    CASE WHEN $6::int8 > 0 THEN least(now(), to_timestamp($6::int8 / 1000.0)) ELSE now() END, nextval('versions')
                FROM place
                WHERE NOT EXISTS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $4)
                    AND NOT EXISTS (
                        SELECT FROM meeting_history WHERE id = $1 AND internal_id = $5 AND ended_at >= $8)
                    AND NOT EXISTS (SELECT FROM meeting_history WHERE id = $1 AND frontend_id <> $2)
                    AND ($9 OR EXISTS (
                        SELECT FROM meeting_history AS past WHERE id = $1 AND internal_id IN ($5, '')
                            AND (ended_at > now() - interval '1 hour') IS NOT FALSE
                            AND (backend_id = $4 OR NOT EXISTS (SELECT FROM backends WHERE backends.id = past.backend_id))))
                ON CONFLICT (id) DO UPDATE SET backend_id = excluded.backend_id, attempt = held.attempt + 1,
                    state = 'live', updated_at = now(), version = excluded.version
                WHERE held.state = 'detached' AND held.internal_id = excluded.internal_id
                    AND held.frontend_id = excluded.frontend_id
                RETURNING *),
            noted AS (
                INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
                SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM adopted
                ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM adopted";
        let params: [&(dyn ToSql + Sync); 9] = [
            &new.id.as_ref(),
            &new.frontend.0,
            &new.meeting_id.as_ref(),
            &new.backend.0,
            &born.internal_id,
            &born.create_time,
            &new.size.breakout,
            &asked_at,
            &by_parent,
        ];
        super::one(self, "adopt a meeting", sql, &params).await
    }
}

/// A count as its column takes it.
fn bounded(count: Option<u32>) -> Option<i32> {
    count.map(|count| i32::try_from(count).unwrap_or(i32::MAX))
}
