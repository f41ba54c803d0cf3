//! Ports that are the demo's from its beginning to its end, whether or not anybody listens there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpSocket;

use super::DemoError;

/// A port of a server or node. Who connects while that is away is refused.
pub(super) struct Port {
    address: SocketAddr,
    /// Bound, and never listened on. On Linux a socket that shares the address can listen there meanwhile, and no process
    /// gets the port by asking for any; elsewhere it has to be released before its use.
    _kept: Option<TcpSocket>,
}

impl Port {
    /// Takes a port; 0 takes any free one.
    pub(super) fn take(wanted: SocketAddr) -> Result<Self, DemoError> {
        let take = || {
            let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(wanted)?;
            let address = socket.local_addr()?;
            Ok(Self { address, _kept: cfg!(target_os = "linux").then_some(socket) })
        };
        take().map_err(|error| DemoError::Port { address: wanted, error })
    }

    /// Takes a free one of the loopback.
    pub(super) fn any() -> Result<Self, DemoError> {
        Self::take((Ipv4Addr::LOCALHOST, 0).into())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How a client of this machine gets to a server that may listen on all addresses.
    pub(super) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => other,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_port_refuses_until_its_owner_listens_and_after_it_has_gone() {
        let port = Port::any().unwrap();
        assert_ne!(port.address().port(), 0);
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address()).await.is_err());
            let listener = TcpListener::bind(port.address()).await.unwrap();
            assert!(TcpStream::connect(port.address()).await.is_ok());
            drop(listener);
        }
    }

    #[tokio::test]
    async fn a_port_that_others_have_is_not_to_be_had() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let error = Port::take(address).err().unwrap().to_string();
        assert!(error.starts_with(&format!("{address} cannot be had")), "{error}");
    }

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback() {
        let reached = |listen: &str| Port { address: listen.parse().unwrap(), _kept: None }.reachable().to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("10.1.2.3:80"), "10.1.2.3:80");
    }
}
