//! What shells are offered.

use b3scale_support::{Told, output};
use serde_json::json;
use tokio::process::Command;

use super::samples::{HOST, backend, frontend};
use super::{Ctl, recorder};

const ASK: &str = "--generate-bash-completion";

async fn offered(ctl: &Ctl, line: &str) -> Vec<String> {
    ctl.done(&format!("{line} {ASK}")).await.lines().map(str::to_owned).collect()
}

fn known() -> [Told; 3] {
    [
        Told::ok("GET /api/v1/backends", json!([backend(&json!({}))])),
        Told::ok("GET /api/v1/frontends", json!([frontend(&json!({}))])),
        Told::ok("GET /api/v1/recordings", json!([{ "record_id": "r-1" }])),
    ]
}

#[tokio::test]
async fn commands_flags_hosts_and_keys_are_offered() {
    let (_recorder, ctl) = recorder(known()).await;
    assert!(offered(&ctl, "").await.contains(&"create-meeting".to_owned()));
    assert_eq!(offered(&ctl, "del").await, offered(&ctl, "delete").await);
    assert_eq!(offered(&ctl, "delete").await, ["backend", "frontend", "recording"]);
    let flags = offered(&ctl, "set backend --s").await;
    assert!(["--secret", "--opts", "--json"].iter().all(|flag| flags.contains(&(*flag).to_owned())), "{flags:?}");
    for line in ["enable backend", "end meetings", "show meetings --backend", "--json set --dry backend"] {
        assert_eq!(offered(&ctl, line).await, [HOST], "{line}");
    }
    for line in ["s frontend", "cm --frontend", "explain create --frontend"] {
        assert_eq!(offered(&ctl, line).await, ["school"], "{line}");
    }
    for line in
        ["show recording", "set recording-visibility", "delete recording", "recording assign", "recording ready"]
    {
        assert_eq!(offered(&ctl, line).await, ["r-1"], "{line}");
    }
    assert_eq!(offered(&ctl, "completions").await, ["bash", "zsh", "fish"]);
    assert_eq!(offered(&ctl, "enable backend x").await, [""; 0]);
}

#[tokio::test]
async fn a_shell_is_never_kept_waiting_nor_told_of_a_failure() {
    let ctl = Ctl::new("http://127.0.0.1:1");
    for line in ["enable backend", "enable frontend", "no such command", "--api"] {
        offered(&ctl, line).await;
    }
    assert_eq!(offered(&ctl.with_token(None), "enable backend").await, [""; 0]);
}

#[tokio::test]
async fn bash_completes_the_url_of_a_backend() {
    let (_recorder, ctl) = recorder(known()).await;
    let program = env!("CARGO_BIN_EXE_b3scalectl");
    let script = format!(
        "source <({program} completions bash)
         complete_line() {{
             COMP_LINE=\"{program} $1\"; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=$' :='
             _b3scalectl; printf '%s\\n' \"${{COMPREPLY[@]}}\"
         }}
         complete_line 'enable back'; complete_line 'enable backend '; complete_line 'enable backend https:'
         complete_line 'show --js'"
    );
    let mut bash = Command::new("bash");
    let environment = ctl.command("");
    bash.args(["--norc", "-c", &script]);
    for (name, value) in environment.as_std().get_envs() {
        value.map(|value| bash.env(name, value));
    }
    let output = output(bash).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let rest = HOST.trim_start_matches("https:");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["backend", HOST, rest, "--json"], "{}", String::from_utf8_lossy(&output.stderr));
}
