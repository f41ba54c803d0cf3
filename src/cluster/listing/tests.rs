//! Asking nodes that are slow, garbled, or not there.

use std::collections::HashMap;
use std::future::pending;

use b3scale_middleware::bbb::{MeetingId, Secret};
use b3scale_middleware::cluster::{BackendId, FrontendId, NodeState, Size};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

use super::*;

const LIST: &str = "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>a</meetingID>\
    <participantCount>3</participantCount></meeting></meetings></response>";
const VERSION: &str = "<response><returncode>SUCCESS</returncode><version>2.0</version></response>";

/// Answers each call, by its name, with a document after some seconds. Other calls are never answered.
#[derive(Default)]
struct Script {
    answers: HashMap<&'static str, (u64, String)>,
}

impl Script {
    fn with(mut self, call: &'static str, seconds: u64, document: &str) -> Self {
        self.answers.insert(call, (seconds, document.to_owned()));
        self
    }

    async fn hear(self) -> Heard {
        Asker(Arc::new(self), Chance::seeded(1)).hear(&backend(), SystemTime::UNIX_EPOCH).await
    }
}

impl Nodes for Script {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let name = request.kind.name();
        let (backend, answer) = (request.backend.id, self.answers.get(name).cloned());
        let (wait, document) = answer.unwrap_or((u64::MAX, String::new()));
        let limit = request.deadline.unwrap().saturating_duration_since(Instant::now().into_std());
        async move {
            let wait = Duration::from_secs(wait);
            let _ = timeout(wait.min(limit), pending::<()>()).await;
            if wait > limit {
                return Err(Fault::Node { backend, failure: NodeFailure::Silent { seconds: limit.as_secs() } });
            }
            Ok(Reply::xml(document.into()))
        }
        .boxed()
    }
}

fn backend() -> Arc<Backend> {
    Arc::new(Backend::new(Uuid::nil(), "http://n1/bigbluebutton/api/", Secret::new("s").unwrap()))
}

/// Fails the calls that it names as this server does for reasons of its own.
struct Failing(&'static [CallKind], NodeFailure);

impl Nodes for Failing {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        if self.0.contains(&request.kind) {
            let fault = Fault::Node { backend: request.backend.id, failure: self.1.clone() };
            return ready(Err(fault)).boxed();
        }
        ready(Ok(Reply::xml(VERSION.into()))).boxed()
    }
}

#[tokio::test]
async fn a_node_is_no_worse_for_what_this_server_lacks() {
    for failure in [NodeFailure::NotAsked("no file descriptor is left"), NodeFailure::NoRoom] {
        for failing in [&[CallKind::GetMeetings, CallKind::Index][..], &[CallKind::GetMeetings]] {
            let nodes = Failing(failing, failure.clone());
            let heard = Asker(Arc::new(nodes), Chance::seeded(1)).hear(&backend(), SystemTime::UNIX_EPOCH).await;
            let health = Health::default().answered();
            assert!(matches!(heard, Heard::Unasked { .. }) && heard.next(health) == health, "{failure}");
        }
    }
}

fn live(id: &str) -> Arc<Meeting> {
    Arc::new(Meeting {
        id: ScopedId::verbatim(id),
        meeting_id: MeetingId::new(id),
        frontend: FrontendId(Uuid::nil()),
        backend: BackendId(Uuid::nil()),
        attempt: 1,
        claim: 1,
        state: MeetingState::Live,
        internal_id: None,
        size: Size::default(),
        placed_at: SystemTime::UNIX_EPOCH,
        entry: None,
        callbacks: Arc::default(),
        version: 1,
    })
}

#[tokio::test(start_paused = true)]
async fn a_document_of_bbb_is_an_answer_though_the_version_is_none() {
    let failed = "<response><returncode>FAILED</returncode><messageKey>internalError</messageKey></response>";
    let heard = Script::default().with("getMeetings", 0, failed).with("index", 0, "<html/>").hear().await;
    assert_eq!(state(&heard), NodeState::Degraded);
    let heard = Script::default().with("getMeetings", 4, LIST).with("index", 0, "<html/>").hear().await;
    assert_eq!(state(&heard), NodeState::Ready, "the list came after the version had failed");
}

fn state(heard: &Heard) -> NodeState {
    (0..3).fold(Health::default().answered(), |health, _| heard.next(health)).state
}

#[tokio::test(start_paused = true)]
async fn a_late_list_of_a_node_that_answers_counts() {
    for seconds in [0, 1, 3, 6, 19] {
        let heard = Script::default().with("getMeetings", seconds, LIST).with("index", 0, VERSION).hear().await;
        assert!(matches!(heard, Heard::Listed(_)), "after {seconds} s");
    }
    let heard = Script::default().with("getMeetings", 4, LIST).hear().await;
    assert!(matches!(heard, Heard::Listed(_)), "it came before the version was given up");
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_list_is_unusable_is_degraded_while_it_answers_its_version() {
    let half = &LIST[..LIST.len() / 2];
    for (seconds, list) in [(0, "<html/>"), (0, half), (0, VERSION), (0, ""), (3, "<html/>"), (60, LIST)] {
        let heard = Script::default().with("getMeetings", seconds, list).with("index", 0, VERSION).hear().await;
        assert!(heard.problem().is_some() && state(&heard) == NodeState::Degraded, "{seconds} s: {list}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_nothing_of_bbb_is_lost() {
    for answer in ["<html/>", "", "It works!"] {
        let heard = Script::default().with("getMeetings", 0, answer).with("index", 0, answer).hear().await;
        assert_eq!(state(&heard), NodeState::Error, "{answer}");
    }
    let began = Instant::now();
    assert_eq!(state(&Script::default().hear().await), NodeState::Error);
    assert_eq!(began.elapsed(), PATIENCE, "silence is known as soon as ever");
}

#[tokio::test(start_paused = true)]
async fn what_a_list_leaves_open_is_asked_for_one_by_one() {
    let info = "<response><returncode>SUCCESS</returncode><meetingID>b</meetingID>\
        <participantCount>7</participantCount><messageKey/></response>";
    let cut = LIST.replace("</meetings></response>", "<meeting><x y>");
    let script = Script::default().with("getMeetings", 0, &cut).with("getMeetingInfo", 0, info);
    let asker = Asker(Arc::new(script.with("index", 0, VERSION)), Chance::seeded(1));
    let Heard::Unlisted { mut listing, .. } = asker.hear(&backend(), SystemTime::UNIX_EPOCH).await else {
        panic!("the list was cut short");
    };
    asker.ask_each(&backend(), &[live("a"), live("b"), live("c")], &mut listing).await;
    assert_eq!(listing.report.attendees(), 10);
    assert!(matches!(listing.report.word(&ScopedId::verbatim("c")), Word::Open), "that was another's answer");
    let read = Report::read(&listing.document, SystemTime::UNIX_EPOCH).expect("other servers read it");
    assert_eq!((read.attendees(), read.is_whole), (10, false));
}

#[test]
fn an_answer_about_a_meeting_is_read_as_far_as_it_can_be() {
    let read = |document: &str| Info::read(&Reply::xml(document.to_owned().into()), &ScopedId::verbatim("m"));
    let head =
        "<response><returncode>SUCCESS</returncode><meetingID>m</meetingID><participantCount>2</participantCount>";
    assert!(matches!(read(&format!("{head}</response>")), Info::Runs(one, _) if one.entry.is_some()));
    assert!(matches!(read(&format!("{head}<x y>1</x y></response>")), Info::Runs(one, _) if one.attendees == 2));
    let failed = |key| format!("<response><returncode>FAILED</returncode><messageKey>{key}</messageKey></response>");
    assert!(matches!(read(&failed("notFound")), Info::Gone));
    for other in [failed("checksumError"), VERSION.to_owned(), "<html/>".to_owned(), String::new()] {
        assert!(matches!(read(&other), Info::Open), "{other}");
    }
}

/// Says of each meeting it is asked for that it runs, each after another while.
struct Obliging;

impl Nodes for Obliging {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let (_, id) = request.unsigned.split_once("meetingID=").expect("a meeting is asked for");
        let info = format!(
            "<response><returncode>SUCCESS</returncode><meetingID>{id}</meetingID>\
            <participantCount>1</participantCount></response>"
        );
        async move {
            let _ = timeout(Duration::from_millis(fastrand::u64(..1000)), pending::<()>()).await;
            Ok(Reply::xml(info.into()))
        }
        .boxed()
    }
}

/// A document that says the same is the same, so that it is not written down again and again.
#[tokio::test(start_paused = true)]
async fn a_document_of_single_answers_has_one_order_whichever_comes_first() {
    let believed: Vec<_> = (10..40).map(|number| live(&format!("m{number}"))).collect();
    let mut documents = Vec::new();
    for _ in 0..8 {
        let Heard::Unlisted { mut listing, .. } = Heard::without_list(String::new(), SystemTime::UNIX_EPOCH) else {
            panic!("there is no list");
        };
        Asker(Arc::new(Obliging), Chance::seeded(1)).ask_each(&backend(), &believed, &mut listing).await;
        documents.push(String::from_utf8(listing.document.to_vec()).expect("it is text"));
    }
    let places: Vec<_> = believed.iter().map(|meeting| documents[0].find(meeting.id.as_ref())).collect();
    assert!(places[0].is_some() && places.is_sorted(), "{places:?}");
    assert!(documents.iter().all(|document| *document == documents[0]));
}
