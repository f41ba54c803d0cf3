//! A database that answers and cannot work: creates fail at once with a reason, known meetings go on.

use b3scale::store::{Store, StoreError, Trouble};
use b3scale_middleware::bbb::CallKind;
use b3scale_node::Node;
use b3scale_support::{Answer, TestCluster, eventually};
use serde_json::{Value, json};

/// Lets every change of a table fail as on a full disk.
fn fill(table: &str) -> String {
    format!(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION fail();"
    )
}

const FREE: &str = "DROP FUNCTION fail CASCADE";

async fn create(cluster: &TestCluster, id: &str) -> Answer {
    cluster.call(CallKind::Create, &format!("name=Lesson&meetingID={id}")).await
}

/// How many creates the nodes have got.
fn creates(cluster: &TestCluster) -> usize {
    cluster.nodes.iter().flat_map(Node::calls).filter(|call| call.call == "create").count()
}

/// Waits until the server says so of its database, or that all is well.
async fn says(cluster: &TestCluster, problem: Option<&str>) {
    let says = async || {
        let ready = cluster.get("/health/ready", &[]).await;
        assert!(ready.status.is_success(), "it can be asked for what it knows: {ready:?}");
        problem.map_or(!ready.text.contains("problem"), |problem| ready.text.contains(problem))
    };
    eventually("the server tells how its database is", says).await;
}

/// Calls for known meetings are answered as ever, and a create is not.
async fn only_reads(cluster: &TestCluster) {
    let joined = cluster.call(CallKind::Join, "meetingID=known&fullName=Ada&role=VIEWER").await;
    assert!(joined.status.is_redirection(), "{joined:?}");
    cluster.call(CallKind::GetMeetingInfo, "meetingID=known").await.success();
    assert!(cluster.call(CallKind::GetMeetings, "").await.success().text.contains("known"));
    let refused = create(cluster, "refused").await;
    assert_eq!(refused.failed(), "internalError");
    assert!(refused.field("message").contains("Please try again"), "{refused:?}");
}

/// No answer says that a meeting could be created.
async fn promises_nothing(cluster: &TestCluster, why: &str) {
    let operator = cluster.operator();
    let explained = operator.fetch("/explain/create?frontend=school").await.granted();
    assert!(explained["database"].as_str().is_some_and(|said| said.contains(why)), "{explained}");
    assert_eq!(explained["chosen"], Value::Null);
    let candidates = explained["candidates"].as_array().unwrap();
    assert!(candidates.len() == 2 && candidates.iter().all(|one| one["verdict"] != "chosen"), "{explained}");
    let seen = operator.fetch("/cluster").await.granted();
    assert!(seen["database"].as_str().is_some_and(|said| said.contains(why)), "{seen}");
    assert!(seen["backends"].as_array().unwrap().iter().all(|one| !one["reason"].is_null()), "{seen}");
    let database = &operator.fetch("/status").await.granted()["database"];
    assert_eq!((&database["available"], &database["pending_migrations"]), (&json!(true), &json!(0)));
    assert!(database["error"].as_str().is_some_and(|said| said.contains(why)), "{database}");
}

/// A rehearsal finds out what no statement has met yet.
#[tokio::test]
async fn a_create_is_explained_by_what_the_database_would_do_now() {
    let cluster = TestCluster::start().await;
    cluster.database.execute(&fill("meeting_history")).await;
    promises_nothing(&cluster, "its disk is full").await;
    cluster.database.execute(FREE).await;
    let chosen =
        async || !cluster.operator().fetch("/explain/create?frontend=school").await.granted()["chosen"].is_null();
    eventually("a create would go through again", chosen).await;
}

async fn recovers(cluster: &TestCluster) {
    says(cluster, None).await;
    create(cluster, "after").await.success();
}

#[tokio::test]
async fn a_full_disk_is_told_as_such_and_recovered_from() {
    let cluster = TestCluster::start().await;
    create(&cluster, "known").await.success();
    cluster.database.execute(&fill("meetings")).await;
    only_reads(&cluster).await;
    says(&cluster, Some("its disk is full; free space there")).await;
    promises_nothing(&cluster, "its disk is full; free space there").await;
    assert_eq!(creates(&cluster), 1, "no node was asked");
    cluster.database.execute(FREE).await;
    recovers(&cluster).await;
}

/// The claim still had room on the disk, and its result has none.
#[tokio::test]
async fn on_a_full_disk_no_second_meeting_is_made_that_cannot_be_noted() {
    let cluster = TestCluster::start().await;
    create(&cluster, "known").await.success();
    cluster.database.execute(&fill("meeting_history")).await;
    only_reads(&cluster).await;
    says(&cluster, Some("its disk is full")).await;
    let asked = creates(&cluster);
    create(&cluster, "another").await.failed();
    assert_eq!((asked, creates(&cluster)), (2, 2));
    cluster.database.execute(FREE).await;
    recovers(&cluster).await;
    for node in 0..cluster.nodes.len() {
        let is_clear =
            |node: &b3scale_node::NodeState| node.meetings().iter().all(|one| !one.meeting_id.contains("refused"));
        cluster.until_node(node, "what could not be noted is ended", is_clear).await;
    }
}

#[tokio::test]
async fn a_database_that_is_read_only_is_told_as_such_and_recovered_from() {
    let set = |value: &str| {
        format!(
            "SET TRANSACTION READ WRITE; DO $$ BEGIN EXECUTE format(
                'ALTER DATABASE %I SET default_transaction_read_only = {value}', current_database()); END $$"
        )
    };
    let cluster = TestCluster::start().await;
    create(&cluster, "known").await.success();
    cluster.database.execute(&set("on")).await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    cluster.database.execute(others).await;
    says(&cluster, Some("it is read-only; name the primary")).await;
    only_reads(&cluster).await;
    promises_nothing(&cluster, "it is read-only; name the primary").await;
    let refused = cluster.operator().post("/frontends", &json!({"bbb": {"key": "k", "secret": "s"}})).await;
    let (status, said) = refused.refused();
    assert!(status == 503 && said.contains("it is read-only; name the primary"), "{said}");
    cluster.database.execute(&set("off")).await;
    recovers(&cluster).await;
}

#[tokio::test]
async fn a_connection_that_postgresql_refuses_says_why_and_what_to_do() {
    let cluster = TestCluster::start().await;
    let url = cluster.database.url();
    let (_, options) = url.split_once('?').expect("it names its host");
    let elsewhere = format!("postgresql:///nowhere?{options}");
    let stranger = url.replace("user=b3scale", "user=stranger");
    for (url, expected) in [(stranger, Trouble::Unauthorized), (elsewhere, Trouble::Missing)] {
        let refused = Store::connect(&url, 1).await.err().expect("nobody is let in");
        assert!(matches!(&refused, StoreError::Troubled { trouble, .. } if *trouble == expected), "{refused:?}");
        assert!(refused.to_string().contains("B3SCALE_DB_URL"), "{refused}");
    }
}
