//! Servers that are restarted one after the other, as for a new version.

use b3scale_middleware::bbb::CallKind;
use b3scale_support::{Servers, ServersOptions, eventually};
use futures_util::{StreamExt, stream};

use super::B3SCALED;
use super::calls::{creation, join, joining, leads_to_node, rows};

const MEETINGS: usize = 240;
const AT_ONCE: usize = 16;

/// A load balancer sends a request that a closing connection refused to the next server.
#[tokio::test]
async fn servers_that_are_terminated_under_load_end_in_order_and_no_call_fails() {
    let mut servers = Servers::start(B3SCALED, ServersOptions::default()).await;
    let lessons = stream::iter(0..MEETINGS).map(|number| (number, &servers));
    let lesson = async |(number, servers): (usize, &Servers)| {
        match number {
            80 => servers.terminate(0),
            160 => servers.terminate(1),
            _ => {}
        }
        let id = format!("m{number}");
        servers.balanced(number, CallKind::Create, &creation(&id)).await.success();
        let joined = servers.balanced(number + 1, CallKind::Join, &joining(&id)).await;
        assert!(leads_to_node(&joined), "{joined:?}");
    };
    lessons.for_each_concurrent(AT_ONCE, lesson).await;
    for server in [0, 1] {
        assert!(servers.ended(server).await, "server {server} ends in order");
        servers.restart(server).await;
        let serves = async || leads_to_node(&join(&servers, server, "m0").await);
        eventually("it knows the meetings and their nodes again", serves).await;
    }
    assert_eq!(rows(&servers).await.len(), MEETINGS);
}
