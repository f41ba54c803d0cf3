//! The tap: the events of a batch for webhooks, in the transaction that takes the batch.
//!
//! The webhooks of a frontend hear of its meetings only. Meetings are found by the node's own ids, and only on the batch's
//! backend: an agent cannot speak for the meetings of other nodes.

mod basic;
mod heard;
mod owners;

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use b3scale_middleware::cluster::{NodeBatch, RawJson};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::rows::column;
use crate::store::transaction::Transaction;

use heard::Heard;
use owners::{Owner, owners};

/// Gives webhooks the events of a batch that counts. Returns whether posts were queued.
///
/// The transaction's last statement: the feeds stay locked until its end.
pub(super) async fn tell(
    transaction: &Transaction<'_>,
    backend: Uuid,
    batch: &NodeBatch<'_>,
) -> Result<bool, StoreError> {
    let mut heard: Vec<Heard<'_>> = match batch.mapped {
        Some(mapped) => mapped.iter().map(Heard::of).collect(),
        None => batch.events.iter().flat_map(basic::heard).collect(),
    };
    if heard.is_empty() {
        return Ok(false);
    }
    let owners = owners(transaction, backend, &heard).await?;
    heard.retain(|event| owners.contains_key(event.meeting));
    name_users(transaction, backend, &mut heard).await?;
    let (kinds, events) = by_kind(&heard, &owners);
    if events.is_empty() {
        return Ok(false);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let params: [&(dyn ToSql + Sync); 9] = [
        &each(&kinds, |(_, owner)| owner.frontend),
        &each(&kinds, |(event, _)| event.name),
        &each(&kinds, |(_, owner)| &*owner.id),
        &each(&kinds, |(_, owner)| &*owner.meeting_id),
        &each(&kinds, |(event, _)| event.meeting),
        &each(&events, |(kind, ..)| *kind),
        &each(&events, |(_, event, _)| event.ts.unwrap_or(now)),
        &each(&events, |(_, event, _)| event.attributes.text()),
        &each(&events, |(_, event, owner)| event.raw.filter(|_| owner.wants_raw).map(RawJson::text)),
    ];
    let sql = "SELECT tell_hooks($1, $2, $3, $4, $5, $6, $7, $8, array_fill(NULL::text, ARRAY[cardinality($6::integer[])]), $9)";
    let rows = transaction.rows(sql, &params).await?;
    rows.first().map_or(Ok(false), |row| Ok(column::<i64>("hook_events", row, "tell_hooks")? > 0))
}

/// A kind of event: a name in a meeting. It is given by one of its events.
type Kind<'h> = (&'h Heard<'h>, &'h Owner);

/// An event, with the number of its kind from 1.
type OfKind<'h> = (i32, &'h Heard<'h>, &'h Owner);

fn by_kind<'h>(heard: &'h [Heard<'h>], owners: &'h HashMap<String, Owner>) -> (Vec<Kind<'h>>, Vec<OfKind<'h>>) {
    let (mut kinds, mut numbers, mut events) = (Vec::new(), HashMap::new(), Vec::with_capacity(heard.len()));
    for event in heard {
        let Some(owner) = owners.get(event.meeting) else { continue };
        let known = numbers.len() as i32;
        let kind = *numbers.entry((event.meeting, event.name)).or_insert(known + 1);
        if kind > known {
            kinds.push((event, owner));
        } else if matches!(event.name, "meeting-created" | "meeting-ended") {
            continue;
        }
        events.push((kind, event, owner));
    }
    (kinds, events)
}

fn each<'t, F, T>(from: &'t [F], column: impl Fn(&'t F) -> T) -> Vec<T> {
    from.iter().map(column).collect()
}

/// Adds the tenant's ids of attendees that agents do not know.
async fn name_users(transaction: &Transaction<'_>, backend: Uuid, heard: &mut [Heard<'_>]) -> Result<(), StoreError> {
    const TABLE: &str = "attendees";
    let unnamed = heard.iter().filter_map(|event| Some((event.meeting, event.who.as_deref()?)));
    let (meetings, users): (Vec<&str>, Vec<&str>) = unnamed.unzip();
    if users.is_empty() {
        return Ok(());
    }
    let sql = "SELECT meeting, internal_id, user_id FROM attendees
        WHERE backend_id = $1 AND (meeting, internal_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))";
    let rows = transaction.rows(sql, &[&backend, &meetings, &users]).await?;
    let named = |row| {
        let whose: (String, String) = (column(TABLE, row, "meeting")?, column(TABLE, row, "internal_id")?);
        Ok((whose, column(TABLE, row, "user_id")?))
    };
    let named: HashMap<(String, String), String> = rows.iter().map(named).collect::<Result<_, StoreError>>()?;
    for event in heard {
        if let Some(who) = event.who.take() {
            let named = named.get(&(event.meeting.to_owned(), who.into_owned()));
            event.name_user(named.map_or("", String::as_str));
        }
    }
    Ok(())
}
