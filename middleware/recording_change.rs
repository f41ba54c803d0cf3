//! `recording-change`: answers publishRecordings, updateRecordings and deleteRecordings.
//!
//! ```toml
//! [stages.recording-change]
//! ```
//!
//! `recordID` names whole ids. All recordings of a call are changed, or none. Unknown ids are passed over as long as one is known; ids
//! of other frontends are unknown. A call that leaves `publish` out, or has another word than `true` or `false` there, changes nothing.
//!
//! updateRecordings sets `meta_*`, and an empty value removes. Greenlight and scalelite's other frontends send `protect=true` or
//! `protect=false` with it, Greenlight names a recording by `meta_name` and lists it by `meta_gl-listed`, and Moodle sets
//! `meta_bbb-recording-name`: all of these are kept as they come.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, recording_change::RecordingChange};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").recording("school", "r-1", |_| {});
//! let call = cluster.verified(CallKind::PublishRecordings, "recordID=r-1&publish=false");
//! let reply = cluster.ask(RecordingChange {}, call).await?;
//! assert_eq!(reply.body, "<response><returncode>SUCCESS</returncode><published>false</published></response>");
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{self, CallKind, Params, ReturnCode, xml};
use crate::call::{Call, Reply};
use crate::cluster::{self, RecordId};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Ports, Recordings};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// Settings of `recording-change`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingChange {}

impl Endpoint for RecordingChange {
    const KIND: &'static str = "recording-change";
    type Service = RecordingChangeService;

    fn contract(&self, _: CallKind) -> Contract {
        let calls = &[CallKind::PublishRecordings, CallKind::UpdateRecordings, CallKind::DeleteRecordings];
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(calls)
    }

    fn service(self, ports: &Ports) -> Result<RecordingChangeService, SetupError> {
        Ok(RecordingChangeService { recordings: Arc::clone(&ports.recordings) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct RecordingChangeService {
    recordings: Arc<dyn Recordings>,
}

impl Service<Call> for RecordingChangeService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let recordings = Arc::clone(&self.recordings);
        match Order::read(&call) {
            Ok((frontend, order)) => {
                Either::Right(Box::pin(async move { order.carry_out(&*recordings, frontend).await }))
            }
            Err(fault) => refuse(fault),
        }
    }
}

/// A change that a frontend asks for.
struct Order {
    ids: Vec<RecordId>,
    /// The first id as the frontend wrote it.
    first: Box<str>,
    change: cluster::RecordingChange,
    /// The element of the answer, and its text.
    done: (&'static str, String),
}

impl Order {
    fn read(call: &Call) -> Result<(cluster::FrontendId, Self), Fault> {
        let frontend = call.facts.frontend()?.id;
        let first = call.params.list("recordID").next().ok_or_else(Fault::no_record_id)?;
        let yes = || "true".to_owned();
        let (change, done) = match call.kind {
            CallKind::PublishRecordings => publish(&call.params)?,
            CallKind::UpdateRecordings => (update(&call.params)?, ("updated", yes())),
            CallKind::DeleteRecordings => (cluster::RecordingChange::Delete, ("deleted", yes())),
            other => return Err(Fault::UnsupportedRequest(other.name().into())),
        };
        let ids = call.params.list("recordID").filter_map(RecordId::new).collect();
        Ok((frontend, Self { ids, first: bbb::cut(first).into(), change, done }))
    }

    async fn carry_out(self, recordings: &dyn Recordings, frontend: cluster::FrontendId) -> Result<Reply, Fault> {
        let Self { ids, first, change, done: (element, text) } = self;
        if ids.is_empty() || !recordings.change(frontend, &ids, change).await? {
            return Err(Fault::RecordingNotFound(first));
        }
        Ok(Reply::xml(xml::Writer::response(ReturnCode::Success).field(element, &text).finish()))
    }
}

/// BBB echoes the word as it came.
fn publish(params: &Params) -> Result<(cluster::RecordingChange, (&'static str, String)), Fault> {
    let word = params.first("publish").unwrap_or_default();
    let publish = truth(word).ok_or_else(|| Fault::InvalidParam {
        key: "missingParamPublish",
        message: "You must specify a publish value true or false.".into(),
    })?;
    Ok((cluster::RecordingChange::Publish(publish), ("published", word.to_owned())))
}

/// Metadata of ours is not for frontends to set.
fn update(params: &Params) -> Result<cluster::RecordingChange, Fault> {
    let protect = match params.first("protect") {
        None | Some("") => None,
        Some(word) => {
            let wrong = || Fault::validation("You must specify a protect value true or false.");
            Some(truth(word).ok_or_else(wrong)?)
        }
    };
    let metadata = params.metadata().filter(|(name, _)| !xml::is_ours(name));
    Ok(cluster::RecordingChange::Update {
        metadata: metadata.map(|(name, value)| (name, value.to_owned())).collect(),
        protect,
    })
}

fn truth(word: &str) -> Option<bool> {
    word.to_ascii_lowercase().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::RecordingState;
    use crate::memory::Memory;

    fn two() -> Memory {
        let cluster = Memory::new().frontend("school", "secret").frontend("other", "secret");
        let named = |recording: &mut cluster::Recording| {
            recording.metadata = [("name".to_owned(), "Math".to_owned())].into();
        };
        let cluster = cluster.recording("school", "r-1", named).recording("school", "r-2", named);
        cluster.recording("other", "r-3", named)
    }

    async fn ask(cluster: &Memory, kind: CallKind, query: &str) -> Result<String, Fault> {
        let reply = cluster.ask(RecordingChange {}, cluster.verified(kind, query)).await?;
        Ok(String::from_utf8(reply.body.to_vec()).unwrap())
    }

    async fn key(cluster: &Memory, kind: CallKind, query: &str) -> &'static str {
        ask(cluster, kind, query).await.unwrap_err().message_key(kind)
    }

    fn states(cluster: &Memory) -> [RecordingState; 3] {
        ["r-1", "r-2", "r-3"].map(|id| cluster.recording_named(id).state)
    }

    #[tokio::test]
    async fn all_that_are_named_are_changed_and_no_others() {
        use RecordingState::{Deleted, Published, Unpublished};

        let cluster = two();
        let query = "recordID=r-1%2C+r-2%2C%2Cr-3%2Cr-9%2C..%2F&publish=False";
        let answer = ask(&cluster, CallKind::PublishRecordings, query).await.unwrap();
        assert_eq!(answer, "<response><returncode>SUCCESS</returncode><published>False</published></response>");
        assert_eq!(states(&cluster), [Unpublished, Unpublished, Published]);
        ask(&cluster, CallKind::PublishRecordings, "recordID=r-1&publish=true").await.unwrap();
        let answer = ask(&cluster, CallKind::DeleteRecordings, "recordID=r-2").await.unwrap();
        assert_eq!(answer, "<response><returncode>SUCCESS</returncode><deleted>true</deleted></response>");
        assert_eq!(states(&cluster), [Published, Deleted, Published]);
        for kind in [CallKind::DeleteRecordings, CallKind::UpdateRecordings] {
            assert_eq!(key(&cluster, kind, "recordID=r-2").await, "notFound", "{kind} of a deleted recording");
        }
    }

    /// Defect 44 of the original: a call without `publish` unpublished, and `%` and `_` stood for any text.
    #[tokio::test]
    async fn a_call_that_is_not_clear_changes_nothing() {
        let cluster = two();
        let before = states(&cluster);
        for (query, expected) in [
            ("publish=true", "missingParamRecordID"),
            ("recordID=&publish=true", "missingParamRecordID"),
            ("recordID=%2C+%2C&publish=true", "missingParamRecordID"),
            ("recordID=r-1", "missingParamPublish"),
            ("recordID=r-1&publish=", "missingParamPublish"),
            ("recordID=r-1&publish=maybe", "missingParamPublish"),
            ("recordID=%25&publish=false", "notFound"),
            ("recordID=r__&publish=false", "notFound"),
            ("recordID=r&publish=false", "notFound"),
            ("recordID=R-1&publish=false", "notFound"),
            ("recordID=r-3&publish=false", "notFound"),
        ] {
            assert_eq!(key(&cluster, CallKind::PublishRecordings, query).await, expected, "{query}");
        }
        assert_eq!(key(&cluster, CallKind::DeleteRecordings, "recordID=r-3").await, "notFound");
        assert_eq!(key(&cluster, CallKind::UpdateRecordings, "recordID=r-1&protect=2").await, "validationError");
        assert_eq!(states(&cluster), before);
    }

    #[tokio::test]
    async fn metadata_and_protection_are_updated() {
        let cluster = two();
        let query = "recordID=r-1&meta_Name=&meta_GL-Listed=true&meta_b3s-frontend=x&meta_a+b=x&protect=TRUE";
        let answer = ask(&cluster, CallKind::UpdateRecordings, query).await.unwrap();
        assert_eq!(answer, "<response><returncode>SUCCESS</returncode><updated>true</updated></response>");
        let recording = cluster.recording_named("r-1");
        assert!(recording.metadata.iter().eq([(&"gl-listed".to_owned(), &"true".to_owned())]));
        assert!(recording.protected && recording.epoch > 0);
        ask(&cluster, CallKind::UpdateRecordings, "recordID=r-1").await.unwrap();
        assert_eq!(cluster.recording_named("r-1"), recording, "a call without a change succeeds");
    }
}
