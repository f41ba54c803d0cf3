//! Many meetings that start at once.

use b3scale_support::{Servers, ServersOptions};
use futures_util::future::join_all;

use super::B3SCALED;
use super::calls::create;

const NODES: usize = 22;
const CREATES: usize = 200;

/// How many meetings each node has after so many servers have placed them all at once.
async fn spread(servers: usize) -> Vec<usize> {
    let servers = Servers::start(B3SCALED, ServersOptions { servers, nodes: NODES, ..Default::default() }).await;
    // Connections that are open already, or the calls would come one after the other.
    join_all((0..CREATES).map(|number| servers.fetch(number, "/health/ready"))).await;
    let ids: Vec<_> = (0..CREATES).map(|number| format!("m{number}")).collect();
    join_all(ids.iter().enumerate().map(|(number, id)| create(&servers, number, id))).await;
    let counts: Vec<_> = servers.nodes.iter().map(|node| node.meetings().len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), CREATES, "each is on one node");
    counts
}

#[tokio::test]
async fn two_hundred_meetings_at_once_spread_evenly_from_one_server() {
    let counts = spread(1).await;
    assert!(counts.iter().all(|count| [9, 10].contains(count)), "{counts:?}");
}

/// The mean is a little above nine.
#[tokio::test]
async fn two_hundred_meetings_at_once_spread_almost_evenly_from_three_servers() {
    let counts = spread(3).await;
    assert!(counts.iter().all(|count| (8..=11).contains(count)), "{counts:?}");
}
