//! Calls about recordings over real sockets: documents to the byte, lists that are sent while they are read, files in parts.

mod tenants;

use std::sync::Arc;

use b3scale::budget::Budget;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::call::Tail;
use b3scale_middleware::cluster::{RecordingState, TrackKind};
use b3scale_middleware::memory::{Memory, RECORDINGS_OF_A_PAGE};
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::log::Lines;
use crate::rig::{Answer, Plan, Rig, checksum, head, school, signed, within};

const ID: &str = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";
const FORM: &str = "application/x-www-form-urlencoded";

fn recorded() -> Memory {
    school().recording("school", ID, |recording| recording.meeting_id = "abc123".to_owned())
}

/// A body in parts: the fields, and a file.
fn parts(fields: &[(&str, &str)], file: &str) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let fields: String = fields.iter().map(field).collect();
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\nContent-Type: text/vtt";
    format!("{fields}--x\r\n{head}\r\n\r\n{file}\r\n--x--\r\n")
}

async fn put(rig: &Rig, query: &str, body: &str) -> Answer {
    rig.post(&signed(CallKind::PutRecordingTextTrack, query), "multipart/form-data; boundary=x", body).await
}

fn json(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"), "{answer:?}");
    serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["response"].clone()
}

#[tokio::test]
async fn every_call_is_answered_as_by_a_node() {
    let cluster = recorded();
    let rig = Rig::new(&cluster).await;
    let list = format!(
        "<response><returncode>SUCCESS</returncode><recordings><recording><recordID>{ID}</recordID>\
         <meetingID>abc123</meetingID><internalMeetingID>{ID}</internalMeetingID><name>Lesson</name>\
         <isBreakout>false</isBreakout><published>true</published><protected>false</protected><state>published</state>\
         <startTime>1700000000000</startTime><endTime>1700003600000</endTime><participants>2</participants>\
         <rawSize>4096000</rawSize><metadata><meetingId>abc123</meetingId></metadata><size>1024000</size><playback>\
         <format><type>presentation</type><url>https://play.example/playback/presentation/2.3/{ID}</url>\
         <processingTime>42000</processingTime><length>60</length><size>1024000</size></format></playback>\
         <data></data></recording></recordings><totalElements>1</totalElements></response>"
    );
    let query = "meetingID=abc123&limit=10&offset=0";
    let answer = rig.get(&signed(CallKind::GetRecordings, query)).await;
    assert_eq!((answer.header("content-type"), &answer.body), (Some("text/xml;charset=utf-8"), &list));
    let form = format!("{query}&checksum={}", checksum(CallKind::GetRecordings, query));
    assert_eq!(rig.post("/bbb/school/bigbluebutton/api/getRecordings", FORM, &form).await.body, list);
    for (kind, query, document) in [
        (CallKind::PublishRecordings, "publish=true", "<published>true</published>"),
        (CallKind::UpdateRecordings, "meta_name=x&protect=true", "<updated>true</updated>"),
        (CallKind::DeleteRecordings, "a=b", "<deleted>true</deleted>"),
    ] {
        let answer = rig.get(&signed(kind, &format!("recordID={ID}&{query}"))).await;
        assert_eq!(answer.body, format!("<response><returncode>SUCCESS</returncode>{document}</response>"), "{kind}");
    }
    assert_eq!(cluster.recording_named(ID).state, RecordingState::Deleted);
    let nothing = "<response><returncode>SUCCESS</returncode><recordings></recordings>\
        <messageKey>noRecordings</messageKey><message>There are no recordings for the meeting(s).</message></response>";
    assert_eq!(rig.get(&signed(CallKind::GetRecordings, "")).await.body, nothing);
    assert!(cluster.requests().is_empty(), "no node is asked");
}

#[tokio::test]
async fn a_text_track_is_put_in_parts_and_listed_in_json() {
    let cluster = recorded();
    let rig = Rig::new(&cluster).await;
    let file = "1\r\n00:00:01,000 --> 00:00:02,000\r\nGrüße\r\n";
    let query = format!("recordID={ID}&kind=subtitles&lang=de_AT");
    let done = json(&put(&rig, &query, &parts(&[("label", "Österreich")], file)).await);
    assert_eq!((&done["returncode"], &done["recordId"]), (&"SUCCESS".into(), &ID.into()));
    let kept = cluster.track(ID, TrackKind::Subtitles, "de-AT").unwrap();
    assert_eq!((&*kept.label, &*kept.vtt), ("Österreich", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nGrüße\n"));
    let tracks = json(&rig.get(&signed(CallKind::GetRecordingTextTracks, &format!("recordID={ID}"))).await);
    assert_eq!(tracks["tracks"][0]["lang"], "de-AT");
    // A large file, and one that is too large.
    let cue = "00:00:01.000 --> 00:00:02.000\nHello\n\n";
    let large = |bytes: usize| format!("WEBVTT\n\n{}", cue.repeat(bytes / cue.len()));
    assert_eq!(json(&put(&rig, &query, &parts(&[], &large(2_000_000))).await)["returncode"], "SUCCESS");
    assert_eq!(json(&put(&rig, &query, &parts(&[], &large(2 << 20))).await)["messageKey"], "invalidRequestBody");
}

/// BBB writes XML until it knows the call and its recording.
#[tokio::test]
async fn failures_about_text_tracks_are_in_json_but_for_checksum_and_id() {
    let rig = Rig::new(&recorded()).await;
    for name in ["getRecordingTextTracks", "putRecordingTextTrack"] {
        let target = format!("/bbb/school/bigbluebutton/api/{name}?recordID={ID}&checksum=00");
        assert_eq!(rig.post(&target, FORM, "a=b").await.failed(), "checksumError");
    }
    assert_eq!(rig.get(&signed(CallKind::GetRecordingTextTracks, "")).await.failed(), "missingParamRecordID");
    let unknown = json(&rig.get(&signed(CallKind::GetRecordingTextTracks, "recordID=x")).await);
    let expected = serde_json::json!({"returncode": "FAILED", "messageKey": "noRecordings", "message": "No recording found for x"});
    assert_eq!(unknown, expected);
    let missing = json(&put(&rig, "kind=captions&lang=en", &parts(&[], "WEBVTT")).await);
    assert_eq!(
        (&missing["messageKey"], &missing["message"]),
        (&"paramError".into(), &"Missing param recordID.".into())
    );
    let empty = json(&put(&rig, &format!("recordID={ID}&kind=captions&lang=en"), &parts(&[], "")).await);
    assert_eq!(empty["messageKey"], "empty_uploaded_text_track");
}

/// The query is signed and the form is not: it chooses no recording, and neither publishes nor protects.
#[tokio::test]
async fn beside_a_signed_query_a_form_says_nothing_about_recordings() {
    let cluster = recorded();
    let rig = Rig::new(&cluster).await;
    let answer = rig.post(&signed(CallKind::UpdateRecordings, "a=b"), FORM, &format!("recordID={ID}")).await;
    assert_eq!(answer.failed(), "missingParamRecordID");
    let target = signed(CallKind::UpdateRecordings, &format!("recordID={ID}"));
    assert!(rig.post(&target, FORM, "protect=true&Protect=true&meta_name=Better").await.is_success());
    let recording = cluster.recording_named(ID);
    assert_eq!((recording.protected, &*recording.metadata["name"]), (false, "Better"));
}

/// The pieces of a chunked body, and whether its end came.
fn chunks(mut body: &str) -> (Vec<&str>, bool) {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return (pieces, true);
        }
        let Some(piece) = rest.get(..length) else { break };
        pieces.push(piece);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    (pieces, false)
}

#[tokio::test]
async fn a_long_list_is_sent_page_by_page() {
    let mut cluster = school();
    let count = 3 * RECORDINGS_OF_A_PAGE;
    for number in 0..count {
        cluster = cluster.recording("school", &format!("r-{number}"), |_| {});
    }
    let budget = Budget::default();
    let rig = Plan::new(&cluster).budget(&budget).serve().await;
    let answer = rig.get(&signed(CallKind::GetRecordings, "")).await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    let (pieces, is_whole) = chunks(&answer.body);
    assert!(is_whole && pieces.len() == 3, "{pieces:?}");
    let document = pieces.concat();
    assert!(document.ends_with("</recording></recordings></response>"));
    assert_eq!(document.matches("<recordID>").count(), count);
    rig.gone_after_stop().await;
    assert!(budget.peak() >= pieces[0].len(), "what waits for its client has an owner");
    assert_eq!(budget.held(), 0);
}

/// All that a client gets of an answer that may be cut off.
async fn received(rig: &Rig, kind: CallKind) -> String {
    let mut stream = rig.connect().await;
    stream.write_all(head("GET", &signed(kind, ""), "").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A reset connection is cut off, too.
    let _ = within(stream.read_to_end(&mut bytes)).await;
    String::from_utf8(bytes).unwrap()
}

/// A list that goes on with these pieces.
fn list(tail: impl stream::Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Reply {
    Reply { tail: Tail::of(tail), ..Reply::xml(Bytes::from_static(b"<response>")) }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_to_its_end_is_no_whole_answer() {
    let (lines, _guard) = Lines::catch();
    let pieces =
        || stream::iter([Ok("<a/>".into()), Err(Fault::StoreAway("gone".to_owned())), Ok("</response>".into())]);
    let rig =
        Plan::new(&school()).route(CallKind::GetRecordings, move |_| async move { Ok(list(pieces())) }).serve().await;
    let part = received(&rig, CallKind::GetRecordings).await;
    assert!(!part.contains("</response>") && !part.contains("\r\n0\r\n"), "{part:?}");
    let cut: Vec<_> = lines.calls().into_iter().filter(|line| line["message"] == "Cutting an answer short").collect();
    assert_eq!((cut.len(), &cut[0]["level"], &cut[0]["blame"]), (1, &"WARN".into(), &"us".into()));
    assert_eq!(cut[0]["fault"], "the database cannot be used: gone");
}

#[tokio::test]
async fn a_list_beyond_the_memory_of_the_server_is_refused_or_cut() {
    let budget = Budget::of(1 << 20);
    let large = || Bytes::from(vec![b'x'; 600 << 10]);
    let first = move |_| async move { Ok(Reply::xml(large())) };
    let later = move |_| async move { Ok(list(stream::iter([Ok(large())]))) };
    let plan = Plan::new(&school()).budget(&budget);
    let rig = plan.route(CallKind::GetMeetings, first).route(CallKind::GetRecordings, later).serve().await;
    // Beyond its share an owner may begin a buffer, and not a second one.
    let mut waiting = rig.connect().await;
    waiting.write_all(head("GET", &signed(CallKind::GetMeetings, ""), "").as_bytes()).await.unwrap();
    within(waiting.readable()).await.unwrap();
    assert_eq!(rig.get(&signed(CallKind::GetMeetings, "")).await.status, 503);
    let part = received(&rig, CallKind::GetRecordings).await;
    assert!(!part.contains("\r\n0\r\n"), "{} bytes came", part.len());
}

#[tokio::test]
async fn a_call_keeps_its_place_until_its_list_has_been_read() {
    let go_on = Arc::new(Notify::new());
    let may_go_on = Arc::clone(&go_on);
    let plan = Plan::new(&school()).settings(|settings| settings.calls = 1).route(CallKind::GetRecordings, move |_| {
        let may_go_on = Arc::clone(&may_go_on);
        async move {
            let wait = async move {
                may_go_on.notified().await;
                Ok(Bytes::from_static(b"</response>"))
            };
            Ok(list(stream::once(wait).chain(stream::empty())))
        }
    });
    let rig = plan.serve().await;
    let mut first = rig.connect().await;
    first.write_all(head("GET", &signed(CallKind::GetRecordings, ""), "").as_bytes()).await.unwrap();
    let mut begun = vec![0; 1024];
    let length = within(first.read(&mut begun)).await.unwrap();
    assert!(String::from_utf8_lossy(&begun[..length]).starts_with("HTTP/1.1 200"));
    assert_eq!(rig.get(&signed(CallKind::GetMeetings, "")).await.status, 503);
    go_on.notify_one();
    let mut rest = String::new();
    within(first.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("</response>") && rest.ends_with("0\r\n\r\n"), "{rest:?}");
    assert!(rig.get(&signed(CallKind::GetMeetings, "")).await.is_success());
}
