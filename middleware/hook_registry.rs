//! `hook-registry`: answers hooks/create, hooks/list and hooks/destroy.
//!
//! ```toml
//! [stages.hook-registry]
//! ```
//!
//! A hook belongs to the frontend that has created it, and hears of its meetings alone, on whichever nodes they run. The answers are
//! those of bbb-webhooks, with its texts. Other than there, a URL may have one hook for each meeting, and a repeated create resumes
//! a hook that is paused.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{hook_registry::HookRegistry, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let call = cluster.verified(CallKind::HooksCreate, "callbackURL=https%3A%2F%2Fcb.example%2Fhook");
//! let reply = cluster.ask(HookRegistry {}, call).await?;
//! assert!(reply.body.starts_with(b"<response><returncode>SUCCESS</returncode><hookID>"));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, MeetingId, Params, ReturnCode, xml};
use crate::call::{Call, Reply};
use crate::cluster::{Frontend, FrontendId, Hook, HookMade, NewHook};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Hooks, Ports};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// The longest URL of a hook, in bytes.
const LONGEST_URL: usize = 8192;
/// The most events that a hook may name, and the longest name of one, in bytes.
const MOST_EVENTS: usize = 100;
const LONGEST_EVENT: usize = 64;

/// Settings of `hook-registry`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookRegistry {}

impl Endpoint for HookRegistry {
    const KIND: &'static str = "hook-registry";
    type Service = HookRegistryService;

    fn contract(&self, _: CallKind) -> Contract {
        let calls = &[CallKind::HooksCreate, CallKind::HooksList, CallKind::HooksDestroy];
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(calls)
    }

    fn service(self, ports: &Ports) -> Result<HookRegistryService, SetupError> {
        Ok(HookRegistryService { hooks: Arc::clone(&ports.hooks) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct HookRegistryService {
    hooks: Arc<dyn Hooks>,
}

impl Service<Call> for HookRegistryService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let frontend = match call.facts.frontend() {
            Ok(frontend) => Arc::clone(frontend),
            Err(fault) => return refuse(fault),
        };
        let hooks = Arc::clone(&self.hooks);
        Either::Right(Box::pin(async move {
            match call.kind {
                CallKind::HooksCreate => create(&*hooks, &frontend, &call.params).await,
                CallKind::HooksDestroy => destroy(&*hooks, frontend.id, &call.params).await,
                _ => list(&*hooks, frontend.id, &call.params).await,
            }
            .map(Reply::xml)
        }))
    }
}

async fn create(hooks: &dyn Hooks, frontend: &Frontend, params: &Params) -> Result<Bytes, Fault> {
    let made = hooks.create(frontend, wanted(params)?).await?;
    let answer = xml::Writer::response(ReturnCode::Success);
    let answer = match made {
        HookMade::New(hook) => answer
            .field("hookID", &hook.id)
            .field("permanentHook", word(hook.permanent))
            .field("rawData", word(hook.raw)),
        HookMade::Known(hook) => answer
            .field("hookID", &hook.id)
            .field("messageKey", "duplicateWarning")
            .field("message", "There is already a hook for this callback URL."),
        HookMade::TooMany => return Err(refused("there are as many hooks as this service lets you have")),
        HookMade::Unusable => return Err(refused("the callbackURL is no http(s) URL that can be called")),
        HookMade::Inward => return Err(refused("the callbackURL names an address inside this service's network")),
        HookMade::RawRefused => return Err(refused("getRaw is not allowed to you by this service")),
    };
    Ok(answer.finish())
}

async fn list(hooks: &dyn Hooks, frontend: FrontendId, params: &Params) -> Result<Bytes, Fault> {
    let found = hooks.list(frontend, said(params, "meetingID")).await?;
    let answer = xml::Writer::response(ReturnCode::Success).open("hooks");
    Ok(found.iter().fold(answer, entry).finish())
}

async fn destroy(hooks: &dyn Hooks, frontend: FrontendId, params: &Params) -> Result<Bytes, Fault> {
    let missing = "You must specify a hookID in the parameters.";
    let id = said(params, "hookID").ok_or(invalid("missingParamHookID", missing))?;
    if !hooks.destroy(frontend, id).await? {
        return Err(invalid("destroyMissingHook", "The hook informed was not found."));
    }
    Ok(xml::Writer::response(ReturnCode::Success).field("removed", "true").finish())
}

/// The hook that a create describes.
fn wanted(params: &Params) -> Result<NewHook, Fault> {
    let missing = "You must specify a callbackURL in the parameters.";
    let url = said(params, "callbackURL").ok_or(invalid("missingParamCallbackURL", missing))?;
    let meeting_id = said(params, "meetingID");
    let listed = said(params, "eventID").unwrap_or_default().split(',');
    // What bbb-webhooks does not know never happens, and is no fault there.
    let events: Vec<String> = listed
        .map(|event| event.trim().to_lowercase())
        .filter(|event| !event.is_empty())
        .take(MOST_EVENTS + 1)
        .collect();
    match () {
        () if url.len() > LONGEST_URL => {
            return Err(refused(&format!("the callbackURL has more than {LONGEST_URL} bytes")));
        }
        () if meeting_id.is_some_and(|id| id.chars().count() > MeetingId::MAX_CHARS) => {
            return Err(refused(&format!("the meetingID has more than {} characters", MeetingId::MAX_CHARS)));
        }
        () if events.len() > MOST_EVENTS || events.iter().any(|event| event.len() > LONGEST_EVENT) => {
            let bound =
                format!("the eventID has more than {MOST_EVENTS} events, or one of more than {LONGEST_EVENT} bytes");
            return Err(refused(&bound));
        }
        () => {}
    }
    let raw = said(params, "getRaw").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    Ok(NewHook { url: url.to_owned(), meeting_id: meeting_id.map(str::to_owned), events, raw })
}

fn entry(answer: xml::Writer, hook: &Hook) -> xml::Writer {
    let Hook { id, url, meeting_id, events, permanent, raw } = hook;
    let mut entry = answer.open("hook").field("hookID", id).cdata("callbackURL", url);
    if let Some(meeting_id) = meeting_id {
        entry = entry.cdata("meetingID", meeting_id);
    }
    if !events.is_empty() {
        entry = entry.field("eventID", &events.join(","));
    }
    entry.field("permanentHook", word(*permanent)).field("rawData", word(*raw)).close()
}

/// A parameter that says something.
fn said<'p>(params: &'p Params, name: &str) -> Option<&'p str> {
    params.first(name).filter(|value| !value.is_empty())
}

fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

fn invalid(key: &'static str, message: &'static str) -> Fault {
    Fault::InvalidParam { key, message: message.into() }
}

/// A hook that cannot be had. bbb-webhooks names no reason.
fn refused(reason: &str) -> Fault {
    let message = format!("An error happened while creating your hook: {reason}.");
    Fault::InvalidParam { key: "createHookError", message: message.into() }
}

#[cfg(test)]
mod tests;
