//! Following agents, a backend at a time and only new rows.

use std::collections::BTreeMap;
use std::time::SystemTime;

use b3scale_middleware::cluster::{Attendee, BackendId, NodeMeeting, Presence};
use tokio_postgres::Row;

use crate::store::rows::{column, readable};
use crate::store::{Store, StoreError};

/// Rows of agents since the known numbers: pairs of a backend and the `seq` of its status.
pub(super) async fn presence_since(
    store: &Store,
    known: &[(BackendId, i64)],
) -> Result<BTreeMap<BackendId, Presence>, StoreError> {
    let (ids, seqs): (Vec<_>, Vec<_>) = known.iter().map(|(id, seq)| (id.0, *seq)).unzip();
    let since = |table: &str| {
        format!(
            "SELECT changed.* FROM unnest($1::uuid[], $2::int8[]) AS known (id, seq)
            JOIN {table} AS changed ON changed.backend_id = known.id AND changed.seq > known.seq"
        )
    };
    let meetings = store.rows("follow meetings of nodes", &since("node_meetings"), &[&ids, &seqs]).await?;
    let attendees = store.rows("follow attendees", &since("attendees"), &[&ids, &seqs]).await?;
    let mut presences: BTreeMap<BackendId, Presence> = BTreeMap::new();
    for (backend, id, meeting) in readable(&meetings, meeting) {
        presences.entry(backend).or_default().meetings.insert(id, meeting);
    }
    for (backend, who, attendee) in readable(&attendees, attendee) {
        presences.entry(backend).or_default().attendees.insert(who, attendee);
    }
    Ok(presences)
}

fn is_gone(table: &str, row: &Row) -> Result<bool, StoreError> {
    Ok(column::<Option<SystemTime>>(table, row, "gone_at")?.is_some())
}

fn meeting(row: &Row) -> Result<(BackendId, String, Option<NodeMeeting>), StoreError> {
    const TABLE: &str = "node_meetings";
    let meeting = NodeMeeting {
        internal_id: column(TABLE, row, "internal_id")?,
        id: column(TABLE, row, "id")?,
        create_time: column(TABLE, row, "create_time")?,
        breakout: column(TABLE, row, "breakout")?,
        recording: column(TABLE, row, "recording")?,
    };
    let backend = BackendId(column(TABLE, row, "backend_id")?);
    let gone = is_gone(TABLE, row)?;
    Ok((backend, meeting.internal_id.clone(), (!gone).then_some(meeting)))
}

type Who = (String, String);

fn attendee(row: &Row) -> Result<(BackendId, Who, Option<Attendee>), StoreError> {
    const TABLE: &str = "attendees";
    let attendee = Attendee {
        internal_id: column(TABLE, row, "internal_id")?,
        user_id: column(TABLE, row, "user_id")?,
        full_name: column(TABLE, row, "full_name")?,
        moderator: column(TABLE, row, "moderator")?,
        presenter: column(TABLE, row, "presenter")?,
        listening_only: column(TABLE, row, "listening_only")?,
        joined_voice: column(TABLE, row, "joined_voice")?,
        has_video: column(TABLE, row, "has_video")?,
        client_type: column(TABLE, row, "client_type")?,
    };
    let who = (column(TABLE, row, "meeting")?, attendee.internal_id.clone());
    let gone = is_gone(TABLE, row)?;
    Ok((BackendId(column(TABLE, row, "backend_id")?), who, (!gone).then_some(attendee)))
}
