//! A class that is larger than its frontend's limit, all at once.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::AttendeesLimit;
use b3scale_support::{Answer, Servers, ServersOptions, new_frontend};
use futures_util::future::join_all;

use super::B3SCALED;
use super::calls::{create, leads_to_node};

async fn limited(limit: i64) -> Servers {
    let servers = Servers::start(B3SCALED, ServersOptions::default()).await;
    let mut school = new_frontend("school");
    school.settings.attendees_limit = Some(AttendeesLimit { limit });
    servers.store.frontends().record(&school).await.expect("a frontend");
    for meeting in 0..4 {
        create(&servers, meeting, &format!("m{meeting}")).await;
    }
    servers.followed().await;
    servers
}

/// The join of one of many, to one of the servers and one of the meetings.
async fn join(servers: &Servers, number: usize) -> Answer {
    let query = format!("meetingID=m{}&fullName=Ada&role=VIEWER&userID=u{number}", number % 4);
    servers.call(number, CallKind::Join, &query).await
}

#[tokio::test]
async fn of_five_hundred_joins_at_three_servers_as_many_lead_to_a_node_as_there_are_seats() {
    let servers = limited(100).await;
    let answers = join_all((0..500).map(|number| join(&servers, number))).await;
    let (sent, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| leads_to_node(answer));
    assert_eq!(sent.len(), 100);
    assert!(refused.iter().all(|answer| answer.failed() == "maxParticipantsReached"));
}

#[tokio::test]
async fn without_the_database_what_memory_knows_counts() {
    let servers = limited(1).await;
    servers.relays.iter().for_each(b3scale_support::Relay::cut);
    for number in 0..3 {
        let joined = join(&servers, number).await;
        assert!(leads_to_node(&joined), "nobody is there yet: {joined:?}");
    }
}
