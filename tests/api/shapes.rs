//! Every shape of request that real clients send.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::MeetingState;

use crate::rig::{Answer, Rig, checksum, head, school, signed};

#[tokio::test]
async fn every_path_form_reaches_its_call() {
    let rig = Rig::new(&school()).await;
    let query = format!("meetingID=m1&checksum={}", checksum(CallKind::IsMeetingRunning, "meetingID=m1"));
    for path in [
        "/bbb/school/bigbluebutton/api/isMeetingRunning",
        "/bbb/school/bigbluebutton/api//isMeetingRunning",
        "/bbb/school/bigbluebutton/api/isMeetingRunning/",
        "/bbb/school/bigbluebutton/isMeetingRunning",
        "/bbb/school/api/isMeetingRunning",
        "/bbb/school/isMeetingRunning",
        "/bbb/sch%6Fol/bigbluebutton/api/isMeetingRunning",
    ] {
        assert!(rig.get(&format!("{path}?{query}")).await.is_success(), "{path}");
    }
}

#[tokio::test]
async fn every_form_of_the_version_call_is_answered() {
    let rig = Rig::new(&school()).await;
    let signed = checksum(CallKind::Index, "");
    for target in [
        "/bbb/school".to_owned(),
        "/bbb/school/".to_owned(),
        "/bbb/school/bigbluebutton/".to_owned(),
        "/bbb/school/bigbluebutton/api".to_owned(),
        "/bbb/school/bigbluebutton/api/".to_owned(),
        format!("/bbb/school/bigbluebutton/api/?checksum={signed}"),
        format!("/bbb/school/bigbluebutton/api/?&checksum={signed}"),
    ] {
        let answer = rig.get(&target).await;
        assert!(answer.is_success() && answer.body.contains("<version>2.0</version>"), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn every_request_shape_of_real_clients_verifies() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Live);
    let rig = Rig::new(&cluster).await;
    let base = "/bbb/school/bigbluebutton/api";
    let all = checksum(CallKind::GetMeetings, "");
    let leading = format!("{base}/getMeetings?&checksum={all}");
    let first = format!(
        "{base}/isMeetingRunning?checksum={}&meetingID=m1",
        checksum(CallKind::IsMeetingRunning, "meetingID=m1")
    );
    for target in [
        format!("{base}/getMeetings?checksum={all}"),
        leading,
        first,
        signed(CallKind::GetMeetings, "meetingID=&recordID="),
        signed(CallKind::GetMeetings, "random=random"),
        signed(CallKind::GetMeetings, "meetingID=getMeetings"),
        signed(CallKind::IsMeetingRunning, "meetingID=m1&api_name=isMeetingRunning"),
        signed(CallKind::Create, "meetingID=m2&name=A+lesson%20of%2Bspaces+%C3%BC"),
        signed(CallKind::Create, "meetingID=m3&name=x&record=False&maxParticipants=-1&meta="),
    ] {
        let answer = rig.get(&target).await;
        assert!(answer.is_success(), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn a_get_may_name_a_content_type_for_the_body_it_does_not_have() {
    let rig = Rig::new(&school()).await;
    for headers in ["Content-Type: application/xml\r\n", "Content-Type: application/json\r\nContent-Length: 0\r\n"] {
        assert!(rig.fetch_with(&signed(CallKind::Create, "meetingID=m1&name=x"), headers).await.is_success());
    }
}

#[tokio::test]
async fn raw_bytes_in_the_query_survive_to_the_checksum() {
    let rig = Rig::new(&school()).await;
    let answer = rig.get(&signed(CallKind::Create, "meetingID=m[1]|2&name=Grüße[]{}|^\\`")).await;
    assert!(answer.is_success(), "{answer:?}");
}

#[tokio::test]
async fn a_query_of_sixty_thousand_bytes_is_taken_and_one_beyond_the_parser_is_414() {
    let rig = Rig::new(&school()).await;
    let long = |length| signed(CallKind::Create, &format!("meetingID=m1&logoutURL={}", "x".repeat(length)));
    assert!(rig.get(&long(65_000)).await.is_success());
    assert_eq!(rig.get(&long(66_000)).await.status, 414);
}

#[tokio::test]
async fn what_the_parser_refuses_is_400() {
    let rig = Rig::new(&school()).await;
    assert_eq!(rig.get("/bbb/school/bigbluebutton/api/create?name=a b").await.status, 400);
}

/// Defect 8 of the original: frontend keys could be probed.
#[tokio::test]
async fn an_unknown_key_is_answered_like_a_wrong_secret() {
    let cluster = school().disabled_frontend("closed", "secret");
    let rig = Rig::new(&cluster).await;
    let mut answers = Vec::new();
    for key in ["school", "nobody", "closed", "%00%ff"] {
        let target = format!("/bbb/{key}/bigbluebutton/api/getMeetings?checksum={}", "0".repeat(40));
        let mut answer = rig.fetch_with(&target, "X-Request-Id: same\r\n").await;
        answer.headers.retain(|(name, _)| name != "date");
        assert_eq!(answer.failed(), "checksumError");
        answers.push(format!("{answer:?}"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

/// Defect 27 of the original: unknown calls were answered with HTTP 500.
#[tokio::test]
async fn a_call_of_bbb_without_a_route_is_not_supported() {
    let rig = Rig::new(&school()).await;
    for name in ["setConfigXML", "getDefaultConfigXML"] {
        let answer = rig.get(&format!("/bbb/school/bigbluebutton/api/{name}?checksum=00")).await;
        assert_eq!((answer.status, answer.failed()), (200, "unsupportedRequest"), "{name}");
    }
}

/// The message key and the message of a JSON answer.
fn said_in_json(answer: &Answer) -> (String, String) {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json;charset=utf-8")));
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let response = &document["response"];
    assert_eq!(response["returncode"], "FAILED", "{answer:?}");
    let text = |name: &str| response[name].as_str().unwrap_or_default().to_owned();
    (text("messageKey"), text("message"))
}

#[tokio::test]
async fn a_call_that_bbb_answers_in_json_is_answered_in_json() {
    let rig = Rig::new(&school()).await;
    for name in ["getJoinUrl", "learningDashboard", "stuns", "guestWait", "enter", "feedback"] {
        let answer = rig.get(&format!("/bbb/school/bigbluebutton/api/{name}?sessionToken=x")).await;
        assert_eq!(said_in_json(&answer).0, "unsupportedRequest", "{name}");
    }
    let put = rig.post("/bbb/school/bigbluebutton/api/putRecordingTextTrack?checksum=00", "text/plain", "x").await;
    assert_eq!(said_in_json(&put).0, "unsupportedContentType");
}

/// BBB writes errors in JSON for a client that names it, and for no other.
#[tokio::test]
async fn an_error_is_in_json_for_a_client_that_wants_it() {
    let rig = Rig::new(&school()).await;
    let info = signed(CallKind::GetMeetingInfo, "meetingID=nowhere");
    let wrong = "/bbb/school/bigbluebutton/api/getMeetings?checksum=00".to_owned();
    let join = signed(CallKind::Join, "meetingID=nowhere&fullName=Ada");
    for (target, key, message) in [
        (&info, "notFound", "A meeting with that ID does not exist"),
        (&wrong, "checksumError", "Checksums do not match"),
        (&join, "invalidMeetingIdentifier", "A meeting with that ID does not exist"),
    ] {
        let answer = rig.fetch_with(target, "Accept: application/json, text/plain, */*\r\n").await;
        assert_eq!(said_in_json(&answer), (key.to_owned(), message.to_owned()));
        for accept in ["", "Accept: */*\r\n", "Accept: text/xml, application/json;q=0.5\r\n"] {
            assert_eq!(rig.fetch_with(target, accept).await.failed(), key, "{accept}");
        }
    }
}

#[tokio::test]
async fn a_meeting_that_does_not_exist_has_the_key_that_bbb_3_gives_it() {
    let rig = Rig::new(&school()).await;
    let ask = async |kind, query: &str| rig.get(&signed(kind, &format!("meetingID=nowhere{query}"))).await;
    let chat = ask(CallKind::SendChatMessage, "&message=x").await;
    assert_eq!(chat.failed(), "meetingNotFound");
    assert!(chat.body.contains("<message>Meeting not found or not active</message>"), "{}", chat.body);
    assert_eq!(ask(CallKind::GetMeetingInfo, "").await.failed(), "notFound");
    assert_eq!(ask(CallKind::End, "").await.failed(), "notFound");
    assert_eq!(ask(CallKind::Join, "&fullName=Ada").await.failed(), "invalidMeetingIdentifier");
    assert!(ask(CallKind::IsMeetingRunning, "").await.is_success());
    let breakout = ask(CallKind::Create, "&name=Room&isBreakout=true&sequence=1&parentMeetingID=gone").await;
    assert_eq!(breakout.failed(), "parentMeetingDoesNotExist");
    let slides = signed(CallKind::InsertDocument, "meetingID=nowhere");
    let slides = rig.post(&slides, "text/xml", "<modules/>").await;
    assert!(slides.body.contains("FAILED") && !slides.body.contains("messageKey"), "{}", slides.body);
}

#[tokio::test]
async fn a_name_that_bbb_does_not_have_is_404_with_a_page_as_at_a_node() {
    let rig = Rig::new(&school()).await;
    for name in ["Create", "create/x", "getmeetings", "hooks", "index", "x%20y", "%3Cb%3E"] {
        for key in ["school", "nobody"] {
            for method in ["GET", "POST"] {
                let target = format!("/bbb/{key}/bigbluebutton/api/{name}?checksum=00");
                let answer = rig.send(head(method, &target, "Content-Length: 0\r\n")).await;
                assert_eq!(
                    (answer.status, answer.header("content-type")),
                    (404, Some("text/html;charset=utf-8")),
                    "{name}"
                );
                assert!(answer.body.contains("404 Not Found") && !answer.body.contains("<response>"), "{answer:?}");
            }
        }
    }
}

/// Only this call tells whether a key exists.
#[tokio::test]
async fn the_version_call_of_a_key_that_nobody_has_does_not_look_right() {
    let rig = Rig::new(&school().disabled_frontend("closed", "secret")).await;
    for key in ["nobody", "closed", "%00%ff", "School"] {
        for path in ["", "/", "/bigbluebutton/", "/bigbluebutton/api", "/bigbluebutton/api/?checksum=00"] {
            let answer = rig.get(&format!("/bbb/{key}{path}")).await;
            assert!(answer.status == 404 && !answer.body.contains("SUCCESS"), "{key}{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_join_is_not_posted() {
    let rig = Rig::new(&school()).await;
    let answer = rig.send(head("POST", &signed(CallKind::Join, "meetingID=m1"), "Content-Length: 0\r\n")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    assert_eq!(answer.failed(), "unsupportedRequest");
}

#[tokio::test]
async fn a_head_looks_and_never_creates() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Live);
    let rig = Rig::new(&cluster).await;
    let version = rig.send(head("HEAD", "/bbb/school/bigbluebutton/api/", "")).await;
    assert_eq!((version.status, version.body.as_str()), (200, ""));
    for target in
        [signed(CallKind::Create, "meetingID=m1&name=x"), signed(CallKind::Join, "meetingID=m1&redirect=false")]
    {
        assert_eq!(rig.send(head("HEAD", &target, "")).await.status, 405);
    }
    assert!(cluster.requests().is_empty());
}

#[tokio::test]
async fn a_call_keeps_its_name_or_is_given_one() {
    let rig = Rig::new(&school()).await;
    let named = rig.fetch_with("/bbb/school/", "X-Request-Id: mine-1\r\n").await;
    assert_eq!(named.header("x-request-id"), Some("mine-1"));
    for odd in ["X-Request-Id: a b\r\n".to_owned(), format!("X-Request-Id: {}\r\n", "x".repeat(129)), String::new()] {
        let answer = rig.fetch_with("/bbb/school/", &odd).await;
        assert_eq!(answer.header("x-request-id").map(str::len), Some(36), "{odd}");
    }
}

#[tokio::test]
async fn no_answer_may_be_kept() {
    let rig = Rig::new(&school()).await;
    for target in [signed(CallKind::GetMeetings, ""), "/bbb/school/api/getMeetings".to_owned()] {
        assert_eq!(rig.get(&target).await.header("cache-control"), Some("no-cache"));
    }
}
