//! The calls of frontends about their hooks.

use b3scale_middleware::bbb::{Algorithm, CallKind, Secret, sign, xml};
use b3scale_middleware::cluster::{PermanentHook, WebhookSettings};
use b3scale_support::{Answer, SECRET, TestCluster, eventually};
use futures_util::future::join_all;

const HOOK: &str = "callbackURL=https%3A%2F%2Fcb.example%2Fhook%3Fa%3D1%26b%3D2";

/// The ids of the hooks that a frontend sees.
async fn listed(cluster: &TestCluster, key: &str, query: &str) -> Vec<String> {
    let list = cluster.call_as(key, CallKind::HooksList, query).await.success();
    let ids = xml::elements(&list.text.into(), &["response", "hooks", "hook", "hookID"]).unwrap();
    ids.iter().map(|id| String::from_utf8_lossy(id).replace("<hookID>", "").replace("</hookID>", "")).collect()
}

async fn created(cluster: &TestCluster, key: &str, query: &str) -> String {
    cluster.call_as(key, CallKind::HooksCreate, query).await.success().field("hookID")
}

#[tokio::test]
async fn a_hook_is_owned_by_its_tenant() {
    let cluster = TestCluster::start().await;
    cluster.frontend("other", |_| {}).await;
    let id = created(&cluster, "school", &format!("{HOOK}&eventID=User-Joined,%20user-left")).await;
    let list = cluster.call(CallKind::HooksList, "").await;
    assert_eq!(list.headers["content-type"], "text/xml;charset=utf-8");
    assert_eq!(
        list.text,
        format!(
            "<response><returncode>SUCCESS</returncode><hooks><hook><hookID>{id}</hookID>\
             <callbackURL><![CDATA[https://cb.example/hook?a=1&b=2]]></callbackURL><eventID>user-joined,user-left</eventID>\
             <permanentHook>false</permanentHook><rawData>false</rawData></hook></hooks></response>"
        )
    );
    assert_eq!(listed(&cluster, "other", "").await, [""; 0]);
    let destroy = format!("hookID={id}");
    assert_eq!(cluster.call_as("other", CallKind::HooksDestroy, &destroy).await.failed(), "destroyMissingHook");
    assert_ne!(created(&cluster, "other", HOOK).await, id, "each has its own of the same URL");
    let removed = cluster.call(CallKind::HooksDestroy, &destroy).await.success();
    assert_eq!(removed.text, "<response><returncode>SUCCESS</returncode><removed>true</removed></response>");
    assert_eq!(cluster.call(CallKind::HooksDestroy, &destroy).await.failed(), "destroyMissingHook");
    assert_eq!(cluster.database.count("SELECT count(*) FROM hook_feeds").await, 1, "a feed goes with the last hook");
}

#[tokio::test]
async fn both_forms_of_the_checksum_hold_and_a_bare_name_does_not() {
    let cluster = TestCluster::start().await;
    let secret = Secret::new(SECRET).unwrap();
    for (path, name, holds) in [
        ("hooks/create", "hooks/create", true),
        ("hooks/create/", "hooks/create/", true),
        ("hooks/create/", "hooks/create", true),
        ("hooks/create", "create", false),
        ("create", "hooks/create", false),
    ] {
        let checksum = sign(Algorithm::Sha256, name, HOOK, &secret);
        let answer =
            cluster.get(&format!("/bbb/school/bigbluebutton/api/{path}?{HOOK}&checksum={checksum}"), &[]).await;
        assert_eq!(answer.is_success(), holds, "{path} {name}");
        assert!(holds || answer.failed() == "checksumError", "{path} {name}");
    }
}

#[tokio::test]
async fn an_exact_repeat_is_a_warning() {
    let cluster = TestCluster::start().await;
    let id = created(&cluster, "school", HOOK).await;
    let again = cluster.call(CallKind::HooksCreate, HOOK).await.success();
    assert_eq!(
        again.text,
        format!(
            "<response><returncode>SUCCESS</returncode><hookID>{id}</hookID><messageKey>duplicateWarning</messageKey>\
             <message>There is already a hook for this callback URL.</message></response>"
        )
    );
    let of_one = created(&cluster, "school", &format!("{HOOK}&meetingID=m1")).await;
    assert_ne!(of_one, id, "a meeting is a part of the key");

    cluster.database.execute("UPDATE hooks SET paused_at = now(), tries = 13").await;
    cluster.call(CallKind::HooksCreate, HOOK).await.success();
    let paused = "SELECT count(*) FROM hooks WHERE paused_at IS NOT NULL OR tries > 0";
    assert_eq!(cluster.database.count(paused).await, 1, "a repeat resumes the one hook");
}

#[tokio::test]
async fn a_list_by_meeting_succeeds_without_any() {
    let cluster = TestCluster::start().await;
    assert_eq!(listed(&cluster, "school", "meetingID=m1").await, [""; 0]);
    let global = created(&cluster, "school", HOOK).await;
    let first = created(&cluster, "school", &format!("{HOOK}&meetingID=m1")).await;
    let other = created(&cluster, "school", &format!("{HOOK}&meetingID=m2")).await;
    assert_eq!(listed(&cluster, "school", "meetingID=m1").await, [global.clone(), first.clone()]);
    assert_eq!(listed(&cluster, "school", "meetingID=m3").await, std::slice::from_ref(&global));
    assert_eq!(listed(&cluster, "school", "").await, [global, first, other]);
}

#[tokio::test]
async fn the_limit_is_a_clear_fault() {
    let cluster = TestCluster::start().await;
    let settings = WebhookSettings { most: Some(3), ..WebhookSettings::default() };
    cluster.frontend("school", |school| school.webhooks = Some(settings)).await;
    let queries: Vec<String> = (0..12).map(|number| format!("{HOOK}&meetingID=m{number}")).collect();
    let answers = join_all(queries.iter().map(|query| cluster.call(CallKind::HooksCreate, query))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Answer::is_success);
    assert_eq!(made.len(), 3, "a flood passes no bound");
    for answer in refused {
        assert_eq!(answer.failed(), "createHookError");
        assert!(answer.field("message").contains("as many hooks"), "{answer:?}");
    }
}

#[tokio::test]
async fn raw_needs_the_setting() {
    let cluster = TestCluster::start().await;
    let raw = format!("{HOOK}&getRaw=True");
    let refused = cluster.call(CallKind::HooksCreate, &raw).await;
    assert_eq!(refused.failed(), "createHookError");
    assert!(refused.field("message").contains("getRaw"), "{refused:?}");
    let settings = WebhookSettings { raw: true, ..WebhookSettings::default() };
    cluster.frontend("school", |school| school.webhooks = Some(settings)).await;
    assert_eq!(cluster.call(CallKind::HooksCreate, &raw).await.success().field("rawData"), "true");
    assert_eq!(cluster.database.count("SELECT count(*) FROM hook_feeds WHERE wants_raw").await, 1);
}

#[tokio::test]
async fn a_ping_needs_no_checksum() {
    let cluster = TestCluster::start().await;
    let answer = cluster.get("/bbb/school/bigbluebutton/api/hooks/ping", &[]).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, "bbb-webhooks API up!"));
    assert_eq!(answer.headers["content-type"], "text/plain;charset=utf-8");
}

#[tokio::test]
async fn a_url_that_cannot_be_called_makes_no_hook() {
    let cluster = TestCluster::start().await;
    for (url, reason) in [
        ("ftp%3A%2F%2Fcb.example", "no http(s) URL"),
        ("cb.example", "no http(s) URL"),
        ("https%3A%2F%2Fuser%3Apw%40cb.example", "no http(s) URL"),
        ("http%3A%2F%2F127.0.0.1%2F", "inside"),
        ("http%3A%2F%2F%5B%3A%3A1%5D%2F", "inside"),
        ("http%3A%2F%2F169.254.169.254%2Flatest", "inside"),
        ("http%3A%2F%2F2130706433%2F", "inside"),
        ("http%3A%2F%2F%5B%3A%3Affff%3A10.0.0.1%5D", "inside"),
    ] {
        let answer = cluster.call(CallKind::HooksCreate, &format!("callbackURL={url}")).await;
        assert_eq!(answer.failed(), "createHookError", "{url}");
        assert!(answer.field("message").contains(reason), "{url}: {answer:?}");
    }
    assert_eq!(cluster.call(CallKind::HooksCreate, "meetingID=m1").await.failed(), "missingParamCallbackURL");
    assert_eq!(cluster.call(CallKind::HooksDestroy, "").await.failed(), "missingParamHookID");
    assert_eq!(listed(&cluster, "school", "").await, [""; 0]);
}

#[tokio::test]
async fn a_url_may_be_as_long_as_any_that_is_called() {
    let cluster = TestCluster::start().await;
    let long = |length: u32| {
        // Digits that no index can pack.
        let digits: String = (0..length).map(|at| char::from(b'a' + (at * at % 251 % 26) as u8)).collect();
        format!("callbackURL=https%3A%2F%2Fcb.example%2F{digits}")
    };
    let room = 8192 - "https://cb.example/".len() as u32;
    let id = created(&cluster, "school", &long(room)).await;
    assert_eq!(created(&cluster, "school", &long(room)).await, id);
    let refused = cluster.call(CallKind::HooksCreate, &long(room + 1)).await;
    assert!(refused.field("message").contains("8192 bytes"), "{refused:?}");
}

#[tokio::test]
async fn permanent_hooks_follow_the_settings() {
    let cluster = TestCluster::start().await;
    let url = |path: &str| format!("https://cb.example/{path}");
    let hook = |path: &str, events: &[&str]| {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        PermanentHook { url: url(path), events, raw: false }
    };
    let settings = |permanent| Some(WebhookSettings { permanent, ..WebhookSettings::default() });
    let own = created(&cluster, "school", "callbackURL=https%3A%2F%2Fcb.example%2Fown").await;
    let first = vec![hook("own", &[]), hook("more", &["Meeting-Ended"])];
    cluster.frontend("school", |school| school.webhooks = settings(first)).await;
    let there = async |wanted: &[(&str, &str)]| {
        let sql = "SELECT coalesce(string_agg(url || ' ' || array_to_string(events, ','), '; ' ORDER BY url), '')
            FROM hooks WHERE permanent";
        let wanted: Vec<String> = wanted.iter().map(|(path, events)| format!("{} {events}", url(path))).collect();
        let said = wanted.join("; ");
        eventually("the hooks are those of the settings", async || cluster.database.text(sql).await == said).await;
    };
    there(&[("more", "meeting-ended"), ("own", "")]).await;
    assert!(listed(&cluster, "school", "").await.contains(&own), "a hook of that URL becomes permanent");
    let destroy = cluster.call(CallKind::HooksDestroy, &format!("hookID={own}")).await;
    assert_eq!(destroy.failed(), "destroyMissingHook");

    cluster.frontend("school", |school| school.webhooks = settings(vec![hook("more", &[])])).await;
    there(&[("more", "")]).await;
    cluster.frontend("school", |school| school.webhooks = None).await;
    there(&[]).await;
}
