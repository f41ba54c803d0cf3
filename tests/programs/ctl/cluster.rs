//! The command line and the server, as an operator has both.

use std::fs;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::Directory as _;
use b3scale_node::{Node, NodeOptions};
use b3scale_support::{Servers, ServersOptions, TestCluster, eventually};
use serde_json::{Value, json};

use super::Ctl;

#[tokio::test]
async fn a_node_and_a_tenant_come_and_go() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    let node = Node::start(NodeOptions { secret: "third-secret".to_owned(), ..NodeOptions::default() }).await.unwrap();
    let host = node.url();
    tokio::spawn(node.run());
    let out = ctl.done(&format!("add backend --secret third-secret -j '{{\"tags\":[\"gpu\"]}}' {host}")).await;
    assert!(out.starts_with("created backend: ") && out.ends_with(&format!(" {host}\n")), "{out}");
    ctl.done("set frontend --secret office-secret -j '{\"required_tags\":[\"gpu\"]}' office").await;

    let chosen = format!("A meeting of office would go to {host}\n");
    eventually("the new node is asked", async || {
        ctl.done("explain create --frontend office").await.starts_with(&chosen)
    })
    .await;
    let out = ctl.done("create-meeting --frontend office --name Lesson --param meetingID=lesson-1").await;
    assert!(out.starts_with("meetingID: lesson-1\n") && out.contains(&format!("URL: {host}join?")), "{out}");
    assert!(ctl.done(&format!("show meetings --backend {host}")).await.contains("Lesson"));
    assert!(ctl.done("show meeting --frontend office lesson-1").await.contains(" live "));

    ctl.done(&format!("disable backend {host}")).await;
    assert!(
        ctl.done("explain create --frontend office")
            .await
            .starts_with("No backend would take a meeting of office now.")
    );
    ctl.done("end meeting --frontend office lesson-1 --yes").await;
    assert_eq!(ctl.done(&format!("delete backend {host}")).await, "backend marked for decommissioning\n");
    eventually("the last meeting has ended", async || !ctl.done("show backends").await.contains(&host)).await;
    ctl.done("delete frontend office --yes").await;
    assert!(ctl.fails("show frontend office").await.contains("there is no frontend `office`"));
}

#[tokio::test]
async fn a_meeting_of_no_frontend_is_listed_without_one_and_ended() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    for id in ["theirs-1", "theirs-2"] {
        cluster.nodes[0].control().create(id);
    }
    cluster.cluster.catch_up().await;
    let host = &cluster.backends[0].url;
    for whose in [String::new(), format!(" --backend {host}")] {
        let out = ctl.done(&format!("show meetings{whose}")).await;
        let lines: Vec<_> = out.lines().filter(|line| line.starts_with("theirs-")).collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.contains(" – ") && line.contains(" live ")), "{out}");
    }
    assert!(ctl.done("show meeting theirs-1").await.contains("theirs-1"));
    let status: Value = serde_json::from_str(&ctl.done("show status --json").await).unwrap();
    let backend = status["backends"].as_array().unwrap().iter().find(|backend| backend["host"] == **host).unwrap();
    assert_eq!(
        (&backend["meetings"], &backend["remarks"]),
        (&json!(2), &json!(["2 meetings of no frontend run there"]))
    );
    ctl.done("end meeting theirs-1 --yes").await;
    cluster.until_node(0, "it ends", |node| node.meetings().len() == 1).await;
    let asked = ctl.fails(&format!("end meetings {host}")).await;
    assert!(asked.contains("meeting"), "it is asked first: {asked}");
    ctl.done(&format!("end meetings {host} --yes")).await;
    cluster.until_node(0, "all end", |node| node.meetings().is_empty()).await;
    let none = async || !ctl.done("show meetings").await.contains("theirs-");
    eventually("none is listed", none).await;
}

#[tokio::test]
async fn what_is_exported_changes_nothing_and_what_it_lacks_can_be_deleted() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    let file = ctl.folder.path().join("state.yaml");
    fs::write(&file, ctl.done("state export").await).unwrap();
    let said = ctl.run("state import state.yaml --dry-run").await;
    assert_eq!((said.code, said.out.as_str()), (64, "no changes\n"), "{}", said.err);

    ctl.done("set frontend office --secret office-secret").await;
    let said = ctl.run("state import state.yaml").await;
    assert_eq!(said.code, 64, "what a file does not name is left alone: {said:?}");
    assert!(ctl.fails("state import state.yaml --delete").await.contains("1 of them are deleted"));
    let out = ctl.done("state import state.yaml --delete --yes").await;
    assert_eq!(out, "- frontend office\ndone: 0 added, 0 changed, 1 deleted\n");
    let changed = fs::read_to_string(&file).unwrap().replacen("load_factor: 1.0", "load_factor: 2.5", 1);
    fs::write(&file, changed).unwrap();
    let out = ctl.done("state import state.yaml").await;
    assert!(out.contains("    load_factor: 1.0 → 2.5\n") && out.ends_with("0 added, 1 changed, 0 deleted\n"), "{out}");
}

#[tokio::test]
async fn only_an_administrator_of_this_cluster_is_served() {
    let cluster = TestCluster::start().await;
    let tenant = Ctl::new(&cluster.url()).with_token(Some(&b3scale_support::token("crm", "b3scale")));
    assert!(tenant.fails("show frontends").await.contains("authorization failed"));
    let stranger = Ctl::new(&cluster.url());
    assert!(stranger.fails("show frontends").await.contains("invalid or expired jwt"));
    let newcomer = Ctl::new(&cluster.url()).with_token(None);
    assert_eq!(newcomer.run("auth authorize --secret wrong").await.code, 1);
    newcomer.done(&format!("auth authorize --secret {}", b3scale_support::JWT_SECRET)).await;
    assert!(newcomer.done("show frontends").await.contains("\tschool\t"));
    assert!(newcomer.done("export-openapi-schema").await.contains("\"openapi\": \"3.1.0\""));
    assert!(newcomer.done("db migrate").await.contains("Version:  v"));
}

#[tokio::test]
async fn a_reload_reaches_every_server_and_a_lost_one_is_seen() {
    let program = env!("CARGO_BIN_EXE_b3scaled");
    let options = ServersOptions { servers: 2, nodes: 1, ..ServersOptions::default() };
    let servers = Servers::start(program, options).await;
    let ctl = Ctl::of_operator(&servers.url(0));
    let out = ctl.done("pipeline reload").await;
    assert_eq!(out.matches(" runs it\n").count(), 2, "{out}");

    servers.call(1, CallKind::Create, "meetingID=m1&name=m1").await.success();
    let seen = async |server: usize| -> Value {
        let report = Ctl::of_operator(&servers.url(server)).done("show status --json").await;
        serde_json::from_str(&report).unwrap()
    };
    eventually("both servers count it", async || seen(0).await["backends"][0]["meetings"] == 1).await;
    servers.kill(1);
    let lost = |report: &Value| report["servers"].as_array().unwrap().iter().any(|server| server["alive"] == false);
    eventually("the lost server is seen", async || {
        let report = seen(0).await;
        lost(&report) || report["servers"].as_array().unwrap().len() == 1
    })
    .await;
}

#[tokio::test]
async fn meetings_are_created_with_an_algorithm_that_the_frontend_may_use_and_backends_keep_their_own() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    for name in ["sha1", "sha512"] {
        let body = json!({"bbb": {"key": name, "secret": "s", "checksum_algorithms": [name]}});
        cluster.operator().post("/frontends", &body).await.granted();
        eventually("the server knows", async || cluster.cluster.frontend(name).is_some()).await;
        ctl.done(&format!("create-meeting --frontend {name}")).await;
    }
    let host = &cluster.backends[0].url;
    assert_eq!(ctl.done(&format!("set backend --checksum-algorithm sha512 {host}")).await, "updated backend\n");
    assert!(ctl.done(&format!("show backend {host}")).await.contains("Checksums: sha512"));
    assert!(ctl.fails(&format!("set backend --checksum-algorithm md5 {host}")).await.contains("`md5` is none of"));
    ctl.done(&format!("set backend --checksum-algorithm= {host}")).await;
    assert!(!ctl.done(&format!("show backend {host}")).await.contains("Checksums"));
}
