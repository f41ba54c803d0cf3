//! Batches of agents, as `store/ingest.rs` takes them in SQL.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Attendee, BackendId, NodeBatch, Presence, Receipt};
use b3scale_postgres::StoreError;
use sha2::{Digest, Sha256};

use super::{AgentRow, AttendeeRow, Model, NodeMeetingRow, SeatRow, Tables};
use crate::ledger::fold::Folded;
use crate::ledger::{Ingest, Ingested};

/// An older start of an agent speaks again once no later one has been heard for so long.
const SILENT_AFTER: Duration = Duration::from_secs(10);

#[async_trait]
impl Ingest for Model {
    async fn ingest(&self, backend: BackendId, batch: &NodeBatch<'_>) -> Result<Ingested, StoreError> {
        let folded = Folded::of(batch);
        self.run(|statement| {
            let tables = &mut statement.tables;
            Ok(Taking { backend, batch, folded: &folded, now: statement.now, tables }.take())
        })
        .await
    }

    async fn presence_since(&self, known: &[(BackendId, i64)]) -> Result<BTreeMap<BackendId, Presence>, StoreError> {
        self.read(|statement| {
            let mut presences = BTreeMap::<_, Presence>::new();
            for (backend, since) in known {
                for ((_, id), row) in statement.seen.node_meetings.range((*backend, String::new())..) {
                    if row.backend == *backend && row.seq > *since {
                        let meeting = row.gone_at.is_none().then(|| row.meeting.clone());
                        presences.entry(*backend).or_default().meetings.insert(id.clone(), meeting);
                    }
                }
                for ((_, meeting, id), row) in
                    statement.seen.attendees.range((*backend, String::new(), String::new())..)
                {
                    if row.backend == *backend && row.seq > *since {
                        let attendee = row.gone_at.is_none().then(|| row.attendee.clone());
                        let who = (meeting.clone(), id.clone());
                        presences.entry(*backend).or_default().attendees.insert(who, attendee);
                    }
                }
            }
            presences
        })
        .await
    }
}

/// Taking a batch. The lock of the status orders the batches of a node, so that all of it is done at once.
struct Taking<'a> {
    backend: BackendId,
    batch: &'a NodeBatch<'a>,
    folded: &'a Folded<'a>,
    now: SystemTime,
    tables: &'a mut Tables,
}

impl Taking<'_> {
    fn take(&mut self) -> Ingested {
        let Some(seq) = self.number() else { return self.refused(0) };
        let asked = i64::try_from(self.batch.seq).unwrap_or(i64::MAX);
        let whole = self.folded.whole;
        match self.tables.agents.get(&(self.backend, self.batch.boot)).map(|row| row.seq) {
            Some(last) if asked <= last => {
                let receipt = Receipt::new(last.unsigned_abs(), false);
                return Ingested { receipt, ended: self.ended(), ..self.refused(0) };
            }
            Some(last) if !self.speaks() => return self.refused(last),
            Some(last) if asked != last + 1 && !whole => {
                self.tables.statuses.entry(self.backend).and_modify(|row| row.told_at = None);
                return self.refused(last);
            }
            None if !whole => return self.refused(0),
            Some(_) | None => {}
        }
        self.note_start(asked);
        if whole {
            self.drop_others(seq);
        }
        self.write_meetings(seq);
        self.write_attendees(seq);
        let strangers = self.count();
        let receipt = Receipt::new(self.batch.seq, false);
        Ingested { receipt, counts: true, ended: self.ended(), strangers, posts: false }
    }

    fn refused(&self, last: i64) -> Ingested {
        let receipt = Receipt::new(last.unsigned_abs(), true);
        Ingested { receipt, counts: false, ended: Vec::new(), strangers: false, posts: false }
    }

    /// Numbers the batch, and records the figures of the machine.
    fn number(&mut self) -> Option<i64> {
        let share = |figure: f32| if figure.is_finite() { figure.clamp(0.0, 1.0) } else { 0.0 };
        let row = self.tables.statuses.get_mut(&self.backend)?;
        row.seq += 1;
        row.heartbeat = Some(self.now);
        (row.cpu, row.memory) = (Some(share(self.batch.node.cpu)), Some(share(self.batch.node.memory)));
        Some(row.seq)
    }

    fn later_starts(&self, than: SystemTime) -> impl Iterator<Item = &AgentRow> {
        let agents = self.tables.agents.iter().filter(|((backend, _), _)| *backend == self.backend);
        agents.map(|(_, row)| row).filter(move |row| row.begun_at > than)
    }

    /// Whether this start of the agent may speak for the node.
    fn speaks(&self) -> bool {
        let Some(mine) = self.tables.agents.get(&(self.backend, self.batch.boot)) else { return true };
        let bound = self.now - SILENT_AFTER;
        !self.later_starts(mine.begun_at).any(|later| !self.folded.whole || later.heard_at > bound)
    }

    fn note_start(&mut self, seq: i64) {
        let (now, at) = (self.now, (self.backend, self.batch.boot));
        let begun_at = match self.tables.agents.get(&at) {
            Some(mine) if self.later_starts(mine.begun_at).next().is_none() => mine.begun_at,
            Some(_) | None => now,
        };
        self.tables.agents.insert(at, AgentRow { seq, begun_at, heard_at: now });
    }

    /// Everything that is not in the snapshot is gone.
    fn drop_others(&mut self, seq: i64) {
        let (backend, now, folded) = (self.backend, self.now, self.folded);
        let meetings = self.tables.node_meetings.values_mut().filter(|row| row.backend == backend);
        let gone = meetings.filter(|row| !folded.meetings.contains_key(&*row.meeting.internal_id));
        gone.for_each(|row| row.go(now, seq));
        let attendees = self.tables.attendees.iter_mut().filter(|(_, row)| row.backend == backend);
        let left = attendees.filter(|((_, meeting, id), _)| !folded.there.contains_key(&(&**meeting, &**id)));
        left.for_each(|(_, row)| row.go(now, seq));
    }

    fn write_meetings(&mut self, seq: i64) {
        let (backend, now, folded) = (self.backend, self.now, self.folded);
        for (id, meeting) in &folded.meetings {
            let at = (backend, (*id).to_owned());
            let new = NodeMeetingRow { backend, meeting: meeting.clone(), gone_at: None, seq };
            let kept = self.tables.node_meetings.entry(at).or_insert_with(|| new.clone());
            let may_return = kept.gone_at.is_none() || folded.whole;
            if may_return && (kept.gone_at.is_some() || kept.meeting != new.meeting) {
                *kept = new;
            }
        }
        for (id, recording) in &folded.recordings {
            let kept = self.tables.node_meetings.get_mut(&(backend, (*id).to_owned()));
            if let Some(kept) = kept.filter(|row| row.gone_at.is_none()) {
                (kept.meeting.recording, kept.seq) = (*recording, seq);
            }
        }
        for id in &folded.ended {
            let left = self.tables.attendees.iter_mut().filter(|((at, of, _), _)| *at == backend && of == id);
            left.for_each(|(_, row)| row.go(now, seq));
            let ended = self.tables.node_meetings.get_mut(&(backend, (*id).to_owned()));
            ended.into_iter().for_each(|row| row.go(now, seq));
        }
    }

    fn write_attendees(&mut self, seq: i64) {
        let (backend, now, folded) = (self.backend, self.now, self.folded);
        self.free_seats();
        for ((meeting, id), attendee) in &folded.there {
            if self.running(meeting).is_none() {
                continue;
            }
            let at = (backend, (*meeting).to_owned(), (*id).to_owned());
            let new = AttendeeRow { backend, attendee: attendee.clone(), gone_at: None, seq };
            let kept = self.tables.attendees.entry(at).or_insert_with(|| new.clone());
            if kept.gone_at.is_some() || kept.attendee != new.attendee {
                *kept = new;
            }
        }
        for (meeting, id) in &folded.left {
            let kept = self.tables.attendees.get_mut(&(backend, (*meeting).to_owned(), (*id).to_owned()));
            kept.into_iter().for_each(|row| row.go(now, seq));
        }
        for ((meeting, id), change) in &folded.changed {
            let kept = self.tables.attendees.get_mut(&(backend, (*meeting).to_owned(), (*id).to_owned()));
            if let Some(kept) = kept.filter(|row| row.gone_at.is_none()) {
                change.apply(&mut kept.attendee);
                kept.seq = seq;
            }
        }
    }

    fn running(&self, meeting: &str) -> Option<&NodeMeetingRow> {
        let row = self.tables.node_meetings.get(&(self.backend, meeting.to_owned()));
        row.filter(|row| row.gone_at.is_none())
    }

    /// The meeting that has its place here and that the node knows by this id of its own, and by that with which it was
    /// created.
    fn placed(&self, meeting: &str) -> Option<ScopedId> {
        let scoped = ScopedId::verbatim(&self.running(meeting)?.meeting.id);
        let placed = &self.tables.meetings.get(&scoped)?.meeting;
        let is_here = placed.backend == self.backend && placed.internal_id.as_deref() == Some(meeting);
        is_here.then_some(scoped)
    }

    /// Frees the seats that were kept for those who have joined: for each a seat under the same id, and for each nameless one a
    /// link's, if possible under the same name.
    fn free_seats(&mut self) {
        let is_there = |(meeting, id): &(&str, &str)| {
            let at = (self.backend, (*meeting).to_owned(), (*id).to_owned());
            self.tables.attendees.get(&at).is_some_and(|row| row.gone_at.is_none())
        };
        let arrived = self.folded.there.iter().filter(|(who, _)| !is_there(who));
        let arrived: Vec<_> = arrived.filter_map(|((meeting, _), one)| Some((self.placed(meeting)?, one))).collect();
        let named = arrived.iter().map(|arrival| (arrival.0.clone(), Some(arrival.1.user_id.clone())));
        let mut comers: BTreeMap<(ScopedId, Option<String>), Vec<&Attendee>> = BTreeMap::new();
        for (key, (_, one)) in named.zip(&arrived) {
            comers.entry(key).or_default().push(one);
        }
        for (scoped, one) in arrived.iter().filter(|(_, one)| is_nameless(one)) {
            comers.entry((scoped.clone(), None)).or_default().push(one);
        }
        let mut freed = Vec::new();
        for ((meeting, user), people) in comers {
            let names: Vec<[u8; 32]> =
                people.iter().map(|one| Sha256::digest(one.full_name.as_bytes()).into()).collect();
            let has_name = |seat: &SeatRow| user.is_none() && seat.name.is_some_and(|name| names.contains(&name));
            let seats = self.tables.seats.iter().filter(|(_, seat)| seat.meeting == meeting && seat.user == user);
            let mut ranked: Vec<_> = seats.map(|(id, seat)| (!has_name(seat), seat.expires_at, *id)).collect();
            ranked.sort();
            freed.extend(ranked.into_iter().take(people.len()).map(|(_, _, id)| id));
        }
        freed.iter().for_each(|id| drop(self.tables.seats.remove(id)));
    }

    /// Counts the people on the node. Returns whether it runs a meeting that has no place on it.
    fn count(&mut self) -> bool {
        let backend = self.backend;
        let rows = || self.tables.node_meetings.values().filter(|row| row.backend == backend);
        let is_counted = |meeting: &String| {
            let of = self.tables.node_meetings.get(&(backend, meeting.clone()));
            of.is_some_and(|row| !row.meeting.breakout)
        };
        let attendees = self
            .tables
            .attendees
            .iter()
            .filter(|((at, meeting, _), row)| *at == backend && row.gone_at.is_none() && is_counted(meeting));
        let count = u32::try_from(attendees.count()).unwrap_or(u32::MAX);
        let has_place = |row: &NodeMeetingRow| {
            let placed = self.tables.meetings.get(&ScopedId::verbatim(&row.meeting.id));
            placed.is_some_and(|row| row.meeting.backend == backend)
        };
        let strangers = rows().any(|row| row.gone_at.is_none() && !has_place(row));
        let told_at = self.batch.redis_connected.then_some(self.now);
        let status = self.tables.statuses.entry(backend);
        status.and_modify(|row| (row.told_at, row.attendees) = (told_at, count));
        strangers
    }

    /// Meetings that have their place there, and have ended by the agent's word.
    fn ended(&self) -> Vec<(String, String)> {
        let here = self.tables.meetings.values().filter(|row| row.meeting.backend == self.backend && row.runs());
        let ids = here.filter_map(|row| {
            let internal_id = row.meeting.internal_id.clone()?;
            let gone = self.tables.node_meetings.get(&(self.backend, internal_id.clone()))?.gone_at;
            gone.map(|_| (row.meeting.id.as_ref().to_owned(), internal_id))
        });
        ids.collect()
    }
}

/// Whether someone has no id from the frontend: then the node has made one.
fn is_nameless(attendee: &Attendee) -> bool {
    let Attendee { user_id, internal_id, .. } = attendee;
    user_id.is_empty() || user_id == internal_id && user_id.starts_with("w_")
}

impl NodeMeetingRow {
    fn go(&mut self, now: SystemTime, seq: i64) {
        if self.gone_at.is_none() {
            (self.gone_at, self.seq) = (Some(now), seq);
        }
    }
}

impl AttendeeRow {
    fn go(&mut self, now: SystemTime, seq: i64) {
        if self.gone_at.is_none() {
            (self.gone_at, self.seq) = (Some(now), seq);
        }
    }
}
