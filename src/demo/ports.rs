//! Ports that are the demo's from its beginning to its end, whether or not anybody listens there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use b3scale_node::Port as Held;

use super::DemoError;

/// A port of a server or node.
pub(super) struct Port(Held);

impl Port {
    /// Takes a port; 0 takes any free one.
    pub(super) fn take(wanted: SocketAddr) -> Result<Self, DemoError> {
        Held::take(wanted).map(Self).map_err(|error| DemoError::Port { address: wanted, error })
    }

    /// Takes a free one of the loopback.
    pub(super) fn any() -> Result<Self, DemoError> {
        Self::take((Ipv4Addr::LOCALHOST, 0).into())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// How a client of this machine gets to a server that may listen on all addresses.
    pub(super) fn reachable(&self) -> SocketAddr {
        reachable(self.address())
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_port_that_others_have_is_not_to_be_had() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = Port::take(address).err().unwrap().to_string();
        assert!(error.starts_with(&format!("{address} cannot be had")), "{error}");
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("10.1.2.3:80"), "10.1.2.3:80");
    }
}
