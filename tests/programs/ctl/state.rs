//! The configuration as a file.

use std::fs;
use std::process::Stdio;

use b3scale_support::{Recorder, Told};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{Ctl, recorder, samples};

fn state() -> Value {
    json!({
        "version": 1,
        "frontends": [{ "key": "school", "secret": "s", "active": true, "settings": { "required_tags": ["a"] } }],
        "backends": [{ "host": "https://n/", "secret": "t", "tags": ["a"], "load_factor": 1.5, "admin_state": "ready" }],
    })
}

fn changes(applied: bool, kinds: &[&str]) -> Value {
    let change = |kind: &&str| {
        let details: &[&str] = if *kind == "change" { &["active: true → false"] } else { &[] };
        json!({ "kind": kind, "what": "frontend", "name": format!("{kind}-d"), "details": details })
    };
    json!({ "applied": applied, "changes": kinds.iter().map(change).collect::<Vec<_>>(), "fingerprint": "f1" })
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let told =
        [Told::ok("GET /api/v1/state", state()), Told::ok("POST /api/v1/state?dry_run=true", changes(false, &[]))];
    let (recorder, ctl) = recorder(told).await;
    for export in ["state export", "state export --format json", "state export --json"] {
        let file = ctl.folder.path().join("state");
        fs::write(&file, ctl.done(export).await).unwrap();
        recorder.asked();
        let said = ctl.run("state import state --dry-run").await;
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (64, "no changes\n", ""), "{export}");
        let sent: Value = serde_json::from_str(&recorder.asked()[1].body).unwrap();
        assert_eq!(sent["frontends"][0]["settings"]["required_tags"], json!(["a"]), "{export}");
        assert_eq!(sent["backends"], state()["backends"], "{export}");
    }
}

/// A full disk, or a standby: everything can be read.
#[tokio::test]
async fn a_document_is_not_spoilt_by_a_warning_about_the_database() {
    let mut status = samples::status(true);
    status["database"]["error"] = json!("PostgreSQL cannot work: its disk is full");
    let told = [Told::ok("GET /api/v1", status), Told::ok("GET /api/v1/state", state())];
    let recorder = Recorder::start(told).await;
    let ctl = Ctl::new(&recorder.url());
    for export in ["state export", "state export --format json", "state export --json"] {
        let said = ctl.run(export).await;
        let document: Value = serde_saphyr::from_str(&said.out).expect("a document");
        assert_eq!((said.code, &document["backends"]), (0, &state()["backends"]), "{export}");
        assert!(said.err.starts_with("WARNING: the database cannot be used, "), "{export}: {said:?}");
        assert!(said.err.ends_with("its disk is full\n") && said.err.lines().count() == 1, "{export}: {said:?}");
    }
}

#[tokio::test]
async fn differences_are_shown_before_they_are_made_and_a_loss_is_confirmed() {
    let all = ["add", "change", "delete"];
    let told = [
        Told::ok("POST /api/v1/state?dry_run=true&delete=true", changes(false, &all)),
        Told::ok("POST /api/v1/state?delete=true&fingerprint=f1", changes(true, &all)),
        Told::ok("POST /api/v1/state?dry_run=true", changes(false, &["add"])),
        Told::ok("POST /api/v1/state?fingerprint=f1", changes(true, &["add"])),
    ];
    let (recorder, ctl) = recorder(told).await;
    fs::write(ctl.folder.path().join("state.json"), state().to_string()).unwrap();
    let shown = "+ frontend add-d\n~ frontend change-d\n    active: true → false\n- frontend delete-d\n";
    let said = ctl.run("state import --delete state.json").await;
    assert_eq!((said.code, said.out.as_str()), (1, shown));
    assert!(said.err.contains("1 of them are deleted") && said.err.contains("--yes"), "{}", said.err);
    assert_eq!(recorder.asked().len(), 2, "nothing was changed");
    assert_eq!(ctl.done("state import --delete state.json --dry").await, shown);
    let out = ctl.done("state import --delete --yes state.json").await;
    assert_eq!(out, format!("{shown}done: 1 added, 1 changed, 1 deleted\n"));
    assert_eq!(ctl.done("state import state.json").await, "+ frontend add-d\ndone: 1 added, 0 changed, 0 deleted\n");
}

#[tokio::test]
async fn what_was_shown_is_not_done_to_a_cluster_that_has_changed_since() {
    let conflict = json!({ "error": "conflict", "fields": {}, "message": "it has changed" });
    let told = [
        Told::ok("POST /api/v1/state?dry_run=true", changes(false, &["add"])),
        Told::status("POST /api/v1/state?fingerprint=f1", 409, conflict),
    ];
    let (recorder, ctl) = recorder(told).await;
    fs::write(ctl.folder.path().join("state.json"), state().to_string()).unwrap();
    let said = ctl.fails("state import state.json").await;
    let expected = "the cluster was changed meanwhile, and nothing was done; start the import again\n";
    assert_eq!(said, format!("{}: {expected}", recorder.url()));
}

#[tokio::test]
async fn a_file_may_come_by_standard_input_and_is_refused_with_line_and_column() {
    let (recorder, ctl) = recorder([]).await;
    fs::write(ctl.folder.path().join("state.yaml"), "version: 1\nfrontends:\n  - kye: school\n").unwrap();
    let said = ctl.fails("state import state.yaml").await;
    assert!(said.starts_with("state.yaml:3:5 cannot be read: ") && said.contains("kye"), "{said}");
    assert!(ctl.fails("state import nothing.yaml").await.starts_with("nothing.yaml cannot be read: "));

    let mut command = ctl.command("state import -");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"version: 2\n").await.unwrap();
    let said = String::from_utf8(running.wait_with_output().await.unwrap().stderr).unwrap();
    assert!(said.starts_with("standard input cannot be read: it has version 2"), "{said}");
    assert_eq!(recorder.asked().len(), 0, "what cannot be read is not sent");
}
