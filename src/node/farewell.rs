//! A node's requests when a meeting has ended: `meetingEndedURL` and `meta_endCallbackUrl`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::meeting::Meeting;
use super::params::encoded;

/// Waits between the attempts, as BBB has them; after the last the call is dropped.
const WAITS: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(300)];
/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses to call when this meeting has ended; breakouts have none.
pub(super) fn addresses(meeting: &Meeting) -> Vec<String> {
    if meeting.breakout.is_some() {
        return Vec::new();
    }
    let appended = |url: &String| {
        let joint = if url.contains('?') { '&' } else { '?' };
        format!("{url}{joint}recordingmarks=false&meetingID={}", encoded(&meeting.meeting_id))
    };
    let ended = meeting.params.given("meetingEndedURL").map(str::to_owned);
    ended.into_iter().chain(meeting.metadata.get("endcallbackurl").map(appended)).collect()
}

/// Calls until a 2xx comes back. Plain HTTP only: a simulated node trusts no one's certificates.
pub(super) async fn call(url: String) {
    let Ok(url) = url.parse::<Uri>() else { return };
    for wait in WAITS.into_iter().map(Some).chain([None]) {
        if let Ok(Some(())) = tokio::time::timeout(PATIENCE, attempt(&url)).await {
            return;
        }
        let Some(wait) = wait else { return };
        tokio::time::sleep(wait).await;
    }
}

/// One GET; `None` when it did not succeed.
async fn attempt(url: &Uri) -> Option<()> {
    let authority = url.authority().filter(|_| url.scheme_str() == Some("http"))?;
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::get(target).header(header::HOST, authority.as_str()).body(Empty::<Bytes>::new()).ok()?;
    let answer = async move { sender.send_request(request).await.is_ok_and(|answer| answer.status().is_success()) };
    // The answer ends the connection: it takes the only sender with it.
    let (succeeded, _) = tokio::join!(answer, connection);
    succeeded.then_some(())
}
