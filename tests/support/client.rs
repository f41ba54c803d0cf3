//! Calls as a frontend makes them, and their answers.

use b3scale_middleware::bbb::{self, Algorithm, CallKind, Secret};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{keep, within};

/// The secret of every frontend of a test.
pub const SECRET: &str = "frontend-secret";

/// Path and query of a signed call.
pub fn signed(key: &str, kind: CallKind, query: &str) -> String {
    let secret = Secret::new(SECRET).unwrap();
    let checksum = bbb::sign(Algorithm::Sha1, kind.checksum_name(), query, &secret);
    let separator = if query.is_empty() { "" } else { "&" };
    format!("/bbb/{key}/bigbluebutton/api/{}?{query}{separator}checksum={checksum}", kind.checksum_name())
}

/// The server's answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// A child of the document's root.
    pub fn field(&self, name: &str) -> String {
        let [text] = bbb::xml::fields(self.text.as_bytes(), [name]).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        text.unwrap_or_default()
    }

    /// Where a redirect leads.
    pub fn location(&self) -> &str {
        self.headers.get("location").unwrap_or_else(|| panic!("this is no redirect: {self:?}")).to_str().unwrap()
    }

    /// Whether the document says SUCCESS.
    pub fn is_success(&self) -> bool {
        self.status == StatusCode::OK && self.field("returncode") == "SUCCESS"
    }

    /// Panics unless the document says SUCCESS.
    pub fn success(self) -> Self {
        assert_eq!(self.field("returncode"), "SUCCESS", "{self:?}");
        self
    }

    /// The message key of a document that says FAILED.
    pub fn failed(&self) -> String {
        assert_eq!(self.field("returncode"), "FAILED", "{self:?}");
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert!(!self.field("message").is_empty(), "{self:?}");
        self.field("messageKey")
    }
}

/// Why nothing was answered.
#[derive(Debug)]
pub enum Unanswered {
    /// The connection was refused: the call never left.
    Refused,
    /// The connection broke: the call may have come to its end, or not have begun.
    Broken(String),
}

/// A client that keeps its connections.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// One request. `address` is a host with a port.
    pub(crate) async fn request(
        &self,
        address: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, Unanswered> {
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let answer = within(&format!("an answer to {path}"), self.exchange(request)).await;
        if path.ends_with("/metrics")
            && let Ok(page) = &answer
        {
            keep(page.text.as_bytes());
        }
        answer
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered> {
        let answer = self.0.request(request).await.map_err(|error| {
            if error.is_connect() { Unanswered::Refused } else { Unanswered::Broken(format!("{error:?}")) }
        })?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| Unanswered::Broken(error.to_string()))?;
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        Ok(Answer { status: head.status, headers: head.headers, text })
    }
}
