//! join, the client page, and who is let in.

use super::{Answer, DEMO, INTERNAL, ask, get, node};
use crate::Node;
use crate::params::encoded;

/// Opens the client page a join has led to.
async fn open(node: &Node, url: &str) -> Answer {
    ask(node, "GET", url.strip_prefix("https://bbb.example").expect("the public address"), &[], b"").await
}

/// The errors a failed join carries to the browser.
fn errors(answer: &Answer, address: &str, key: &str, message: &str) {
    assert_eq!(answer.status, 302, "{answer:?}");
    let errors = format!(r#"[{{"key":"{key}","message":"{message}"}}]"#);
    assert_eq!(answer.header("location"), Some(&*format!("{address}errors={}", encoded(&errors))));
}

#[tokio::test]
async fn a_join_leads_to_the_client_which_makes_present() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let join = get(&node, "join", "meetingID=abc123&fullName=Ada&password=mp&userID=gl-1&userdata-bbb_x=1").await;
    assert_eq!(join.status, 302);
    let url = join.header("location").expect("a redirect").to_owned();
    assert_eq!(url.strip_prefix("https://bbb.example/html5client/?sessionToken=").map(str::len), Some(16));
    let cookie = join.header("set-cookie").expect("a session");
    assert!(cookie.starts_with("JSESSIONID=") && cookie.contains("Path=/bigbluebutton"), "{cookie}");
    let meeting = node.meeting("abc123").expect("created");
    assert_eq!((meeting.running, meeting.expected), (false, 1));

    assert_eq!(open(&node, &url).await.status, 200);
    node.wait_until(|state| state.meeting("abc123").is_some_and(|meeting| meeting.running)).await;
    let info = get(&node, "getMeetingInfo", "meetingID=abc123").await;
    assert_eq!(info.text("userID"), Some("gl-1"));
    assert_eq!(info.text("customdata"), Some("\n<bbb_x>1</bbb_x>\n"));

    let leave = url.replace("/?", "/leave?");
    assert_eq!(open(&node, &leave).await.status, 200);
    assert!(!node.meeting("abc123").expect("still there").running);
    assert_eq!(open(&node, &url).await.status, 404);
    assert_eq!(open(&node, &leave).await.status, 404);
}

#[tokio::test]
async fn without_redirect_the_answer_is_a_document() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let join = get(&node, "join", "meetingID=abc123&fullName=Ada&role=viewer&redirect=false").await;
    let text = |name: &str| join.text(name).expect("an element");
    assert!(text("user_id").starts_with("w_") && text("user_id").len() == 14);
    assert_eq!((text("auth_token").len(), text("session_token").len()), (12, 16));
    join.is(&format!(
        "<response>
        <returncode>SUCCESS</returncode>
        <messageKey>successfullyJoined</messageKey>
        <message>You have joined successfully.</message>
        <meeting_id>{INTERNAL}</meeting_id>
        <user_id>{}</user_id>
        <auth_token>{}</auth_token>
        <session_token>{}</session_token>
        <guestStatus>ALLOW</guestStatus>
        <url>https://bbb.example/html5client/?sessionToken={}</url>
        </response>",
        text("user_id"),
        text("auth_token"),
        text("session_token"),
        text("session_token"),
    ));
}

#[tokio::test]
async fn errors_travel_with_the_browser() {
    let node = node().await;
    let unknown = ("invalidMeetingIdentifier", "A meeting with that ID does not exist");
    let query = "meetingID=none&fullName=Ada&role=VIEWER";
    let both = "errorRedirectUrl=https%3A%2F%2Fe.example%2Fx%3Fy%3D1&logoutURL=https%3A%2F%2Fl.example";
    let answer = get(&node, "join", &format!("{query}&{both}")).await;
    errors(&answer, "https://e.example/x?y=1&", unknown.0, unknown.1);
    let answer = get(&node, "join", &format!("{query}&logoutURL=https%3A%2F%2Fl.example%2F")).await;
    errors(&answer, "https://l.example/?", unknown.0, unknown.1);
    errors(&get(&node, "join", query).await, "https://bbb.example?", unknown.0, unknown.1);
    let answer = get(&node, "join", &format!("{query}&redirect=false&{both}")).await;
    answer.refuses(unknown.0, unknown.1);
    let answer = get(&node, "join", "meetingID=abc123&role=VIEWER&logoutURL=javascript%3Ax").await;
    errors(&answer, "https://bbb.example?", "missingParamFullName", "You must provide your name");
}

#[tokio::test]
async fn the_role_comes_from_role_or_password() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let role = async |query: &str| {
        let join = get(&node, "join", &format!("meetingID=abc123&fullName=Ada&{query}")).await;
        let Some(url) = join.header("location") else { return Err(join) };
        open(&node, url).await;
        Ok(node.meeting("abc123").and_then(|meeting| meeting.attendees.last().map(|one| one.role.to_string())))
    };
    for (query, expected) in [
        ("password=mp", "MODERATOR"),
        ("password=ap", "VIEWER"),
        ("role=moderator&password=", "MODERATOR"),
        ("role=VIEWER&password=mp", "VIEWER"),
        ("role=boss&password=mp", "MODERATOR"),
    ] {
        assert_eq!(role(query).await.expect("joined").as_deref(), Some(expected), "{query}");
    }
    let wrong = role("password=wrong").await.expect_err("a wrong password");
    wrong.refuses("Params required", "You must enter a valid password");
    let neither = "You must either send the valid role of the user, or the password, sould the meeting has one.";
    role("role=boss").await.expect_err("no role").refuses("Params required", neither);
}

#[tokio::test]
async fn a_create_time_must_be_that_of_the_meeting() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let join = async |time: &str| {
        get(&node, "join", &format!("meetingID=abc123&fullName=Ada&role=VIEWER&redirect=false&createTime={time}")).await
    };
    assert_eq!(join("1700000000000").await.text("returncode"), Some("SUCCESS"));
    let message = "The createTime parameter submitted mismatches with the current meeting.";
    join("1700000000001").await.refuses("mismatchCreateTimeParam", message);
    assert_eq!(join("1.7e12").await.text("messageKey"), Some("validationError"));
}

#[tokio::test]
async fn guests_wait_until_they_are_admitted() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&guestPolicy=ASK_MODERATOR")).await;
    let query = "meetingID=abc123&fullName=Eve&role=VIEWER&guest=true&redirect=false&userID=eve";
    let join = get(&node, "join", query).await;
    assert_eq!((join.text("messageKey"), join.text("guestStatus")), (Some("guestWait"), Some("WAIT")));
    let url = join.text("url").expect("a client").to_owned();
    assert_eq!(open(&node, &url).await.status, 200);
    assert!(!node.meeting("abc123").expect("created").running);
    assert!(node.control().admit("abc123", "eve"));
    open(&node, &url).await;
    assert!(node.meeting("abc123").expect("created").running);
}

#[tokio::test]
async fn a_full_meeting_takes_only_those_it_knows() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&maxParticipants=2")).await;
    let join = async |user: &str| {
        get(&node, "join", &format!("meetingID=abc123&fullName=Ada&role=VIEWER&redirect=false&userID={user}")).await
    };
    for user in ["one", "one", "two", "one"] {
        assert_eq!(join(user).await.text("returncode"), Some("SUCCESS"), "two sessions of one user count once");
    }
    let full = "The number of participants allowed for this meeting has been reached.";
    join("three").await.refuses("maxParticipantsReached", full);
}

#[tokio::test]
async fn an_ending_meeting_lets_nobody_in() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    get(&node, "end", "meetingID=abc123").await;
    let join = get(&node, "join", "meetingID=abc123&fullName=Ada&role=VIEWER&redirect=false").await;
    join.refuses("meetingForciblyEnded", "You can not join a meeting that has already been forcibly ended");
}
