//! An answer that comes line by line, for as long as it takes.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tower::ServiceExt;

use super::failure::{self, Failure};
use super::{Api, ApiError, JSON, LARGEST_ANSWER};

/// The longest line, in bytes.
const LONGEST: usize = 1 << 20;

/// The lines of an answer, each of them a JSON value.
pub struct Lines {
    body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>,
    rest: Vec<u8>,
    url: String,
    patience: Duration,
}

impl Api {
    /// Sends a POST that is answered line by line. `path` follows `/api/v1/`.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn post_for_lines(&self, path: &str, query: &[(&str, &str)]) -> Result<Lines, ApiError> {
        let url = self.address(path, query);
        let failed = |failure| ApiError::failed(&Method::POST, &url, failure);
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(|error| failed(Failure::Unsendable(format!("{error}"))))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        let silent = || Failure::Silent { seconds: self.patience.as_secs() };
        let answer = timeout(self.patience, self.client.clone().oneshot(request).boxed()).await;
        let answer = answer.map_err(|_| failed(silent()))?.map_err(|error| failed(failure::of_client(&error)))?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            let read = timeout(self.patience, Limited::new(body, LARGEST_ANSWER).collect()).await;
            let read = read.map_err(|_| failed(silent()))?.map_err(|error| failed(failure::of_body(&*error)))?;
            let refused = failure::of_status(head.status, &read.to_bytes());
            return Err(failed(refused.unwrap_or(Failure::Garbled(head.status.to_string()))));
        }
        Ok(Lines { body: body.boxed_unsync(), rest: Vec::new(), url, patience: self.patience })
    }
}

impl Lines {
    /// The next line. `None`: that was the last one. Empty lines are signs of life.
    ///
    /// # Errors
    /// The connection broke, a line is too long or none of JSON, or there was no sign of life for too long.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|error| self.failed(Failure::Garbled(error.to_string())));
            }
            let Ok(frame) = timeout(self.patience, self.body.frame()).await else {
                return Err(self.failed(Failure::Silent { seconds: self.patience.as_secs() }));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| self.failed(failure::of_body(&*error)))?;
            if let Ok(piece) = frame.into_data() {
                self.rest.extend_from_slice(&piece);
            }
            if self.rest.len() > LONGEST {
                return Err(self.failed(Failure::TooLarge));
            }
        }
    }

    fn failed(&self, failure: Failure) -> ApiError {
        ApiError::failed(&Method::POST, &self.url, failure)
    }
}
