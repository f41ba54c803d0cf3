//! Ports that are held from the beginning to the end of a test or a demo.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// A port. While no one listens there, connections are refused.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    /// Bound, and never listened on. On Linux a socket that shares the address can listen there meanwhile, and no process
    /// gets the port by asking for any; elsewhere it has to be released before its use.
    _kept: Option<TcpSocket>,
}

impl Port {
    /// Takes a port; 0 takes any free one.
    ///
    /// # Errors
    /// Another process listens there, or the address is none of this machine.
    pub fn take(wanted: SocketAddr) -> io::Result<Self> {
        let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(wanted)?;
        let address = socket.local_addr()?;
        Ok(Self { address, _kept: cfg!(target_os = "linux").then_some(socket) })
    }

    /// Takes a free one of the loopback.
    ///
    /// # Errors
    /// There is none.
    pub fn any() -> io::Result<Self> {
        Self::take((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there.
    ///
    /// # Errors
    /// An earlier listener is still there.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        TcpListener::bind(self.address).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_refuses_until_its_owner_listens_and_after_it_has_gone() {
        let port = Port::any().unwrap();
        assert_ne!(port.address().port(), 0);
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address()).await.is_err());
            let listener = port.listen().await.unwrap();
            assert!(TcpStream::connect(port.address()).await.is_ok());
            drop(listener);
        }
    }
}
