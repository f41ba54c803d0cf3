//! The tables of meetings: one statement a transition, each comparing the place it believes in.
//!
//! A [`Meeting`] that is handed in is a belief: its id, backend and attempt must still be the row's, or nothing happens.
//! Claims, moves and ends are announced to the other servers, results are not: announcing commits queue up.

use std::time::Duration;

use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{Attempt, BackendId, FrontendId, Meeting, MeetingState};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rows::{column, readable, word};
use super::{Store, StoreError};

const TABLE: &str = "meetings";

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The meeting is ours to create.
    Won(Meeting),
    /// It has a place already.
    Taken(Meeting),
    /// An end may be on its way to a copy of it on that very backend.
    Barred,
}

/// A node that may run a meeting which is elsewhere or gone, and is to be sent an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingCopy {
    /// The meeting.
    pub id: ScopedId,
    /// Where the copy may be.
    pub backend: BackendId,
    /// The attempt that left it there.
    pub attempt: Attempt,
}

/// A meeting that ran, whether or not it still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMeeting {
    /// The id its node knew it by.
    pub id: ScopedId,
    /// The id its frontend knew it by.
    pub meeting_id: MeetingId,
    /// Whose it was.
    pub frontend: FrontendId,
    /// Where it ran.
    pub backend: BackendId,
    /// The node's own id of it.
    pub internal_id: String,
    /// Whether it has ended.
    pub ended: bool,
}

impl Store {
    /// Every meeting that has a place.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_meetings(&self) -> Result<Vec<Meeting>, StoreError> {
        Ok(readable(&self.rows("load the meetings", "SELECT * FROM meetings", &[]).await?, meeting))
    }

    /// One meeting.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn find_meeting(&self, id: &ScopedId) -> Result<Option<Meeting>, StoreError> {
        self.meeting("find a meeting", "SELECT * FROM meetings WHERE id = $1", &[&id.as_ref()]).await
    }

    /// Gives a meeting a place, unless it has one. Of simultaneous claims one wins and the others get the winner's place. A
    /// detached meeting may be claimed; the node that was lost with it becomes a [`MeetingCopy`]. A copy on that backend is
    /// spared for as long as the create may take; one that is just being ended bars the claim.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the frontend or the backend does not exist.
    pub async fn claim_meeting(
        &self,
        id: &ScopedId,
        meeting_id: &MeetingId,
        frontend: FrontendId,
        backend: BackendId,
    ) -> Result<Claim, StoreError> {
        // DO NOTHING would return no row while the rival is uncommitted. The update waits for it, and writes back what is
        // there unless that is detached. The meeting is locked before its copies, as everywhere, or two statements could
        // wait for each other.
        let sql = "WITH ticket AS MATERIALIZED (SELECT nextval('versions') AS number),
            there AS MATERIALIZED (SELECT state FROM meetings WHERE id = $1 FOR UPDATE),
            left_there AS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $4),
            spared AS (
                UPDATE meeting_copies SET spared_until = now() + interval '3 minutes'
                WHERE id = $1 AND backend_id = $4 AND (ending_until > now()) IS NOT TRUE
                    AND NOT EXISTS (SELECT FROM there WHERE state <> 'detached') RETURNING id),
            placed AS (
                INSERT INTO meetings AS held (id, frontend_id, meeting_id, backend_id, attempt, state, claim, version)
                SELECT $1, $2, $3, $4, 1, 'claimed', number, number FROM ticket
                WHERE NOT EXISTS (SELECT FROM left_there) OR EXISTS (SELECT FROM spared)
                ON CONFLICT (id) DO UPDATE SET (backend_id, attempt, state, internal_id, create_time, claim, claimed_at,
                    updated_at, version) = (
                    SELECT excluded.backend_id, held.attempt + 1, 'claimed', NULL, NULL, excluded.claim, now(),
                        now(), nextval('versions') WHERE held.state = 'detached'
                    UNION ALL
                    SELECT held.backend_id, held.attempt, held.state, held.internal_id, held.create_time, held.claim,
                        held.claimed_at, held.updated_at, held.version WHERE held.state <> 'detached')
                RETURNING *)
            SELECT placed.*, claim = number AS won,
                CASE WHEN claim = number THEN pg_notify('b3scale', 'meeting:' || id)::text END
            FROM placed, ticket";
        let params: [&(dyn ToSql + Sync); 4] = [&id.as_ref(), &frontend.0, &meeting_id.as_ref(), &backend.0];
        let Some(row) = self.row("claim a meeting", sql, &params).await? else {
            let placed = self.find_meeting(id).await?.filter(|there| there.state != MeetingState::Detached);
            return Ok(placed.map_or(Claim::Barred, Claim::Taken));
        };
        let claimed = meeting(&row)?;
        Ok(if column(TABLE, &row, "won")? { Claim::Won(claimed) } else { Claim::Taken(claimed) })
    }

    /// Takes a claimed meeting to another backend. With `sent`, the create may have reached the old one, which becomes a
    /// [`MeetingCopy`]. `None`: the claim is not ours any more, or what is left of the meeting there is just being ended.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the backend does not exist.
    pub async fn move_claim(&self, held: &Meeting, to: BackendId, sent: bool) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH ours AS MATERIALIZED (
                SELECT FROM meetings
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND state = 'claimed' FOR UPDATE),
            left_there AS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $4),
            spared AS (
                UPDATE meeting_copies SET spared_until = now() + interval '3 minutes'
                WHERE id = $1 AND backend_id = $4 AND (ending_until > now()) IS NOT TRUE
                    AND EXISTS (SELECT FROM ours) RETURNING id),
            moved AS (
                UPDATE meetings SET backend_id = $4, attempt = attempt + 1, claimed_at = now(), updated_at = now(),
                    version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND state = 'claimed'
                    AND (NOT EXISTS (SELECT FROM left_there) OR EXISTS (SELECT FROM spared)) RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, $2, $3 FROM moved WHERE $5
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM moved";
        let (id, backend, attempt) = compared(held);
        self.meeting("move a claim", sql, &[&id, &backend, &attempt, &to.0, &sent]).await
    }

    /// The node has answered: the meeting runs. `create_time` is the node's, in milliseconds since 1970. A node may also
    /// make a meeting anew that it had lost, which then has another internal id; and a meeting may be made that others have
    /// given up meanwhile, which is then there again. `None`: it lives elsewhere by now, and this node has a [`MeetingCopy`].
    ///
    /// # Errors
    /// [`StoreError::Refused`] when its frontend or backend has been removed.
    pub async fn record_live(
        &self,
        held: &Meeting,
        internal_id: &str,
        create_time: i64,
    ) -> Result<Option<Meeting>, StoreError> {
        // Only a meeting that is there again is announced: nobody waits for the result of a claim by announcement.
        let sql = "WITH live AS (
                INSERT INTO meetings AS held (id, backend_id, attempt, internal_id, create_time, frontend_id, meeting_id,
                    state, claim, version)
                VALUES ($1, $2, $3, $4, $5, $6, $7, 'live', nextval('versions'), nextval('versions'))
                ON CONFLICT (id) DO UPDATE SET state = 'live', internal_id = excluded.internal_id,
                    create_time = excluded.create_time, updated_at = now(), version = excluded.version
                WHERE held.backend_id = excluded.backend_id AND held.attempt = excluded.attempt
                RETURNING *, held.xmax = 0 AS again),
            noted AS (
                INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
                SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM live
                ON CONFLICT (id, internal_id) DO UPDATE SET backend_id = excluded.backend_id, ended_at = NULL),
            adopted AS (
                DELETE FROM meeting_copies AS copies USING live
                WHERE copies.id = live.id AND copies.backend_id = live.backend_id),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt)
                SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM live) ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT live.*, CASE WHEN again THEN pg_notify('b3scale', 'meeting:' || id)::text END FROM live";
        let (id, backend, attempt) = compared(held);
        let (frontend, meeting_id) = (&held.frontend.0, &held.meeting_id.as_ref());
        let params: [&(dyn ToSql + Sync); 7] =
            [&id, &backend, &attempt, &internal_id, &create_time, frontend, meeting_id];
        self.meeting("record a live meeting", sql, &params).await
    }

    /// Gives up a claim. With `sent`, the create may have reached the node, which becomes a [`MeetingCopy`]. `false`: the
    /// claim was not ours any more.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn release_claim(&self, held: &Meeting, sent: bool) -> Result<bool, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND state = 'claimed'
                RETURNING id),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, $2, $3 FROM gone WHERE $4
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        let (id, backend, attempt) = compared(held);
        Ok(self.row("release a claim", sql, &[&id, &backend, &attempt, &sent]).await?.is_some())
    }

    /// The node has accepted the meeting's end. Not announced.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn record_ending(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        let sql = "UPDATE meetings SET state = 'ending', updated_at = now(), version = nextval('versions')
            WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND internal_id IS NOT DISTINCT FROM $4
                AND state IN ('live', 'detached') RETURNING *";
        let (id, backend, attempt) = compared(held);
        self.meeting("record an ending meeting", sql, &[&id, &backend, &attempt, &held.internal_id]).await
    }

    /// The meeting is gone. Its line in the history stays, with the time of its end. `false`: it was not there any more, or
    /// has been created anew.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn forget_meeting(&self, held: &Meeting) -> Result<bool, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND state <> 'claimed'
                    AND internal_id IS NOT DISTINCT FROM $4
                RETURNING id, internal_id),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        let (id, backend, attempt) = compared(held);
        Ok(self.row("forget a meeting", sql, &[&id, &backend, &attempt, &held.internal_id]).await?.is_some())
    }

    /// A backend is lost with meetings whose end it had accepted: they are gone, and returned. Should it come back with them,
    /// they are ended as copies.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn forget_ending(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE backend_id = $1 AND state = 'ending' RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, backend_id, attempt FROM gone
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now()),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        Ok(readable(&self.rows("forget ending meetings", sql, &[&backend.0]).await?, meeting))
    }

    /// A backend is lost: its live meetings are detached, and returned.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn detach_meetings(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let sql = "WITH detached AS (
                UPDATE meetings SET state = 'detached', updated_at = now(), version = nextval('versions')
                WHERE backend_id = $1 AND state = 'live' RETURNING *)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM detached";
        Ok(readable(&self.rows("detach a backend's meetings", sql, &[&backend.0]).await?, meeting))
    }

    /// A lost backend is back and still runs the meeting, and nobody has created it elsewhere.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn attach_meeting(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH attached AS (
                UPDATE meetings SET state = 'live', updated_at = now(), version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND state = 'detached' RETURNING *)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM attached";
        let (id, backend, attempt) = compared(held);
        self.meeting("attach a meeting", sql, &[&id, &backend, &attempt]).await
    }

    /// Gives up claims that nobody finished, and returns them. Whether their creates were sent is unknown, so each leaves a
    /// [`MeetingCopy`].
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn reap_claims(&self, older_than: Duration) -> Result<Vec<Meeting>, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE state = 'claimed' AND claimed_at < now() - make_interval(secs => $1)
                RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, backend_id, attempt FROM gone
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now())
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        Ok(readable(&self.rows("reap claims", sql, &[&older_than.as_secs_f64()]).await?, meeting))
    }

    /// The copies that may be ended now: their meetings are gone, or live elsewhere.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_copies(&self) -> Result<Vec<MeetingCopy>, StoreError> {
        let sql = "SELECT copies.* FROM meeting_copies AS copies LEFT JOIN meetings USING (id)
            WHERE (meetings.id IS NULL OR meetings.state = 'live' AND meetings.backend_id <> copies.backend_id)
                AND (spared_until < now()) IS NOT FALSE
            ORDER BY copies.created_at";
        Ok(readable(&self.rows("load the copies", sql, &[]).await?, copy))
    }

    /// Takes a copy to end it. For ten seconds the meeting is then not created on its node. `false`: it is being created
    /// there, or nobody knows of the copy any more.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn take_copy(&self, copy: &MeetingCopy) -> Result<bool, StoreError> {
        let sql = "UPDATE meeting_copies AS copies SET ending_until = now() + interval '10 seconds'
            WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND (spared_until < now()) IS NOT FALSE
                AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = copies.id
                    AND (meetings.state <> 'live' OR meetings.backend_id = copies.backend_id))
            RETURNING id";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt);
        Ok(self.row("take a copy", sql, &[&params.0, &params.1, &params.2]).await?.is_some())
    }

    /// The node has said that it does not run the copy. That is believed once the copy is as old as `settled_after`, before
    /// which the node may still be at work on its create. `false`: not yet, or nobody knew of it any more.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn forget_copy(&self, copy: &MeetingCopy, settled_after: Duration) -> Result<bool, StoreError> {
        let sql = "DELETE FROM meeting_copies WHERE id = $1 AND backend_id = $2 AND attempt = $3
            AND created_at <= now() - make_interval(secs => $4) RETURNING id";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt, settled_after.as_secs_f64());
        Ok(self.row("forget a copy", sql, &[&params.0, &params.1, &params.2, &params.3]).await?.is_some())
    }

    /// The last meeting that ran under that id.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn find_history(&self, id: &ScopedId) -> Result<Option<PastMeeting>, StoreError> {
        let sql = "SELECT *, ended_at IS NOT NULL AS ended FROM meeting_history WHERE id = $1
            ORDER BY created_at DESC LIMIT 1";
        let row = self.row("find a past meeting", sql, &[&id.as_ref()]).await?;
        row.as_ref().map(past).transpose()
    }

    async fn meeting(
        &self,
        task: &'static str,
        sql: &str,
        params: super::pool::Params<'_>,
    ) -> Result<Option<Meeting>, StoreError> {
        self.row(task, sql, params).await?.as_ref().map(meeting).transpose()
    }
}

/// What every transition compares.
fn compared(held: &Meeting) -> (&str, uuid::Uuid, Attempt) {
    (held.id.as_ref(), held.backend.0, held.attempt)
}

fn meeting(row: &Row) -> Result<Meeting, StoreError> {
    Ok(Meeting {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        meeting_id: MeetingId::new(column(TABLE, row, "meeting_id")?),
        frontend: FrontendId(column(TABLE, row, "frontend_id")?),
        backend: BackendId(column(TABLE, row, "backend_id")?),
        attempt: column(TABLE, row, "attempt")?,
        state: word(TABLE, row, "state")?,
        internal_id: column(TABLE, row, "internal_id")?,
        version: column(TABLE, row, "version")?,
    })
}

fn copy(row: &Row) -> Result<MeetingCopy, StoreError> {
    const TABLE: &str = "meeting_copies";
    Ok(MeetingCopy {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        backend: BackendId(column(TABLE, row, "backend_id")?),
        attempt: column(TABLE, row, "attempt")?,
    })
}

fn past(row: &Row) -> Result<PastMeeting, StoreError> {
    const TABLE: &str = "meeting_history";
    Ok(PastMeeting {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        meeting_id: MeetingId::new(column(TABLE, row, "meeting_id")?),
        frontend: FrontendId(column(TABLE, row, "frontend_id")?),
        backend: BackendId(column(TABLE, row, "backend_id")?),
        internal_id: column(TABLE, row, "internal_id")?,
        ended: column(TABLE, row, "ended")?,
    })
}
