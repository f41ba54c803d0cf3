//! PostgreSQL is stopped, and started again.

use b3scale::store::private::PrivatePostgres;
use b3scale_middleware::bbb::CallKind;
use b3scale_support::{Servers, ServersOptions, TestFolder, eventually};
use http::Method;
use serde_json::{Value, json};

use super::{Ctl, Said};

/// The first line of each output.
const WARNING: &str = "WARNING: the database cannot be used, so no meeting can be created, and known meetings go on: ";

/// A server of two nodes on a PostgreSQL of its own, which knows the meeting `m1`.
async fn school(postgres: &PrivatePostgres) -> (Servers, Ctl) {
    let options = ServersOptions { servers: 1, nodes: 2, ..ServersOptions::default() };
    let servers = Servers::on(env!("CARGO_BIN_EXE_b3scaled"), postgres.url(), options).await;
    servers.call(0, CallKind::Create, "meetingID=m1&name=Lesson").await.success();
    let ctl = Ctl::of_operator(&servers.url(0));
    (servers, ctl)
}

#[tokio::test]
async fn with_postgresql_stopped_commands_say_that_first_and_promise_nothing_and_the_return_is_logged() {
    let folder = TestFolder::new();
    let postgres = PrivatePostgres::start(folder.path()).await.expect("it starts");
    let (servers, ctl) = school(&postgres).await;
    assert!(ctl.done("explain create --frontend school").await.starts_with("A meeting of school would go to "));
    postgres.stop().await;

    shows_what_it_knows(&servers, &ctl).await;
    changes_nothing(&servers, &ctl).await;
    answers_over_http(&servers).await;
    let joined = servers.call(0, CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER").await;
    assert!(joined.status.is_redirection(), "{joined:?}");
    servers.log(0).line_with("Database in trouble").await;

    let postgres = PrivatePostgres::start(folder.path()).await.expect("it starts again");
    let would_go = async || ctl.run("explain create --frontend school").await.out.starts_with("A meeting of school");
    eventually("a create would go through", would_go).await;
    servers.log(0).line_with("Database recovered: meetings can be created").await;
    assert!(ctl.done("show status").await.starts_with("server "));
    ctl.done("create-meeting --frontend school").await;
    drop(servers);
    postgres.stop().await;
}

async fn shows_what_it_knows(servers: &Servers, ctl: &Ctl) {
    let told = async |line: &str| {
        let Said { code, out, err } = ctl.run(line).await;
        let terminal = err + &out;
        assert!(terminal.starts_with(WARNING) && terminal.contains("PostgreSQL"), "{line}: {terminal}");
        assert_eq!(code, 0, "{line}: {terminal}");
        terminal
    };
    let status = told("show status").await;
    let hosts: Vec<&str> = servers.backends.iter().map(|backend| backend.url.as_str()).collect();
    for host in &hosts {
        let row = status.lines().find(|line| line.starts_with(host)).expect("the node is remembered");
        assert!(row.contains("no meeting can be created"), "{row}");
    }
    assert!(told("watch --once").await.contains("1 meeting, 0 people · 0 of 2 backends take meetings · 1 servers"));
    let explained = told("explain create --frontend school").await;
    assert!(explained.contains("No backend would take a meeting of school now."), "{explained}");
    assert!(!explained.contains("would go to") && !explained.contains("chosen"), "{explained}");
    let meetings = told("show meetings").await;
    assert!(meetings.contains("Lesson") && meetings.contains("school") && meetings.contains(" live "), "{meetings}");
    for host in &hosts {
        told(&format!("show meetings --backend {host}")).await;
    }
    assert!(told("show meetings --frontend school").await.contains("Lesson"));
    assert!(told("show meeting --frontend school m1").await.contains(" live "));
    for line in ["", "version"] {
        let out = ctl.done(line).await;
        assert!(!out.contains("migrations are pending"), "{out}");
    }
    assert!(ctl.done("").await.contains(WARNING));

    let Said { code, out, err } = ctl.run("show meetings --json").await;
    let listed: Value = serde_json::from_str(&out).expect("programs read JSON");
    assert_eq!((code, &listed[0]["frontend_meeting_id"]), (0, &json!("m1")));
    assert!(err.starts_with(WARNING) && err.lines().count() == 1, "{err}");
    let unknown = ctl.run("show backends").await;
    assert!(unknown.code == 1 && unknown.err.contains("Service Unavailable: PostgreSQL"), "{unknown:?}");
}

/// Commands that change something fail before they ask or plan anything.
async fn changes_nothing(servers: &Servers, ctl: &Ctl) {
    let host = &servers.backends[0].url;
    std::fs::write(ctl.folder.path().join("state.yaml"), "version: 1\nfrontends: []\nbackends: []\n")
        .expect("it can be written");
    for line in [
        &*format!("disable backend {host}"),
        &format!("disable --dry backend {host}"),
        &format!("delete --dry backend {host}"),
        &format!("delete backend --force {host}"),
        "delete frontend school",
        &format!("end meetings {host}"),
        "end meeting --frontend school m1",
        "set frontend office --secret s",
        "set --dry frontend office --secret s",
        &format!("set backend --load-factor 2 {host}"),
        "state import state.yaml --dry-run",
        "import b3scale --from postgres:///nowhere --dry-run",
        "create-meeting --frontend school",
        "pipeline reload",
        "db migrate",
    ] {
        let Said { code, out, err } = ctl.run(line).await;
        assert_eq!((code, out.as_str()), (1, ""), "{line}: {err}");
        assert!(err.contains(": nothing can be changed now: cannot reach PostgreSQL"), "{line}: {err}");
        assert_eq!(err.lines().count(), 1, "{line}: {err}");
    }
}

async fn answers_over_http(servers: &Servers) {
    let ready = servers.fetch(0, "/health/ready").await.expect("an answer");
    assert!(ready.status.is_success(), "known meetings go on: {ready:?}");
    let problem = "{\"problem\":\"database: the database cannot be used, so no meeting can be created, ";
    assert!(ready.text.starts_with(problem), "{ready:?}");
    let get = async |path: &str| servers.operate(0, Method::GET, path).await.granted();
    let status = get("/status").await;
    assert_eq!(status["database"]["available"], false);
    assert_eq!((&status["database"]["migrated"], &status["database"]["pending_migrations"]), (&json!(true), &json!(0)));
    let explained = get("/explain/create?frontend=school").await;
    assert_eq!((&explained["database"], &explained["chosen"]), (&json!("PostgreSQL cannot be reached"), &Value::Null));
    let verdicts = explained["candidates"].as_array().expect("a list").iter().map(|one| &one["verdict"]);
    assert!(verdicts.clone().count() == 2 && verdicts.clone().all(|verdict| verdict != "chosen"), "{explained}");
    let cluster = get("/cluster").await;
    assert_eq!(cluster["database"], "PostgreSQL cannot be reached");
    assert_eq!((&cluster["frontends"][0]["meetings"], &cluster["servers"][0]["answering"]), (&json!(1), &json!(true)));
}
