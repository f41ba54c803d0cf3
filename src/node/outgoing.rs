//! Requests that a node sends to other servers. Plain HTTP only: a simulated node trusts no one's certificates.

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA512, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that waits to be sent.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: String,
    /// In the letters in which they are sent.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Outgoing {
    pub(super) fn get(url: String) -> Self {
        Self { method: Method::GET, url, headers: Vec::new(), body: String::new() }
    }

    /// Sends it once, and says whether a 2xx came back.
    pub(super) async fn send(&self) -> bool {
        matches!(timeout(PATIENCE, self.attempt()).await, Ok(Some(true)))
    }

    async fn attempt(&self) -> Option<bool> {
        let url: Uri = self.url.parse().ok()?;
        let authority = url.authority().filter(|_| url.scheme_str() == Some("http"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.ok()?;
        let builder = http1::Builder::new().title_case_headers(true).clone();
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.ok()?;
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::builder().method(&self.method).uri(target).header(header::HOST, authority.as_str());
        let headers = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = headers.body(Full::new(Bytes::from(self.body.clone()))).ok()?;
        let answer = async move { sender.send_request(request).await.is_ok_and(|answer| answer.status().is_success()) };
        // The answer ends the connection: it takes the only sender with it.
        let (succeeded, _) = tokio::join!(answer, connection);
        Some(succeeded)
    }
}

/// A JWT as the node's scripts make them: of ready callbacks by HS256 with a bare header, of analytics by HS512.
pub(super) fn jwt(header: &str, claims: &str, secret: &str) -> String {
    let algorithm = if header.contains("HS512") { HMAC_SHA512 } else { HMAC_SHA256 };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = hmac::sign(&Key::new(algorithm, secret.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
