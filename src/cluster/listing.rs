//! Asking a node which meetings it runs.
//!
//! A node's list alone does not decide whether the node is there: one call of a tenant can spoil it, and many make it slow. When the list
//! is late or unusable, the version call decides, and the node is asked for each meeting that the list leaves open.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::{CallKind, Params, ScopedId, xml};
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{Backend, Health, Meeting, MeetingState};
use b3scale_middleware::ports::Nodes;
use b3scale_middleware::{Fault, NodeFailure, NodeRequest, Reply};
use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use tokio::time::{Instant, timeout, timeout_at};

use crate::offload;
use crate::view::{Report, Reported, Word};

/// How long a node may take to answer one call. A single slow answer never takes it out.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a list is late: then the node is asked for its version, too.
const LATE: Duration = Duration::from_secs(2);

/// How long a list may take while the node answers other calls. A large one takes its time.
const LIST_PATIENCE: Duration = Duration::from_secs(20);

/// How long asking for meetings one by one may take. The rest follow in the next round.
const ROUND: Duration = Duration::from_secs(10);

/// How many meetings are asked for at once.
const AT_ONCE: usize = 8;

/// The largest kept entry of a node with an unusable list, in bytes.
const LARGEST_ENTRY: usize = 256 << 10;

/// The largest document that is made of single answers, in bytes.
const LARGEST_DOCUMENT: usize = 16 << 20;

/// The beginning of a list that the server makes of a node's answers. It has no end, so that a reader knows that it is not whole.
const HEAD: &[u8] = b"<response><returncode>SUCCESS</returncode><meetings>";

/// A node's answer when it was asked for its meetings.
pub(super) enum Heard {
    /// It listed them.
    Listed(Listing),
    /// It answers as BBB does, and its list cannot be used.
    Unlisted { why: String, listing: Listing },
    /// It does not answer, or not as BBB does.
    Silent { why: String },
    /// This server could not ask it or had no room for its answer, which says nothing of the node.
    Unasked { why: String },
}

/// A list of meetings.
pub(super) struct Listing {
    /// As other servers are to read it.
    pub(super) document: Bytes,
    /// Its meetings.
    pub(super) report: Report,
}

impl Heard {
    /// The node answers, and nothing of its list can be used.
    fn without_list(why: String, asked_at: SystemTime) -> Self {
        let listing = Listing { document: Bytes::from_static(HEAD), report: Report::open(asked_at) };
        Heard::Unlisted { why, listing }
    }

    /// Why the node does not list its meetings as it should.
    pub(super) fn problem(&self) -> Option<&str> {
        match self {
            Heard::Listed(listing) => listing.report.flaw(),
            Heard::Unlisted { why, .. } | Heard::Silent { why } | Heard::Unasked { why } => Some(why),
        }
    }

    /// Its meetings, as far as they are known.
    pub(super) fn listing(&self) -> Option<&Listing> {
        match self {
            Heard::Listed(listing) | Heard::Unlisted { listing, .. } => Some(listing),
            Heard::Silent { .. } | Heard::Unasked { .. } => None,
        }
    }

    /// The health of a node after this answer.
    pub(super) fn next(&self, health: Health) -> Health {
        match self {
            Heard::Listed(_) => health.answered(),
            Heard::Unlisted { .. } => health.unlisted(),
            Heard::Silent { .. } => health.missed(),
            Heard::Unasked { .. } => health,
        }
    }
}

/// Asks the nodes in the server's own name.
#[derive(Clone)]
pub(super) struct Asker(pub(super) Arc<dyn Nodes>, pub(super) Chance);

impl Asker {
    /// Asks a node and reads its document.
    async fn ask(
        &self,
        backend: &Arc<Backend>,
        kind: CallKind,
        params: &Params,
        patience: Duration,
    ) -> Result<Reply, Fault> {
        self.0.ask(request(backend, kind, params, patience)).await
    }

    /// Asks a node about one meeting and reads its document.
    pub(super) async fn ask_about(
        &self,
        backend: &Arc<Backend>,
        kind: CallKind,
        id: &ScopedId,
    ) -> Result<Reply, Fault> {
        self.ask(backend, kind, &about(id), PATIENCE).await
    }

    /// Asks a node for its list and, if that is late or unusable, for its version.
    pub(super) async fn hear(&self, backend: &Arc<Backend>, asked_at: SystemTime) -> Heard {
        let none = Params::default();
        let mut list = pin!(self.0.ask_unread(request(backend, CallKind::GetMeetings, &none, LIST_PATIENCE)));
        let reply = match timeout(LATE, &mut list).await {
            Ok(reply) => reply,
            Err(_) => {
                let end = Instant::now() + PATIENCE - LATE;
                let version = pin!(self.ask(backend, CallKind::Index, &none, PATIENCE - LATE));
                match select(list, version).await {
                    Either::Left((reply, _)) => reply,
                    Either::Right((Ok(_), list)) => list.await,
                    Either::Right((Err(fault), list)) => match timeout_at(end, list).await {
                        Ok(reply) => reply,
                        Err(_) => return unanswered(&fault, said(&fault)),
                    },
                }
            }
        };
        let why = match reply {
            Ok(reply) => match read(reply.body.clone(), asked_at).await {
                Ok(listing) if listing.report.is_whole => return Heard::Listed(listing),
                Ok(Listing { document, report }) => {
                    let why = report.flaw().unwrap_or_default().to_owned();
                    return Heard::Unlisted { why, listing: Listing { document: without_end(&document), report } };
                }
                Err(why) => {
                    let (bytes, id, is_of_bbb) = (reply.body.len(), backend.id, reply.is_of_bbb());
                    let why = match offload::REPORTS.work(bytes, move || reply.read(id)).await {
                        Ok(_) => NodeFailure::Garbled(why).to_string(),
                        Err(fault) => said(&fault),
                    };
                    if is_of_bbb {
                        return Heard::without_list(why, asked_at);
                    }
                    why
                }
            },
            Err(fault) if is_ours(&fault) => return Heard::Unasked { why: said(&fault) },
            Err(fault) => said(&fault),
        };
        match self.ask(backend, CallKind::Index, &none, PATIENCE).await {
            Ok(_) => Heard::without_list(why, asked_at),
            Err(fault) => unanswered(&fault, why),
        }
    }

    /// Asks a node for each meeting that its list leaves open, as far as time allows.
    pub(super) async fn ask_each(&self, backend: &Arc<Backend>, believed: &[Arc<Meeting>], listing: &mut Listing) {
        let is_open = |one: &&Arc<Meeting>| {
            one.state != MeetingState::Claimed && matches!(listing.report.word(&one.id), Word::Open)
        };
        let mut open: Vec<ScopedId> = believed.iter().filter(is_open).map(|meeting| meeting.id.clone()).collect();
        if open.is_empty() {
            return;
        }
        // If time does not suffice for all, different ones are left each time.
        self.1.shuffle(&mut open);
        let mut answers =
            stream::iter(open).map(|id| async move { (self.info(backend, &id).await, id) }).buffer_unordered(AT_ONCE);
        // In the order of the ids, so that a document that says the same is the same.
        let mut entries = BTreeMap::new();
        let end = Instant::now() + ROUND;
        while let Ok(Some((info, id))) = timeout_at(end, answers.next()).await {
            match info {
                Info::Runs(reported, entry) => {
                    entries.insert(id.to_string(), entry);
                    listing.report.add(id, reported);
                }
                Info::Gone => listing.report.add_gone(id),
                Info::Open => {}
            }
        }
        if !listing.report.is_whole {
            let mut document = listing.document.to_vec();
            for entry in entries.values() {
                if document.len() + entry.len() <= LARGEST_DOCUMENT {
                    document.extend_from_slice(entry);
                }
            }
            listing.document = document.into();
        }
    }

    /// Asks a node for one meeting.
    pub(super) async fn info(&self, backend: &Arc<Backend>, id: &ScopedId) -> Info {
        match self.0.ask_unread(request(backend, CallKind::GetMeetingInfo, &about(id), PATIENCE)).await {
            Ok(reply) => {
                let (bytes, id) = (reply.body.len(), id.clone());
                offload::REPORTS.work(bytes, move || Info::read(&reply, &id)).await
            }
            Err(_) => Info::Open,
        }
    }
}

fn about(id: &ScopedId) -> Params {
    let mut params = Params::default();
    params.set("meetingID", id.as_ref());
    params
}

fn request(backend: &Arc<Backend>, kind: CallKind, params: &Params, patience: Duration) -> NodeRequest {
    let request_id = HeaderValue::from_static("b3scaled-health");
    let request = NodeRequest::new(kind, params, None, backend, None, &request_id);
    NodeRequest { deadline: Some((Instant::now() + patience).into_std()), is_poll: true, ..request }
}

/// A node's answer about one meeting.
pub(super) enum Info {
    /// It runs; with the entry that a list would have, or nothing where that is too large or unreadable.
    Runs(Arc<Reported>, Bytes),
    Gone,
    /// It says nothing of use.
    Open,
}

impl Info {
    /// Reads an answer to getMeetingInfo, as far as it can be read.
    pub(super) fn read(reply: &Reply, id: &ScopedId) -> Self {
        let names = ["returncode", "messageKey", "meetingID", "participantCount"];
        let [code, key, named, people] = xml::legible(&reply.body, names);
        match (code.as_deref().map(str::trim), key.as_deref().map(str::trim)) {
            // Without a count it does not say whether anyone is there.
            (Some("SUCCESS"), _) if named.as_deref() == Some(id.as_ref()) && people.is_some() => {}
            (Some("FAILED"), Some("notFound")) => return Info::Gone,
            _ => return Info::Open,
        }
        let document = xml::printable(&reply.body);
        let entry = xml::entry_of_info(&document).ok().filter(|entry| entry.len() <= LARGEST_ENTRY);
        let read = Reported::read(entry.as_ref().unwrap_or(&document));
        match (read, entry) {
            (Some((_, reported)), Some(entry)) => Info::Runs(Arc::new(reported), entry),
            (Some((_, reported)), None) => Info::Runs(Arc::new(Reported { entry: None, ..reported }), Bytes::new()),
            (None, _) => Info::Open,
        }
    }
}

/// Reads a list where that holds up nothing else: it may be of thousands of people.
pub(super) async fn read(document: Bytes, asked_at: SystemTime) -> Result<Listing, String> {
    let bytes = document.len();
    let read = move || Report::read(&document, asked_at).map(|report| Listing { document, report });
    offload::REPORTS.work(bytes, read).await
}

/// The readable entries of a list that has no end.
fn without_end(document: &Bytes) -> Bytes {
    let entries = xml::pieces(document, "meetings").map(|pieces| pieces.entries).unwrap_or_default();
    let readable = entries.iter().filter(|entry| xml::well_formed(entry).is_ok()).map(|entry| &entry[..]);
    std::iter::once(HEAD).chain(readable).collect::<Vec<_>>().concat().into()
}

/// The meaning of an answer that BBB would not give.
fn unanswered(fault: &Fault, why: String) -> Heard {
    if is_ours(fault) { Heard::Unasked { why } } else { Heard::Silent { why } }
}

/// Whether it says nothing of the node.
fn is_ours(fault: &Fault) -> bool {
    matches!(fault, Fault::Node { failure, .. } if failure.is_ours())
}

/// The failure, without the name of the node, which is in another field.
fn said(fault: &Fault) -> String {
    match fault {
        Fault::Node { failure, .. } => failure.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
