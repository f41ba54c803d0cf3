//! With `--json` a program reads exactly one value from each command.

use std::fs;

use b3scale_support::Told;
use serde_json::{Value, json};

use super::samples::{
    ASKED_HOST, BACKEND, COMMAND, FRONTEND, HOST, backend, cluster, command, delivery, frontend, hook, meeting, status,
};
use super::{Ctl, recorder};

fn told() -> Vec<Told> {
    let recording = json!({ "record_id": "r-1" });
    let pipeline = json!({ "hash": "h1", "file": null, "plan": "create" });
    let changes = json!({ "applied": false, "changes": [], "fingerprint": "f1" });
    let document = "<response><returncode>SUCCESS</returncode><meetingID>m-1</meetingID></response>";
    let explanation = json!({ "frontend": "school", "chosen": null, "candidates": [] });
    vec![
        Told::ok("GET /api/v1/backends", json!([backend(&json!({}))])),
        Told::ok(&format!("GET /api/v1/backends?host={ASKED_HOST}"), json!([backend(&json!({}))])),
        Told::ok("GET /api/v1/backends?host=http%3A%2F%2Fnew%2F", "[]"),
        Told::ok("POST /api/v1/backends", backend(&json!({}))),
        Told::ok(&format!("PATCH /api/v1/backends/{BACKEND}"), backend(&json!({}))),
        Told::ok(&format!("DELETE /api/v1/backends/{BACKEND}?force=true"), backend(&json!({}))),
        Told::ok("GET /api/v1/frontends", "[]"),
        Told::ok("GET /api/v1/frontends?key=school", json!([frontend(&json!({}))])),
        Told::ok(&format!("PATCH /api/v1/frontends/{FRONTEND}"), frontend(&json!({ "account_ref": "new" }))),
        Told::ok(&format!("DELETE /api/v1/frontends/{FRONTEND}"), frontend(&json!({}))),
        Told::ok("GET /api/v1/meetings?all=true", json!([meeting()])),
        Told::ok("GET /api/v1/meetings?frontend_key=school", "[]"),
        Told::ok("GET /api/v1/meetings/WyJz", meeting()),
        Told::status("POST /api/v1/commands", 202, command("requested", &Value::Null)),
        Told::ok(&format!("GET /api/v1/commands/{COMMAND}"), command("success", &json!(true))),
        Told::ok("GET /api/v1/recordings?frontend_key=school", json!([recording])),
        Told::ok("GET /api/v1/recordings/r-1", recording.clone()),
        Told::ok("POST /api/v1/recordings-visibility", recording.clone()),
        Told::ok("DELETE /api/v1/recordings/r-1", recording.clone()),
        Told::ok("POST /api/v1/recordings/r-1/assign", recording.clone()),
        Told::ok("POST /api/v1/recordings/r-1/ready", recording),
        Told::ok("POST /bbb/school/create?*", document),
        Told::found("GET /bbb/school/join?*", "https://node-1.example/join"),
        Told::ok("GET /api/v1/explain/create?frontend=school", explanation),
        Told::ok("GET /api/v1/cluster", cluster(["h1", "h1"])),
        Told::ok("GET /api/v1/jobs", "[]"),
        Told::ok("GET /api/v1/deliveries", "[]"),
        Told::ok("POST /api/v1/deliveries/d-1/retry", delivery("waiting")),
        Told::ok("DELETE /api/v1/deliveries/d-1", delivery("dropped")),
        Told::ok("GET /api/v1/hooks", "[]"),
        Told::ok("POST /api/v1/hooks/h-1/resume", hook("active")),
        Told::ok("DELETE /api/v1/hooks/h-1", hook("active")),
        Told::ok("GET /api/v1/pipeline", pipeline.clone()),
        Told::ok("GET /api/v1/pipeline/catalog", "[]"),
        Told::ok("POST /api/v1/pipeline/reload", pipeline),
        Told::ok("GET /api/v1/state", json!({ "version": 1 })),
        Told::ok("POST /api/v1/state?dry_run=true", changes),
        Told::ok("POST /api/v1/ctrl/migrate", status(true)["database"].clone()),
    ]
}

/// The one value that a run prints, which ends with `code`.
async fn value(ctl: &Ctl, line: &str, code: i32) -> Value {
    let said = ctl.run(&format!("{line} --json --yes")).await;
    assert_eq!(said.code, code, "{line}: {said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{line}: {error}: {}", said.out))
}

#[tokio::test]
async fn every_command_prints_one_value() {
    let (recorder, ctl) = recorder(told()).await;
    let lines = [
        "",
        "--version",
        "version",
        "show backends",
        "show backend HOST",
        "show frontends",
        "show frontend school",
        "show meetings",
        "show meeting WyJz",
        "show recordings --frontend school",
        "show recording r-1",
        "show status",
        "show jobs",
        "show deliveries",
        "delivery retry d-1",
        "delivery drop d-1",
        "show hooks",
        "hook resume h-1",
        "hook delete h-1",
        "set backend http://new --secret s",
        "set frontend school --account-ref new",
        "set recording-visibility r-1 public",
        "delete backend HOST",
        "delete backend --force HOST",
        "delete frontend school",
        "delete recording r-1",
        "recording assign r-1 school",
        "recording ready r-1",
        "enable frontend school",
        "disable backend HOST",
        "disable frontend school",
        "end meetings HOST",
        "end meeting WyJz",
        "create-meeting --frontend school",
        "explain create --frontend school",
        "pipeline check",
        "pipeline show",
        "pipeline catalog",
        "pipeline reload",
        "state export",
        "state export --format yaml",
        "watch --once",
        "db migrate",
        "auth authorize --secret s",
        "auth authorize_node_agent --secret s",
        "completions bash",
        "export-openapi-schema",
    ];
    for line in lines {
        value(&ctl, &line.replace("HOST", HOST), 0).await;
    }
    let newcomer = Ctl::new(&recorder.url()).with_token(None);
    assert_eq!(value(&newcomer, "", 0).await, json!({ "authorized": null }));
}

#[tokio::test]
async fn what_changes_nothing_prints_what_there_is() {
    let (_recorder, ctl) = recorder(told()).await;
    fs::write(ctl.folder.path().join("state.json"), r#"{"version": 1}"#).unwrap();
    for line in ["set backend HOST", "set backend HOST --load-factor 1", "enable backend HOST"] {
        let there = value(&ctl, &line.replace("HOST", HOST), 64).await;
        assert_eq!((&there["id"], &there["bbb"]["secret"]), (&json!(BACKEND), &json!("***")), "{line}");
    }
    assert_eq!(value(&ctl, "set frontend school", 64).await["id"], FRONTEND);
    assert_eq!(value(&ctl, "state import state.json", 64).await["changes"], json!([]));
}

#[tokio::test]
async fn what_is_only_tried_prints_what_would_be_done() {
    let (_recorder, ctl) = recorder(told()).await;
    for (line, skipped) in [
        ("set backend http://new -s s", "create backend http://new/".to_owned()),
        ("set backend HOST -s s", format!("update backend {HOST}")),
        ("set frontend school -s s", "update frontend school".to_owned()),
        ("set recording-visibility r-1 public", "update recording".to_owned()),
        ("delete backend HOST", format!("mark backend for decommissioning {HOST}")),
        ("delete frontend school", format!("delete frontend {FRONTEND}")),
        ("delete recording r-1", "delete recording r-1".to_owned()),
        ("recording assign r-1 school", "assign recording r-1 to school".to_owned()),
        ("recording ready r-1", "announce recording r-1".to_owned()),
        ("disable backend HOST", format!("set admin state of {HOST} to stopped")),
        ("enable frontend school", format!("enable frontend {FRONTEND}")),
    ] {
        let line = format!("{} --dry", line.replace("HOST", HOST));
        assert_eq!(value(&ctl, &line, 0).await, json!({ "skipping": skipped }), "{line}");
    }
}
