//! The tap: the events of a batch for webhooks, in the transaction that takes the batch.
//!
//! The webhooks of a frontend hear of its meetings only. Meetings are found by the node's own ids, and only on the batch's
//! backend: an agent cannot speak for the meetings of other nodes.

mod basic;
mod heard;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{MappedEvent, NodeBatch};
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::rows::column;
use crate::store::transaction::Transaction;

use heard::{Attributes, Breakout, Heard};

/// Gives webhooks the events of a batch that counts. Returns whether it has any for them.
///
/// The transaction's last statement: the feeds stay locked until its end.
pub(super) async fn tell(
    transaction: &Transaction<'_>,
    backend: Uuid,
    batch: &NodeBatch<'_>,
    raw: bool,
) -> Result<bool, StoreError> {
    let heard: Vec<Heard<'_>> = match batch.mapped {
        Some(mapped) => mapped.iter().map(|event| told(event, raw)).collect(),
        None => batch.events.iter().flat_map(basic::heard).collect(),
    };
    if heard.is_empty() {
        return Ok(false);
    }
    let params: [&(dyn ToSql + Sync); 9] = [
        &backend,
        &each(&heard, |event| event.meeting),
        &each(&heard, |event| event.name),
        &each(&heard, |event| event.ts),
        &each(&heard, |event| Json(&event.attributes)),
        &each(&heard, |event| event.raw.map(Json)),
        &each(&heard, |event| event.who),
        &each(&heard, |event| event.breakout.as_ref().map(|breakout| breakout.id)),
        &each(&heard, |event| event.breakout.as_ref().map(|breakout| breakout.parent)),
    ];
    let rows = transaction.rows(TELL, &params).await?;
    rows.first()
        .map_or(Ok(false), |row| Ok(column::<Option<i64>>("hook_events", row, "told")?.is_some_and(|told| told > 0)))
}

fn each<'h, T>(heard: &'h [Heard<'h>], column: impl Fn(&'h Heard<'h>) -> T) -> Vec<T> {
    heard.iter().map(column).collect()
}

fn told(event: &MappedEvent, wants_raw: bool) -> Heard<'_> {
    let MappedEvent { meeting, name, ts, attributes, raw } = event;
    let raw = raw.as_ref().filter(|_| wants_raw);
    let (ts, breakout) = (Some(*ts), breakout(name, &attributes["meeting"]));
    // An agent that was started again does not know earlier users.
    let user = &attributes["user"];
    let who = user["internal-user-id"].as_str().filter(|_| user["external-user-id"] == "");
    Heard { meeting, name, ts, attributes: Attributes::Told(attributes), raw, who, breakout }
}

/// A breakout that its node made: a frontend's own has a scoped id, and is found by that.
fn breakout<'a>(name: &str, meeting: &'a Value) -> Option<Breakout<'a>> {
    if name != "meeting-created" || meeting["is-breakout"] != true {
        return None;
    }
    let (id, parent) = (meeting["external-meeting-id"].as_str()?, meeting["parent-id"].as_str()?);
    let scoped = ScopedId::verbatim(id);
    (scoped.decode().is_none() && !scoped.is_hashed()).then_some(Breakout { id, parent })
}

/// How webhooks are told.
//
// 1. `given` holds the events in their order.
// 2. `named` holds the meetings to be found, parents of breakouts included.
// 3. `placed` finds each by its place on this backend. A claimed one is found, too: its node may speak before it has answered
//    the create. A meeting that is over is found by its internal id in the history.
// 4. `made` finds the owners of new breakouts by their parents. No server may have listed them yet.
// 5. `noted` keeps these in the history, for the events to come.
// 6. `told` puts the events together. Only frontends with a feed hear any, and BBB's messages go only to a feed with raw hooks.
const TELL: &str = "WITH given AS MATERIALIZED (
        SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::json[], $6::json[], $7::text[], $8::text[], $9::text[])
            WITH ORDINALITY AS given (meeting, name, ts, attributes, raw, who, breakout, parent, place)),
    named AS (
        SELECT meeting FROM given UNION SELECT parent FROM given WHERE parent IS NOT NULL),
    placed AS MATERIALIZED (
        SELECT named.meeting, found.id, found.frontend_id, found.meeting_id FROM named CROSS JOIN LATERAL (
            (SELECT 1 AS rank, meetings.id, meetings.frontend_id, meetings.meeting_id FROM node_meetings AS there
                JOIN meetings ON meetings.id = there.id AND meetings.backend_id = $1
                WHERE there.backend_id = $1 AND there.internal_id = named.meeting)
            UNION ALL
            (SELECT 2, past.id, past.frontend_id, past.meeting_id FROM meeting_history AS past
                WHERE past.internal_id = named.meeting AND past.internal_id <> '' AND past.backend_id = $1
                ORDER BY past.created_at LIMIT 1)
            ORDER BY rank LIMIT 1) AS found),
    made AS MATERIALIZED (
        SELECT DISTINCT ON (there.internal_id) there.internal_id AS meeting, there.id, main.frontend_id
        FROM given JOIN placed AS main ON main.meeting = given.parent
            JOIN node_meetings AS there ON there.backend_id = $1 AND there.internal_id = given.meeting
                AND there.id = given.breakout AND there.breakout
        WHERE NOT EXISTS (SELECT FROM placed WHERE placed.meeting = given.meeting)
            AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = there.id)),
    noted AS (
        INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
        SELECT id, meeting, frontend_id, id, $1 FROM made ON CONFLICT DO NOTHING),
    owned AS (
        SELECT meeting, id, frontend_id, meeting_id FROM placed
        UNION ALL
        SELECT meeting, id, frontend_id, id FROM made),
    told AS (
        SELECT array_agg((feed.frontend_id, given.name, owned.id, owned.meeting_id, given.meeting,
            coalesce(given.ts, floor(extract(epoch FROM clock_timestamp()) * 1000)),
            CASE WHEN given.who IS NULL THEN given.attributes
                ELSE jsonb_set(given.attributes::jsonb, '{user,external-user-id}', to_jsonb(coalesce((
                    SELECT user_id FROM attendees AS person WHERE person.backend_id = $1
                        AND person.meeting = given.meeting AND person.internal_id = given.who), '')))::json END,
            NULL, CASE WHEN feed.wants_raw THEN given.raw END)::told_event ORDER BY given.place) AS events
        FROM given JOIN owned USING (meeting) JOIN hook_feeds AS feed USING (frontend_id))
    SELECT tell_hooks(events) AS told FROM told WHERE events IS NOT NULL";

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_breakout_has_no_id_of_a_frontend() {
        let made = json!({"external-meeting-id": "b-1", "is-breakout": true, "parent-id": "p-1"});
        assert_eq!(breakout("meeting-created", &made), Some(Breakout { id: "b-1", parent: "p-1" }));
        assert_eq!(breakout("meeting-ended", &made), None);
        let (mut scoped, mut whole) = (made.clone(), made.clone());
        scoped["external-meeting-id"] = json!(ScopedId::new("school", &MeetingId::new("lesson")).to_string());
        whole["is-breakout"] = json!(false);
        for other in [scoped, whole, json!("text"), json!(null)] {
            assert_eq!(breakout("meeting-created", &other), None);
        }
    }
}
