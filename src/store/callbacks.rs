//! The table of callbacks: the frontends' own URLs, by session of a meeting. They outlive the meeting for its recordings.

use b3scale_middleware::cluster::{BackendId, Callback, CallbackKind, FrontendId};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::rows::{column, readable, word};
use super::{Store, StoreError};

const TABLE: &str = "meeting_callbacks";

/// How many sessions of a meeting are looked through for a token without a row.
const SESSIONS: i64 = 64;

/// A callback that a frontend has registered.
#[derive(Clone, Debug)]
pub(crate) struct KeptCallback {
    /// Its row.
    pub(crate) id: Uuid,
    /// The id by which nodes know the meeting.
    pub(crate) meeting: String,
    /// The node's own id of the session.
    pub(crate) internal_id: String,
    pub(crate) frontend: FrontendId,
    pub(crate) frontend_key: String,
    /// The frontend's id of the meeting.
    pub(crate) meeting_id: String,
    /// The node of the session.
    pub(crate) backend: BackendId,
    pub(crate) callback: Callback,
}

/// A session of a meeting that a token of the original belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegacySession<'a> {
    pub(crate) token: &'a str,
    pub(crate) frontend: FrontendId,
    pub(crate) meeting: &'a str,
    /// Given by recordings.
    pub(crate) internal_id: Option<&'a str>,
    /// The node that has signed it, if its history does not name one.
    pub(crate) signer: Option<BackendId>,
    pub(crate) name: &'a str,
    pub(crate) kind: CallbackKind,
    pub(crate) url: &'a str,
}

/// The table of callbacks.
#[derive(Clone, Copy)]
pub struct Callbacks<'s>(pub(super) &'s Store);

impl Callbacks<'_> {
    /// The callback of a token.
    pub(crate) async fn find(self, token: &str) -> Result<Option<KeptCallback>, StoreError> {
        let sql =
            "SELECT kept.*, frontends.key FROM meeting_callbacks AS kept JOIN frontends ON frontends.id = frontend_id
            WHERE token = $1";
        self.0.row("find a callback", sql, &[&token]).await?.as_ref().map(kept).transpose()
    }

    /// The callbacks of a kind that a meeting has had, by the id that nodes know, of the latest session first.
    pub(crate) async fn of_meeting(self, meeting: &str, kind: CallbackKind) -> Result<Vec<KeptCallback>, StoreError> {
        let sql =
            "SELECT kept.*, frontends.key FROM meeting_callbacks AS kept JOIN frontends ON frontends.id = frontend_id
            WHERE meeting = $1 AND kind = $2 ORDER BY kept.created_at DESC LIMIT $3";
        let rows = self.0.rows("find a meeting's callbacks", sql, &[&meeting, &kind.word(), &SESSIONS]).await?;
        Ok(readable(&rows, kept))
    }

    /// The callbacks of a frontend's session with that internal id.
    pub(crate) async fn of_session(self, frontend: FrontendId, internal_id: &str) -> Result<Vec<Callback>, StoreError> {
        let sql = "SELECT * FROM meeting_callbacks WHERE internal_id = $1 AND frontend_id = $2";
        Ok(readable(&self.0.rows("find a session's callbacks", sql, &[&internal_id, &frontend.0]).await?, callback))
    }

    /// Whether the end of a callback's session is not the end of its meeting, which goes on in another session. An end that is
    /// queued already is one.
    pub(crate) async fn is_superseded(self, kept: &KeptCallback) -> Result<bool, StoreError> {
        let sql = "SELECT FROM (
                SELECT FROM meetings WHERE id = $1 AND state <> 'detached'
                    AND (internal_id IS DISTINCT FROM $2 OR backend_id <> $3)
                UNION ALL
                SELECT FROM meeting_history AS past JOIN meeting_history AS later USING (id)
                WHERE id = $1 AND past.internal_id = $2 AND later.created_at > past.created_at
                    AND NOT EXISTS (SELECT FROM meetings WHERE id = $1 AND internal_id = $2)) AS others
            WHERE NOT EXISTS (SELECT FROM deliveries WHERE callback_id = $4 AND subject = '') LIMIT 1";
        let params: [&(dyn ToSql + Sync); 4] = [&kept.meeting, &kept.internal_id, &kept.backend.0, &kept.id];
        Ok(self.0.row("look for a later session", sql, &params).await?.is_some())
    }

    /// Keeps what a node says at the end of a callback's session that is not over here yet. `false`: it is over.
    //
    // The share lock waits for a statement that ends the session, or makes it wait and see the marks.
    pub(crate) async fn keep_marks(self, kept: &KeptCallback, marks: bool) -> Result<bool, StoreError> {
        let sql = "WITH standing AS MATERIALIZED (
                SELECT FROM meetings WHERE id = $1 AND internal_id = $2
                    AND NOT EXISTS (SELECT FROM deliveries WHERE callback_id = $3 AND subject = '') FOR SHARE)
            UPDATE meeting_callbacks SET marks = $4 WHERE id = $3 AND EXISTS (SELECT FROM standing) RETURNING id";
        let params: [&(dyn ToSql + Sync); 4] = [&kept.meeting, &kept.internal_id, &kept.id, &marks];
        Ok(self.0.row("keep the marks of an end", sql, &params).await?.is_some())
    }

    /// Queues the announcements of a recording that became visible before its callback was known. `false`: it is not visible.
    pub(crate) async fn queue_ready(self, record: &str) -> Result<bool, StoreError> {
        let sql = "SELECT queue_ready(min(seq), record_id)::text FROM recordings_ready WHERE record_id = $1 GROUP BY record_id";
        Ok(!self.0.rows("queue the announcement of a recording", sql, &[&record]).await?.is_empty())
    }

    /// Whether a recording is of another meeting of the callback's node and frontend.
    pub(crate) async fn is_neighbour(
        self,
        kept: &KeptCallback,
        meeting: &str,
        record: &str,
    ) -> Result<bool, StoreError> {
        let sql =
            "SELECT FROM meeting_history WHERE id = $1 AND frontend_id = $2 AND backend_id = $3 AND internal_id <> ''
            AND (internal_id = $4 OR starts_with($4, internal_id || '-')) LIMIT 1";
        let params: [&(dyn ToSql + Sync); 4] = [&meeting, &kept.frontend.0, &kept.backend.0, &record];
        Ok(self.0.row("look for the meeting of a recording", sql, &params).await?.is_some())
    }

    /// Queues the ends of sessions that no statement saw: their place was lost before their result was known. A meeting with a later
    /// session had no end of an earlier one. The meetings of a node that has been lost for ten minutes have ended, too.
    /// Returns how many there were.
    pub async fn queue_missed_ends(self) -> Result<u64, StoreError> {
        let sql = "SELECT queue_end(id, internal_id)::text FROM (
                SELECT id, internal_id FROM meetings WHERE state = 'detached' AND updated_at < now() - interval '10 minutes'
                UNION ALL
                SELECT id, internal_id FROM meeting_history AS past
                WHERE ended_at BETWEEN now() - interval '7 days' AND now() - interval '5 minutes'
                    AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = past.id)
                    AND NOT EXISTS (
                        SELECT FROM meeting_history AS later
                        WHERE later.id = past.id AND later.created_at > past.created_at)) AS over
            WHERE EXISTS (
                    SELECT FROM meeting_callbacks AS kept
                    WHERE kept.meeting = over.id AND kept.internal_id = over.internal_id AND kind IN ('end', 'ended')
                        AND NOT breakout AND NOT EXISTS (SELECT FROM deliveries WHERE callback_id = kept.id AND subject = ''))";
        Ok(self.0.rows("queue missed ends", sql, &[]).await?.len() as u64)
    }

    /// Keeps the callback in a token of the original, with the latest session of its meeting. `None`: its frontend has no such
    /// meeting.
    pub(crate) async fn keep_legacy(self, legacy: LegacySession<'_>) -> Result<Option<KeptCallback>, StoreError> {
        let sql = "WITH session AS (
                SELECT $1::text || ':' || coalesce($4, internal_id) AS token, id, coalesce($4, internal_id) AS internal_id,
                    frontend_id, meeting_id, coalesce(backend_id, $8) AS backend_id
                FROM (
                    SELECT id, internal_id, frontend_id, meeting_id, backend_id, claimed_at AS since FROM meetings
                    UNION ALL
                    SELECT id, internal_id, frontend_id, meeting_id, backend_id, created_at FROM meeting_history) AS known
                WHERE id = $3 AND frontend_id = $2 AND coalesce(backend_id, $8) IS NOT NULL AND internal_id IS NOT NULL
                    AND ($4::text IS NULL OR internal_id IN ($4, ''))
                ORDER BY since DESC LIMIT 1),
            added AS (
                INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
                SELECT token, id, internal_id, frontend_id, meeting_id, backend_id, $5, $6, $7 FROM session
                ON CONFLICT DO NOTHING RETURNING *)
            SELECT added.*, frontends.key FROM added JOIN frontends ON frontends.id = frontend_id
            UNION ALL
            SELECT there.*, frontends.key FROM meeting_callbacks AS there JOIN frontends ON frontends.id = frontend_id
            WHERE token = (SELECT token FROM session)";
        let LegacySession { token, frontend, meeting, internal_id, signer, name, kind, url } = legacy;
        let signer = signer.map(|backend| backend.0);
        let params: [&(dyn ToSql + Sync); 8] =
            [&token, &frontend.0, &meeting, &internal_id, &name, &kind.word(), &url, &signer];
        self.0.row("keep a callback of the original", sql, &params).await?.as_ref().map(kept).transpose()
    }
}

/// Callbacks as the table of meetings has them. `None`: there is none.
pub(super) fn column_of(callbacks: &[Callback]) -> Option<Json<&[Callback]>> {
    (!callbacks.is_empty()).then_some(Json(callbacks))
}

fn kept(row: &Row) -> Result<KeptCallback, StoreError> {
    Ok(KeptCallback {
        id: column(TABLE, row, "id")?,
        meeting: column(TABLE, row, "meeting")?,
        internal_id: column(TABLE, row, "internal_id")?,
        frontend: FrontendId(column(TABLE, row, "frontend_id")?),
        frontend_key: column(TABLE, row, "key")?,
        meeting_id: column(TABLE, row, "meeting_id")?,
        backend: BackendId(column(TABLE, row, "backend_id")?),
        callback: callback(row)?,
    })
}

fn callback(row: &Row) -> Result<Callback, StoreError> {
    Ok(Callback {
        name: column(TABLE, row, "name")?,
        kind: word(TABLE, row, "kind")?,
        url: column(TABLE, row, "url")?,
        token: column(TABLE, row, "token")?,
        address: String::new(),
    })
}
