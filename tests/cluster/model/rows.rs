//! All rows of both databases, as lines that are the same if the rows are.

use std::time::{SystemTime, UNIX_EPOCH};

use b3scale::ledger::memory::{CopyRow, MeetingRow, NodeMeetingRow, PastRow, ServerEntry, StatusRow, Tables};
use b3scale_middleware::cluster::{Attendee, Meeting, NodeMeeting};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// Numbers of claims below it are drawn from the sequence of versions, which differs.
const LEAST_TICKET: i64 = 1 << 40;

/// One statement a table, each with one column of text. Of versions and leases it says whether they were drawn after `$1`: each
/// side skips numbers of its own.
const LINES: [&str; 11] = [
    "SELECT concat_ws(' ', 'meeting', id, meeting_id, frontend_id, backend_id, attempt,
        CASE WHEN claim < 1099511627776 THEN 'own' ELSE claim::text END, state, shown(internal_id), shown(create_time::text),
        shown(size_hint::text), shown(size_limit::text), breakout, shown(claimed_by::text), micros(claimed_at),
        micros(updated_at), shown(entry), shown(callbacks->0->>'token'), version > $1) FROM meetings",
    "SELECT concat_ws(' ', 'copy', id, backend_id, attempt, micros(created_at), micros(spared_until), micros(ending_until),
        shown(internal_id), shown(create_time::text), doomed, micros(ended_at), micros(missing_since)) FROM meeting_copies",
    "SELECT concat_ws(' ', 'past', id, internal_id, frontend_id, meeting_id, shown(backend_id::text), micros(created_at),
        micros(ended_at)) FROM meeting_history",
    "SELECT concat_ws(' ', 'server', id, shown(nullif(address, '')), micros(started_at), micros(beat), micros(steady_since))
        FROM servers",
    "SELECT concat_ws(' ', 'status', backend_id, node_state, misses, answers, unlisted, shown(last_error), latency_ns, attendees,
        seq, micros(poll_due), micros(polled_until), shown(polled_by::text), lease > $1, micros(hastened_at),
        micros(synced_at), micros(asked_at), micros(seen_at), shown(encode(report, 'escape')), report_seq, micros(heartbeat),
        shown(cpu::text), shown(memory::text), micros(told_at)) FROM backend_status",
    "SELECT concat_ws(' ', 'agent', backend_id, boot, seq, micros(begun_at), micros(heard_at)) FROM agents",
    "SELECT concat_ws(' ', 'running', backend_id, internal_id, id, create_time, breakout, recording, micros(gone_at), seq)
        FROM node_meetings",
    "SELECT concat_ws(' ', 'attendee', backend_id, meeting, internal_id, user_id, full_name, presenter, micros(gone_at), seq)
        FROM attendees",
    "SELECT concat_ws(' ', 'seat', id, frontend_id, meeting, shown(user_id), shown(encode(link, 'hex')),
        shown(encode(name, 'hex')), micros(expires_at), reopened) FROM seats",
    "SELECT concat_ws(' ', 'job', seq, kind, shown(lane), payload, micros(run_after), attempts, shown(run_by::text), micros(lease),
        shown(last_error), micros(poisoned_at)) FROM jobs",
    "SELECT concat_ws(' ', 'duty', name, micros(due), shown(run_by::text)) FROM duties",
];

/// Parts of the statements above.
pub(super) const FUNCTIONS: &str = "
    CREATE FUNCTION micros(timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS
        'SELECT coalesce((extract(epoch FROM $1) * 1000000)::int8::text, ''-'')';
    CREATE FUNCTION shown(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, ''-'')';";

pub(super) async fn of_sql(client: &Client, mark: i64) -> Vec<String> {
    let mut lines = Vec::new();
    for sql in LINES {
        let params: &[&(dyn ToSql + Sync)] = if sql.contains("$1") { &[&mark] } else { &[] };
        let rows = client.query(sql, params).await.expect("the rows can be read");
        lines.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    lines.sort();
    lines
}

pub(super) fn of_model(tables: &Tables, mark: i64) -> Vec<String> {
    let mut lines: Vec<_> = tables.meetings.values().map(|row| meeting(row, mark)).collect();
    lines.extend(
        tables.copies.iter().map(|((id, backend), row)| format!("copy {} {backend} {}", id.as_ref(), copy(row))),
    );
    lines.extend(
        tables
            .history
            .iter()
            .map(|((id, internal_id), row)| format!("past {} {internal_id} {}", id.as_ref(), past(row))),
    );
    lines.extend(tables.servers.values().map(server));
    lines.extend(tables.statuses.iter().map(|(id, row)| format!("status {id} {}", status(row, mark))));
    lines.extend(of_agents(tables));
    lines.extend(of_work(tables));
    lines.sort();
    lines
}

/// A meeting as an answer tells it.
pub(super) fn told(meeting: &Meeting) -> String {
    let Meeting { id, backend, attempt, claim, state, internal_id, placed_at, entry, .. } = meeting;
    let placed_at = micros(Some(*placed_at));
    let claim = claim_told(*claim);
    let internal_id = shown(internal_id.as_deref());
    format!("{} {backend} {attempt} {claim} {} {internal_id} {placed_at} {entry:?}", id.as_ref(), state.name())
}

fn meeting(row: &MeetingRow, mark: i64) -> String {
    let MeetingRow { meeting, create_time, claimed_by, updated_at } = row;
    let Meeting {
        id, meeting_id, frontend, backend, attempt, claim, state, internal_id, size, placed_at, entry, ..
    } = meeting;
    let entry = entry.as_ref().map(|entry| String::from_utf8_lossy(entry).into_owned());
    [
        "meeting".to_owned(),
        id.as_ref().to_owned(),
        meeting_id.as_ref().to_owned(),
        frontend.0.to_string(),
        backend.to_string(),
        attempt.to_string(),
        claim_told(*claim),
        state.name().to_owned(),
        shown(internal_id.as_deref()),
        some(*create_time),
        some(size.hint),
        some(size.limit),
        truth(size.breakout).to_owned(),
        some(*claimed_by),
        micros(Some(*placed_at)),
        micros(Some(*updated_at)),
        shown(entry.as_deref()),
        shown(meeting.callbacks.first().map(|callback| callback.token.as_str())),
        truth(meeting.version > mark).to_owned(),
    ]
    .join(" ")
}

fn of_agents(tables: &Tables) -> Vec<String> {
    let agents = tables.agents.iter().map(|((backend, boot), row)| {
        let times = [row.begun_at, row.heard_at].map(|time| micros(Some(time))).join(" ");
        format!("agent {backend} {boot} {} {times}", row.seq)
    });
    let running = tables.node_meetings.iter().map(|((backend, internal_id), row)| {
        let NodeMeetingRow { meeting, gone_at, seq, .. } = row;
        let (breakout, recording) = (truth(meeting.breakout), truth(meeting.recording));
        let NodeMeeting { id, create_time, .. } = meeting;
        format!("running {backend} {internal_id} {id} {create_time} {breakout} {recording} {} {seq}", micros(*gone_at))
    });
    let attendees = tables.attendees.iter().map(|((backend, meeting, internal_id), row)| {
        let Attendee { user_id, full_name, presenter, .. } = &row.attendee;
        let (presenter, gone_at) = (truth(*presenter), micros(row.gone_at));
        format!("attendee {backend} {meeting} {internal_id} {user_id} {full_name} {presenter} {gone_at} {}", row.seq)
    });
    let seats = tables.seats.iter().map(|(id, row)| {
        let hex = |digest: Option<[u8; 32]>| some(digest.map(|digest| hex(&digest)));
        let user = shown(row.user.as_deref());
        let (link, name, reopened) = (hex(row.link), hex(row.name), truth(row.reopened));
        let (frontend, meeting) = (row.frontend.0, row.meeting.as_ref());
        format!("seat {id} {frontend} {meeting} {user} {link} {name} {} {reopened}", micros(Some(row.expires_at)))
    });
    agents.chain(running).chain(attendees).chain(seats).collect()
}

fn of_work(tables: &Tables) -> Vec<String> {
    let jobs = tables.jobs.values().map(|row| {
        let job = &row.job;
        [
            format!("job {} {} {}", job.seq, job.kind, shown(job.lane.as_deref())),
            serde_json::to_string(&job.payload).expect("it is JSON").replace(':', ": "),
            micros(Some(job.run_after)),
            job.attempts.to_string(),
            some(job.run_by),
            micros(row.lease),
            shown(job.last_error.as_deref()),
            micros(job.poisoned_at),
        ]
        .join(" ")
    });
    let duties =
        tables.duties.iter().map(|(name, row)| format!("duty {name} {} {}", micros(Some(row.due)), some(row.run_by)));
    jobs.chain(duties).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As PostgreSQL writes it.
fn truth(value: bool) -> &'static str {
    if value { "t" } else { "f" }
}

fn copy(row: &CopyRow) -> String {
    let CopyRow { attempt, created_at, spared_until, ending_until, internal_id, .. } = row;
    [
        attempt.to_string(),
        micros(Some(*created_at)),
        micros(*spared_until),
        micros(*ending_until),
        shown(internal_id.as_deref()),
        some(row.create_time),
        truth(row.doomed).to_owned(),
        micros(row.ended_at),
        micros(row.missing_since),
    ]
    .join(" ")
}

fn past(row: &PastRow) -> String {
    let PastRow { frontend, meeting_id, backend, created_at, ended_at } = row;
    let times = [micros(Some(*created_at)), micros(*ended_at)].join(" ");
    format!("{} {} {} {times}", frontend.0, meeting_id.as_ref(), some(*backend))
}

fn server(row: &ServerEntry) -> String {
    let ServerEntry { server, started_at, beat, steady_since } = row;
    let address = shown(Some(server.address.as_str()).filter(|address| !address.is_empty()));
    let times = [*started_at, *beat, *steady_since].map(|time| micros(Some(time))).join(" ");
    format!("server {} {address} {times}", server.id)
}

fn status(row: &StatusRow, mark: i64) -> String {
    let health = row.health;
    let report = row.report.as_deref().map(|report| String::from_utf8_lossy(report).into_owned());
    [
        format!("{:?}", health.state).to_lowercase(),
        health.misses.to_string(),
        health.answers.to_string(),
        health.unlisted.to_string(),
        shown(row.last_error.as_deref()),
        row.latency.as_nanos().to_string(),
        row.attendees.to_string(),
        row.seq.to_string(),
        micros(Some(row.poll_due)),
        micros(row.polled_until),
        some(row.polled_by),
        truth(row.lease > mark).to_owned(),
        micros(row.hastened_at),
        micros(row.synced_at),
        micros(row.asked_at),
        micros(row.seen_at),
        shown(report.as_deref()),
        row.report_seq.to_string(),
        micros(row.heartbeat),
        some(row.cpu),
        some(row.memory),
        micros(row.told_at),
    ]
    .join(" ")
}

fn claim_told(claim: i64) -> String {
    if claim < LEAST_TICKET { "own".to_owned() } else { claim.to_string() }
}

fn micros(time: Option<SystemTime>) -> String {
    some(time.map(|time| time.duration_since(UNIX_EPOCH).expect("it is after 1970").as_micros()))
}

fn some(value: Option<impl ToString>) -> String {
    shown(value.map(|value| value.to_string()).as_deref())
}

fn shown(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}
