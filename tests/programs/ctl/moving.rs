//! Moving in from another system.

use b3scale_support::{TestCluster, TestDatabase, TestRedis};

use super::Ctl;

const ORIGINAL: &str = include_str!("../../cluster/import/original.sql");

#[tokio::test]
async fn what_a_b3scale_has_comes_over_once() {
    let (cluster, original) = (TestCluster::start().await, TestDatabase::empty().await);
    original.execute(ORIGINAL).await;
    let ctl = Ctl::of_operator(&cluster.url());
    let import = format!("import b3scale --from {}", original.url());
    let shown = ctl.run(&format!("{import} --dry-run")).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.err.lines().all(|line| line.starts_with("note: ")) && shown.err.contains("recording"), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ frontend ")), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ backend ")), "{shown:?}");
    assert!(shown.out.lines().any(|line| line.starts_with("+ meeting ")), "{shown:?}");
    let done = ctl.run(&import).await;
    assert!(done.code == 0 && done.out.starts_with(&shown.out) && done.out.contains("\ndone: "), "{done:?}");
    let again = ctl.run(&import).await;
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
    let said = ctl.run(&format!("import scalelite --from {} --key main", redis.url())).await;
    assert!(said.code == 2 && said.err.contains("--secret"), "{said:?}");
}

#[tokio::test]
async fn what_is_no_such_system_is_refused_in_a_line() {
    let cluster = TestCluster::start().await;
    let ctl = Ctl::of_operator(&cluster.url());
    let said = ctl.fails(&format!("import b3scale --from {}", cluster.database.url())).await;
    assert!(said.contains("b3scale"), "{said}");
    let said = ctl.fails("import scalelite --from redis://:hidden@127.0.0.1:1").await;
    assert!(said.contains("127.0.0.1:1") && !said.contains("hidden"), "{said}");
}
