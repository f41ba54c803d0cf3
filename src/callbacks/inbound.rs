//! Taking a node's message in: it is proved, put into the tenant's terms, and queued for the tenant.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{BackendId, CallbackKind};
use b3scale_middleware::ports::Directory;
use http::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::legacy::{LegacyToken, LegacyTokens, kept_as};
use super::message::{Message, Signed};
use super::terms::Terms;
use super::token::CallbackTokens;
use crate::ledger::Polls;
use crate::signature::hex;
use crate::store::{DELIVER_JOB, KeptCallback, LegacySession, NewDelivery, Queued, Store, StoreError};
use crate::telemetry::catalog::CALLBACKS;
use crate::work::Waker;

/// Between two polls of a node because of its calls.
const PAUSE: Duration = Duration::from_secs(1);

/// The most bytes of a body without a signature.
const LARGEST_UNSIGNED: usize = 64 << 10;

/// The most deliveries of a callback whose messages have no signature. Every attendee of its meeting can read its address.
const MOST_UNSIGNED: i64 = 100;

/// Why a message is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Its token is none of ours, or its meeting is unknown.
    Unknown,
    /// Its proof is not that of the meeting's node.
    Unproved,
    /// Its token is that of another meeting.
    Misplaced,
    /// It cannot be read.
    Malformed,
    /// It is too large for a message without a signature.
    Large,
    /// Its callback has too many messages without a signature.
    Crowded,
    /// The database is away.
    Away,
}

impl Refusal {
    /// What is wrong, for the caller and for the log.
    pub(super) const fn text(&self) -> &'static str {
        match self {
            Self::Unknown => "There is no such callback.",
            Self::Unproved => "The node of this meeting has not signed that.",
            Self::Misplaced => "This address belongs to another meeting.",
            Self::Malformed => "The body cannot be read.",
            Self::Large => "Without the signature of the meeting's node, a body has 64 KiB at most.",
            Self::Crowded => "Without the signature of the meeting's node, a callback gets 100 messages at most.",
            Self::Away => "Please try again in a moment.",
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "Taking a callback failed");
        Self::Away
    }
}

/// Takes messages in.
pub(super) struct Inbound {
    pub(super) store: Store,
    pub(super) nodes: Arc<dyn Directory>,
    pub(super) tokens: CallbackTokens,
    pub(super) legacy: LegacyTokens,
    /// Whether recordings are imported here. Their frontends are called after the import then, not before.
    pub(super) imports: bool,
    pub(super) waker: Waker,
}

/// A token of ours, as far as it can be known without a message.
pub(super) enum Claimed {
    Kept(Box<KeptCallback>),
    /// It has our form and no row.
    Loose(CallbackKind),
    Legacy(LegacyToken),
}

impl Inbound {
    /// Looks a token up.
    pub(super) async fn claimed(&self, token: &str) -> Result<Claimed, Refusal> {
        // Meetings of one frontend may share such a token.
        if let Some(legacy) = self.legacy.read(token) {
            return Ok(Claimed::Legacy(legacy));
        }
        let Some(kind) = CallbackTokens::kind(token) else {
            count("other", "unknown");
            return Err(Refusal::Unknown);
        };
        let kept = self.store.callbacks().find(token).await?;
        Ok(kept.map_or(Claimed::Loose(kind), |kept| Claimed::Kept(Box::new(kept))))
    }

    /// Takes a message in.
    pub(super) async fn take(&self, token: &str, claimed: Claimed, message: &Message) -> Result<(), Refusal> {
        let kept = match claimed {
            Claimed::Kept(kept) => Some(*kept),
            Claimed::Loose(kind) => self.signed_for(token, kind, message).await?,
            Claimed::Legacy(legacy) => self.moved(token, &legacy, message).await?,
        };
        let Some(kept) = kept else {
            count("other", "unknown");
            return Err(Refusal::Unknown);
        };
        let kind = kept.callback.kind.word();
        match self.take_for(&kept, message).await {
            Ok(outcome) => count(kind, outcome),
            Err(refusal) => {
                log_refusal(kind, &kept.meeting, Some(kept.backend), &refusal);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// The callback of a token without a row: its signature tells the session, of the meeting that the message names.
    async fn signed_for(
        &self,
        token: &str,
        kind: CallbackKind,
        message: &Message,
    ) -> Result<Option<KeptCallback>, Refusal> {
        let Some(meeting) = message.meeting(kind) else { return Ok(None) };
        let kept = self.store.callbacks().of_meeting(&meeting, kind).await?;
        Ok(kept.into_iter().find(|kept| self.tokens.holds(token, kind, &meeting, kept.backend)))
    }

    /// The callback of a token of the original, of the meeting that the message names.
    async fn moved(
        &self,
        token: &str,
        legacy: &LegacyToken,
        message: &Message,
    ) -> Result<Option<KeptCallback>, Refusal> {
        let ready = (message.method == Method::POST).then(|| message.ready_unproved()).flatten();
        let (kind, name) = match (&message.method, &ready) {
            (&Method::POST, _) => (CallbackKind::Ready, "meta_bbb-recording-ready-url"),
            _ => (CallbackKind::End, "meta_endcallbackurl"),
        };
        let Some(meeting) = message.meeting(kind) else { return Ok(None) };
        // The original's history does not have the nodes of past meetings.
        let signer = match kind {
            CallbackKind::Ready => {
                let backends = self.nodes.backends();
                let signer = backends.iter().find(|backend| message.ready(&backend.secret).is_some());
                let signer = signer.ok_or(Refusal::Unproved);
                Some(signer.inspect_err(|refusal| log_refusal(kind.word(), &meeting, None, refusal))?.id)
            }
            _ => None,
        };
        let digest = kept_as(token);
        let session = LegacySession {
            token: &digest,
            frontend: legacy.frontend,
            meeting: &meeting,
            internal_id: ready.as_ref().map(|ready| ready.record_id.as_str()),
            signer,
            name,
            kind,
            url: &legacy.url,
        };
        Ok(self.store.callbacks().keep_legacy(session).await?)
    }

    async fn take_for(&self, kept: &KeptCallback, message: &Message) -> Result<&'static str, Refusal> {
        match kept.callback.kind {
            CallbackKind::End | CallbackKind::Ended => self.take_end(kept, message).await,
            CallbackKind::Ready => self.take_ready(kept, message).await,
            CallbackKind::Analytics => self.take_analytics(kept, message).await,
            CallbackKind::Other => self.take_other(kept, message).await,
        }
    }

    /// BBB signs no end, and its token is in the metadata that every attendee's browser gets. So a call ends nothing: while
    /// the meeting runs here, its node is asked, and the end follows from its answer.
    async fn take_end(&self, kept: &KeptCallback, message: &Message) -> Result<&'static str, Refusal> {
        let is_its = |id: String| id == kept.meeting || id == kept.meeting_id;
        if message.asked("meetingID").is_some_and(|id| !is_its(id)) {
            return Err(Refusal::Misplaced);
        }
        if self.store.callbacks().is_superseded(kept).await? {
            return Ok("superseded");
        }
        let marks = message.asked("recordingmarks").is_some_and(|marks| marks == "true");
        if self.store.callbacks().keep_marks(kept, marks).await? {
            self.store.hasten_poll(kept.backend, PAUSE).await?;
            return Ok("taken");
        }
        self.queue(&NewDelivery { marks: Some(marks), method: "GET", ..delivery(kept, "") }).await
    }

    async fn take_ready(&self, kept: &KeptCallback, message: &Message) -> Result<&'static str, Refusal> {
        let claims = message.ready(&self.secret(kept)?).ok_or(Refusal::Unproved)?;
        // A recording that is cut into chapters has a second time behind its id.
        let rest = claims.record_id.strip_prefix(&kept.internal_id);
        let is_its = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        let is_its = is_its && claims.meeting_id == kept.meeting;
        // A breakout has the callbacks of its parent.
        if !is_its && !self.store.callbacks().is_neighbour(kept, &claims.meeting_id, &claims.record_id).await? {
            // The import knows parents, and announces the recordings of breakouts.
            return if self.imports { Ok("taken") } else { Err(Refusal::Misplaced) };
        }
        if self.imports {
            // It may have been imported before its callback was known.
            if self.store.callbacks().queue_ready(&claims.record_id).await? {
                self.waker.wake(DELIVER_JOB);
            }
            return Ok("taken");
        }
        let subject = format!("ready:{}", claims.record_id);
        let own = Terms::of(kept, &[]).text(&claims.meeting_id).unwrap_or(claims.meeting_id);
        let breakout = (!is_its).then_some(&*own);
        self.queue(&NewDelivery { record: Some(&claims.record_id), breakout, ..delivery(kept, &subject) }).await
    }

    async fn take_analytics(&self, kept: &KeptCallback, message: &Message) -> Result<&'static str, Refusal> {
        if !message.is_of(&self.secret(kept)?) {
            return Err(Refusal::Unproved);
        }
        let mut said: Value = serde_json::from_slice(&message.body).map_err(|_| Refusal::Malformed)?;
        if said["internal_meeting_id"].as_str() != Some(&kept.internal_id) {
            return Err(Refusal::Misplaced);
        }
        let callbacks = self.store.callbacks().of_session(kept.frontend, &kept.internal_id).await?;
        Terms::of(kept, &callbacks).document(&mut said);
        said["meeting_id"] = kept.meeting_id.clone().into();
        let body = said.to_string();
        let subject = digest(&[body.as_bytes()]);
        let new = NewDelivery {
            media: Some("application/json"),
            body: Some(body.as_bytes()),
            bearer: Some("HS512"),
            ..delivery(kept, &subject)
        };
        self.queue(&new).await
    }

    async fn take_other(&self, kept: &KeptCallback, message: &Message) -> Result<&'static str, Refusal> {
        let is_unsigned = message.bearer.is_none();
        if is_unsigned && message.body.len() > LARGEST_UNSIGNED {
            return Err(Refusal::Large);
        }
        let bearer = match &message.bearer {
            Some(_) => message.signature(&self.secret(kept)?).ok_or(Refusal::Unproved)?,
            None => None,
        };
        let bearer = bearer.map(|Signed(algorithm)| format!("{algorithm:?}"));
        let callbacks = self.store.callbacks().of_session(kept.frontend, &kept.internal_id).await?;
        let terms = Terms::of(kept, &callbacks);
        let query = (!message.query.is_empty()).then(|| terms.form(&message.query));
        let body = body(&terms, message);
        let subject =
            digest(&[message.method.as_str().as_bytes(), query.as_deref().unwrap_or_default().as_bytes(), &body]);
        let new = NewDelivery {
            method: if message.method == Method::POST { "POST" } else { "GET" },
            media: message.media.as_deref(),
            query: query.as_deref(),
            body: Some(&body).filter(|body| !body.is_empty()).map(Vec::as_slice),
            bearer: bearer.as_deref(),
            most: is_unsigned.then_some(MOST_UNSIGNED),
            ..delivery(kept, &subject)
        };
        self.queue(&new).await
    }

    async fn queue(&self, new: &NewDelivery<'_>) -> Result<&'static str, Refusal> {
        match self.store.deliveries().queue(new).await? {
            Queued::Known => return Ok("known"),
            Queued::Full => return Err(Refusal::Crowded),
            Queued::New | Queued::Hastened => self.waker.wake(DELIVER_JOB),
        }
        Ok("taken")
    }

    /// The secret of the session's node.
    fn secret(&self, kept: &KeptCallback) -> Result<Secret, Refusal> {
        let backend = self.nodes.backend(kept.backend).ok_or_else(|| {
            tracing::warn!(backend.id = %kept.backend, "Refusing a callback: its node was removed, and its secret with it");
            Refusal::Unproved
        })?;
        Ok(backend.secret.clone())
    }
}

/// A body in the tenant's terms: of a document, a form, or any other text.
fn body(terms: &Terms<'_>, message: &Message) -> Vec<u8> {
    if let Ok(mut said) = serde_json::from_slice::<Value>(&message.body) {
        terms.document(&mut said);
        return said.to_string().into_bytes();
    }
    let is_form = message.media.as_deref().is_some_and(|media| media.starts_with("application/x-www-form-urlencoded"));
    match std::str::from_utf8(&message.body) {
        Ok(form) if is_form => terms.form(form).into_bytes(),
        Ok(text) => terms.text(text).map_or_else(|| message.body.to_vec(), String::into_bytes),
        Err(_) => message.body.to_vec(),
    }
}

fn delivery<'a>(kept: &KeptCallback, subject: &'a str) -> NewDelivery<'a> {
    NewDelivery {
        callback: kept.id,
        subject,
        kind: kept.callback.kind,
        record: None,
        breakout: None,
        marks: None,
        method: "POST",
        media: None,
        query: None,
        body: None,
        bearer: None,
        most: None,
    }
}

/// Names a message by its content, so that a repeated one is known.
fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// Counts and logs a refusal. The store has said why it is away.
fn log_refusal(kind: &'static str, meeting: &str, backend: Option<BackendId>, refusal: &Refusal) {
    match refusal {
        Refusal::Away => return,
        Refusal::Unproved | Refusal::Misplaced => count(kind, "forged"),
        Refusal::Large | Refusal::Crowded => count(kind, "refused"),
        Refusal::Unknown | Refusal::Malformed => {}
    }
    let (backend, reason) = (backend.map(tracing::field::display), refusal.text());
    tracing::warn!(kind, meeting.id = meeting, backend.id = backend, reason, "Refusing a callback");
}

fn count(kind: &'static str, outcome: &'static str) {
    CALLBACKS.with([kind, outcome]).increment(1);
}
