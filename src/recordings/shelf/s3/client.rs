//! The HTTP client of a bucket, with our own TLS and limits of time.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use tokio::time::timeout;
use tower_http::timeout::TimeoutBody;

use crate::net::tls::{self, CaFileError, Connector};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may take. A part of an upload is sent within that time, too.
const ANSWER: Duration = Duration::from_secs(60);

/// How long an answer may pause.
const PAUSE: Duration = Duration::from_secs(20);

/// How long a connection may rest.
const IDLE: Duration = Duration::from_secs(30);

/// Makes clients for a bucket.
#[derive(Debug)]
pub(super) struct Connect(Hyper);

impl Connect {
    pub(super) fn new() -> Result<Self, CaFileError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(tls::connector(None, CONNECT)?);
        Ok(Self(Hyper(client)))
    }
}

impl HttpConnector for Connect {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[derive(Clone, Debug)]
struct Hyper(Client<Connector, HttpRequestBody>);

#[async_trait]
impl HttpService for Hyper {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = timeout(ANSWER, self.0.request(request)).await;
        let answer = answered.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, error)
        })?;
        Ok(answer.map(|body| {
            let paced = TimeoutBody::new(PAUSE, body);
            HttpResponseBody::new(paced.map_err(|error| HttpError::new_boxed(HttpErrorKind::Interrupted, error)))
        }))
    }
}
