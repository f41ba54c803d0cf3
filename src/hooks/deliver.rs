//! The posts of a hook: one event after the other, each until its receiver has it.

use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::cut_at;
use b3scale_middleware::cluster::{CALLBACK_PATH, Callback, Frontend, FrontendId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::request::Post;
use super::schedule::{Verdict, judge};
use super::{count, recordings, shape, sign};
use crate::callbacks::Terms;
use crate::outbox::{Courier, Drain, Outcome, Shares, host};
use crate::recordings::Links;
use crate::store::{FailedPost, HookBacklog, HookEvent, POST_HOOKS_JOB, Store, StoreError};
use crate::work::{Attempt, Job, JobError, Terms as JobTerms};

/// How long a hook has its job. Then others go first.
const TURN: Duration = Duration::from_secs(20);
/// The longest pause that a job waits for. For longer ones it is put off.
const SHORT_PAUSE: Duration = Duration::from_secs(2);
/// How many posts of one frontend a server makes at once.
const PLACES: usize = 16;
/// How long the record of a success is tried, since without it the event is posted again.
const RECORDING: Duration = Duration::from_secs(10);
const RECORDING_PAUSE: Duration = Duration::from_millis(500);
/// How long an event waits for what its node's agent, or the answer to its create, has to add.
const AWAITED: Duration = Duration::from_millis(500);
/// The most characters of a problem that are kept.
const LONGEST_PROBLEM: usize = 200;

/// Posts the events that hooks hear.
pub struct PostHooks {
    parts: PostHooksParts,
    shares: Shares,
}

/// The parts that posts need.
pub struct PostHooksParts {
    /// The tables.
    pub store: Store,
    /// The way out.
    pub courier: Courier,
    /// The end of this server.
    pub drain: Drain,
    /// The links of recordings.
    pub links: Links,
    /// The domain that events name, unless their frontend has another.
    pub domain: String,
}

/// The payload of a job, which functions of the tables write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueHook {
    hook: String,
}

/// The tries at an event.
#[derive(Clone, Copy)]
struct Step {
    /// The cursor before it.
    cursor: i64,
    /// The cursor behind it.
    to: i64,
    /// Whether another one is read already.
    follows: bool,
    /// How many tries have failed.
    failed: u32,
}

/// The end of the tries at an event.
enum Tried {
    /// The receiver has it. The tries at the next one began then, if there is one.
    Delivered(i64),
    /// Another has moved the cursor.
    Moved,
    /// The hook is paused.
    Paused,
}

impl PostHooks {
    /// Posts with these parts, until the drain is closed.
    pub fn new(parts: PostHooksParts) -> Self {
        count::announce();
        Self { parts, shares: Shares::new(PLACES) }
    }

    /// Posts events in their order. `false`: there are no more.
    async fn post_all(&self, backlog: HookBacklog, frontend: &Frontend, end: Instant) -> Result<bool, JobError> {
        let (events, hook) = (self.parts.store.hook_events(), &backlog.hook);
        let (mut cursor, mut failed) = (backlog.cursor, backlog.tries);
        if backlog.events.is_empty() {
            events.pass(hook, cursor, backlog.last).await?;
            return Ok(false);
        }
        let webhooks = frontend.settings.webhooks();
        let raw = backlog.raw && webhooks.raw;
        if backlog.events.first().is_some_and(|event| event.is_awaited) {
            return Err(awaited());
        }
        let Some(mut first_try) = events.begin(hook, cursor).await? else { return Ok(true) };
        for (place, event) in backlog.events.iter().enumerate() {
            if event.is_awaited {
                return Err(awaited());
            }
            if place > 0 && Instant::now() >= end {
                return Ok(true);
            }
            let follows = place + 1 < backlog.events.len();
            let to = if follows || !backlog.is_whole { event.seq } else { backlog.last };
            let text = self.text(event, raw, frontend).await?;
            let domain = webhooks.domain.as_deref().unwrap_or(&self.parts.domain);
            let post = Post {
                hook,
                url: &backlog.url,
                algorithm: webhooks.algorithm(),
                secrets: &frontend.secrets,
                seq: event.seq,
                body: sign::body(domain, &text, first_try),
            };
            match self.post(&post, &backlog, Step { cursor, to, follows, failed }, end).await? {
                Tried::Delivered(next) => (cursor, failed, first_try) = (to, 0, next),
                Tried::Moved => return Ok(true),
                Tried::Paused => return Ok(false),
            }
        }
        Ok(!backlog.is_whole)
    }

    /// The text of an event for its frontend.
    async fn text(&self, event: &HookEvent, raw: bool, frontend: &Frontend) -> Result<String, StoreError> {
        let HookEvent { meeting, meeting_id, internal_id, .. } = event;
        let callbacks = match names_callbacks(event) {
            true => self.callbacks(frontend.id, internal_id, parent(event)).await?,
            false => Vec::new(),
        };
        let terms = Terms { frontend_key: &frontend.key, meeting, meeting_id, callbacks: &callbacks };
        if let Some(message) = raw.then(|| shape::raw(event, terms)).flatten() {
            return Ok(message);
        }
        let recording = recordings::published(event, frontend.id, &self.parts.store, &self.parts.links).await?;
        Ok(shape::mapped(event, recording, terms))
    }

    /// The callbacks of a session. A breakout has the metadata of its parent.
    async fn callbacks(
        &self,
        frontend: FrontendId,
        internal_id: &str,
        parent: Option<&str>,
    ) -> Result<Vec<Callback>, StoreError> {
        let mut callbacks = self.parts.store.callbacks().of_session(frontend, internal_id).await?;
        if let Some(parent) = parent {
            callbacks.extend(self.parts.store.callbacks().of_session(frontend, parent).await?);
        }
        Ok(callbacks)
    }

    /// Tries to post an event, as long as the pauses between the tries are short.
    async fn post(&self, post: &Post<'_>, backlog: &HookBacklog, step: Step, end: Instant) -> Result<Tried, JobError> {
        let mut number = step.failed;
        // Kept over short pauses: they take up a job's place, too.
        let _share = self
            .shares
            .take(backlog.frontend)
            .await
            .map_err(|pause| later(pause, "the frontend has as many posts at a time as it may".to_owned()))?;
        let secrets = 1 + u32::from(post.secrets.next().is_some());
        loop {
            number = number.saturating_add(1);
            let under_way =
                self.parts.drain.enter().ok_or_else(|| later(Duration::ZERO, "its server stops".to_owned()))?;
            let outcome = self.parts.courier.send(&post.parcel(number, SystemTime::now())?).await;
            let verdict = judge(&outcome, number, secrets, backlog.permanent);
            if verdict == Verdict::Delivered {
                count::posted("delivered");
                return Ok(self.record(post.hook, step, &outcome).await?.map_or(Tried::Moved, Tried::Delivered));
            }
            let problem = problem(&outcome);
            let failed = FailedPost {
                tries: number,
                status: status(&outcome),
                problem: &problem,
                pauses: verdict == Verdict::Pause,
            };
            if !self.parts.store.hook_events().failed(post.hook, step.cursor, failed).await? {
                return Ok(Tried::Moved);
            }
            drop(under_way);
            let (hook, seq, host) = (post.hook, post.seq, host(post.url).unwrap_or_default());
            match verdict {
                Verdict::Later(pause) => {
                    count::posted("retried");
                    if pause > SHORT_PAUSE || Instant::now() + pause >= end {
                        tracing::info!(hook, seq, host, problem, ?pause, "Retrying an event later");
                        return Err(later(pause, problem));
                    }
                    sleep(pause).await;
                }
                _ => {
                    count::posted("paused");
                    tracing::warn!(hook, seq, host, problem, "Pausing a hook");
                    return Ok(Tried::Paused);
                }
            }
        }
    }

    /// Records that the receiver has an event. `None`: the cursor was moved meanwhile.
    async fn record(&self, hook: &str, step: Step, outcome: &Outcome) -> Result<Option<i64>, StoreError> {
        let Step { cursor, to, follows, .. } = step;
        let (began, status) = (Instant::now(), status(outcome).unwrap_or_default());
        loop {
            match self.parts.store.hook_events().delivered(hook, cursor, to, status, follows).await {
                Err(_) if began.elapsed() < RECORDING => sleep(RECORDING_PAUSE).await,
                recorded => return recorded,
            }
        }
    }
}

impl Job for PostHooks {
    const KIND: &'static str = POST_HOOKS_JOB;
    /// The schedule decides about tries and pauses. These are for a database that is away.
    const TERMS: JobTerms = JobTerms {
        at_once: 128,
        lease: Duration::from_secs(30),
        limit: Duration::from_secs(45),
        attempts: 1_000_000,
        pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(60),
    };
    type Payload = DueHook;

    async fn run(&self, due: DueHook, _: Attempt) -> Result<(), JobError> {
        let end = Instant::now() + TURN;
        while Instant::now() < end {
            let Some(backlog) = self.parts.store.hook_events().backlog(&due.hook).await? else { return Ok(()) };
            // Its secrets may have changed since the last events. A removed frontend takes its hooks along.
            let Some(frontend) = self.parts.store.frontends().find(backlog.frontend).await? else { return Ok(()) };
            if !self.post_all(backlog, &frontend, end).await? {
                return Ok(());
            }
        }
        Err(later(Duration::ZERO, "others go first".to_owned()))
    }

    fn is_open(&self) -> bool {
        self.parts.drain.is_open()
    }
}

fn awaited() -> JobError {
    later(AWAITED, "the event is not complete yet".to_owned())
}

fn later(pause: Duration, why: String) -> JobError {
    JobError::Later { pause, why, counts: false }
}

fn status(outcome: &Outcome) -> Option<u16> {
    outcome.as_ref().ok().map(|answered| answered.status.as_u16())
}

fn problem(outcome: &Outcome) -> String {
    match outcome {
        Ok(answered) => format!("the receiver answers {}", answered.status.as_u16()),
        Err(unsent) => cut_at(&unsent.to_string(), LONGEST_PROBLEM).into_owned(),
    }
}

/// The node's id of the meeting that a breakout belongs to.
fn parent(event: &HookEvent) -> Option<&str> {
    event.attributes.as_ref()?.get("meeting")?.get("parent-id")?.as_str()
}

/// Whether an event has addresses of ours that stand for its frontend's own.
fn names_callbacks(event: &HookEvent) -> bool {
    let has = |value: &Option<Value>| value.as_ref().is_some_and(|value| value.to_string().contains(CALLBACK_PATH));
    has(&event.attributes) || has(&event.raw) || event.entry.as_ref().is_some_and(|entry| entry.contains(CALLBACK_PATH))
}
