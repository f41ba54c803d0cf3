//! `recording-list`: answers getRecordings.
//!
//! ```toml
//! [stages.recording-list]
//! ```
//!
//! The newest comes first. `recordID` names beginnings of ids and wins over `meetingID`, which names whole ones. `state` chooses among
//! published (which with unpublished is the default), unpublished and deleted; a node's other states match nothing here. `meta_*` asks for
//! metadata, with `%` at either end for any text. `protect`, as of b3scale, asks for protected recordings or the others. With
//! `limit`, the list has at most 100, and `totalElements` counts them all. A list without a limit is read and sent page by page,
//! however long it is. `<protected>` stands where scalelite writes it: Greenlight and Moodle then offer it.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, recording_list::RecordingList};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").recording("school", "r-1", |_| {});
//! let reply = cluster.ask(RecordingList {}, cluster.verified(CallKind::GetRecordings, "recordID=r-")).await?;
//! assert!(reply.body.starts_with(b"<response><returncode>SUCCESS</returncode><recordings><recording><recordID>r-1<"));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;
mod query;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, ReturnCode, xml};
use crate::call::{Call, Reply, Tail};
use crate::cluster::{FrontendId, RecordingCursor, RecordingPage, RecordingQuery};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Ports, Recordings};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// The text before the first recording of a list in pages, and after the last.
const BEFORE: &[u8] = b"<response><returncode>SUCCESS</returncode><recordings>";
const BEHIND: &[u8] = b"</recordings></response>";

/// Settings of `recording-list`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingList {}

impl Endpoint for RecordingList {
    const KIND: &'static str = "recording-list";
    type Service = RecordingListService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(&[CallKind::GetRecordings])
    }

    fn service(self, ports: &Ports) -> Result<RecordingListService, SetupError> {
        Ok(RecordingListService { recordings: Arc::clone(&ports.recordings) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct RecordingListService {
    recordings: Arc<dyn Recordings>,
}

impl Service<Call> for RecordingListService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let frontend = match call.facts.frontend() {
            Ok(frontend) => frontend.id,
            Err(fault) => return refuse(fault),
        };
        let list = List { recordings: Arc::clone(&self.recordings), frontend, query: query::of(&call.params) };
        Either::Right(Box::pin(list.reply()))
    }
}

/// A list that a frontend asks for.
struct List {
    recordings: Arc<dyn Recordings>,
    frontend: FrontendId,
    query: RecordingQuery,
}

impl List {
    /// The first page decides between an answer and a fault.
    async fn reply(self) -> Result<Reply, Fault> {
        let mut first = self.page(None).await?;
        Ok(match first.next.take() {
            Some(next) => {
                let start = [BEFORE, &document::entries(&first.recordings)].concat();
                Reply { tail: Tail::of(self.pages(next)), ..Reply::xml(start.into()) }
            }
            None => Reply::xml(whole(&first)),
        })
    }

    async fn page(&self, from: Option<&RecordingCursor>) -> Result<RecordingPage, Fault> {
        self.recordings.list(self.frontend, &self.query, from).await
    }

    /// The pages from there on, and the end of the document.
    fn pages(self, next: RecordingCursor) -> impl Stream<Item = Result<Bytes, Fault>> {
        stream::try_unfold((self, Some(next)), async |(list, next)| {
            let Some(next) = next else { return Ok(None) };
            let page = list.page(Some(&next)).await?;
            let end = if page.next.is_none() { BEHIND } else { b"" };
            let piece = [&document::entries(&page.recordings), end].concat();
            Ok(Some((piece.into(), (list, page.next))))
        })
    }
}

/// A list of one page.
fn whole(page: &RecordingPage) -> Bytes {
    let list = xml::Writer::response(ReturnCode::Success).open("recordings");
    let list = list.raw(&document::entries(&page.recordings)).close();
    let list = page.total.iter().fold(list, |list, total| list.field("totalElements", &total.to_string()));
    if page.recordings.is_empty() {
        let list = list.field("messageKey", "noRecordings");
        return list.field("message", "There are no recordings for the meeting(s).").finish();
    }
    list.finish()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;
    use crate::cluster::RecordingState;
    use crate::memory::{Memory, RECORDINGS_OF_A_PAGE};

    async fn listed(cluster: &Memory, query: &str) -> String {
        let reply = cluster.ask(RecordingList {}, cluster.verified(CallKind::GetRecordings, query)).await.unwrap();
        let tail = match reply.tail.take() {
            Some(tail) => tail.try_collect().await.unwrap(),
            None => Vec::new(),
        };
        String::from_utf8([vec![reply.body], tail].concat().concat()).unwrap()
    }

    /// The ids in a list.
    async fn ids(cluster: &Memory, query: &str) -> Vec<String> {
        let document = listed(cluster, query).await;
        let ids = xml::elements(&document.into(), &["response", "recordings", "recording", "recordID"]).unwrap();
        let text = |id: Bytes| String::from_utf8_lossy(&id).replace("<recordID>", "").replace("</recordID>", "");
        ids.into_iter().map(text).collect()
    }

    /// Three recordings of `a`, `b` and `c`, in the order of their ages, and one of another frontend.
    fn three() -> Memory {
        let cluster = Memory::new().frontend("school", "secret").frontend("other", "secret");
        let cluster = cluster.recording("school", "aa-1", |recording| recording.meeting_id = "a".to_owned());
        let cluster = cluster.recording("school", "ab-2", |recording| {
            recording.meeting_id = "b".to_owned();
            recording.state = RecordingState::Unpublished;
            recording.metadata = [("name", "Math & more"), ("empty", "")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        });
        let cluster = cluster.recording("school", "c-3", |recording| {
            recording.meeting_id = "c".to_owned();
            recording.protected = true;
        });
        cluster.recording("other", "aa-4", |recording| recording.meeting_id = "a".to_owned())
    }

    #[tokio::test]
    async fn ids_and_meetings_are_chosen_as_bbb_chooses_them() {
        let cluster = three();
        for (query, found) in [
            ("", "c-3 ab-2 aa-1"),
            ("recordID=a", "ab-2 aa-1"),
            ("recordID=%2C+aa-1+%2C%2Cc%2C", "c-3 aa-1"),
            ("recordID=aa&meetingID=c", "aa-1"),
            ("recordID=%2C+%2C&meetingID=b", "ab-2"),
            ("meetingID=a%2C+b+%2C", "ab-2 aa-1"),
            ("meetingID=%2C%2C", "c-3 ab-2 aa-1"),
            ("meetingID=x", ""),
            ("recordID=%25", ""),
            ("recordID=a_-1", ""),
            ("recordID=AA", ""),
        ] {
            assert_eq!(ids(&cluster, query).await.join(" "), found, "{query}");
        }
    }

    #[tokio::test]
    async fn states_metadata_and_protection_are_chosen_by_their_words() {
        let deleted = |recording: &mut crate::cluster::Recording| recording.state = RecordingState::Deleted;
        let cluster = three().recording("school", "d-5", deleted);
        for (query, found) in [
            ("state=published", "c-3 aa-1"),
            ("state=unpublished%2Cdeleted", "d-5 ab-2"),
            ("state=any", "d-5 c-3 ab-2 aa-1"),
            ("state=%2C", "c-3 ab-2 aa-1"),
            ("state=processing%2Cprocessed", ""),
            ("state=PUBLISHED", ""),
            ("meta_name=Math+%26+more", "ab-2"),
            ("meta_Name=Math%25", "ab-2"),
            ("meta_name=%25more", "ab-2"),
            ("meta_name=%25+%26+%25", "ab-2"),
            ("meta_name=%25", "ab-2"),
            ("meta_name=Math", ""),
            ("meta_name=M_th%25", ""),
            ("meta_empty=", "ab-2"),
            ("meta_name=", ""),
            ("meta_name=Math%25&meta_empty=x", ""),
            ("meta_no+name=x", ""),
            ("protect=true", "c-3"),
            ("protect=FALSE", "ab-2 aa-1"),
            ("protect=", "c-3 ab-2 aa-1"),
            ("protect=maybe", ""),
        ] {
            assert_eq!(ids(&cluster, query).await.join(" "), found, "{query}");
        }
    }

    #[tokio::test]
    async fn a_limit_cuts_the_list_and_counts_the_whole() {
        let cluster = three();
        for (query, found, total) in [
            ("limit=2", "c-3 ab-2", Some(3)),
            ("limit=2&offset=2", "aa-1", Some(3)),
            ("limit=0", "c-3", Some(3)),
            ("limit=-5&offset=-5", "c-3", Some(3)),
            ("limit=99999999999999999999", "c-3 ab-2 aa-1", Some(3)),
            ("limit=1&offset=99999999999999999999", "", Some(3)),
            ("limit=1&state=processed", "", Some(0)),
            ("limit=many&offset=some", "c-3 ab-2 aa-1", None),
            ("limit=", "c-3 ab-2 aa-1", None),
            ("offset=1", "ab-2 aa-1", None),
        ] {
            assert_eq!(ids(&cluster, query).await.join(" "), found, "{query}");
            let document = listed(&cluster, query).await;
            let behind = document.split_once("</recordings>").unwrap().1;
            let count = total.map_or(String::new(), |total: u32| format!("<totalElements>{total}</totalElements>"));
            assert!(behind.starts_with(&count) && behind.contains("totalElements") == total.is_some(), "{document}");
            assert_eq!(document.contains("<messageKey>noRecordings</messageKey>"), found.is_empty(), "{document}");
        }
    }

    #[tokio::test]
    async fn a_long_list_is_one_document_in_pages() {
        let mut cluster = Memory::new().frontend("school", "secret");
        let count = 3 * RECORDINGS_OF_A_PAGE;
        for number in 0..count {
            cluster = cluster.recording("school", &format!("r-{number}"), |_| {});
        }
        let call = || cluster.verified(CallKind::GetRecordings, "");
        let reply = cluster.ask(RecordingList {}, call()).await.unwrap();
        let pages: Vec<Bytes> = reply.tail.take().unwrap().try_collect().await.unwrap();
        assert_eq!(pages.len(), 2);
        assert!(reply.tail.take().is_none(), "a tail is sent once");
        let found = ids(&cluster, "").await;
        assert!(found.iter().eq((0..count).rev().map(|number| format!("r-{number}")).collect::<Vec<_>>().iter()));
    }
}
