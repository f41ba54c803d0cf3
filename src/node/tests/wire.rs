//! Paths, methods, checksums, content types and limits.

use super::{DEMO, ask, get, node, node_with, post, signed};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn the_version_needs_no_checksum() {
    let node = node().await;
    for path in ["", "/", "/api", "/api/", "/api/?checksum=wrong"] {
        ask(&node, "GET", &format!("/bigbluebutton{path}"), &[], b"")
            .await
            .is("<response><returncode>SUCCESS</returncode><version>2.0</version><apiVersion>2.0</apiVersion>
            <bbbVersion></bbbVersion></response>");
    }
    let node = node_with(|options| options.bbb_version = "3.0.19".to_owned()).await;
    assert_eq!(ask(&node, "GET", "//bigbluebutton//api", &[], b"").await.text("bbbVersion"), Some("3.0.19"));
}

#[tokio::test]
async fn checksums_of_the_reference_are_accepted() {
    let node = node().await;
    let targets = [
        "getMeetings?checksum=2027baa7771026e9e93392f55031535d1444c41f",
        "getMeetings?&checksum=2027baa7771026e9e93392f55031535d1444c41f",
        "getMeetings?checksum=a5370c5f3d97d56d53b435684cdbc429c2898a3bf9f435518b4279e1e0dbfc8c",
        "isMeetingRunning?meetingID=0&checksum=0aa492233c7b0b947bb84d4245214e5c20de799d",
        "isMeetingRunning?checksum=8478733CCB8695B8AAAFF48B3C1E281A75A6F046&meetingID=abc123",
        "isMeetingRunning?meetingID=abc123&checksum=f7852c67c1eecaa5348da05d5e8395b17f445f44&",
    ];
    for target in targets {
        let answer = ask(&node, "GET", &format!("/bigbluebutton/api/{target}"), &[], b"").await;
        assert_eq!(answer.text("returncode"), Some("SUCCESS"), "{target}");
    }
}

#[tokio::test]
async fn the_checksum_is_judged_before_anything_else() {
    let node = node().await;
    let ask = async |query: &str| ask(&node, "GET", &format!("/bigbluebutton/api/create{query}"), &[], b"").await;
    ask("").await.refuses("checksumError", "You must provide the checksum");
    ask("?name=x&checksum=").await.refuses("checksumError", "You must provide the checksum");
    ask("?name=x&CHECKSUM=12").await.refuses("checksumError", "You must provide the checksum");
    ask("?name=x&checksum=12").await.refuses("checksumError", "Checksums do not match");
    ask(&format!("?checksum={}", "0".repeat(40))).await.refuses("checksumError", "Checksums do not match");
}

#[tokio::test]
async fn two_checksums_are_one_too_many() {
    let node = node().await;
    let sum = "2027baa7771026e9e93392f55031535d1444c41f";
    let target = format!("/bigbluebutton/api/getMeetings?checksum={sum}&checksum={sum}");
    ask(&node, "GET", &target, &[], b"").await.refuses("checksumError", "Checksums do not match");
    let target = format!("/bigbluebutton/api/getMeetings?checksum={sum}");
    let body = format!("checksum={sum}");
    let headers = [&*format!("Content-Type: {FORM}")];
    ask(&node, "POST", &target, &headers, body.as_bytes()).await.refuses("checksumError", "Checksums do not match");
}

#[tokio::test]
async fn an_empty_secret_switches_the_check_off() {
    let node = node_with(|options| options.secret = String::new()).await;
    let answer = ask(&node, "GET", "/bigbluebutton/api/getMeetings", &[], b"").await;
    assert_eq!(answer.text("messageKey"), Some("noMeetings"));
}

#[tokio::test]
async fn forms_are_signed_by_either_rule() {
    let sums = ["8a21c9b7e3b18541974c9e78c0d0bfa790c665eb", "0b89c2ebcfefb76772cbcf19386c33561f66f6ae"];
    for sum in sums {
        let node = node().await;
        let body = format!("name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444&checksum={sum}");
        let headers = [&*format!("Content-Type: {FORM}; charset=UTF-8")];
        let answer = ask(&node, "POST", "/bigbluebutton/api/create", &headers, body.as_bytes()).await;
        assert_eq!(answer.text("attendeePW"), Some("111222"));
        assert_eq!(node.meeting("abc123").expect("created").name, "Test Meeting");
    }
}

#[tokio::test]
async fn the_query_comes_before_the_form() {
    let node = node().await;
    post(&node, "create", DEMO, FORM, b"name=Other&meta_a=1").await;
    let meeting = node.meeting("abc123").expect("created");
    assert_eq!(meeting.name, "Demo room");
    assert_eq!(meeting.metadata["a"], "1");
}

#[tokio::test]
async fn a_form_may_come_in_parts_and_a_file_is_no_parameter() {
    let node = node().await;
    let part = |head: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n");
    let body = [
        part("name=\"name\"", " Ünterricht "),
        part("name=\"meta_a\"; filename=\"a.txt\"", "1"),
        part("name=\"meta_b\"", "a&b=%20"),
        "--x--\r\n".to_owned(),
    ];
    post(&node, "create", "meetingID=abc123", "multipart/form-data; boundary=x", body.concat().as_bytes()).await;
    let meeting = node.meeting("abc123").expect("created");
    assert_eq!((meeting.name.as_str(), meeting.metadata.get("a")), ("Ünterricht", None));
    assert_eq!(meeting.metadata["b"], "a&b=%20");
}

#[tokio::test]
async fn bodies_of_other_types_are_refused() {
    let node = node().await;
    let refused = ("unsupportedContentType", "POST request Content-Type is missing or unsupported");
    post(&node, "create", DEMO, "application/json", b"{}").await.refuses(refused.0, refused.1);
    post(&node, "end", "meetingID=abc123", "application/xml", b"<x/>").await.refuses(refused.0, refused.1);
    post(&node, "insertDocument", "meetingID=abc123", FORM, b"a=1").await.refuses(refused.0, refused.1);
    ask(&node, "POST", &signed("create", DEMO), &[], b"a=1").await.refuses(refused.0, refused.1);
    // Without a body the type does not matter.
    let headers = ["Content-Type: application/json"];
    let answer = ask(&node, "GET", &signed("getMeetings", ""), &headers, b"").await;
    assert_eq!(answer.text("returncode"), Some("SUCCESS"));
}

#[tokio::test]
async fn unknown_calls_and_methods_are_pages() {
    let node = node().await;
    for target in ["/bigbluebutton/api/createe", "/bigbluebutton/api/Create", "/", "/bigbluebutton/create"] {
        let answer = ask(&node, "GET", target, &[], b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("text/html;charset=utf-8")), "{target}");
    }
    assert_eq!(ask(&node, "POST", &signed("join", ""), &[], b"").await.status, 405);
    assert_eq!(ask(&node, "GET", &signed("insertDocument", ""), &[], b"").await.status, 405);
    assert_eq!(ask(&node, "HEAD", &signed("create", DEMO), &[], b"").await.status, 405);
    assert!(node.meetings().is_empty());
}

#[tokio::test]
async fn long_request_lines_and_large_forms_are_refused() {
    let node = node().await;
    let long = |bytes: usize| format!("{DEMO}&welcome={}", "x".repeat(bytes));
    assert_eq!(get(&node, "create", &long(7000)).await.status, 200);
    assert_eq!(get(&node, "create", &long(8192)).await.status, 414);
    let form = vec![b'x'; (2 << 20) + 1];
    assert_eq!(post(&node, "create", DEMO, FORM, &form).await.status, 413);
    let document = format!("<modules><!--{}--></modules>", "x".repeat(3 << 20));
    let answer = post(&node, "create", DEMO, "text/xml", document.as_bytes()).await;
    assert_eq!(answer.text("messageKey"), Some("duplicateWarning"));
}

#[tokio::test]
async fn every_call_is_remembered_as_it_came() {
    let node = node().await;
    let target = signed("create", DEMO);
    ask(&node, "POST", &target, &["Content-Type: application/xml", "X-Request-Id: 7"], b"<modules/>").await;
    let calls = node.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].call.as_str(), calls[0].method.as_str()), ("create", "POST"));
    assert_eq!(calls[0].target, target);
    assert_eq!(calls[0].headers["x-request-id"], "7");
    assert_eq!(calls[0].body, "<modules/>");
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let node = node().await;
    let large = format!("<modules><!--{}--></modules>", "x".repeat(2 << 20));
    for _ in 0..20 {
        post(&node, "create", DEMO, "application/xml", large.as_bytes()).await;
    }
    let bytes: usize = node.calls().iter().map(|call| call.body.len()).sum();
    assert!(bytes <= 16 << 20, "{bytes}");
}
