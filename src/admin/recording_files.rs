//! Files of recordings: where they lie, their moves, their verification, and retention.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use b3scale_middleware::cluster::RecordId;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderValue, header};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::{Filter, Given, Name, Shaped, is_yes};
use super::problem::Problem;
use super::recordings::frontend_with;
use super::reply::{Accepted, Reply};
use crate::recordings::{self, Taken, Verifier};
use crate::rest::shape::Shape;
use crate::rest::{self, FormatFiles, Job, RecordingMove, Retention, RetentionStep, VerifyLine};
use crate::site::Visitor;
use crate::store::{self, Holding, MOVE, Overdue, Spot};

/// The most recordings of an answer.
const MOST: i64 = 1000;
/// Lines of a verification that wait for a slow reader.
const LINES: usize = 64;
/// A verification that has nothing to say sends an empty line after so long.
const SILENCE: Duration = Duration::from_secs(5);

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// List the recordings that the next run of retention takes. Settings of frontends name their days and bytes.
#[utoipa::path(get, path = "/api/v1/recordings-retention", tag = "recordings",
    responses((status = OK, description = "The recordings", body = Retention)))]
pub(super) async fn retention(State(admin): State<Admin>, _: Caller<Admins>) -> Result<Reply<Retention>, Problem> {
    let holdings = admin.store.holdings();
    let (total, recordings) = (holdings.overdue_total().await?, holdings.overdue(MOST).await?);
    let recordings = recordings.into_iter().map(|one| rest::OverdueRecording {
        record_id: one.id.to_string(),
        frontend_key: one.frontend,
        name: one.name,
        since: one.since.into(),
        bytes: one.bytes,
        reason: match one.why {
            Overdue::Age => rest::OverdueReason::Age,
            Overdue::Size => rest::OverdueReason::Size,
            Overdue::Trash => rest::OverdueReason::Trash,
        },
    });
    Ok(Reply(Retention { total: total.recordings, bytes: total.bytes, recordings: recordings.collect() }))
}

/// Let retention take some recordings now: at most 200 each for the trash and out of it. Call it until it takes none.
#[utoipa::path(post, path = "/api/v1/recordings-retention", tag = "recordings",
    responses((status = OK, description = "How many it took", body = RetentionStep)))]
pub(super) async fn retain(State(admin): State<Admin>, who: Caller<Admins>) -> Result<Reply<RetentionStep>, Problem> {
    let Taken { dropped, purged } = recordings::Retention::new(admin.store.clone(), admin.waker.clone()).step().await?;
    if dropped + purged > 0 {
        who.audit("overdue recordings were taken", &format!("{dropped} to the trash, {purged} out of it"));
    }
    Ok(Reply(RetentionStep { dropped: dropped as i64, purged: purged as i64 }))
}

/// Which files.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Those of the frontend with that key.
    frontend_key: Option<String>,
    /// Those on that shelf: `local` or `s3`.
    shelf: Option<String>,
    /// Those of recordings whose ids follow that one.
    after: Option<String>,
}

/// List the files of formats in the order of their record ids, about 1000 of whole recordings.
#[utoipa::path(get, path = "/api/v1/recordings-files", tag = "recordings", params(Which),
    responses((status = OK, description = "The files by format", body = Vec<FormatFiles>), (status = NOT_FOUND)))]
pub(super) async fn files(
    State(admin): State<Admin>,
    _: Caller<Admins>,
    Filter(which): Filter<Which>,
) -> Result<Reply<Vec<FormatFiles>>, Problem> {
    let frontend = match &which.frontend_key {
        Some(key) => Some(frontend_with(&admin, key).await?.ok_or(Problem::NotFound)?.id),
        None => None,
    };
    let (after, narrowed) = (which.after.unwrap_or_default(), store::Which { frontend, shelf: which.shelf.as_deref() });
    let found = admin.store.holdings().page(&after, MOST, &narrowed).await?;
    Ok(Reply(found.into_iter().map(FormatFiles::from).collect()))
}

impl From<Holding> for FormatFiles {
    fn from(holding: Holding) -> Self {
        let (shelf, place) = holding.spot.map(|Spot { shelf, place }| (shelf, place)).unzip();
        let (record_id, format) = (holding.record.to_string(), holding.format);
        Self { record_id, format, shelf, place, files: holding.files, bytes: holding.bytes }
    }
}

/// The fields of a move.
pub(super) struct MoveForm;

impl Shaped for MoveForm {
    const SHAPE: &'static Shape = &rest::MOVE;
}

/// Move a recording to another shelf. A job copies its formats, compares the copies, and removes the sources.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/move", tag = "recordings", params(("id" = String, Path)),
    request_body = RecordingMove,
    responses((status = ACCEPTED, description = "The job, to be asked for again", body = Job), (status = CONFLICT)))]
pub(super) async fn move_one(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Name(id): Name,
    given: Given<MoveForm>,
) -> Result<Accepted<Job>, Problem> {
    let id = RecordId::new(&id).ok_or(Problem::NotFound)?;
    admin.store.recordings().find(&id).await?.ok_or(Problem::NotFound)?;
    let to = given.said["to"].as_str().unwrap_or_default();
    if !["local", "s3"].contains(&to) {
        return Err(Problem::field("to", "should be `local` or `s3`"));
    }
    if !verifier(&admin)?.has_shelf(to) {
        return Err(Problem::Conflict(format!("this server has no shelf `{to}`; see B3SCALE_RECORDINGS_…")));
    }
    let queued = admin.store.holdings().queue_move(&id, to).await?;
    let there = || Problem::Conflict(format!("all files of the recording are on `{to}`, or it has none"));
    let job = admin.store.jobs().find(queued.ok_or_else(there)?).await?;
    who.audit("a recording is moved", &format!("{id} {to}"));
    admin.waker.wake(MOVE);
    // It may be done by now.
    job.map(|job| Accepted(job.into())).ok_or_else(there)
}

/// The way of a verification.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// `yes`, `true` or `1`: repair what can be repaired without loss. No file is removed.
    fix: Option<String>,
}

/// Compare rows and files of all recordings. The answer is a stream of lines, and may take hours; it ends with the connection.
#[utoipa::path(post, path = "/api/v1/recordings-verify", tag = "recordings", params(How),
    responses((status = OK, description = "Problems and progress, one object a line, the last one `done` or `failed`",
        content_type = "application/x-ndjson", body = VerifyLine), (status = CONFLICT)))]
pub(super) async fn verify(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Extension(visitor): Extension<Visitor>,
    Filter(how): Filter<How>,
) -> Result<Response, Problem> {
    let verifier = verifier(&admin)?.clone();
    let repairs = is_yes(how.fix.as_deref());
    if repairs {
        who.audit("files of recordings are repaired", "all");
    }
    let (lines, received) = mpsc::channel(LINES);
    let unread = lines.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = verifier.run(repairs, lines) => {}
            () = unread.closed() => {}
            () = visitor.drain.begun() => {}
        }
    });
    let written = stream::unfold(received, async |mut received| {
        let line = match timeout(SILENCE, received.recv()).await {
            Ok(line) => written(&line?),
            Err(_) => Bytes::from_static(b"\n"),
        };
        Some((Ok::<_, std::convert::Infallible>(line), received))
    });
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(written.boxed())).into_response())
}

fn verifier(admin: &Admin) -> Result<&Verifier, Problem> {
    let off = || Problem::Conflict("recordings are off on this server; see B3SCALE_RECORDINGS_…".to_owned());
    admin.verifier.as_ref().ok_or_else(off)
}

fn written(line: &VerifyLine) -> Bytes {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
