//! A server that takes batches of one agent, counts each once, and fails on demand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use b3scale::rest::{Batch, Event, Receipt, Wants};
use b3scale_node::Port;
use b3scale_support::within;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::ctl::samples;

/// How a batch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts, and the answer is lost.
    AnswerLost,
    /// It does not count.
    Refused(u16),
    /// It counts, and the next must carry a snapshot.
    SnapshotWanted,
}

/// The people of each meeting by the node's ids, once all that counts is put together.
pub(super) type Picture = BTreeMap<String, BTreeSet<String>>;

/// Its state.
#[derive(Default)]
pub(super) struct Known {
    /// The token that it takes.
    pub(super) token: String,
    /// The backend of the agent.
    pub(super) backend: Option<Value>,
    /// The answer to every change of a backend, if it is refused.
    pub(super) refusal: Option<(u16, Value)>,
    /// The answer to the next batches.
    pub(super) fates: VecDeque<Fate>,
    /// Requests that changed a backend: method, path and body.
    pub(super) changes: Vec<(String, Value)>,
    /// Every batch that came, repeated ones included.
    pub(super) batches: Vec<Batch>,
    pub(super) picture: Picture,
    /// What its webhooks want.
    pub(super) wants: Wants,
    counted: Option<(Uuid, Receipt)>,
}

/// The server. It ends when this is dropped.
pub(super) struct Desk {
    port: Port,
    shared: Arc<Shared>,
    serving: Mutex<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    changed: watch::Sender<()>,
}

impl Desk {
    /// A desk that accepts this token and knows a backend, or none.
    pub(super) async fn start(token: &str, knows: bool) -> Self {
        let shared = Arc::<Shared>::default();
        shared.known().token = token.to_owned();
        shared.known().backend = knows.then(|| samples::backend(&json!({})));
        let port = Port::any().unwrap();
        let listener = port.listen().await.unwrap();
        let serving = Mutex::new(tokio::spawn(Arc::clone(&shared).serve(listener)));
        Self { port, shared, serving }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known()
    }

    /// Is not there, until it is back.
    pub(super) async fn away(&self) {
        let serving = std::mem::replace(&mut *self.serving.lock().unwrap(), tokio::spawn(async {}));
        serving.abort();
        let _ = serving.await;
    }

    /// Starts again with the same state.
    pub(super) async fn back(&self) {
        let listener = self.port.listen().await.unwrap();
        *self.serving.lock().unwrap() = tokio::spawn(Arc::clone(&self.shared).serve(listener));
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, mut is_so: impl FnMut(&Known) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        within(what, async { while !is_so(&self.known()) && changed.changed().await.is_ok() {} }).await;
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.serving.lock().unwrap().abort();
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (client, _) = accepted.unwrap();
                    let shared = Arc::clone(&self);
                    connections.spawn(async move {
                        let service = service_fn(move |request| Arc::clone(&shared).answer(request));
                        // A client that leaves early has seen enough.
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// `Err` cuts the connection.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, CutOff> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| CutOff)?.to_bytes();
        let bearer = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let answer = self.known().answer(&format!("{} {}", head.method, head.uri), bearer, &body);
        self.changed.send_replace(());
        let (status, body) = answer?;
        let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        Ok(response.header("content-type", "application/json").body(Full::from(body.to_string())).unwrap())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct CutOff;

impl Known {
    fn answer(&mut self, request: &str, bearer: &str, body: &[u8]) -> Result<(u16, Value), CutOff> {
        if bearer != format!("Bearer {}", self.token) {
            return Ok((401, json!({ "message": "invalid or expired jwt" })));
        }
        let missing = || (404, json!({ "message": "Not Found" }));
        let backend = |known: &Self| known.backend.clone().map_or_else(missing, |backend| (200, backend));
        match request.split_once(' ').unwrap() {
            ("GET", "/api/v1/agent/backend") => Ok(backend(self)),
            ("POST", "/api/v1/agent/ingest") if self.backend.is_none() => Ok((403, json!({ "message": "Forbidden" }))),
            ("POST", "/api/v1/agent/ingest") => self.take(serde_json::from_slice(body).unwrap()),
            ("POST" | "PATCH", _) if self.refusal.is_some() => Ok(self.refusal.clone().unwrap()),
            ("POST" | "PATCH", _) => {
                let change: Value = serde_json::from_slice(body).unwrap();
                self.changes.push((request.to_owned(), change.clone()));
                let mut changed = self.backend.take().unwrap_or_else(|| samples::backend(&json!({})));
                change.as_object().unwrap().iter().for_each(|(name, value)| changed[name] = value.clone());
                self.backend = Some(changed);
                Ok(backend(self))
            }
            _ => Ok(missing()),
        }
    }

    fn take(&mut self, batch: Batch) -> Result<(u16, Value), CutOff> {
        let fate = self.fates.pop_front();
        self.batches.push(batch.clone());
        if let Some(Fate::Refused(status)) = fate {
            return Ok((status, json!({ "message": "no" })));
        }
        let before = self.counted.filter(|(boot, _)| *boot == batch.boot).map(|(_, receipt)| receipt);
        if before.is_none_or(|before| batch.seq > before.seq) {
            let is_next = before.is_some_and(|before| batch.seq == before.seq + 1 && !before.snapshot);
            let snapshot = fate == Some(Fate::SnapshotWanted) || batch.snapshot.is_none() && !is_next;
            self.counted = Some((batch.boot, Receipt::new(batch.seq, snapshot)));
            self.put_together(batch);
        }
        if fate == Some(Fate::AnswerLost) {
            return Err(CutOff);
        }
        let receipt = Receipt { wants: self.wants, ..self.counted.unwrap().1 };
        Ok((200, serde_json::to_value(receipt).unwrap()))
    }

    fn put_together(&mut self, batch: Batch) {
        if let Some(snapshot) = batch.snapshot {
            let meetings = snapshot.meetings.into_iter().map(|one| {
                (one.meeting.internal_id, one.attendees.into_iter().map(|attendee| attendee.internal_id).collect())
            });
            self.picture = meetings.collect();
        }
        for event in batch.events {
            match event {
                Event::MeetingCreated { meeting } => drop(self.picture.entry(meeting.internal_id).or_default()),
                Event::MeetingEnded { meeting } => drop(self.picture.remove(&meeting)),
                Event::AttendeeJoined { meeting, attendee } => {
                    self.picture.entry(meeting).or_default().insert(attendee.internal_id);
                }
                Event::AttendeeLeft { meeting, attendee } => {
                    self.picture.entry(meeting).or_default().remove(&attendee);
                }
                Event::RecordingChanged { .. } | Event::AttendeeChanged { .. } | Event::Unknown => {}
            }
        }
    }
}
