//! Answers to a browser's join: the node, the waiting page, or a readable error.

use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{AttendeesLimit, FrontendSettings, MeetingState, ParamMap};
use b3scale_middleware::memory::Memory;

use crate::rig::{Plan, Rig, head, school, signed};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";
const MISSING: &str = "You must provide the checksum";
const MISMATCH: &str = "Checksums do not match";
const JOIN: &str = "meetingID=m1&fullName=Ada&role=VIEWER";

#[tokio::test]
async fn a_join_leads_to_the_node() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Live);
    let rig = Rig::new(&cluster).await;
    for method in ["GET", "HEAD"] {
        let answer = rig.send(head(method, &signed(CallKind::Join, JOIN), "")).await;
        assert_eq!(answer.status, 302);
        assert!(answer.header("location").unwrap().starts_with("https://n1.example/bigbluebutton/api/join?"));
    }
}

#[tokio::test]
async fn a_join_waits_until_its_meeting_is_there() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Claimed);
    let rig = Rig::new(&cluster).await;
    let sent = rig.get(&signed(CallKind::Join, JOIN)).await;
    let page = sent.header("location").expect("it is sent to the waiting page");
    assert!(sent.status == 302 && page.starts_with("/b3s/retry-join/"));

    let waiting = rig.fetch_with(page, BROWSER).await;
    assert_eq!((waiting.status, waiting.header("refresh")), (200, Some("2")));
    assert!(waiting.header("content-type").unwrap().starts_with("text/html"));
    assert!(waiting.body.contains("tries again"));

    let _ = cluster.meeting("school", "m1", "n1", MeetingState::Live);
    let joined = rig.fetch_with(page, BROWSER).await;
    assert_eq!(joined.status, 302);
    assert!(joined.header("location").unwrap().starts_with("https://n1.example/"));
}

/// Defect 21 of the original: the waiting page tried again without an end.
#[tokio::test]
async fn a_waiting_page_says_when_the_time_is_over() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Claimed);
    let rig = Plan::new(&cluster).wait(Duration::ZERO).serve().await;
    let join = signed(CallKind::Join, JOIN);
    let sent = rig.get(&join).await;
    let over = rig.get(sent.header("location").unwrap()).await;
    assert_eq!((over.status, over.header("refresh")), (200, None));
    let link = format!("<a href=\"{}\">", join.replace('&', "&amp;"));
    assert!(over.body.contains(&link) && over.body.contains("not ready"), "{}", over.body);
}

/// Defect 11 of the original: the link of the waiting page was not signed.
#[tokio::test]
async fn a_waiting_page_that_we_did_not_make_does_not_exist() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Claimed);
    let rig = Rig::new(&cluster).await;
    let sent = rig.get(&signed(CallKind::Join, JOIN)).await;
    let page = sent.header("location").unwrap();
    let (start, last) = page.split_at(page.len() - 6);
    let altered = format!("{start}{}", last.chars().rev().collect::<String>());
    let key = jsonwebtoken::EncodingKey::from_secret(b"the cluster's secret");
    let foreign = |algorithm, audience| {
        let claims = serde_json::json!({"aud": audience, "exp": 4_000_000_000_u64, "url": "https://evil.example/"});
        jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), &claims, &key).unwrap()
    };
    for forged in [
        altered,
        "/b3s/retry-join/".to_owned(),
        "/b3s/retry-join/eyJtdGgiOiJHRVQiLCJ1cmwiOiIvYmJiLyJ9".to_owned(),
        format!("/b3s/retry-join/{}", foreign(jsonwebtoken::Algorithm::HS256, "b3scale-api")),
        format!("/b3s/retry-join/{}", foreign(jsonwebtoken::Algorithm::HS384, "b3s-retry-join")),
    ] {
        let answer = rig.fetch_with(&forged, BROWSER).await;
        assert_eq!((answer.status, answer.header("location")), (404, None), "{forged}");
        assert!(answer.body.contains("does not exist"));
    }
}

#[tokio::test]
async fn a_client_that_wants_no_redirect_is_told_to_try_again() {
    let cluster = school().meeting("school", "m1", "n1", MeetingState::Claimed);
    let rig = Rig::new(&cluster).await;
    let answer = rig.fetch_with(&signed(CallKind::Join, &format!("{JOIN}&redirect=false")), BROWSER).await;
    assert_eq!((answer.status, answer.failed()), (200, "serverUnavailable"));
}

#[tokio::test]
async fn an_error_goes_where_the_frontend_asked_for() {
    let rig = Rig::new(&school()).await;
    let both = format!(
        "{JOIN}&logoutURL=https%3A%2F%2Fold.example%2F&errorRedirectUrl=https%3A%2F%2Fschool.example%2Fe%3Fa%3Db%23c"
    );
    let location = rig.get(&signed(CallKind::Join, &both)).await.header("location").unwrap().to_owned();
    assert!(
        location.starts_with("https://school.example/e?a=b&errors=%5B%7B%22key%22%3A%22invalidMeetingIdentifier%22")
    );
    assert!(location.ends_with("%7D%5D#c"));
    let fallback = format!("{JOIN}&logoutURL=https%3A%2F%2Fold.example%2F&errorRedirectUrl=javascript%3Aalert(1)");
    let location = rig.get(&signed(CallKind::Join, &fallback)).await.header("location").unwrap().to_owned();
    assert!(location.starts_with("https://old.example/?errors="));
}

#[tokio::test]
async fn an_operators_addresses_and_redirect_count_for_errors_of_every_stage() {
    let one = |settings: &mut FrontendSettings| {
        settings.attendees_limit = Some(AttendeesLimit { limit: 1 });
        set(&mut settings.join_default_params, "logoutURL", "https://school.example/bye");
        set(&mut settings.join_override_params, "errorRedirectUrl", "https://school.example/e");
    };
    let cluster = Memory::new().frontend_with("school", one).backend("n1", &[]);
    let rig = Rig::new(&cluster.meeting("school", "m1", "n1", MeetingState::Live)).await;
    let ask = async |query: &str| {
        let theirs = "errorRedirectUrl=https%3A%2F%2Ftheirs.example%2F";
        rig.fetch_with(&signed(CallKind::Join, &format!("{query}&{theirs}")), BROWSER).await
    };
    assert_eq!(ask(&format!("{JOIN}&userID=ada")).await.status, 302);
    let nameless = format!("{}&userID=", JOIN.replace("m1", ""));
    for query in [JOIN, "meetingID=m2&fullName=Ada&role=VIEWER", &nameless] {
        let answer = ask(query).await;
        let location = answer.header("location").unwrap_or_else(|| panic!("{query}: {answer:?}"));
        assert!(location.starts_with("https://school.example/e?errors="), "{query}: {location}");
    }
    let forged = rig.fetch_with(&format!("/bbb/school/bigbluebutton/api/join?{JOIN}&checksum=00"), BROWSER).await;
    assert_eq!(forged.header("location"), None, "a wrong checksum tells nothing of a frontend");
}

#[tokio::test]
async fn an_operators_logout_address_is_where_errors_go_when_the_join_names_none() {
    let bye = |settings: &mut FrontendSettings| {
        set(&mut settings.join_default_params, "logoutURL", "https://school.example/bye");
    };
    let rig = Rig::new(&Memory::new().frontend_with("school", bye).backend("n1", &[])).await;
    let location = async |query: &str| {
        let answer = rig.get(&signed(CallKind::Join, &format!("{JOIN}{query}"))).await;
        answer.header("location").map(str::to_owned)
    };
    assert!(location("").await.unwrap().starts_with("https://school.example/bye?errors="));
    assert!(
        location("&logoutURL=https%3A%2F%2Fown.example").await.unwrap().starts_with("https://own.example/?errors=")
    );
    assert_eq!(location("&logoutURL=").await, None, "present and empty is present");
}

#[tokio::test]
async fn an_operators_redirect_decides_how_a_join_is_answered() {
    let meetings = |wanted: &'static str| {
        let set = move |settings: &mut FrontendSettings| set(&mut settings.join_override_params, "redirect", wanted);
        let cluster = Memory::new().frontend_with("school", set).backend("n1", &[]).replies_success();
        let cluster = cluster.meeting("school", "m1", "n1", MeetingState::Live);
        cluster.meeting("school", "m2", "n1", MeetingState::Claimed)
    };
    let of = |meeting: &str, more: &str| signed(CallKind::Join, &format!("{}{more}", JOIN.replace("m1", meeting)));
    let cluster = meetings("false");
    let rig = Rig::new(&cluster).await;
    assert_eq!(rig.fetch_with(&of("m2", ""), BROWSER).await.failed(), "serverUnavailable");
    assert_eq!(rig.fetch_with(&of("m3", ""), BROWSER).await.failed(), "invalidMeetingIdentifier");
    assert_eq!(rig.send(head("HEAD", &of("m1", ""), "")).await.status, 405);
    assert!(cluster.requests().iter().all(|request| request.kind != CallKind::Join), "a look joins nobody");
    assert!(rig.get(&of("m1", "")).await.is_success());

    let rig = Rig::new(&meetings("true")).await;
    let waits = rig.get(&of("m2", "&redirect=false")).await;
    assert!(waits.header("location").unwrap().starts_with("/b3s/retry-join/"));
    for method in ["GET", "HEAD"] {
        assert_eq!(rig.send(head(method, &of("m1", "&redirect=false"), "")).await.status, 302);
    }
}

#[tokio::test]
async fn an_operators_is_breakout_is_read_before_a_parent_is_looked_for() {
    let none = |settings: &mut FrontendSettings| set(&mut settings.create_override_params, "isBreakout", "false");
    let cluster = Memory::new().frontend_with("school", none).backend("n1", &[]).replies_created();
    let rig = Rig::new(&cluster).await;
    let query = "meetingID=m1&name=Lesson&isBreakout=true&parentMeetingID=nowhere&sequence=1";
    assert!(rig.get(&signed(CallKind::Create, query)).await.is_success());
    assert!(cluster.requests().iter().any(|request| request.unsigned.contains("&isBreakout=false&")));
}

fn set(params: &mut ParamMap, name: &str, value: &str) {
    params.insert(name.to_owned(), value.to_owned());
}

/// Defect 31 of the original: the limit was overshot, and its page was no page to try again from.
#[tokio::test]
async fn a_browser_for_which_no_seat_is_left_reads_so_and_can_try_again() {
    let one = |settings: &mut FrontendSettings| settings.attendees_limit = Some(AttendeesLimit { limit: 1 });
    let cluster = Memory::new().frontend_with("school", one).backend("n1", &[]);
    let rig = Rig::new(&cluster.meeting("school", "m1", "n1", MeetingState::Live)).await;
    let join = signed(CallKind::Join, &format!("{JOIN}&logoutURL=https%3A%2F%2Fschool.example%2Fbye"));
    assert_eq!(rig.get(&signed(CallKind::Join, &format!("{JOIN}&userID=ada"))).await.status, 302);
    let page = rig.fetch_with(&join, BROWSER).await;
    assert_eq!((page.status, page.header("location")), (200, None), "nobody has left a meeting");
    let link = format!("<a href=\"{}\">try again</a>", join.replace('&', "&amp;"));
    assert!(page.body.contains("All seats are taken") && page.body.contains(&link), "{}", page.body);
    assert_eq!(rig.get(&join).await.failed(), "maxParticipantsReached");
    let errors = signed(CallKind::Join, &format!("{JOIN}&errorRedirectUrl=https%3A%2F%2Fschool.example%2Fe"));
    let location = rig.fetch_with(&errors, BROWSER).await.header("location").unwrap().to_owned();
    assert!(location.starts_with("https://school.example/e?errors=") && location.contains("maxParticipantsReached"));
}

#[tokio::test]
async fn a_join_that_is_not_verified_shows_a_browser_a_page_and_never_redirects() {
    let rig = Rig::new(&school().meeting("school", "m1", "n1", MeetingState::Live)).await;
    let query =
        format!("{JOIN}&errorRedirectUrl=https%3A%2F%2Fevil.example%2F&logoutURL=https%3A%2F%2Fevil.example%2F");
    for frontend in ["school", "nobody"] {
        for (checksum, text) in [("", MISSING), ("&checksum=00", MISMATCH), ("&checksum=", MISSING)] {
            let target = format!("/bbb/{frontend}/bigbluebutton/api/join?{query}{checksum}");
            let page = rig.fetch_with(&target, BROWSER).await;
            assert!(page.is_page() && page.header("location").is_none(), "{page:?}");
            assert!(page.body.contains(text) && page.body.contains("cannot join"), "{}", page.body);
            assert_eq!(rig.get(&target).await.failed(), "checksumError", "a library reads what it can");
        }
    }
}

/// The checksum covers the link as it was written, at a node as here.
#[tokio::test]
async fn a_link_that_a_browser_has_encoded_again_shows_it_a_page() {
    let rig = Rig::new(&school().meeting("school", "m1", "n1", MeetingState::Live)).await;
    let join = signed(CallKind::Join, "meetingID=m1&fullName=Ada+O'Neill+(x)+~|&role=VIEWER");
    assert_eq!(rig.fetch_with(&join, BROWSER).await.status, 302);
    for (written, encoded) in [("'", "%27"), ("(", "%28"), ("~", "%7E"), ("|", "%7C"), ("+", "%20")] {
        let page = rig.fetch_with(&join.replace(written, encoded), BROWSER).await;
        assert!(page.is_page() && page.body.contains("changed on its way"), "{encoded}: {page:?}");
    }
}

#[tokio::test]
async fn every_error_of_a_join_is_a_page_for_a_browser() {
    let closed = |_| async { Err(Fault::UnsupportedRequest("join".into())) };
    let rig = Plan::new(&school()).route(CallKind::Join, closed).serve().await;
    let join = signed(CallKind::Join, JOIN);
    assert!(rig.fetch_with(&join, BROWSER).await.is_page());
    let posted = rig.send(head("POST", &join, BROWSER)).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET")));
    assert!(posted.header("content-type").unwrap().starts_with("text/html"));
}

#[tokio::test]
async fn a_browser_reads_a_page_and_a_client_a_document() {
    let rig = Rig::new(&school()).await;
    let join = signed(CallKind::Join, JOIN);
    let page = rig.fetch_with(&join, BROWSER).await;
    assert!(page.status == 200 && page.body.contains("<p>A meeting with that ID does not exist</p>"));
    assert_eq!(rig.get(&join).await.failed(), "invalidMeetingIdentifier");
    let no_redirect = signed(CallKind::Join, &format!("{JOIN}&redirect=false&logoutURL=https%3A%2F%2Fold.example%2F"));
    assert_eq!(rig.fetch_with(&no_redirect, BROWSER).await.failed(), "invalidMeetingIdentifier");
}
