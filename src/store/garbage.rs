//! Garbage: rows that have become of no use, in all tables.

use super::{Store, StoreError, deliveries, imports, jobs};

/// One statement for each kind of garbage. A new table adds its own here.
const SWEEPS: [&str; 13] = [
    "DELETE FROM commands WHERE deadline < now() - interval '1 hour'",
    "DELETE FROM servers WHERE beat < now() - interval '1 hour' OR address = '' AND is_lost(id, NULL)",
    // A detached meeting becomes a copy.
    "WITH gone AS (
        DELETE FROM meetings WHERE state = 'detached' AND updated_at < now() - interval '1 day' RETURNING *),
    copied AS (
        INSERT INTO meeting_copies (id, backend_id, attempt) SELECT id, backend_id, attempt FROM gone
        ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now()),
    ended AS (
        UPDATE meeting_history AS past SET ended_at = now() FROM gone
        WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
    SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone",
    "DELETE FROM meeting_copies WHERE NOT EXISTS (SELECT FROM backends WHERE backends.id = backend_id)",
    "DELETE FROM meeting_history WHERE ended_at < now() - interval '2 years'",
    "DELETE FROM seats WHERE expires_at < now()",
    "DELETE FROM agents WHERE heard_at < now() - interval '1 day'",
    // After ten minutes every server has read that they are gone.
    "DELETE FROM attendees WHERE (backend_id, meeting, internal_id) IN (
        SELECT backend_id, meeting, internal_id FROM attendees
        WHERE gone_at < now() - interval '10 minutes' LIMIT 50000)",
    "DELETE FROM node_meetings WHERE gone_at < now() - interval '10 minutes'",
    // Recordings may follow weeks after their meeting.
    "DELETE FROM meeting_callbacks AS kept WHERE created_at < now() - interval '1 year'
        AND NOT EXISTS (SELECT FROM deliveries WHERE callback_id = kept.id AND state = 'waiting')
        AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = kept.meeting)
        AND NOT EXISTS (
            SELECT FROM meeting_history AS past WHERE past.id = kept.meeting AND past.internal_id = kept.internal_id
                AND (past.ended_at > now() - interval '1 year') IS NOT FALSE)",
    deliveries::SWEEP,
    jobs::SWEEP,
    imports::SWEEP,
];

/// Removes the garbage of all tables.
///
/// # Errors
/// Any [`StoreError`] of the database. The rest is left for the next time.
pub(super) async fn collect_garbage(store: &Store) -> Result<(), StoreError> {
    for sql in SWEEPS {
        store.rows("collect garbage", sql, &[]).await?;
    }
    Ok(())
}
