//! The node's HTTP server: one port, HTTP/1.1, with the limits nginx and Tomcat have in front of BBB.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::answers::{self, Reply};
use super::calls;
use super::farewell;
use super::misbehave::{self, Body, Cut};
use super::params::Params;
use super::recording::{self, Recorded};
use super::request::Request;
use super::scripts;
use super::state::SeenCall;

/// Bytes of a request line.
const REQUEST_LINE: usize = 8 << 10;
/// Bytes of a head, so large that the request line is judged by us and not by the parser.
const HEAD: usize = 72 << 10;
/// Bytes of a body with parameters, and of one with documents.
const FORM_BODY: usize = 2 << 20;
const XML_BODY: usize = 60 << 20;
/// After a failed accept, for instance without file descriptors left.
const BREATH: Duration = Duration::from_millis(10);

/// Serves until the future is dropped; all connections end with it.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tasks.spawn(connection(shared.clone(), stream))),
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = tasks.join_next() => {}
            () = due(&shared) => {
                let epoch_ms = shared.epoch_ms();
                let (farewells, recorded, analysed) = shared.change(|state| {
                    state.expire(Instant::now(), epoch_ms);
                    let analysed = std::mem::take(&mut state.analysed);
                    (std::mem::take(&mut state.farewells), std::mem::take(&mut state.recorded), analysed)
                });
                farewells.into_iter().for_each(|url| drop(tasks.spawn(farewell::call(url))));
                recorded.into_iter().for_each(|one| drop(tasks.spawn(publish(shared.clone(), one))));
                let secret = &shared.options.secret;
                let analytics = analysed.iter().filter_map(|(meeting, end)| scripts::analytics(meeting, *end, secret));
                analytics.for_each(|request| {
                    tasks.spawn(async move {
                        request.send().await;
                    });
                });
            }
        }
    }
}

/// Ends when a timer of a meeting has run out, or a farewell, a recording or analytics wait. Looks again whenever meetings have changed.
async fn due(shared: &Shared) {
    loop {
        let changed = shared.meetings_changed.notified();
        let (deadline, has_ended) = {
            let state = shared.read();
            let waits = !state.farewells.is_empty() || !state.recorded.is_empty() || !state.analysed.is_empty();
            (state.deadline(), waits)
        };
        match deadline {
            _ if has_ended => return,
            Some(deadline) => tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                () = changed => {}
            },
            None => changed.await,
        }
    }
}

/// Publishes a recording, if the node keeps any.
async fn publish(shared: Arc<Shared>, recorded: Recorded) {
    let Some(folder) = shared.options.recordings.clone() else { return };
    let (id, ready) = (recorded.id.clone(), scripts::ready(&recorded, &shared.options.secret));
    match tokio::task::spawn_blocking(move || recording::publish(&recorded, &folder)).await {
        Ok(Ok(())) => {
            shared.modify(|state| state.published.push(id));
            // One for each format.
            for request in ready.iter().chain(&ready) {
                request.send().await;
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "Publishing a recording of the simulated node failed"),
        Err(error) => tracing::warn!(%error, "Publishing a recording of the simulated node was cut off"),
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    match shared.options.tls.clone() {
        None => converse(shared, stream).await,
        Some(tls) => {
            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                converse(shared, stream).await;
            }
        }
    }
}

async fn converse(shared: Arc<Shared>, stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
    let service = service_fn(|request| answer(&shared, request));
    // How a connection ends, by the caller or by misbehaviour, is of no interest to the node.
    let _ = http1::Builder::new().max_buf_size(HEAD).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Shared, request: hyper::Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    if head.method.as_str().len() + target.len() + " HTTP/1.1\r\n".len() > REQUEST_LINE {
        return Ok(misbehave::whole(answers::html(StatusCode::URI_TOO_LONG, "Request-URI Too Large")));
    }
    let content = media_type(&head);
    let body = match read(body, content.as_deref()).await {
        Ok(body) => body,
        Err(refusal) => return Ok(misbehave::whole(refusal)),
    };
    let request = understood(&head, content, body).await;
    let seen = SeenCall {
        call: calls::name_of(&request.path).to_owned(),
        method: head.method.clone(),
        target: target.to_owned(),
        headers: head.headers.clone(),
        body: request.body.clone(),
    };
    let how = shared.modify(|state| state.see(seen));
    if !shared.options.answer_delay.is_zero() {
        tokio::time::sleep(shared.options.answer_delay).await;
    }
    misbehave::play(how, || calls::answer(shared, &request)).await
}

/// The bare media type in lower case; `None` without a body, even with the header.
fn media_type(head: &Parts) -> Option<String> {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let has_body = length > 0 || head.headers.contains_key(header::TRANSFER_ENCODING);
    let content = header(header::CONTENT_TYPE).unwrap_or_default();
    has_body.then(|| content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

async fn read(body: Incoming, content: Option<&str>) -> Result<Bytes, Reply> {
    let limit = if content.is_some_and(|content| content.ends_with("/xml")) { XML_BODY } else { FORM_BODY };
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(answers::html(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")),
    }
}

async fn understood(head: &Parts, content: Option<String>, body: Bytes) -> Request {
    let raw_query = head.uri.query().unwrap_or_default().to_owned();
    let form = match content.as_deref() {
        Some("application/x-www-form-urlencoded") => Some(Params::parse(&String::from_utf8_lossy(&body))),
        Some("multipart/form-data") => Some(parts(head, body.clone()).await),
        _ => None,
    };
    let mut params = Params::parse(&raw_query);
    params.extend(form.clone().unwrap_or_default());
    let path = collapsed(head.uri.path());
    Request { method: head.method.clone(), path, raw_query, params, form, content, body }
}

/// The parts that are parameters, as far as they can be read. A file is none.
async fn parts(head: &Parts, body: Bytes) -> Params {
    let mut params = Params::default();
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Ok(boundary) = multer::parse_boundary(content_type.unwrap_or_default()) else { return params };
    let whole = futures_util::stream::once(ready(Ok::<_, Infallible>(body)));
    let mut parts = multer::Multipart::new(whole, boundary);
    while let Ok(Some(part)) = parts.next_field().await {
        let Some(name) = part.name().filter(|_| part.file_name().is_none()).map(str::to_owned) else { continue };
        let Ok(value) = part.text().await else { break };
        params.add(name, &value);
    }
    params
}

/// Doubled slashes count once, as nginx has it.
fn collapsed(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    out
}
