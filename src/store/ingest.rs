//! The tables of agents: each batch is one transaction, and counts once.
//!
//! The lock of the backend's status orders the batches of a node at all servers, and numbers every change by the
//! status's `seq`, which the servers follow. Nothing is announced.

mod follow;
mod tap;

use std::collections::BTreeMap;

use async_trait::async_trait;
use b3scale_middleware::cluster::{BackendId, NodeBatch, Presence, Receipt, Wants};
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::column;
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};
use crate::ledger::fold::Folded;
use crate::ledger::{Ingest, Ingested};

/// The state of a node's agents.
struct Known {
    /// The last batch of this start that counts. `None`: it is new.
    last: Option<i64>,
    /// Whether this start speaks for the node, or may: no other is heard.
    speaks: bool,
}

#[async_trait]
impl Ingest for Store {
    async fn ingest(&self, backend: BackendId, batch: &NodeBatch<'_>) -> Result<Ingested, StoreError> {
        let folded = Folded::of(batch);
        self.transaction(&Taking { backend: backend.0, batch, folded: &folded }, Ending::Commit).await
    }

    async fn presence_since(&self, known: &[(BackendId, i64)]) -> Result<BTreeMap<BackendId, Presence>, StoreError> {
        follow::presence_since(self, known).await
    }
}

/// The batch's number, and what webhooks want.
struct Locked {
    seq: i64,
    wants: Wants,
}

/// Taking a batch.
struct Taking<'a> {
    backend: Uuid,
    batch: &'a NodeBatch<'a>,
    folded: &'a Folded<'a>,
}

impl Work for Taking<'_> {
    const TASK: &'static str = "take what an agent says";
    type Done = Ingested;
    type Error = StoreError;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Ingested, StoreError> {
        let Some(Locked { seq, wants }) = self.lock(transaction).await? else {
            return Ok(refused(0, Wants::default()));
        };
        let Known { last, speaks } = self.known(transaction).await?;
        let asked = i64::try_from(self.batch.seq).unwrap_or(i64::MAX);
        let whole = self.folded.whole;
        match last {
            // The answer to it was lost, or a repeated batch overtook it.
            Some(last) if asked <= last => {
                let receipt = Receipt { seq: last.unsigned_abs(), snapshot: false, wants };
                let ended = self.ended(transaction).await?;
                return Ok(Ingested { receipt, ended, ..refused(0, wants) });
            }
            Some(last) if !speaks => return Ok(refused(last, wants)),
            Some(last) if asked != last + 1 && !whole => {
                self.doubt(transaction).await?;
                return Ok(refused(last, wants));
            }
            None if !whole => return Ok(refused(0, wants)),
            Some(_) | None => {}
        }
        self.note(transaction, asked).await?;
        if whole {
            self.drop_others(transaction, seq).await?;
        }
        self.write_meetings(transaction, seq).await?;
        self.write_attendees(transaction, seq).await?;
        let strangers = self.count(transaction).await?;
        let ended = self.ended(transaction).await?;
        let posts = wants.told && tap::tell(transaction, self.backend, self.batch).await?;
        let receipt = Receipt { seq: self.batch.seq, snapshot: false, wants };
        Ok(Ingested { receipt, counts: true, ended, strangers, posts })
    }
}

/// Nothing of a batch counts, and a snapshot is wanted.
fn refused(last: i64, wants: Wants) -> Ingested {
    let receipt = Receipt { seq: last.unsigned_abs(), snapshot: true, wants };
    Ingested { receipt, counts: false, ended: Vec::new(), strangers: false, posts: false }
}

impl Taking<'_> {
    /// The node's state is incomplete.
    async fn doubt(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let sql = "UPDATE backend_status SET told_at = NULL WHERE backend_id = $1";
        transaction.rows(sql, &[&self.backend]).await.map(drop)
    }

    /// Lets every other batch of this node wait, and numbers this one. `None`: there is no such backend.
    async fn lock(&self, transaction: &Transaction<'_>) -> Result<Option<Locked>, StoreError> {
        const TABLE: &str = "backend_status";
        let sql =
            "UPDATE backend_status SET seq = seq + 1, heartbeat = now(), cpu = $2, memory = $3, load_average = $4,
                network_in = $5, network_out = $6, bbb_version = $7
            WHERE backend_id = $1 RETURNING seq, EXISTS (SELECT FROM hook_feeds) AS told,
                EXISTS (SELECT FROM hook_feeds WHERE wants_raw) AS raw";
        let node = self.batch.node;
        let share = |figure: f32| if figure.is_finite() { figure.clamp(0.0, 1.0) } else { 0.0 };
        let (cpu, memory) = (share(node.cpu), share(node.memory));
        let params: [&(dyn ToSql + Sync); 7] =
            [&self.backend, &cpu, &memory, &node.load_average, &node.network_in, &node.network_out, &node.bbb_version];
        let rows = transaction.rows(sql, &params).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let wants = Wants { told: column(TABLE, row, "told")?, raw: column(TABLE, row, "raw")? };
        Ok(Some(Locked { seq: column(TABLE, row, "seq")?, wants }))
    }

    async fn known(&self, transaction: &Transaction<'_>) -> Result<Known, StoreError> {
        const TABLE: &str = "agents";
        // A start that others came after speaks again only by a snapshot, and only if none of them is heard any more.
        let sql = "SELECT mine.seq, NOT EXISTS (
                SELECT FROM agents AS later WHERE later.backend_id = $1 AND later.begun_at > mine.begun_at
                    AND (NOT $3 OR later.heard_at > now() - interval '10 seconds')) AS speaks
            FROM agents AS mine WHERE backend_id = $1 AND boot = $2";
        let rows = transaction.rows(sql, &[&self.backend, &self.batch.boot, &self.folded.whole]).await?;
        let Some(row) = rows.first() else { return Ok(Known { last: None, speaks: true }) };
        Ok(Known { last: Some(column(TABLE, row, "seq")?), speaks: column(TABLE, row, "speaks")? })
    }

    /// From here on this start speaks for the node. Under the lock, the clock itself is in order, and beginnings of transactions are not.
    async fn note(&self, transaction: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO agents AS mine (backend_id, boot, seq, begun_at, heard_at) VALUES ($1, $2, $3, clock_timestamp(), now())
            ON CONFLICT (backend_id, boot) DO UPDATE SET seq = excluded.seq, heard_at = now(), begun_at = CASE
                WHEN EXISTS (SELECT FROM agents AS later WHERE later.backend_id = $1 AND later.begun_at > mine.begun_at)
                THEN clock_timestamp() ELSE mine.begun_at END";
        transaction.rows(sql, &[&self.backend, &self.batch.boot, &seq]).await.map(drop)
    }

    /// Meetings and attendees missing from a snapshot are gone.
    async fn drop_others(&self, transaction: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
        let meetings: Vec<&str> = self.folded.meetings.keys().copied().collect();
        let gone = "UPDATE node_meetings SET gone_at = now(), seq = $2
            WHERE backend_id = $1 AND gone_at IS NULL AND internal_id <> ALL($3)";
        transaction.rows(gone, &[&self.backend, &seq, &meetings]).await?;
        let (of, there): (Vec<&str>, Vec<&str>) = self.folded.there.keys().copied().unzip();
        let left = "UPDATE attendees SET gone_at = now(), seq = $2 WHERE backend_id = $1 AND gone_at IS NULL
            AND (meeting, internal_id) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))";
        transaction.rows(left, &[&self.backend, &seq, &of, &there]).await.map(drop)
    }

    /// Writes changes of meetings.
    async fn write_meetings(&self, transaction: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
        let Folded { whole, meetings, ended, recordings, .. } = self.folded;
        if !meetings.is_empty() {
            // An ended meeting returns only in a snapshot.
            let sql = "INSERT INTO node_meetings AS kept (backend_id, internal_id, id, create_time, breakout, recording, seq)
                SELECT $1, internal_id, id, create_time, breakout, recording, $2 FROM jsonb_to_recordset($3)
                    AS given (internal_id text, id text, create_time bigint, breakout boolean, recording boolean)
                ON CONFLICT (backend_id, internal_id) DO UPDATE SET id = excluded.id, create_time = excluded.create_time,
                    breakout = excluded.breakout, recording = excluded.recording, gone_at = NULL, seq = excluded.seq
                WHERE (kept.gone_at IS NULL OR $4)
                    AND (kept.gone_at, kept.id, kept.create_time, kept.breakout, kept.recording) IS DISTINCT FROM
                        (NULL::timestamptz, excluded.id, excluded.create_time, excluded.breakout, excluded.recording)";
            let given = json!(meetings.values().collect::<Vec<_>>());
            transaction.rows(sql, &[&self.backend, &seq, &given, whole]).await?;
        }
        if !recordings.is_empty() {
            let sql = "UPDATE node_meetings AS kept SET recording = given.recording, seq = $2
                FROM unnest($3::text[], $4::boolean[]) AS given (internal_id, recording)
                WHERE backend_id = $1 AND kept.internal_id = given.internal_id AND gone_at IS NULL";
            let (meetings, states): (Vec<&str>, Vec<bool>) = recordings.iter().map(|(id, on)| (*id, *on)).unzip();
            transaction.rows(sql, &[&self.backend, &seq, &meetings, &states]).await?;
        }
        if ended.is_empty() {
            return Ok(());
        }
        let ended: Vec<&str> = ended.iter().copied().collect();
        // Attendees get no leave events at a meeting's end.
        let sql = "WITH left_behind AS (
                UPDATE attendees SET gone_at = now(), seq = $2
                WHERE backend_id = $1 AND meeting = ANY($3) AND gone_at IS NULL)
            UPDATE node_meetings SET gone_at = now(), seq = $2
            WHERE backend_id = $1 AND internal_id = ANY($3) AND gone_at IS NULL";
        transaction.rows(sql, &[&self.backend, &seq, &ended]).await.map(drop)
    }

    /// Writes changes of attendees. Those of missing meetings are dropped.
    async fn write_attendees(&self, transaction: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
        let Folded { there, left, changed, .. } = self.folded;
        if !there.is_empty() {
            let given: Vec<Value> = there.iter().map(|((meeting, _), one)| of_meeting(meeting, one)).collect();
            transaction.rows(JOINED, &[&self.backend, &seq, &Value::from(given)]).await?;
        }
        if !left.is_empty() {
            let sql = "UPDATE attendees AS kept SET gone_at = now(), seq = $2
                FROM unnest($3::text[], $4::text[]) AS given (meeting, internal_id)
                WHERE backend_id = $1 AND kept.meeting = given.meeting AND kept.internal_id = given.internal_id
                    AND gone_at IS NULL";
            let (meetings, people): (Vec<&str>, Vec<&str>) = left.iter().copied().unzip();
            transaction.rows(sql, &[&self.backend, &seq, &meetings, &people]).await?;
        }
        if !changed.is_empty() {
            let given: Vec<Value> = changed
                .iter()
                .map(|((meeting, internal_id), change)| {
                    let mut given = of_meeting(meeting, change);
                    given["internal_id"] = Value::from(*internal_id);
                    given
                })
                .collect();
            transaction.rows(CHANGED, &[&self.backend, &seq, &Value::from(given)]).await?;
        }
        Ok(())
    }

    /// Meetings that have their place there, and have ended by the agent's word.
    async fn ended(&self, transaction: &Transaction<'_>) -> Result<Vec<(String, String)>, StoreError> {
        const TABLE: &str = "meetings";
        let sql = "SELECT meetings.id, meetings.internal_id FROM meetings
            JOIN node_meetings AS gone ON gone.backend_id = $1 AND gone.internal_id = meetings.internal_id
            WHERE meetings.backend_id = $1 AND state IN ('live', 'ending') AND gone_at IS NOT NULL";
        let rows = transaction.rows(sql, &[&self.backend]).await?;
        let ids = |row: &Row| Ok((column(TABLE, row, "id")?, column(TABLE, row, "internal_id")?));
        rows.iter().map(ids).collect()
    }

    /// Counts the people on the node, and says whether it runs something that has no place on it.
    async fn count(&self, transaction: &Transaction<'_>) -> Result<bool, StoreError> {
        let sql = "UPDATE backend_status SET told_at = CASE WHEN $2 THEN now() END, attendees = (
                SELECT count(*) FROM attendees JOIN node_meetings AS there
                    ON there.backend_id = attendees.backend_id AND there.internal_id = meeting
                WHERE attendees.backend_id = $1 AND attendees.gone_at IS NULL AND NOT breakout)
            WHERE backend_id = $1
            RETURNING EXISTS (
                SELECT FROM node_meetings AS there WHERE there.backend_id = $1 AND gone_at IS NULL AND NOT EXISTS (
                    SELECT FROM meetings WHERE meetings.id = there.id AND meetings.backend_id = $1)) AS strangers";
        let rows = transaction.rows(sql, &[&self.backend, &self.batch.redis_connected]).await?;
        rows.first().map_or(Ok(false), |row| column("backend_status", row, "strangers"))
    }
}

/// Writes who has joined, and gives up the seats that were kept for them. An attendee without an id from the frontend has one from
/// the node, beginning with `w_`. Such an attendee frees the seat of a link, if possible of one with that name. A meeting frees
/// seats only if its place is on this node, under this very id of the node's.
///
/// `arrived` looks each attendee up by its key: a join would read all of the node's for each, as long as their table has no statistics.
const JOINED: &str = "WITH given AS (
        SELECT given.*, there.id AS scoped FROM jsonb_to_recordset($3) AS given (meeting text, internal_id text,
                user_id text, full_name text, moderator boolean, presenter boolean, listening_only boolean,
                joined_voice boolean, has_video boolean, client_type text)
            JOIN node_meetings AS there ON there.backend_id = $1 AND there.internal_id = meeting AND gone_at IS NULL),
    arrived AS (
        SELECT scoped, given.user_id, sha256(convert_to(full_name, 'UTF8')) AS name,
            given.user_id = '' OR given.user_id = given.internal_id AND given.user_id LIKE 'w\\_%' AS is_nameless
        FROM given JOIN meetings AS placed
            ON placed.id = scoped AND placed.backend_id = $1 AND placed.internal_id = given.meeting
        WHERE (SELECT true FROM attendees AS kept WHERE kept.backend_id = $1 AND kept.meeting = given.meeting
            AND kept.internal_id = given.internal_id AND kept.gone_at IS NULL) IS NULL),
    named AS (
        DELETE FROM seats WHERE id IN (
            SELECT id FROM (
                SELECT id, meeting, user_id, row_number() OVER (PARTITION BY meeting, user_id ORDER BY expires_at) AS place
                FROM seats WHERE meeting IN (SELECT scoped FROM arrived)) AS ranked
            JOIN (
                SELECT scoped, user_id, count(*) AS people FROM arrived GROUP BY scoped, user_id) AS comers
                ON comers.scoped = meeting AND comers.user_id = ranked.user_id
            WHERE place <= people)),
    nameless AS (
        DELETE FROM seats WHERE id IN (
            SELECT id FROM (
                SELECT id, meeting, row_number() OVER (PARTITION BY meeting ORDER BY NOT EXISTS (
                        SELECT FROM arrived WHERE is_nameless AND scoped = meeting AND arrived.name = seats.name),
                    expires_at) AS place
                FROM seats WHERE user_id IS NULL) AS ranked
            JOIN (
                SELECT scoped, count(*) AS people FROM arrived WHERE is_nameless GROUP BY scoped) AS others
                ON others.scoped = meeting
            WHERE place <= people))
    INSERT INTO attendees AS kept (backend_id, meeting, internal_id, user_id, full_name, moderator, presenter,
        listening_only, joined_voice, has_video, client_type, seq)
    SELECT $1, meeting, internal_id, user_id, full_name, moderator, presenter, listening_only, joined_voice, has_video,
        client_type, $2 FROM given
    ON CONFLICT (backend_id, meeting, internal_id) DO UPDATE SET user_id = excluded.user_id,
        full_name = excluded.full_name, moderator = excluded.moderator, presenter = excluded.presenter,
        listening_only = excluded.listening_only, joined_voice = excluded.joined_voice,
        has_video = excluded.has_video, client_type = excluded.client_type, gone_at = NULL, seq = excluded.seq
    WHERE (kept.gone_at, kept.user_id, kept.full_name, kept.moderator, kept.presenter, kept.listening_only,
            kept.joined_voice, kept.has_video, kept.client_type)
        IS DISTINCT FROM (NULL::timestamptz, excluded.user_id, excluded.full_name, excluded.moderator,
            excluded.presenter, excluded.listening_only, excluded.joined_voice, excluded.has_video,
            excluded.client_type)";

/// Writes changed fields of present attendees.
const CHANGED: &str = "UPDATE attendees AS kept SET moderator = coalesce(given.moderator, kept.moderator),
        presenter = coalesce(given.presenter, kept.presenter),
        listening_only = coalesce(given.listening_only, kept.listening_only),
        joined_voice = coalesce(given.joined_voice, kept.joined_voice),
        has_video = coalesce(given.has_video, kept.has_video), seq = $2
    FROM jsonb_to_recordset($3) AS given (meeting text, internal_id text, moderator boolean, presenter boolean,
        listening_only boolean, joined_voice boolean, has_video boolean)
    WHERE kept.backend_id = $1 AND kept.meeting = given.meeting AND kept.internal_id = given.internal_id
        AND gone_at IS NULL";

/// A change of an attendee, as a statement takes it.
fn of_meeting(meeting: &str, said: &impl serde::Serialize) -> Value {
    let mut given = json!(said);
    given["meeting"] = Value::from(meeting);
    given
}
