//! Commands beyond the original: the cluster at a glance, meetings, placement explained, the pipeline.

use std::fs;

use b3scale_support::{Running, Told};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::samples::{ASKED_HOST, BACKEND, COMMAND, HOST, backend, cluster, command, meeting};
use super::{Ctl, asked, recorder};
use crate::pipeline::{PIPELINE, without_route};

/// The second backend of the cluster.
const NODE_2: &str = "0193f000-0000-7000-8000-000000000002";

fn at_a_glance() -> Told {
    Told::ok("GET /api/v1/cluster", cluster(["h1", "h1"]))
}

/// The cells of the line that begins with `begin`.
fn cells<'t>(text: &'t str, begin: &str) -> Vec<&'t str> {
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in {text}"));
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test]
async fn the_status_says_how_everything_is_and_why_a_node_is_not_used() {
    let (_recorder, ctl) = recorder([at_a_glance()]).await;
    let out = ctl.done("show status").await;
    assert_eq!(cells(&out, "10.0.0.0"), ["10.0.0.0:42353", "answers", "0.4 s ago", "9.9", "h1", "it drains"]);
    assert_eq!(cells(&out, "10.0.0.1"), ["10.0.0.1:42353", "runs", "0.4 s ago", "9.9", "h1", "–"]);
    assert_eq!(cells(&out, "https://node-1/")[3..], ["1.0 s ago", "1ms", "2", "5", "–"]);
    assert_eq!(cells(&out, "https://node-2/")[3..], ["none", "1ms", "2", "5", "its agent is silent"]);
    let json: Value = serde_json::from_str(&ctl.done("show status --json").await).unwrap();
    assert_eq!(json["backends"][1]["reason"], "its agent is silent");
}

#[tokio::test]
async fn jobs_are_shown_with_why_they_were_given_up() {
    let job = |id: &str, change: Value| {
        let mut job = json!({
            "id": id, "kind": "command", "lane": null, "payload": {}, "state": "waiting", "attempts": 1,
            "run_after": "2026-11-30T01:00:00Z", "run_by": null, "last_error": null, "poisoned_at": null,
            "created_at": "2026-11-30T00:00:00Z",
        });
        job.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        job
    };
    let given_up =
        json!({"state": "poisoned", "attempts": 3, "last_error": "410 Gone", "poisoned_at": "2026-11-30T01:00:00Z"});
    let jobs = json!([job(BACKEND, json!({})), job(NODE_2, given_up)]);
    let (_recorder, ctl) = recorder([Told::ok("GET /api/v1/jobs", jobs)]).await;
    let out = ctl.done("show jobs").await;
    assert_eq!(cells(&out, BACKEND)[1..], ["command", "waiting", "1", "2026-11-30T01:00:00Z", "–"]);
    assert_eq!(cells(&out, NODE_2)[1..], ["command", "poisoned", "3", "–", "410 Gone"]);
}

#[tokio::test]
async fn the_load_is_watched_once_or_until_it_is_interrupted() {
    let (_recorder, ctl) = recorder([at_a_glance()]).await;
    let out = ctl.done("watch --once").await;
    assert!(out.starts_with("4 meetings, 10 people · 1 of 2 backends take meetings · 2 servers\n"), "{out}");
    assert_eq!(cells(&out, "https://node-1/")[1..3], ["30.0", &"█".repeat(20)]);
    assert_eq!(cells(&out, "school"), ["school", "4", "10"]);

    let mut watch = Running::start(ctl.command("watch --json --interval 0.01"));
    for _ in 0..3 {
        let look: Value = serde_json::from_str(&watch.line().await).unwrap();
        assert_eq!(look["frontends"][0]["key"], "school");
    }
    watch.signal(Signal::INT);
    assert!(watch.ended().await, "an end by hand is no failure");
}

#[tokio::test]
async fn meetings_are_shown_with_whose_they_are_and_without_passwords() {
    let told = [
        at_a_glance(),
        Told::ok("GET /api/v1/meetings?all=true", json!([meeting()])),
        Told::ok("GET /api/v1/meetings?backend_host=https%3A%2F%2Fnode-1%2F", "[]"),
        Told::ok("GET /api/v1/meetings?frontend_key=school", json!([meeting()])),
        Told::ok("GET /api/v1/meetings/internal:abc-1", meeting()),
    ];
    let (_recorder, ctl) = recorder(told).await;
    let row = ["lesson-1", "Lesson", "school", "https://node-1/", "live", "1", "2026-11-22T07:12:22Z", "WyJz"];
    assert_eq!(cells(&ctl.done("show meetings").await, "lesson-1"), row);
    assert_eq!(cells(&ctl.done("show meetings --frontend school").await, "lesson-1"), row);
    assert_eq!(ctl.done("show meetings --backend https://node-1/ --json").await, "[]\n");
    assert!(ctl.fails("show meetings --frontend nobody").await.contains("there is no frontend `nobody`"));
    let out = ctl.done("show meeting internal:abc-1").await;
    assert!(out.contains("moderator password: ***") && !out.contains("ap\n"), "{out}");
    assert_eq!(cells(&out, "Ada"), ["Ada", "MODERATOR", "camera", "–", "u1"]);
    let out = ctl.done("show meeting --frontend school lesson-1 --secrets").await;
    assert!(out.contains("moderator password: mp") && out.contains("id: WyJz"), "{out}");
    assert!(ctl.fails("show meeting --frontend school lesson-2").await.contains("there is no meeting `lesson-2`"));
}

#[tokio::test]
async fn a_meeting_is_found_by_every_id_that_is_printed_and_by_the_nodes_own() {
    let mut others = meeting();
    others["id"] = json!("WyJt");
    others["internal_id"] = json!("abc-2");
    let mut copy = others.clone();
    copy["frontend_meeting_id"] = json!("lesson-2");
    let told = [
        at_a_glance(),
        Told::ok("GET /api/v1/meetings?all=true", json!([meeting(), copy])),
        Told::ok("GET /api/v1/meetings?frontend_key=school", json!([meeting()])),
        Told::ok("GET /api/v1/meetings/WyJz", meeting()),
    ];
    let (_recorder, ctl) = recorder(told).await;
    for id in ["lesson-1", "WyJz", "abc-1", "--frontend school lesson-1", "--frontend school WyJz"] {
        let out = ctl.done(&format!("show meeting {id}")).await;
        assert!(out.contains("\nid: WyJz\n"), "{id}: {out}");
    }
    assert!(ctl.done("show meeting lesson-2").await.contains("\nid: WyJt\n"));
    assert!(ctl.fails("show meeting lesson-3").await.contains("there is no meeting `lesson-3`"));

    others["frontend_id"] = json!(BACKEND);
    let mut glance = cluster(["h1", "h1"]);
    let office = json!({ "id": BACKEND, "key": "office", "active": true, "meetings": 1, "attendees": 1 });
    glance["frontends"].as_array_mut().unwrap().push(office);
    let told = [
        Told::ok("GET /api/v1/cluster", glance),
        Told::ok("GET /api/v1/meetings?all=true", json!([meeting(), others])),
    ];
    let (_recorder, ctl) = recorder(told).await;
    let said = ctl.fails("end meeting --yes lesson-1").await;
    let expected = "several meetings have the id `lesson-1`: give --frontend KEY, with `end` --copy-on URL, or one of \
                    `WyJz` (school), `WyJt` (office)\n";
    assert!(said.ends_with(expected), "{said}");
}

/// Its node calls it `lesson-1`, as a frontend calls its own meeting.
fn stray(internal_id: &str, backend: &str) -> Value {
    let mut stray = meeting();
    stray["id"] = json!("lesson-1");
    stray["internal_id"] = json!(internal_id);
    stray["frontend_id"] = Value::Null;
    stray["backend_id"] = json!(backend);
    stray
}

#[tokio::test]
async fn a_meeting_of_no_frontend_is_ended_only_if_no_other_has_its_id() {
    let (here, elsewhere) = (stray("abc-8", BACKEND), stray("abc-9", NODE_2));
    let ended = |id: &str, backend: &str| {
        format!(r#"{{"action":"end_meeting","params":{{"BackendID":"{backend}","ID":"{id}"}}}}"#)
    };
    let told = |meetings: Value| {
        [
            at_a_glance(),
            Told::ok("GET /api/v1/meetings/lesson-1", here.clone()),
            Told::ok("GET /api/v1/meetings/internal:abc-9", elsewhere.clone()),
            Told::ok("GET /api/v1/meetings?all=true", meetings),
            Told::ok(&format!("GET /api/v1/backends?host={ASKED_HOST}"), json!([backend(&json!({}))])),
            Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
            Told::ok(&format!("GET /api/v1/commands/{COMMAND}"), command("success", &json!(true))),
        ]
    };
    let at_node_1 = "`internal:abc-8` (no frontend, on https://node-1/)";
    for (others, named) in [
        (meeting(), format!("`WyJz` (school), {at_node_1}\n")),
        (elsewhere.clone(), format!("`internal:abc-9` (no frontend, on https://node-2/), {at_node_1}\n")),
    ] {
        let (server, ctl) = recorder(told(json!([others, here.clone()]))).await;
        for command in ["end meeting --yes lesson-1", "show meeting lesson-1"] {
            let said = ctl.fails(command).await;
            assert!(said.contains("several meetings have the id `lesson-1`") && said.ends_with(&named), "{said}");
        }
        assert!(asked(&server).iter().all(|(call, _)| call.starts_with("GET ")), "nothing is ended");
        ctl.done(&format!("end meeting --yes lesson-1 --copy-on {HOST}")).await;
        assert!(asked(&server).iter().any(|(_, body)| *body == ended("lesson-1", BACKEND)));
    }
    let (server, ctl) = recorder(told(json!([here.clone(), elsewhere.clone()]))).await;
    ctl.done("end meeting --yes internal:abc-9").await;
    assert!(asked(&server).iter().any(|(_, body)| *body == ended("lesson-1", NODE_2)));
    let (server, ctl) = recorder(told(json!([here.clone()]))).await;
    let said = ctl.fails("end meeting lesson-1").await;
    assert!(said.starts_with("The meeting `Lesson` of no frontend with 1 person in it is ended."), "{said}");
    server.asked();
    ctl.done("end meeting --yes lesson-1").await;
    assert!(asked(&server).iter().any(|(_, body)| *body == ended("lesson-1", BACKEND)), "not on any other node");
}

#[tokio::test]
async fn one_meeting_is_ended_by_its_id() {
    let told = [
        Told::ok("GET /api/v1/meetings/WyJz", meeting()),
        Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
        Told::ok(&format!("GET /api/v1/commands/{COMMAND}"), command("success", &json!(true))),
    ];
    let (recorder, ctl) = recorder(told).await;
    assert!(ctl.fails("end meeting WyJz").await.starts_with("The meeting `Lesson` with 1 person in it is ended."));
    recorder.asked();
    ctl.done("end meeting --yes WyJz").await;
    assert_eq!(asked(&recorder)[1].1, r#"{"action":"end_meeting","params":{"ID":"WyJz"}}"#);
}

#[tokio::test]
async fn the_copy_of_a_meeting_on_one_backend_is_ended() {
    let told = [
        Told::ok("GET /api/v1/meetings/WyJz", meeting()),
        Told::ok(&format!("GET /api/v1/backends?host={ASKED_HOST}"), json!([backend(&json!({}))])),
        Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
        Told::ok(&format!("GET /api/v1/commands/{COMMAND}"), command("success", &json!(true))),
    ];
    let (recorder, ctl) = recorder(told).await;
    let asked_for = ctl.fails(&format!("end meeting WyJz --copy-on {HOST}")).await;
    let question = format!("The copy of the meeting `Lesson` on {HOST} is ended with everyone in it.");
    assert!(asked_for.starts_with(&question), "{asked_for}");
    recorder.asked();
    let out = ctl.done(&format!("end meeting --yes WyJz --copy-on {HOST}")).await;
    assert!(out.contains("Result: true"), "{out}");
    let params = format!(r#"{{"action":"end_meeting","params":{{"BackendID":"{BACKEND}","ID":"WyJz"}}}}"#);
    assert_eq!(asked(&recorder)[2].1, params);
}

#[tokio::test]
async fn a_choice_is_explained() {
    let candidate = |host: &str, verdict: &str, stage: Value, load: Value| json!({ "id": COMMAND, "host": host, "verdict": verdict, "reason": "so it is", "stage": stage, "load": load });
    let candidates = [
        candidate("https://node-1/", "chosen", Value::Null, json!(1.5)),
        candidate("https://node-2/", "refused", json!("tag-filter"), Value::Null),
    ];
    let explanation = json!({ "frontend": "school", "chosen": "https://node-1/", "candidates": candidates });
    let told = Told::ok("GET /api/v1/explain/create?frontend=school&meta_a=b+c", explanation);
    let (_recorder, ctl) = recorder([told]).await;
    let out = ctl.done("explain create --frontend school --param 'meta_a=b c'").await;
    assert!(out.starts_with("A meeting of school would go to https://node-1/\n\n"), "{out}");
    assert_eq!(cells(&out, "chosen"), ["chosen", "https://node-1/", "1.5", "–", "so it is"]);
    assert_eq!(cells(&out, "refused"), ["refused", "https://node-2/", "–", "tag-filter", "so it is"]);
}

#[tokio::test]
async fn a_pipeline_is_checked_without_a_server() {
    let ctl = Ctl::new("http://127.0.0.1:1");
    let file = ctl.folder.path().join("pipeline.toml");
    fs::write(&file, without_route(PIPELINE, "join")).unwrap();
    assert!(ctl.done("pipeline check pipeline.toml").await.contains("pipeline.toml: "));
    assert!(ctl.done("pipeline check").await.contains("hash "));
    fs::write(&file, PIPELINE.replacen("\"meeting-scope\"", "\"meeting-scoop\"", 1)).unwrap();
    let said = ctl.run("pipeline check pipeline.toml").await;
    assert!(said.code == 1 && said.out.is_empty() && said.err.contains("did you mean `meeting-scope`?"), "{said:?}");
}

#[tokio::test]
async fn the_stages_that_there_are_are_the_servers() {
    let page = json!({ "kind": "page", "is": "endpoint", "needs": ["frontend", "proof"], "gives": ["a"], "takes": ["b"], "only": ["join"] });
    let (_recorder, ctl) = recorder([Told::ok("GET /api/v1/pipeline/catalog", json!([page]))]).await;
    let row = ["page", "endpoint", "frontend, proof", "a", "b", "join"];
    assert_eq!(cells(&ctl.done("pipeline catalog").await, "page"), row);
}

#[tokio::test]
async fn a_reload_is_done_once_every_server_runs_it() {
    let report = json!({ "hash": "h2", "file": null, "plan": "create\n  proxy\n" });
    let told = [
        Told::ok("GET /api/v1/pipeline", report.clone()),
        Told::ok("POST /api/v1/pipeline/reload", report),
        Told::ok("GET /api/v1/cluster", cluster(["h2", "h1"])),
        Told::ok("GET /api/v1/cluster", cluster(["h2", "h2"])),
    ];
    let (recorder, ctl) = recorder(told).await;
    assert_eq!(ctl.done("pipeline show").await, "create\n  proxy\n\ncompiled in, hash h2\n");
    recorder.asked();
    let out = ctl.done("pipeline reload").await;
    assert_eq!(out, "The new pipeline has the hash h2.\n10.0.0.0:42353 runs it\n10.0.0.1:42353 runs it\n");
    assert_eq!(asked(&recorder).len(), 3);
}
