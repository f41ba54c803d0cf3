//! Playback on a real cluster: records from PostgreSQL, and changes that are announced.

use b3scale::store::{NewFormat, Rules};
use b3scale_middleware::cluster::{RecordingChange, Visibility};
use b3scale_middleware::ports::Directory;
use b3scale_support::{ClusterOptions, TestCluster, eventually};

use super::*;

/// A cluster with a recording of the school, in one format.
async fn recorded(folder: &TestFolder, visibility: Visibility) -> TestCluster {
    write_files(&folder.path().join("published"), RECORD);
    fs::create_dir_all(folder.path().join("unpublished")).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let environment = vec![
        ("B3SCALE_RECORDINGS_PUBLISHED_PATH", path("published")),
        ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", path("unpublished")),
    ];
    let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
    let frontend = cluster.cluster.frontend("school").unwrap().id;
    let Known { mut recording, stored } = known(RECORD, frontend);
    let format = recording.formats.remove(2);
    recording.formats.clear();
    let stored = stored.into_iter().find(|stored| stored.format == format.kind).unwrap();
    let rules = Rules { visibility, ready_per_format: false, held: false };
    let recordings = cluster.database.store().recordings();
    recordings.add_format(&NewFormat { recording, format, stored }, &rules).await.unwrap();
    cluster
}

async fn change(cluster: &TestCluster, change: RecordingChange) {
    let frontend = cluster.cluster.frontend("school").unwrap().id;
    cluster.database.store().recordings().change(frontend, &[id(RECORD)], &change).await.unwrap();
}

/// The ticket in the player's page of a listed link.
async fn ticket(cluster: &TestCluster, epoch: i32) -> String {
    let frontend = cluster.cluster.frontend("school").unwrap().id;
    let subject = Subject { frontend, record: &id(RECORD), epoch, format: "presentation" };
    let link = Tickets::new(b3scale_support::JWT_SECRET.as_bytes()).issue(Purpose::Link, subject, SystemTime::now());
    let led = cluster.get(&format!("/playback/ticket/{link}/presentation/{RECORD}"), &[]).await;
    assert_eq!(led.status, 302, "{led:?}");
    led.headers["location"].to_str().unwrap().split_once("?p=").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_change_at_any_server_counts_at_once() {
    let folder = TestFolder::new();
    let cluster = recorded(&folder, Visibility::Published).await;
    let path = format!("/presentation/{RECORD}/shapes.svg");
    let until = async |path: &str, status: u16| {
        eventually("the change counts", async || cluster.get(path, &[]).await.status == status).await;
    };
    assert_eq!(cluster.get(&path, &[]).await.status, 200);
    change(&cluster, RecordingChange::Update { metadata: Vec::new(), protect: Some(true) }).await;
    until(&path, 403).await;
    let protected = format!("/presentation/{}/{RECORD}/shapes.svg", ticket(&cluster, 1).await);
    assert_eq!(cluster.get(&protected, &[]).await.status, 200);
    change(&cluster, RecordingChange::Publish(false)).await;
    until(&protected, 404).await;
    change(&cluster, RecordingChange::Publish(true)).await;
    until(&protected, 403).await;
    change(&cluster, RecordingChange::Update { metadata: Vec::new(), protect: Some(false) }).await;
    until(&path, 200).await;
    change(&cluster, RecordingChange::Delete).await;
    until(&path, 404).await;
}

#[tokio::test]
async fn another_tenants_ticket_opens_nothing() {
    let folder = TestFolder::new();
    let cluster = recorded(&folder, Visibility::Protected).await;
    cluster.frontend("other", |_| ()).await;
    let frontend = cluster.cluster.frontend("other").unwrap().id;
    let subject = Subject { frontend, record: &id(RECORD), epoch: 0, format: "presentation" };
    let tickets = Tickets::new(b3scale_support::JWT_SECRET.as_bytes());
    let [link, play] = [Purpose::Link, Purpose::Play].map(|purpose| tickets.issue(purpose, subject, SystemTime::now()));
    for path in
        [format!("/playback/ticket/{link}/presentation/{RECORD}"), format!("/presentation/{play}/{RECORD}/shapes.svg")]
    {
        assert_eq!(cluster.get(&path, &[]).await.status, 403, "{path}");
    }
    assert_eq!(ticket(&cluster, 0).await.len(), play.len(), "the own tenant's does");
}
