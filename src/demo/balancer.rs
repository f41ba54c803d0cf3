//! The load balancer in front of the servers: every call goes to the next one in turn that is up.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use b3scale_middleware::bbb::CallKind;

use super::client::{Answer, CallError, Client, Endpoint};

/// A client that knows all servers.
pub(super) struct Balancer {
    client: Client,
    turn: AtomicUsize,
}

impl Balancer {
    pub(super) fn new(client: Client) -> Self {
        Self { client, turn: AtomicUsize::new(0) }
    }

    /// The way past it, to one address.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Makes a signed call at one of the endpoints, and returns any answer. A server that refuses the connection,
    /// or breaks it off before there is an answer, is followed by the next, as nginx does it with a GET.
    pub(super) async fn call(
        &self,
        to: &[Endpoint],
        kind: CallKind,
        params: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let turn = self.turn.fetch_add(1, Relaxed);
        let mut outcome = Err(CallError::NoServer);
        for endpoint in to.iter().cycle().skip(turn % to.len().max(1)).take(to.len()) {
            outcome = self.client.call(endpoint, kind, params).await;
            if !matches!(outcome, Err(CallError::Connection(_))) {
                break;
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::Secret;
    use b3scale_node::{Misbehaviour, Node, NodeOptions};

    use super::*;

    const SECRET: &str = "of all of them";

    async fn node() -> (Node, Endpoint) {
        let node = Node::start(NodeOptions { secret: SECRET.to_owned(), ..NodeOptions::default() }).await.unwrap();
        let endpoint = Endpoint { url: node.url(), secret: Secret::new(SECRET).unwrap() };
        (node, endpoint)
    }

    #[tokio::test]
    async fn calls_take_turns_and_go_past_who_is_not_there() {
        let (nodes, endpoints) =
            ([node().await, node().await, node().await]).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let balancer = Balancer::new(Client::new(None).unwrap());
        let call = || balancer.call(&endpoints, CallKind::GetMeetings, &[]);
        let seen = || nodes.iter().map(|node| node.calls().len()).collect::<Vec<_>>();
        for _ in 0..6 {
            assert!(call().await.unwrap().succeeded());
        }
        assert_eq!(seen(), [2, 2, 2]);
        nodes[1].crash().await;
        for _ in 0..6 {
            assert!(call().await.unwrap().succeeded());
        }
        assert_eq!(seen(), [4, 2, 6]);
        nodes[0].misbehave(Misbehaviour::Status(502));
        assert_eq!(call().await.unwrap().status, 502, "an answer is an answer");
        assert!(matches!(
            balancer.call(&endpoints[1..2], CallKind::GetMeetings, &[]).await,
            Err(CallError::Connection(_))
        ));
        assert!(matches!(balancer.call(&[], CallKind::GetMeetings, &[]).await, Err(CallError::NoServer)));
    }
}
