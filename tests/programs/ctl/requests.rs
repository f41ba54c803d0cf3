//! The requests, texts and exit codes of the original.

use b3scale_support::{Recorder, Told};
use serde_json::{Value, json};

use super::samples::{
    ASKED_HOST, BACKEND, COMMAND, FRONTEND, HOST, backend, command, delivery, frontend, hook, meeting, status,
};
use super::{Ctl, TOKEN, asked, recorder};

fn one_backend(change: &Value) -> Told {
    Told::ok(&format!("GET /api/v1/backends?host={ASKED_HOST}"), json!([backend(change)]))
}

fn one_frontend() -> Told {
    Told::ok("GET /api/v1/frontends?key=school", json!([frontend(&json!({}))]))
}

fn line(request: &str, body: &str) -> (String, String) {
    (request.to_owned(), body.to_owned())
}

fn find_backend() -> (String, String) {
    line(&format!("GET /api/v1/backends?host={ASKED_HOST}"), "")
}

fn find_frontend() -> (String, String) {
    line("GET /api/v1/frontends?key=school", "")
}

#[tokio::test]
async fn a_request_says_who_asks_and_takes_compressed_answers() {
    let (recorder, ctl) = recorder([Told::ok("GET /api/v1/backends", "[]")]).await;
    assert_eq!(ctl.done("show backends").await, "");
    let asked = recorder.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("authorization"), format!("Bearer {TOKEN}"));
        assert!(header("user-agent").starts_with("b3scalectl/"));
        assert!(header("accept-encoding").contains("gzip"));
    }
}

#[tokio::test]
async fn only_an_administrator_is_served() {
    let recorder = Recorder::start([Told::ok("GET /api/v1", status(false))]).await;
    let said = Ctl::new(&recorder.url()).fails("show backends").await;
    assert!(said.contains("authorization failed") && said.contains(&recorder.url()), "{said}");
    assert_eq!(asked(&recorder), []);
}

#[tokio::test]
async fn backends_are_shown_as_blocks_without_secrets() {
    let broken = json!({ "node_state": "error", "last_error": "no route", "meetings_count": 0, "latency": 0 });
    let told = Told::ok("GET /api/v1/backends", json!([backend(&json!({})), backend(&broken)]));
    let (recorder, ctl) = recorder([told]).await;
    let out = ctl.done("show backends").await;
    assert_eq!(asked(&recorder), [line("GET /api/v1/backends", "")]);
    let expected = format!(
        "{BACKEND}\n  Host:\t {HOST}\n  Settings:\t {{\"tags\":[\"a\"]}}\n  NodeState:\t ready\t  AdminState:\t ready\n  \
         MC/AC/R:\t 2/5/2.50\n  LoadFactor:\t 1\n  Latency:\t 1.487181ms\n\n\
         {BACKEND}\n  Host:\t {HOST}\n  Settings:\t {{\"tags\":[\"a\"]}}\n  NodeState:\t error\t  AdminState:\t ready\n  \
         MC/AC/R:\t 0/5/0.00\n  LoadFactor:\t 1\n  Latency:\t 0s\n  LastError:\t no route\n\n"
    );
    assert_eq!(out, expected);

    let json = ctl.done("show --json backends").await;
    assert!(json.starts_with("[\n   {\n      \"id\": "), "{json}");
    let secret = |text: &str| serde_json::from_str::<Value>(text).unwrap()[0]["bbb"]["secret"].clone();
    assert_eq!(secret(&json), "***");
    assert_eq!(secret(&ctl.done("show backends --json --secrets").await), "node-secret");
}

#[tokio::test]
async fn one_backend_is_found_with_or_without_the_slash() {
    let bare = Told::ok(&format!("GET /api/v1/backends?host={}", ASKED_HOST.trim_end_matches("%2F")), "[]");
    let (recorder, ctl) = recorder([one_backend(&json!({})), bare]).await;
    let out = ctl.done(&format!("s backend {HOST}")).await;
    assert_eq!(asked(&recorder), [find_backend()]);
    assert_eq!(out, format!("Backend: {HOST}\nSettings:\n  {{\n    \"tags\": [\n      \"a\"\n    ]\n  }}\n"));
    assert_eq!(ctl.done(&format!("show backend {}", HOST.trim_end_matches('/'))).await, out);
}

#[tokio::test]
async fn frontends_are_lines_and_their_secrets_are_covered() {
    let off = frontend(&json!({ "active": false, "bbb": { "key": "office" } }));
    let told = [Told::ok("GET /api/v1/frontends", json!([frontend(&json!({})), off])), one_frontend()];
    let (recorder, ctl) = recorder(told).await;
    let out = ctl.done("show frontends").await;
    assert_eq!(asked(&recorder), [line("GET /api/v1/frontends", "")]);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..4], [FRONTEND, "school", "***", "enabled"]);
    assert_eq!(lines[1][1..4], ["office", "***", "disabled"]);
    assert!(serde_json::from_str::<Value>(lines[0][4]).unwrap().is_object());
    assert!(ctl.done("show frontends --secrets").await.contains("\tschool-secret\t"));

    let out = ctl.done("show frontend school").await;
    let url = format!("Frontend URL:    {}/bbb/school/\n", recorder.url());
    assert!(out.starts_with("Frontend: school\nEnabled: true\nSettings: {\n   \"required_tags\": null,"), "{out}");
    assert!(out.contains(&url) && out.ends_with("Frontend Secret: ***\n"), "{out}");
    assert!(ctl.done("show --secrets frontend school").await.ends_with("Frontend Secret: school-secret\n"));
}

#[tokio::test]
async fn a_description_is_set_and_shown() {
    let described = frontend(&json!({ "description": "Classes 5 to 10" }));
    let patched = Told::ok(&format!("PATCH /api/v1/frontends/{FRONTEND}"), described.clone());
    let found = Told::ok("GET /api/v1/frontends?key=school", json!([described]));
    let (recorder, ctl) = recorder([one_frontend(), patched, found]).await;
    ctl.done("set frontend --description 'Classes 5 to 10' school").await;
    let body = json!({ "description": "Classes 5 to 10" });
    assert_eq!(asked(&recorder)[1], line(&format!("PATCH /api/v1/frontends/{FRONTEND}"), &body.to_string()));
    let out = ctl.done("show frontend school").await;
    assert!(out.starts_with("Frontend: school\nDescription: Classes 5 to 10\nEnabled: true\n"), "{out}");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_line() {
    let (recorder, ctl) = recorder([Told::ok("GET /api/v1/frontends?key=nobody", "[]")]).await;
    let said = ctl.fails("show frontend nobody").await;
    assert!(said.contains("there is no frontend `nobody`") && said.contains("b3scalectl show frontends"), "{said}");
    assert!(said.contains(&recorder.url()), "{said}");
}

#[tokio::test]
async fn a_new_backend_is_added_and_an_old_one_changed() {
    let none = Told::ok(&format!("GET /api/v1/backends?host={ASKED_HOST}"), "[]");
    let (recorder, ctl) = recorder([none.clone(), Told::ok("POST /api/v1/backends", backend(&json!({})))]).await;
    let host = HOST.trim_end_matches('/');
    let said = ctl.run(&format!("set backend {host}")).await;
    assert!(said.code == 2 && said.err.contains("--secret"), "{said:?}");
    recorder.asked();
    let out = ctl.done(&format!("add backend -s node-secret -j '{{\"tags\":[\"a\"]}}' {host}")).await;
    assert_eq!(out, format!("created backend: {BACKEND} {HOST}\n"));
    let body = json!({ "bbb": { "host": HOST, "secret": "node-secret" }, "settings": { "tags": ["a"] } });
    assert_eq!(asked(&recorder), [find_backend(), line("POST /api/v1/backends", &body.to_string())]);
    let out = ctl.done(&format!("set --dry backend --secret x {HOST}")).await;
    assert_eq!((out, asked(&recorder)), (format!("skipping: create backend {HOST}\n"), vec![find_backend()]));
}

#[tokio::test]
async fn a_change_that_changes_nothing_ends_with_64() {
    let path = format!("PATCH /api/v1/backends/{BACKEND}");
    let told = [
        one_backend(&json!({})),
        Told::ok(&path, backend(&json!({ "settings": { "tags": ["b"] }, "bbb": { "secret": "new" } }))),
        Told::ok(&path, backend(&json!({}))),
    ];
    let (recorder, ctl) = recorder(told).await;
    let set = format!("set backend --opts '{{\"tags\":[\"b\"]}}' --secret new {HOST}");
    assert_eq!(ctl.done(&set).await, "updated backend\n");
    let body = json!({ "bbb": { "secret": "new" }, "settings": { "tags": ["b"] } }).to_string();
    assert_eq!(asked(&recorder), [find_backend(), line(&path, &body)]);
    for line in [set, format!("set backend {HOST}"), format!("enable backend {HOST}")] {
        let said = ctl.run(&line).await;
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (64, "no changes\n", ""), "{line}");
    }
}

#[tokio::test]
async fn a_frontend_is_added_in_one_request() {
    let none = Told::ok("GET /api/v1/frontends?key=school", "[]");
    let (recorder, ctl) = recorder([none, Told::ok("POST /api/v1/frontends", frontend(&json!({})))]).await;
    let out = ctl.done("set frontend --secret school-secret --opts '{\"required_tags\":[\"a\"]}' school").await;
    assert_eq!(out, format!("getting frontend: school\ncreating frontend\ncreated frontend: {FRONTEND} school\n"));
    let body = json!({ "bbb": { "key": "school", "secret": "school-secret" }, "settings": { "required_tags": ["a"] } });
    assert_eq!(asked(&recorder), [find_frontend(), line("POST /api/v1/frontends", &body.to_string())]);
}

#[tokio::test]
async fn settings_that_are_no_object_are_refused_before_anything_is_asked() {
    let (recorder, ctl) = recorder([]).await;
    for opts in ["{\"tags\"", "[1]"] {
        let said = ctl.run(&format!("set frontend school -j '{opts}'")).await;
        assert!(said.code == 2 && said.err.starts_with("--opts is no JSON object: "), "{said:?}");
    }
    assert_eq!(recorder.asked().len(), 0);
}

#[tokio::test]
async fn a_backend_is_enabled_and_disabled_by_its_admin_state() {
    let path = format!("PATCH /api/v1/backends/{BACKEND}");
    let told = [one_backend(&json!({})), Told::ok(&path, backend(&json!({ "admin_state": "stopped" })))];
    let (recorder, ctl) = recorder(told).await;
    assert_eq!(ctl.done(&format!("stop backend {HOST}")).await, "updated backend admin state\n");
    assert_eq!(asked(&recorder), [find_backend(), line(&path, r#"{"admin_state":"stopped"}"#)]);
    ctl.done(&format!("disable --dry backend {HOST}")).await;
    assert_eq!(asked(&recorder), [find_backend()]);
}

#[tokio::test]
async fn a_frontend_is_enabled_and_disabled_whatever_it_was() {
    let path = format!("PATCH /api/v1/frontends/{FRONTEND}");
    let (recorder, ctl) = recorder([one_frontend(), Told::ok(&path, frontend(&json!({})))]).await;
    assert_eq!(ctl.done("en frontend school").await, format!("enable frontend: {FRONTEND}\n"));
    assert_eq!(asked(&recorder), [find_frontend(), line(&path, r#"{"active":true}"#)]);
    ctl.done("dis frontend school").await;
    assert_eq!(asked(&recorder)[1].1, r#"{"active":false}"#);
}

#[tokio::test]
async fn a_backend_that_is_well_is_marked_and_any_other_deleted_at_once() {
    let change = format!("PATCH /api/v1/backends/{BACKEND}");
    let delete = format!("DELETE /api/v1/backends/{BACKEND}?force=true");
    let well = [
        one_backend(&json!({})),
        Told::ok(&change, backend(&json!({ "admin_state": "decommissioned" }))),
        Told::ok(&delete, backend(&json!({ "admin_state": "destroyed" }))),
    ];
    let (recorder, ctl) = recorder(well.clone()).await;
    assert_eq!(ctl.done(&format!("rm backend {HOST}")).await, "backend marked for decommissioning\n");
    assert_eq!(asked(&recorder), [find_backend(), line(&change, r#"{"admin_state":"decommissioned"}"#)]);
    assert_eq!(ctl.done(&format!("delete backend -f {HOST} --yes")).await, "deleting backend\n");
    assert_eq!(asked(&recorder), [find_backend(), line(&delete, "")]);

    let [_, _, deleted] = well;
    let (recorder, ctl) = super::recorder([one_backend(&json!({ "node_state": "error" })), deleted]).await;
    assert_eq!(ctl.done(&format!("--yes delete backend {HOST}")).await, "deleting backend\n");
    assert_eq!(asked(&recorder), [find_backend(), line(&delete, "")]);
}

#[tokio::test]
async fn without_a_terminal_meetings_end_only_with_a_yes() {
    let delete = format!("DELETE /api/v1/frontends/{FRONTEND}");
    let meetings = Told::ok("GET /api/v1/meetings?frontend_key=school", json!([meeting(), meeting()]));
    let told = [one_frontend(), one_backend(&json!({})), meetings, Told::ok(&delete, frontend(&json!({})))];
    let (recorder, ctl) = recorder(told).await;
    for line in ["delete frontend school", &format!("end meetings {HOST}"), &format!("delete backend -f {HOST}")] {
        let said = ctl.fails(line).await;
        let count =
            if line.contains("frontend") { ": 2 meetings with 2 people." } else { ": 2 meetings with 5 people." };
        assert!(said.contains(count) && said.contains("--yes") && said.contains("B3SCALE_YES=true"), "{said}");
        assert!(recorder.asked().iter().all(|asked| asked.request.starts_with("GET ")), "{line}");
    }
    let mut command = ctl.command("delete frontend school");
    command.env("B3SCALE_YES", "true");
    let said = super::said(command).await;
    assert_eq!((said.code, said.out), (0, format!("delete frontend: {FRONTEND}\n")), "{}", said.err);
    let count = line("GET /api/v1/meetings?frontend_key=school", "");
    assert_eq!(asked(&recorder), [find_frontend(), count, line(&delete, "")]);
}

#[tokio::test]
async fn where_nobody_meets_nothing_is_asked() {
    let told = [
        one_frontend(),
        one_backend(&json!({ "meetings_count": 0, "attendees_count": 0 })),
        Told::ok("GET /api/v1/meetings?frontend_key=school", "[]"),
        Told::ok(&format!("DELETE /api/v1/frontends/{FRONTEND}"), frontend(&json!({}))),
        Told::ok(&format!("DELETE /api/v1/backends/{BACKEND}?force=true"), backend(&json!({}))),
        Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
        Told::ok(&format!("GET /api/v1/commands/{COMMAND}"), command("success", &json!(true))),
    ];
    let (_recorder, ctl) = recorder(told).await;
    for line in ["delete frontend school", &format!("delete backend -f {HOST}"), &format!("end meetings {HOST}")] {
        ctl.done(line).await;
    }
}

#[tokio::test]
async fn a_load_factor_that_is_none_is_refused_before_anything_is_asked() {
    let (recorder, ctl) = recorder([]).await;
    for factor in ["nan", "inf", "-inf", "-1", "0"] {
        let said = ctl.run(&format!("set backend {HOST} --load-factor {factor}")).await;
        assert!(said.code == 2 && said.err.contains("a number above 0 is wanted"), "{factor}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
    assert_eq!(recorder.asked().len(), 0);
}

#[tokio::test]
async fn a_recording_or_its_frontend_that_is_not_there_is_named() {
    let (recorder, ctl) = recorder([]).await;
    for (line, what, list) in [
        ("show recordings --frontend school", "frontend `school`", "frontends"),
        ("show recording r-1", "recording `r-1`", "recordings"),
        ("delete recording r-1", "recording `r-1`", "recordings"),
        ("recording assign r-1 school", "recording `r-1`", "recordings"),
        ("recording ready r-1", "recording `r-1`", "recordings"),
        ("delivery retry d-1", "delivery `d-1`", "deliveries"),
        ("delivery drop d-1", "delivery `d-1`", "deliveries"),
        ("hook resume h-1", "hook `h-1`", "hooks"),
        ("hook delete h-1", "hook `h-1`", "hooks"),
    ] {
        let said = ctl.run(line).await;
        let expected =
            format!("{}: there is no {what}; `b3scalectl show {list}` shows those there are\n", recorder.url());
        assert_eq!((said.code, said.err), (1, expected), "{line}");
    }
}

#[tokio::test]
async fn the_end_of_meetings_is_waited_for() {
    let path = format!("GET /api/v1/commands/{COMMAND}");
    let told = |state, result: Value| {
        [
            one_backend(&json!({})),
            Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
            Told::ok(&path, command("requested", &Value::Null)),
            Told::ok(&path, command(state, &result)),
        ]
    };
    let (recorder, ctl) = recorder(told("success", json!(true))).await;
    let out = ctl.done(&format!("end meetings {HOST} --yes")).await;
    let dispatched = format!("Dispatch: end_all_meetings map[BackendID:{BACKEND}]\n");
    assert_eq!(out, format!("{dispatched}State: requested\nState: success\nResult: true\n"));
    let body = format!(r#"{{"action":"end_all_meetings","params":{{"BackendID":"{BACKEND}"}}}}"#);
    let wait = line(&path, "");
    assert_eq!(asked(&recorder), [find_backend(), line("POST /api/v1/commands", &body), wait.clone(), wait]);

    let (_recorder, ctl) = super::recorder(told("error", json!("no such node"))).await;
    let said = ctl.fails(&format!("end meetings {HOST} --yes")).await;
    assert!(said.contains("end_all_meetings failed: no such node"), "{said}");
}

#[tokio::test]
async fn a_meeting_is_created_and_joined_as_its_frontend_would() {
    let document = "<response><returncode>SUCCESS</returncode><meetingID>m-1</meetingID></response>";
    let told = [
        one_frontend(),
        Told::ok("POST /bbb/school/create?*", document),
        Told::found("GET /bbb/school/join?*", "https://node-1.example/join?token=1"),
    ];
    let (recorder, ctl) = recorder(told).await;
    let out = ctl.done("cm --frontend school --name 'A lesson' --param record=true").await;
    assert!(out.starts_with("meetingID: m-1\n"), "{out}");
    assert!(out.ends_with("URL: https://node-1.example/join?token=1\n"), "{out}");
    let asked = recorder.asked();
    let [_, _, create, join] = &asked[..] else { panic!("{asked:?}") };
    assert!(create.request.contains("record=true") && create.request.contains("&checksum="), "{create:?}");
    assert_eq!((create.headers["content-type"].as_bytes(), create.body.as_str()), (&b"application/xml"[..], ""));
    assert!(!create.headers.contains_key("authorization"), "the token is not for the frontend's calls");
    let (query, checksum) = create.request.split_once('?').unwrap().1.rsplit_once("&checksum=").unwrap();
    assert!(checksum.len() == 128 && !query.contains("checksum"), "it is SHA-512: {checksum}");
    assert!(join.request.contains("meetingID=m-1") && join.request.contains("role=MODERATOR"), "{join:?}");
}

#[tokio::test]
async fn recordings_are_listed_and_their_visibility_is_set() {
    let recording = json!({
        "record_id": "r-1",
        "recording": { "EndTime": 1_700_000_600_000_i64, "Metadata": { "meetingName": "Lesson" } },
    });
    let told = [
        Told::ok("GET /api/v1/recordings?frontend_key=school", json!([recording])),
        Told::ok("GET /api/v1/recordings?frontend_id=f-1", "[]"),
        Told::ok("GET /api/v1/recordings?unassigned=true&deleted=true", json!([recording])),
        Told::ok("GET /api/v1/recordings/r-1", recording.clone()),
        Told::ok("POST /api/v1/recordings-visibility", recording),
    ];
    let (recorder, ctl) = recorder(told).await;
    let head = "Recording\tTimestamp\tMeeting\n";
    let out = ctl.done("show recordings --fe school").await;
    assert_eq!(out, format!("{head}r-1 1700000600000 Lesson\n"));
    assert_eq!(ctl.done("show recordings --unassigned --deleted").await, out);
    assert_eq!(ctl.done("show recordings --feid f-1").await, head);
    assert!(ctl.done("show recording r-1").await.starts_with("{\n   \"record_id\""));
    recorder.asked();
    let out = ctl.done("set recording-visibility r-1 public").await;
    assert_eq!(out, "Update recording: r-1 Visiblity: public\nOk.\n");
    let body = r#"{"record_id":"r-1","visibility":"public"}"#;
    assert_eq!(asked(&recorder), [line("POST /api/v1/recordings-visibility", body)]);
}

#[tokio::test]
async fn a_long_list_of_recordings_is_read_page_by_page() {
    let page = |numbers: std::ops::Range<u32>| {
        let recordings: Vec<_> = numbers.map(|number| json!({ "record_id": format!("r-{number}") })).collect();
        json!(recordings)
    };
    let told = [
        Told::ok("GET /api/v1/recordings", page(0..1000)),
        Told::ok("GET /api/v1/recordings?after=r-999", page(1000..1001)),
    ];
    let (_recorder, ctl) = recorder(told).await;
    let out = ctl.done("show recordings").await;
    assert_eq!((out.lines().count(), out.lines().last()), (1002, Some("r-1000  ")));
}

#[tokio::test]
async fn a_recording_is_deleted_assigned_and_announced() {
    let recording = json!({ "record_id": "r-1" });
    let told = [
        Told::ok("DELETE /api/v1/recordings/r-1", recording.clone()),
        Told::ok("POST /api/v1/recordings/r-1/assign", recording.clone()),
        Told::ok("POST /api/v1/recordings/r-1/ready", recording),
    ];
    let (recorder, ctl) = recorder(told).await;
    for (command, said, request, body) in [
        ("rm recording r-1", "deleted recording: r-1", "DELETE /api/v1/recordings/r-1", ""),
        (
            "recording assign r-1 school --meeting-id lesson",
            "assigned recording: r-1 school",
            "POST /api/v1/recordings/r-1/assign",
            r#"{"frontend_key":"school","meeting_id":"lesson"}"#,
        ),
        ("recording ready r-1", "announced recording: r-1", "POST /api/v1/recordings/r-1/ready", ""),
    ] {
        assert_eq!(ctl.done(command).await, format!("{said}\n"));
        assert_eq!(asked(&recorder), [line(request, body)], "{command}");
    }
}

#[tokio::test]
async fn hooks_are_listed_resumed_and_deleted() {
    let told = [
        Told::ok("GET /api/v1/hooks?frontend=school&meeting=lesson", json!([hook("paused")])),
        Told::ok("POST /api/v1/hooks/h-1/resume", hook("active")),
        Told::ok("DELETE /api/v1/hooks/h-1", hook("active")),
    ];
    let (recorder, ctl) = recorder(told).await;
    let out = ctl.done("show hooks --frontend school --meeting lesson").await;
    for text in ["moodle.example", "lesson", "user-left", "paused", "12", "the receiver answers 503", "2026-11-22"] {
        assert!(out.contains(text), "{out}");
    }
    recorder.asked();
    for (command, said, request) in [
        ("hook resume h-1", "resumed hook: h-1", "POST /api/v1/hooks/h-1/resume"),
        ("hook delete h-1", "deleted hook: h-1", "DELETE /api/v1/hooks/h-1"),
    ] {
        assert_eq!(ctl.done(command).await, format!("{said}\n"));
        assert_eq!(asked(&recorder), [line(request, "")], "{command}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_retried_and_dropped() {
    let told = [
        Told::ok("GET /api/v1/deliveries?state=waiting&frontend=school&meeting=lesson", json!([delivery("waiting")])),
        Told::ok("POST /api/v1/deliveries/d-1/retry", delivery("waiting")),
        Told::ok("DELETE /api/v1/deliveries/d-1", delivery("dropped")),
    ];
    let (recorder, ctl) = recorder(told).await;
    let out = ctl.done("show deliveries --state waiting --frontend school --meeting lesson").await;
    for text in ["moodle.example", "lesson", "waiting", "the receiver answers 503", "2026-11-22"] {
        assert!(out.contains(text), "{out}");
    }
    recorder.asked();
    for (command, said, request) in [
        ("delivery retry d-1", "retried delivery: d-1", "POST /api/v1/deliveries/d-1/retry"),
        ("delivery drop d-1", "dropped delivery: d-1", "DELETE /api/v1/deliveries/d-1"),
    ] {
        assert_eq!(ctl.done(command).await, format!("{said}\n"));
        assert_eq!(asked(&recorder), [line(request, "")], "{command}");
    }
}

#[tokio::test]
async fn pending_migrations_are_applied() {
    let mut pending = status(true);
    pending["database"]["pending_migrations"] = 2.into();
    let done = status(true)["database"].clone();
    let told = [Told::ok("GET /api/v1", pending), Told::ok("POST /api/v1/ctrl/migrate", done)];
    let recorder = Recorder::start(told).await;
    let ctl = Ctl::new(&recorder.url());
    let out = ctl.done("db migrate").await;
    assert!(out.starts_with("Applying 2 pending migrations to the database.\nMigration successful.\n"), "{out}");
    assert!(out.ends_with("Version:  v2, 'node agent api', applied at: 2026-11-22T07:12:22Z\n"), "{out}");
    assert_eq!(asked(&recorder), [line("POST /api/v1/ctrl/migrate", "")]);
    assert!(ctl.done("").await.contains("\nWARNING: 2 migrations are pending."), "it says so without a command too");
}

#[tokio::test]
async fn without_a_command_it_says_how_the_server_is() {
    let (recorder, ctl) = recorder([]).await;
    let out = ctl.done("").await;
    let expected = format!(
        "b3scale @ {}\n\nserver version: 9.9 \tbuild: b\n   api version: v1\n\nDatabase: b3scale\n\
         Version:  v2, 'node agent api', applied at: 2026-11-22T07:12:22Z\n",
        recorder.url()
    );
    assert!(out.starts_with("Usage: b3scalectl") && out.ends_with(&expected), "{out}");
    assert!(ctl.done("version").await.contains("server version: 9.9 \tbuild: b\n"));
}
