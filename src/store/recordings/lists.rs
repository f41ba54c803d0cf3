//! Lists of recordings, newest first, each read from an index.

use std::collections::BTreeSet;

use b3scale_middleware::cluster::{
    FrontendId, RecordId, RecordingCursor, RecordingPage, RecordingQuery, RecordingState,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::Recordings;
use super::rows::{COLUMNS, recording};
use crate::store::StoreError;
use crate::store::rows::{column, readable, unreadable};

/// The most recordings that one statement should read.
pub const PAGE: u64 = 100;

/// Whose recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Those of a frontend.
    Frontend(FrontendId),
    /// Those without one: their meeting is unknown, or their frontend was removed.
    Unknown,
    /// All.
    Any,
}

impl Recordings<'_> {
    /// A part of a list: its beginning, or from that place on. `offset` and `limit` of the query count from there. Unreadable
    /// recordings are left out.
    pub async fn list(
        self,
        owner: Owner,
        query: &RecordingQuery,
        from: Option<&RecordingCursor>,
    ) -> Result<RecordingPage, StoreError> {
        let Some(keys) = Keys::of(owner, query, from) else { return Ok(RecordingPage::default()) };
        let rows = self.0.rows("list recordings", &page(&keys.sql()), &keys.params()).await?;
        // Behind a full page there may be another one, also if its last recording is unreadable.
        let last = rows.last().filter(|_| query.limit == Some(rows.len() as u64));
        let next = last.map(place).transpose()?;
        Ok(RecordingPage { recordings: readable(&rows, recording), total: None, next })
    }

    /// How many recordings a list has, without offset and limit.
    pub async fn count(self, owner: Owner, query: &RecordingQuery) -> Result<u64, StoreError> {
        let whole = RecordingQuery { offset: 0, limit: None, ..query.clone() };
        let Some(keys) = Keys::of(owner, &whole, None) else { return Ok(0) };
        let sql = format!("SELECT count(*) AS total FROM ({}) AS list", keys.sql());
        let row = self.0.row("count recordings", &sql, &keys.params()).await?;
        let total: i64 = row.map_or(Ok(0), |row| column("recordings", &row, "total"))?;
        Ok(total.unsigned_abs())
    }
}

/// The place of a row in the list.
fn place(row: &Row) -> Result<RecordingCursor, StoreError> {
    const TABLE: &str = "recordings";
    let id = RecordId::new(column(TABLE, row, "record_id")?);
    let id = id.ok_or_else(|| unreadable(TABLE, row, "its id is none of a recording"))?;
    Ok(RecordingCursor { start_time: column(TABLE, row, "start_time")?, id })
}

/// The statement of a frontend's whole list: its parameters are the frontend, the states, no texts, the time and the id before which
/// the page begins, its limit and its offset.
pub fn whole_list() -> String {
    let query = RecordingQuery { states: vec![RecordingState::Published], ..RecordingQuery::default() };
    let keys = Keys::of(Owner::Frontend(FrontendId(Uuid::nil())), &query, None);
    keys.map_or_else(String::new, |keys| page(&keys.sql()))
}

/// The recordings of some keys. Only they are read from the table.
fn page(keys: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM ({keys}) AS page JOIN recordings USING (record_id)
        ORDER BY page.start_time DESC, record_id DESC"
    )
}

/// Where a list begins to look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    All,
    Beginnings,
    Meetings,
}

/// The keys of a list's recordings: the values of its statement.
//
// States are in every index, so that tombstones are passed over there. Only the recordings of the page itself are read.
struct Keys<'a> {
    owner: Owner,
    source: Source,
    frontend: Option<Uuid>,
    states: Vec<&'static str>,
    wanted: Vec<&'a str>,
    before: (i64, &'a str),
    limit: Option<i64>,
    offset: i64,
    filter: Option<Filter<'a>>,
}

/// Conditions for which each recording is read.
struct Filter<'a> {
    protected: Option<bool>,
    names: Vec<&'a str>,
    patterns: Vec<String>,
    meetings: Vec<&'a str>,
}

const FILTER: &str = "AND ($8::bool IS NULL OR protected = $8)
    AND NOT EXISTS (
        SELECT FROM unnest($9::text[], $10::text[]) AS wanted (name, pattern)
        WHERE (metadata->>name LIKE pattern) IS NOT TRUE)
    AND (cardinality($11::text[]) = 0 OR meeting_id = ANY($11))";

impl<'a> Keys<'a> {
    /// `None`: no recording can be in that list.
    fn of(owner: Owner, query: &'a RecordingQuery, from: Option<&'a RecordingCursor>) -> Option<Self> {
        let states: Vec<_> = query.states.iter().copied().map(RecordingState::name).collect();
        // PostgreSQL knows no NUL, and so does no recording.
        let is_possible = |text: &str| !text.contains('\0');
        let meetings: BTreeSet<&str> = query.meeting_ids.iter().map(|id| &**id).filter(|id| is_possible(id)).collect();
        let meetings: Vec<&str> = meetings.into_iter().collect();
        let is_empty = states.is_empty() || meetings.is_empty() && !query.meeting_ids.is_empty();
        if is_empty || !query.metadata.iter().all(|(name, value)| is_possible(name) && is_possible(value)) {
            return None;
        }
        let (source, wanted, meetings) = match (&*query.record_ids, &*meetings) {
            ([], []) => (Source::All, Vec::new(), Vec::new()),
            ([], _) => (Source::Meetings, meetings, Vec::new()),
            (ids, _) => (Source::Beginnings, beginnings(ids), meetings),
        };
        let is_filtered = query.protected.is_some() || !query.metadata.is_empty() || !meetings.is_empty();
        let names = query.metadata.iter().map(|(name, _)| &**name).collect();
        let patterns = query.metadata.iter().map(|(_, value)| pattern(value)).collect();
        let filter = Filter { protected: query.protected, names, patterns, meetings };
        Some(Self {
            owner,
            source,
            frontend: match owner {
                Owner::Frontend(frontend) => Some(frontend.0),
                Owner::Unknown | Owner::Any => None,
            },
            states,
            wanted,
            before: from.map_or((i64::MAX, ""), |from| (from.start_time, from.id.as_str())),
            limit: query.limit.map(bounded),
            offset: bounded(query.offset),
            filter: is_filtered.then_some(filter),
        })
    }

    fn sql(&self) -> String {
        const ORDER: &str = "ORDER BY start_time DESC, record_id DESC";
        // Each statement has all parameters, so that all lists have the same.
        let owner = match self.owner {
            Owner::Frontend(_) => "frontend_id = $1",
            Owner::Unknown => "frontend_id IS NULL AND $1::uuid IS NULL",
            Owner::Any => "$1::uuid IS NULL",
        };
        let filter = if self.filter.is_some() { FILTER } else { "" };
        let kept = format!("{owner} AND state = ANY($2) AND (start_time, record_id) < ($4, $5) {filter}");
        match self.source {
            Source::All => format!(
                "SELECT start_time, record_id FROM recordings WHERE {kept} AND cardinality($3::text[]) = 0
                {ORDER} LIMIT $6 OFFSET $7"
            ),
            // In ASCII, `{{` comes after every character of an id.
            Source::Beginnings => format!(
                "SELECT start_time, record_id FROM unnest($3::text[]) AS wanted (beginning)
                JOIN recordings ON record_id ~>=~ beginning AND record_id ~<~ (beginning || '{{') WHERE {kept}
                {ORDER} LIMIT $6 OFFSET $7"
            ),
            // Of each meeting no more is read than the page may hold.
            Source::Meetings => format!(
                "SELECT start_time, record_id FROM unnest($3::text[]) AS wanted (meeting) CROSS JOIN LATERAL (
                    SELECT start_time, record_id FROM recordings WHERE meeting_id = meeting AND {kept}
                    {ORDER} LIMIT $6::bigint + $7::bigint) AS found
                {ORDER} LIMIT $6 OFFSET $7"
            ),
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let Self { frontend, states, wanted, before: (time, id), limit, offset, filter, .. } = self;
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![frontend, states, wanted, time, id, limit, offset];
        if let Some(Filter { protected, names, patterns, meetings }) = filter {
            params.extend([protected as &(dyn ToSql + Sync), names, patterns, meetings]);
        }
        params
    }
}

/// The beginnings that an id can have, without those that another one covers: so no recording is found twice.
fn beginnings(ids: &[String]) -> Vec<&str> {
    let is_possible = |id: &str| id.is_empty() || RecordId::new(id).is_some();
    let mut ids: Vec<&str> = ids.iter().map(|id| &**id).filter(|id| is_possible(id)).collect();
    ids.sort_unstable();
    ids.dedup_by(|longer, kept| longer.starts_with(*kept));
    ids
}

/// The pattern of a wanted value: a `%` at either end stands for any text, and all else for itself.
fn pattern(value: &str) -> String {
    let (start, rest) = value.strip_prefix('%').map_or(("", value), |rest| ("%", rest));
    let (text, end) = rest.strip_suffix('%').map_or((rest, ""), |text| (text, "%"));
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("{start}{escaped}{end}")
}

/// A number of recordings, which PostgreSQL adds to others.
fn bounded(number: u64) -> i64 {
    i64::try_from(number).map_or(i64::MAX / 2, |number| number.min(i64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_stands_for_any_text_at_the_ends_alone() {
        assert_eq!(pattern("%a%b_c\\%"), r"%a\%b\_c\\%");
        assert_eq!(pattern("%"), "%");
        assert_eq!(pattern("plain"), "plain");
    }

    #[test]
    fn no_beginning_covers_another() {
        let ids = ["abc-1", "ab", "b", "b", "a%", ""].map(str::to_owned);
        assert_eq!(beginnings(&ids[..5]), ["ab", "b"]);
        assert_eq!(beginnings(&ids), [""]);
    }
}
