//! PostgreSQL goes away for a while.

use b3scale::store::private::PrivatePostgres;
use b3scale_middleware::bbb::CallKind;
use b3scale_support::{Servers, ServersOptions, TestFolder, eventually};

use super::B3SCALED;
use super::calls::{create, creation, info};
use super::cut_off::{learn, refuses_creates, serves_what_it_knows};

async fn is_ready(servers: &Servers, server: usize) -> bool {
    servers.fetch(server, "/health/ready").await.is_ok_and(|answer| answer.status.is_success())
}

#[tokio::test]
async fn while_postgresql_is_away_known_meetings_go_on_and_afterwards_new_ones_do_too() {
    let folder = TestFolder::new();
    let postgres = PrivatePostgres::start(folder.path()).await.expect("it starts");
    let servers = Servers::on(B3SCALED, postgres.url(), ServersOptions::default()).await;
    for server in 0..servers.count() {
        learn(&servers, server).await;
    }
    postgres.stop().await;
    for server in 0..servers.count() {
        serves_what_it_knows(&servers, server).await;
        refuses_creates(&servers, server).await;
        assert!(is_ready(&servers, server).await, "it can be asked for what it knows");
    }

    let postgres = PrivatePostgres::start(folder.path()).await.expect("it starts again");
    for server in 0..servers.count() {
        let id = format!("after{server}");
        let creates = async || servers.call(server, CallKind::Create, &creation(&id)).await.is_success();
        eventually("a server creates meetings again", creates).await;
        assert!(is_ready(&servers, server).await);
        create(&servers, server, &format!("later{server}")).await;
        for other in 0..servers.count() {
            info(&servers, other, &id).await.success();
        }
    }
    let ended = |id: &str| id.starts_with("ended");
    let forgotten = "what ended meanwhile is forgotten";
    servers.until_stored(forgotten, |rows| !rows.iter().any(|row| ended(row.meeting_id.as_ref()))).await;
    drop(servers);
    postgres.stop().await;
}
