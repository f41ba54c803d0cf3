//! Moving in from another system.

use b3scale_support::{TestCluster, TestDatabase, TestRedis};
use serde_json::Value;

use super::{Ctl, recorder};

const ORIGINAL: &str = include_str!("../../cluster/import/original.sql");

/// A cluster, an original, and the line that imports it.
struct Moving {
    original: TestDatabase,
    ctl: Ctl,
    import: String,
    _cluster: TestCluster,
}

impl Moving {
    async fn start() -> Self {
        let (cluster, original) = (TestCluster::start().await, TestDatabase::empty().await);
        original.execute(ORIGINAL).await;
        let import = format!("import b3scale --from {}", original.url());
        Self { original, ctl: Ctl::of_operator(&cluster.url()), import, _cluster: cluster }
    }
}

#[tokio::test]
async fn what_a_b3scale_has_comes_over_once() {
    let Moving { ctl, import, .. } = &Moving::start().await;
    let shown = ctl.run(&format!("{import} --dry-run")).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.err.lines().all(|line| line.starts_with("note: ")) && shown.err.contains("recording"), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ frontend ")), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ backend ")), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ meeting ")), "{shown:?}");
    let done = ctl.run(import).await;
    assert!(done.code == 0 && done.out.starts_with(&shown.out) && done.out.contains("\ndone: "), "{done:?}");
    let again = ctl.run(import).await;
    assert_eq!((again.code, again.out.as_str()), (64, "no changes\n"), "{}", again.err);
}

#[tokio::test]
async fn what_a_scalelite_has_comes_over_with_the_secret_it_keeps_elsewhere() {
    let (cluster, redis) = (TestCluster::start().await, TestRedis::start().await);
    redis.run(&["SADD", "scalelite:servers", "n1"]).await;
    let server = ["HSET", "scalelite:server:n1", "url", "https://n1.example/bigbluebutton/api", "secret", "s"];
    redis.run(&[&server[..], &["state", "enabled"]].concat()).await;
    let ctl = Ctl::of_operator(&cluster.url());
    let import = format!("import scalelite --from {} --key main --secret loadbalancer", redis.url());
    let said = ctl.run(&import).await;
    let shown = "+ frontend main\n+ backend https://n1.example/bigbluebutton/api/\n";
    assert!(said.code == 0 && said.out.starts_with(shown), "{said:?}");
    assert!(ctl.done("show frontend main --secrets").await.ends_with("Frontend Secret: loadbalancer\n"));
    assert_eq!(ctl.run(&import).await.code, 64);
    let said = ctl.fails(&format!("import scalelite --from {} --key a/b --secret s", redis.url())).await;
    assert!(said.starts_with("the frontend of --key `a/b` cannot be made: `key` should"), "{said}");
    let said = ctl.run(&format!("import scalelite --from {} --key main", redis.url())).await;
    assert!(said.code == 2 && said.err.contains("--secret"), "{said:?}");
}

#[tokio::test]
async fn what_is_no_such_system_is_refused_in_a_line() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    let said = ctl.fails(&format!("import b3scale --from {}", cluster.database.url())).await;
    assert!(said.contains("b3scale"), "{said}");
}

#[tokio::test]
async fn no_error_tells_a_password() {
    let (_recorder, ctl) = recorder([]).await;
    for (line, told) in [
        ("import scalelite --from redis://:geheim@127.0.0.1:1", "127.0.0.1:1"),
        ("import scalelite --from redis://:geheim@127.0.0.1:x", "URL"),
        ("import scalelite --from redis://u:ge/heim@127.0.0.1", "URL"),
        ("import scalelite --from http://u:geheim@127.0.0.1", "redis://HOST"),
        ("import b3scale --from postgres://u:geheim@127.0.0.1:1/d", "127.0.0.1:1"),
        ("import b3scale --from postgres://u:geheim@127.0.0.1:x/d", "the URL of --from cannot be used: "),
        ("import b3scale --from postgres://u:geheim@127.0.0.1:x/d", "a port is a number from 1 to 65535"),
        ("import b3scale --from postgres://u:ge@heim@127.0.0.1:1/d", "%40"),
        ("import b3scale --from postgres://u:geheim@127.0.0.1:1/d?sslmode=x", "sslmode"),
        ("import b3scale --from u:geheim@127.0.0.1", "postgresql://HOST/DATABASE"),
        ("-b http://u:geheim@127.0.0.1:1 show backends", "http://***@127.0.0.1:1"),
        ("-b http://u:ge/heim@127.0.0.1:1 show backends", "http://***@127.0.0.1:1"),
    ] {
        let said = ctl.fails(line).await;
        assert!(said.contains(told) && !said.contains("heim"), "{line}: {said}");
    }
    for line in ["import postgres://u:geheim@h/d", "import b3scale postgres://u:geheim@h/d", "redis://:geheim@h"] {
        let said = ctl.run(line).await;
        assert!(said.code == 2 && said.err.contains("://***@h") && !said.err.contains("heim"), "{said:?}");
    }
    let said = ctl.with_token(None).fails("-b http://u:geheim@127.0.0.1:1 show backends").await;
    assert!(said.contains("http://***@127.0.0.1:1") && !said.contains("heim"), "{said}");
}

/// Moving in takes days, in which the new cluster is looked after already.
#[tokio::test]
async fn what_was_done_here_is_kept_when_more_comes_over() {
    let Moving { original, ctl, import, .. } = &Moving::start().await;
    assert_eq!(ctl.run(import).await.code, 0);
    let node = "https://n1.example/bigbluebutton/api/";
    ctl.done(&format!("disable backend {node}")).await;
    ctl.done("set frontend school --next-secret one-to-come").await;
    let again = ctl.run(import).await;
    assert_eq!((again.code, again.out.as_str()), (64, "no changes\n"), "{}", again.err);

    original
        .execute("INSERT INTO backends (host, secret, admin_state) VALUES ('https://n9.example/', 'n9', 'ready')")
        .await;
    let more = ctl.run(import).await;
    assert_eq!(more.out, "+ backend https://n9.example/\ndone: 1 added, 0 changed, 0 deleted\n", "{}", more.err);
    let shown = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
    assert_eq!(shown(&ctl.done(&format!("show backend {node} --json")).await)["admin_state"], "stopped");
    let school = shown(&ctl.done("show frontend school --json --secrets").await);
    assert_eq!(school["bbb"]["next_secret"], "one-to-come");
}
