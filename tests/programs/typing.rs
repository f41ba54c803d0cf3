//! Typing mistakes, and readers that leave: every program names the mistake, or ends quietly.

use std::fs::OpenOptions;
use std::process::Stdio;

use b3scale_support::{Recorder, Running, TestDatabase, TestFolder, Told, output, program, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::b3scaled;
use super::ctl::samples::status;
use super::pipeline::sessions;

/// Without a server and without files of this machine.
fn ctl(folder: &TestFolder, arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_b3scalectl"), arguments);
    command.env("B3SCALE_DB_URL", "unused").env("XDG_CONFIG_HOME", folder.path()).current_dir(folder.path());
    command
}

fn agent(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_b3scaleagent"), arguments)
}

/// A pipe that is not read any more.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    drop(reader);
    writer.into()
}

/// The exit code, and standard error.
async fn said(command: Command) -> (Option<i32>, String) {
    let output = output(command).await;
    (output.status.code(), String::from_utf8(output.stderr).expect("it is text"))
}

/// The exit code and standard error of a program with its standard output unread.
async fn without_a_reader(mut command: Command) -> (Option<i32>, String) {
    let run = command.stdout(unread()).stderr(Stdio::piped()).spawn().expect("it can be run").wait_with_output();
    let output = within("it ends", run).await.expect("it is ours");
    (output.status.code(), String::from_utf8(output.stderr).expect("it is text"))
}

#[tokio::test]
async fn a_reader_that_leaves_ends_every_program_quietly() {
    let folder = TestFolder::new();
    let mut token = b3scaled(&["token"]);
    token.env("B3SCALE_API_JWT_SECRET", "s");
    let commands = [
        token,
        b3scaled(&["--check"]),
        b3scaled(&["--help"]),
        b3scaled(&["--version"]),
        b3scaled(&["node", "--listen", "127.0.0.1:0"]),
        b3scaled(&["demo", "--once", "--listen", "127.0.0.1:0", "--nodes", "2"]),
        agent(&["--help"]),
        agent(&["--version"]),
        ctl(&folder, &["--help"]),
        ctl(&folder, &["export-openapi-schema"]),
        ctl(&folder, &["pipeline", "check"]),
        ctl(&folder, &["completions", "bash"]),
        ctl(&folder, &["show", "--generate-bash-completion"]),
    ];
    for command in commands {
        let named = format!("{:?}", command.as_std());
        assert_eq!(without_a_reader(command).await, (Some(0), String::new()), "{named}");
    }
}

#[tokio::test]
async fn a_watch_ends_when_its_reader_leaves() {
    let cluster = super::ctl::samples::cluster(["h1", "h1"]);
    let told = [Told::ok("GET /api/v1", status(true)), Told::ok("GET /api/v1/cluster", cluster)];
    let folder = TestFolder::new();
    let watch = |recorder: &Recorder, arguments: &[&str]| {
        let mut command = ctl(&folder, &[&["watch", "--interval", "0.01"], arguments].concat());
        command.env("B3SCALE_API_URL", recorder.url()).env("B3SCALE_API_ACCESS_TOKEN", "a.b.c");
        command
    };
    // The second does not tell the load of its cluster.
    let silent = Recorder::start([told[0].clone()]).await;
    for (recorder, arguments) in
        [Recorder::start(told).await, silent].iter().flat_map(|one| [(one, &[][..]), (one, &["--json"])])
    {
        let ended = without_a_reader(watch(recorder, arguments)).await;
        assert_eq!(ended, (Some(0), String::new()), "{arguments:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_keeps_its_exit_code_without_a_reader_of_errors() {
    let folder = TestFolder::new();
    for mut command in [b3scaled(&["tokn"]), agent(&["drian"]), ctl(&folder, &["shwo"])] {
        let run = command.stdout(unread()).stderr(unread()).status();
        assert_eq!(within("it ends", run).await.unwrap().code(), Some(2), "{:?}", command.as_std());
    }
}

#[tokio::test]
async fn a_full_disk_is_a_failure_in_one_line() {
    let folder = TestFolder::new();
    for mut command in [b3scaled(&["--check"]), b3scaled(&["--help"]), agent(&["--version"]), ctl(&folder, &["--help"])]
    {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = within("it ends", child.wait_with_output()).await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.starts_with("the output cannot be written: ") && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn a_server_goes_on_without_a_reader_of_its_log() {
    let database = TestDatabase::new().await;
    let mut command = b3scaled(&["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_DRAIN_DELAY", "0");
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let started = async {
        loop {
            let line = log.next_line().await.unwrap().expect("it has started");
            if line.contains("b3scaled serves") {
                return serde_json::from_str::<Value>(&line).unwrap();
            }
        }
    };
    let started = within("it serves", started).await;
    drop(log);
    for _ in 0..3 {
        assert_eq!(sessions(started["listen"].as_str().unwrap()).await, "checksumError");
    }
    kill_process(Pid::from_raw(server.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(within("it ends", server.wait()).await.unwrap().success());
}

#[tokio::test]
async fn no_value_of_a_flag_is_made_up() {
    let (recorder, folder) = (Recorder::start([Told::ok("GET /api/v1", status(true))]).await, TestFolder::new());
    let lines: [&[&str]; 6] = [
        &["set", "frontend", "school", "--secret"],
        &["set", "frontend", "school", "--secret", "--host", "x"],
        &["set", "frontend", "school", "--secret="],
        &["set", "frontend", "school", "-j"],
        &["delete", "frontend", ""],
        &["show", "frontends", "--api", "--json"],
    ];
    for line in lines {
        let mut command = ctl(&folder, line);
        command.env("B3SCALE_API_URL", recorder.url()).env("B3SCALE_API_ACCESS_TOKEN", "a.b.c");
        let (code, text) = said(command).await;
        assert_eq!(code, Some(2), "{line:?}: {text}");
        assert!(text.starts_with('`') || text.starts_with("an argument "), "{text}");
    }
    assert!(recorder.asked().is_empty());
    for command in [b3scaled(&["--pipeline", "--check"]), b3scaled(&["token", "--sub"]), agent(&["--regster"])] {
        let named = format!("{:?}", command.as_std());
        let (code, text) = said(command).await;
        assert!(code == Some(2) && text.contains("--help for more information"), "{named}: {text}");
    }
}

#[tokio::test]
async fn a_misspelt_setting_is_not_passed_over() {
    let (recorder, folder) = (Recorder::start([Told::ok("GET /api/v1", status(true))]).await, TestFolder::new());
    let lines = [
        (["set", "backend", "http://n/", "-j", r#"{"tag": ["eu"]}"#], "`tag`; did you mean `tags`?"),
        (["set", "frontend", "school", "-j", r#"{"required_tag": []}"#], "did you mean `required_tags`?"),
        (["set", "frontend", "school", "-j", r#"{"attendees_limit": {"max": 1}}"#], "`attendees_limit.max`"),
    ];
    for (line, expected) in lines {
        let mut command = ctl(&folder, &line);
        command.env("B3SCALE_API_URL", recorder.url()).env("B3SCALE_API_ACCESS_TOKEN", "a.b.c");
        let (code, text) = said(command).await;
        assert!(code == Some(2) && text.contains(expected) && text.lines().count() == 1, "{line:?}: {text}");
    }
    assert!(recorder.asked().is_empty());
}

#[tokio::test]
async fn a_token_of_an_unknown_scope_is_not_made() {
    let folder = TestFolder::new();
    let mut server = b3scaled(&["token", "--scopes", "b3scale:amdin"]);
    server.env("B3SCALE_API_JWT_SECRET", "s");
    let line = ["auth", "create_access_token", "--sub", "x", "--scopes", "b3scale,b3scale:amdin", "--secret", "s"];
    for command in [server, ctl(&folder, &line)] {
        let output = output(command).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}");
        assert!(text.contains("did you mean `b3scale:admin`? There are `b3scale`, "), "{text}");
    }
}

#[tokio::test]
async fn an_empty_database_url_stops_the_start_and_no_database_is_made_for_it() {
    let folder = TestFolder::new();
    let mut command = b3scaled(&[]);
    command.env("B3SCALE_DB_URL", "").env("B3SCALE_DATA_DIR", folder.path()).current_dir(folder.path());
    let (code, text) = said(command).await;
    let expected = "B3SCALE_DB_URL: it is empty; set it to something, or unset it to have its default\n";
    assert_eq!((code, text.as_str()), (Some(1), expected));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was started");
}

#[tokio::test]
async fn a_settings_file_that_cannot_be_read_stops_servers_and_agents_and_is_noted_by_b3scalectl() {
    let folder = TestFolder::new();
    std::fs::create_dir(folder.path().join(".env")).unwrap();
    for (mut command, name) in [(b3scaled(&[]), "B3SCALE_DB_URL"), (agent(&["drain"]), "B3SCALE_API_URL")] {
        command.current_dir(folder.path());
        let (code, text) = said(command).await;
        assert!(code == Some(1) && text.starts_with(&format!("{name}: it is not set, and .env, which may")), "{text}");
    }
    let mut command = ctl(&folder, &["--version"]);
    command.env_remove("B3SCALE_DB_URL");
    let (code, text) = said(command).await;
    assert!(code == Some(0) && text.starts_with("note: B3SCALE_DB_URL: it is not set, and .env"), "{text}");
}

#[tokio::test]
async fn a_database_url_that_is_none_is_named_with_its_variable() {
    for (url, expected) in [
        ("geheim", "it is neither a URL such as postgresql://HOST/DATABASE nor pairs of key=value"),
        ("postgres://u:geheim@h:x/d", "; a port is a number from 1 to 65535"),
    ] {
        let mut command = b3scaled(&[]);
        command.env("B3SCALE_DB_URL", url);
        let (code, text) = said(command).await;
        assert!(code == Some(1) && text.starts_with("B3SCALE_DB_URL: ") && text.contains(expected), "{text}");
        assert!(text.lines().count() == 1 && !text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn an_empty_variable_of_which_nothing_is_made_is_as_one_that_is_not_set() {
    let folder = TestFolder::new();
    let empty = |mut command: Command| {
        for name in ["LOG_LEVEL", "YES", "API_ACCESS_TOKEN", "DB_POOL_SIZE", "LISTEN_HTTP", "AGENT_TAGS"] {
            command.env(format!("B3SCALE_{name}"), "");
        }
        command.current_dir(folder.path());
        command
    };
    let (code, text) = said(empty(b3scaled(&["--check"]))).await;
    assert_eq!(code, Some(0), "{text}");

    let mut command = empty(ctl(&folder, &["show", "backends"]));
    command.env("B3SCALE_API_URL", "http://127.0.0.1:1").stdin(Stdio::null());
    let (_, text) = said(command).await;
    assert!(text.contains("no access token") && !text.contains("it is empty"), "{text}");

    let mut command = empty(agent(&[]));
    command.env("B3SCALE_API_URL", "http://127.0.0.1:1").env("BBB_CONFIG", "/nowhere/bbb-web.properties");
    let (code, text) = said(command).await;
    assert!(
        code == Some(1) && text.starts_with("/nowhere/bbb-web.properties cannot be read"),
        "it goes on to BBB: {text}"
    );
}

#[tokio::test]
async fn a_simulated_node_needs_no_settings_of_a_server() {
    let folder = TestFolder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = b3scaled(&["node", "--listen", &address]);
    command.env("B3SCALE_DB_URL", "").env("B3SCALE_LISTEN_HTTP", "nowhere").current_dir(folder.path());
    let (code, text) = said(command).await;
    assert!(code == Some(1) && text.contains("in use") && !text.contains("B3SCALE_"), "{text}");
    assert!(text.starts_with(&format!("cannot listen on {address}: ")) && text.contains("--listen"), "{text}");
}

#[tokio::test]
async fn a_simulated_node_says_at_once_that_its_redis_is_away() {
    let mut node = Running::logging(b3scaled(&["node", "--listen", "127.0.0.1:0", "--redis", "redis://127.0.0.1:1"]));
    let line = node.line_with("Connecting to Redis failed").await;
    assert!(line.contains("check host, port and password"), "{line}");
}

#[tokio::test]
async fn no_program_prints_a_password_in_a_line_that_it_cannot_understand() {
    for command in [
        b3scaled(&["node", "--redis", "http://:geheim@host"]),
        b3scaled(&["node", "redis://:geheim@host"]),
        b3scaled(&["postgres://u:geheim@host/d"]),
        agent(&["https://u:geheim@host"]),
    ] {
        let named = format!("{:?}", command.as_std());
        let (code, text) = said(command).await;
        assert!(code == Some(2) && text.contains("://***@host") && !text.contains("geheim"), "{named}: {text}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_an_operators_is_made_for_a_name_only() {
    for scopes in ["b3scale:node", "b3scale", "b3scale:metrics,b3scale:node"] {
        let mut command = b3scaled(&["token", "--scopes", scopes]);
        command.env("B3SCALE_API_JWT_SECRET", "s");
        let output = output(command).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}");
        assert!(text.contains("needs `--sub NAME`") && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn a_line_of_a_settings_file_that_sets_nothing_is_named_with_its_place() {
    let folder = TestFolder::new();
    std::fs::write(folder.path().join(".env"), "# ours\nexport B3SCALE_API_URL=https://geheim\n").unwrap();
    let mut command = agent(&["drain"]);
    command.current_dir(folder.path()).env("BBB_CONFG", "/tmp/x");
    let (code, text) = said(command).await;
    assert!(code == Some(1) && text.contains(".env:2") && text.contains("NAME=value"), "{text}");
    assert!(text.contains("BBB_CONFIG") && text.contains("B3SCALE_API_URL is not set"), "{text}");
    assert!(!text.contains("geheim"), "it may be a secret: {text}");

    let mut command = ctl(&folder, &["show", "backends"]);
    command.env_remove("B3SCALE_DB_URL").env("B3SCALE_API_URL", "http://127.0.0.1:1");
    let (_, text) = said(command).await;
    assert!(text.contains(".env:2: this line is not NAME=value"), "{text}");
}
