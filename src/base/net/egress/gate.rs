//! Connects to outward addresses, and to no other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt, ready};
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use super::walls::Walls;

/// The host that was refused.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is inside")]
pub(super) struct Inward(pub(super) String);

/// Finds the addresses of a name.
pub trait Resolve:
    Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Resolve for S
where
    S: Service<Name, Response: Iterator<Item = SocketAddr>, Error: Into<BoxError>, Future: Send>,
    S: Clone + Send + Sync + 'static,
{
}

/// Connects by TCP.
#[derive(Clone)]
pub(super) struct Gate<R> {
    tcp: HttpConnector<Outward<R>>,
    walls: Arc<Walls>,
}

impl<R: Resolve> Gate<R> {
    pub(super) fn new(resolver: R, walls: Walls) -> Self {
        let walls = Arc::new(walls);
        let mut tcp = HttpConnector::new_with_resolver(Outward { resolver, walls: Arc::clone(&walls) });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self { tcp, walls }
    }
}

impl<R: Resolve> Service<Uri> for Gate<R> {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    /// The connector resolves no address that stands in a URL, so such an address is judged here.
    fn call(&mut self, to: Uri) -> Self::Future {
        let host = to.host().unwrap_or_default();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if address.is_some_and(|address| !self.walls.let_out(address)) {
            return ready(Err(Inward(host.to_owned()).into())).boxed();
        }
        self.tcp.call(to).map_err(Into::into).boxed()
    }
}

/// Resolves names to their outward addresses. The connector takes one of these and asks no further.
#[derive(Clone)]
struct Outward<R> {
    resolver: R,
    walls: Arc<Walls>,
}

impl<R: Resolve> Service<Name> for Outward<R> {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.resolver.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (host, walls) = (name.to_string(), Arc::clone(&self.walls));
        let addresses = self.resolver.call(name);
        async move {
            let all: Vec<_> = addresses.await.map_err(Into::into)?.collect();
            let outward: Vec<_> = all.iter().copied().filter(|address| walls.let_out(address.ip())).collect();
            if outward.is_empty() && !all.is_empty() { Err(Inward(host).into()) } else { Ok(outward.into_iter()) }
        }
        .boxed()
    }
}
