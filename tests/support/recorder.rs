//! A server that keeps its requests, and answers as set.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The answer to one request.
#[derive(Clone, Debug)]
pub struct Told {
    /// Method, path and query; a `*` at the end stands for any rest.
    request: String,
    status: u16,
    body: String,
    location: Option<String>,
}

impl Told {
    /// 200 and a body.
    pub fn ok(request: &str, body: impl Into<Body>) -> Self {
        Self::status(request, 200, body)
    }

    /// Any status and a body.
    pub fn status(request: &str, status: u16, body: impl Into<Body>) -> Self {
        Self { request: request.to_owned(), status, body: body.into().0, location: None }
    }

    /// A redirect.
    pub fn found(request: &str, location: &str) -> Self {
        Self { location: Some(location.to_owned()), ..Self::status(request, 302, "") }
    }

    fn is_for(&self, asked: &str) -> bool {
        self.request.strip_suffix('*').map_or(asked == self.request, |begin| asked.starts_with(begin))
    }
}

/// The body of an answer: text as it is, or a value as JSON.
#[derive(Clone, Debug)]
pub struct Body(String);

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<Value> for Body {
    fn from(value: Value) -> Self {
        Self(value.to_string())
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method, path and query.
    pub request: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

/// The server. It ends when this is dropped.
pub struct Recorder {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl Recorder {
    /// Starts it. Several answers to one request are given in turn, the last one for ever; other requests get 404.
    pub async fn start(told: impl IntoIterator<Item = Told>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let script = Script { told: Arc::new(Mutex::new(told.into_iter().collect())), asked: Arc::clone(&asked) };
        Self { address, asked, serving: tokio::spawn(script.serve(listener)) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything it was asked so far, and forgets it.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
struct Script {
    told: Arc<Mutex<Vec<Told>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let script = self.clone();
                    let (client, _) = accepted.unwrap();
                    connections.spawn(async move {
                        let service = service_fn(move |request| script.clone().answer(request));
                        // A client that leaves early has seen enough.
                        let _ = http1::Builder::new().serve_connection(TokioIo::new(client), service).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let asked = Asked {
            request: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        let told = self.told(&asked.request);
        self.asked.lock().unwrap().push(asked);
        let mut response = Response::builder().status(told.status).header("content-type", "application/json");
        if let Some(location) = told.location {
            response = response.header("location", location);
        }
        Ok(response.body(Full::from(told.body)).unwrap())
    }

    fn told(&self, asked: &str) -> Told {
        let mut told = self.told.lock().unwrap();
        let fitting: Vec<usize> = (0..told.len()).filter(|place| told[*place].is_for(asked)).collect();
        match fitting[..] {
            [] => Told::status(asked, 404, r#"{"message":"Not Found"}"#),
            [only] => told[only].clone(),
            [first, ..] => told.remove(first),
        }
    }
}
