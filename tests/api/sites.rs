//! Sites: their paths, bounds of bodies, streams, and the drain.

use std::time::Duration;

use b3scale::site::{Answer, Body, Claim, Intake, Site, Visitor};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Plan, Rig, head, school, within};

/// Answers with a first line at once and a last line when the drain begins.
struct Stream {
    /// Whether it takes its visitors for proved.
    admits: bool,
}

impl Site for Stream {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::at("/stream")]
    }

    fn answer(&self, _: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        if self.admits {
            visitor.admit();
        }
        let line = |line: &'static str| Ok::<_, std::convert::Infallible>(Bytes::from_static(line.as_bytes()));
        let first = stream::iter([line("first\n")]);
        let last = stream::once(visitor.drain.begun().map(move |()| line("last\n")));
        std::future::ready(Response::new(Either::Right(Body::from_stream(first.chain(last))))).boxed()
    }
}

/// Reads bodies and says how long they are, or why it could not.
struct Upload;

impl Site for Upload {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::below("/api/v1/recordings").on("play.example")]
    }

    fn intake(&self) -> Option<Intake> {
        Some(Intake { largest: 8, pause: Duration::from_millis(50), whole: Duration::from_secs(20) })
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        async move {
            let read = request.into_body().collect().await;
            let (status, text) = match read {
                Ok(body) => (StatusCode::OK, body.to_bytes().len().to_string()),
                Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            };
            let mut answer = Response::new(Either::Left(Bytes::from(text).into()));
            *answer.status_mut() = status;
            answer
        }
        .boxed()
    }
}

/// A stream after its first line.
async fn streaming(rig: &Rig) -> TcpStream {
    let mut stream = rig.connect().await;
    stream.write_all(b"GET /stream HTTP/1.1\r\nHost: b3scale.test\r\n\r\n").await.expect("the request is taken");
    let mut text = Vec::new();
    while !text.ends_with(b"first\n\r\n") {
        assert_ne!(within(stream.read_buf(&mut text)).await.expect("an answer"), 0);
    }
    stream
}

/// The bytes until the connection is closed.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // It may be reset.
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn a_stream_hears_the_drain_and_ends() {
    let rig = Plan::new(&school()).site(Stream { admits: false }).serve().await;
    let stream = streaming(&rig).await;
    rig.stop();
    assert_eq!(rest(stream).await, "5\r\nlast\n\r\n0\r\n\r\n");
    rig.gone().await;
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_a_strangers_stream_and_not_of_a_proved_one() {
    let plan = |admits| Plan::new(&school()).site(Stream { admits }).settings(|settings| settings.connections = 1);
    let rig = plan(false).serve().await;
    let stream = streaming(&rig).await;
    assert_eq!(rig.get("/health/live").await.status, 200);
    assert_eq!(rest(stream).await, "", "it was cut off");

    let rig = plan(true).serve().await;
    let stream = streaming(&rig).await;
    let mut newcomer = rig.connect().await;
    assert_eq!(within(newcomer.read(&mut [0])).await.unwrap_or_default(), 0, "it is not taken");
    rig.stop();
    assert_eq!(rest(stream).await, "5\r\nlast\n\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_site_reads_bodies_within_its_own_bounds_on_its_own_host() {
    let rig = Plan::new(&school()).site(Upload).serve().await;
    let upload = |host: &str, length: usize, body: &str| {
        let head = format!("POST /api/v1/recordings/r1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        rig.send(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
    };
    let whole = upload("play.example", 8, "12345678").await;
    assert_eq!((whole.status, &*whole.body), (200, "8"));
    let large = upload("Play.example:80", 9, "123456789").await;
    assert_eq!((large.status, &*large.body), (400, "the body has more than 8 bytes"));
    let slow = upload("play.example", 8, "1").await;
    assert_eq!((slow.status, &*slow.body), (400, "the body came too slowly"));
    assert_eq!(upload("b3scale.test", 8, "12345678").await.status, 404, "that host has no such site");
}

#[tokio::test]
async fn nothing_is_sent_to_a_site_that_reads_no_bodies() {
    let rig = Plan::new(&school()).site(Stream { admits: false }).serve().await;
    let refused = rig.send(head("POST", "/stream", "Content-Length: 1\r\n") + "x").await;
    assert_eq!((refused.status, &*refused.body), (404, "There is nothing here to send anything to.\n"));
}
