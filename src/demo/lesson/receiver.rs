//! A frontend's own server, which is called by this service.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::report::Mismatch;
use super::mismatch;

/// How long a frontend may wait for a call.
const LIMIT: Duration = Duration::from_secs(30);

/// A frontend that is called.
pub(super) struct Receiver {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

/// A call.
pub(super) struct Heard {
    /// Path and query.
    pub(super) target: String,
    pub(super) body: String,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self, Mismatch> {
        let failed = |error| mismatch("a port for the frontend", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The next call, which is answered with success.
    pub(super) async fn hear(&self, wanted: &str) -> Result<Heard, Mismatch> {
        let heard = timeout(LIMIT, async {
            let (stream, _) = self.listener.accept().await?;
            answered(stream).await
        });
        let heard = heard.await.map_err(|_| mismatch(format!("{wanted} within {} s", LIMIT.as_secs()), "nothing"))?;
        heard.map_err(|error| mismatch(wanted, error))
    }
}

async fn answered(stream: TcpStream) -> io::Result<Heard> {
    let mut stream = BufReader::new(stream);
    let (mut target, mut length, mut line) = (None, 0, String::new());
    while stream.read_line(&mut line).await? > 2 {
        target = target.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        line.clear();
    }
    let mut body = String::new();
    (&mut stream).take(length).read_to_string(&mut body).await?;
    // One call a connection: the next one is accepted again.
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await?;
    Ok(Heard { target: target.unwrap_or_default(), body })
}
