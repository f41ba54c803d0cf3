//! Why a request failed, in one line.

use std::error::Error;

use http::{Method, StatusCode};
use http_body_util::LengthLimitError;
use hyper_util::client::legacy::Error as ClientError;
use serde_json::{Map, Value};

use super::CaFileError;
use crate::net::causes::{causes, find};
use crate::rest::Problem;

/// The most characters that are quoted of an answer without JSON.
const MOST_CHARS: usize = 200;
/// The server's message for an unknown token.
const BAD_TOKEN: &str = "invalid or expired jwt";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server's URL cannot be used.
    #[error("`{url}` is no URL of an API: {reason}; one looks like https://b3scale.example")]
    Url {
        /// The given text.
        url: String,
        /// Why.
        reason: String,
    },
    /// The authority that signed the server's certificate cannot be read.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The token is none.
    #[error("the access token holds letters that no token has")]
    Token,
    /// A request failed.
    #[error("{request}: {failure}")]
    Failed {
        /// Method and URL, without the query.
        request: String,
        /// Why.
        failure: Failure,
    },
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no connection.
    #[error("no connection: {0}; check the URL and whether the server runs")]
    Unreachable(String),
    /// The server's certificate is not trusted.
    #[error("{0}; if a private authority signed it, name its file with --ca-file or B3SCALE_API_CA_FILE")]
    Untrusted(String),
    /// What answers there speaks no TLS.
    #[error("the answer is none of TLS; check the port, and whether the URL should begin with http://")]
    NoTls,
    /// It took too long.
    #[error("no answer within {seconds} s; try again, or ask another server")]
    Silent {
        /// So long.
        seconds: u64,
    },
    /// The connection broke.
    #[error("the connection broke: {0}; the request may have been carried out")]
    Broken(String),
    /// There is no such thing.
    #[error("the resource could not be found (404)")]
    NotFound,
    /// Another program than b3scale answers there, or another part of b3scale.
    #[error("not found (404), and the answer is none of b3scale's REST API; is this the URL of b3scale?")]
    NoApi,
    /// The server does not know the token.
    #[error("not authorized ({}): {said}", status.as_u16())]
    Unauthorized {
        /// 401, or 429 after too many such tokens.
        status: StatusCode,
        /// The server's own words.
        said: String,
    },
    /// The server says no.
    #[error("refused ({status}): {said}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The server's own words.
        said: String,
    },
    /// The answer does not fit this version of the API.
    #[error("the answer cannot be read: {0}; is this the API of b3scale?")]
    Garbled(String),
    /// It is more than anybody can read.
    #[error("the answer is too large")]
    TooLarge,
    /// It could not be written.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
}

impl ApiError {
    pub(super) fn failed(method: &Method, url: &str, failure: Failure) -> Self {
        let url = url.split('?').next().unwrap_or(url);
        Self::Failed { request: format!("{method} {url}"), failure }
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { failure: Failure::NotFound, .. })
    }

    /// Whether it is a conflict with existing records.
    pub fn is_conflict(&self) -> bool {
        self.refusal() == Some(StatusCode::CONFLICT)
    }

    /// The status of a refusal.
    pub fn refusal(&self) -> Option<StatusCode> {
        match self {
            Self::Failed { failure: Failure::Refused { status, .. }, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the token lacks a scope.
    pub fn wants_scope(&self) -> bool {
        self.is_forbidden_since("scope required")
    }

    /// Whether it is a change that only operators may make.
    pub fn is_for_operators(&self) -> bool {
        self.is_forbidden_since("operators_only")
    }

    fn is_forbidden_since(&self, words: &str) -> bool {
        let Self::Failed { failure: Failure::Refused { status, said }, .. } = self else { return false };
        *status == StatusCode::FORBIDDEN && said.contains(words)
    }

    /// Whether the same request may succeed later, although neither the server nor the request is changed by anybody.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Failed { failure, .. } if failure.is_passing())
    }

    /// Whether another token would help.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Failed { failure: Failure::Unauthorized { .. }, .. })
    }
}

impl Failure {
    fn is_passing(&self) -> bool {
        const PASSING: [StatusCode; 2] = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        match self {
            Self::Unreachable(_) | Self::Silent { .. } | Self::Broken(_) => true,
            Self::Refused { status, .. } => status.is_server_error() || PASSING.contains(status),
            Self::Untrusted(_)
            | Self::NoTls
            | Self::NotFound
            | Self::NoApi
            | Self::Unauthorized { .. }
            | Self::Garbled(_)
            | Self::TooLarge
            | Self::Unsendable(_) => false,
        }
    }
}

pub(super) fn of_client(error: &ClientError) -> Failure {
    let reasons = causes(error);
    if find::<rustls::Error>(error).is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_))) {
        return Failure::Untrusted(reasons);
    }
    if find::<rustls::Error>(error).is_some_and(|error| matches!(error, rustls::Error::InvalidMessage(_))) {
        return Failure::NoTls;
    }
    if error.is_connect() { Failure::Unreachable(reasons) } else { Failure::Broken(reasons) }
}

pub(super) fn of_body(error: &(dyn Error + 'static)) -> Failure {
    if find::<LengthLimitError>(error).is_some() {
        return Failure::TooLarge;
    }
    Failure::Broken(causes(error))
}

/// `None`: the answer is good.
pub(super) fn of_status(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let said = || words(status, body);
    match status {
        _ if status.is_success() || status.is_redirection() => None,
        StatusCode::NOT_FOUND if is_ours(body) => Some(Failure::NotFound),
        StatusCode::NOT_FOUND => Some(Failure::NoApi),
        StatusCode::UNAUTHORIZED => Some(Failure::Unauthorized { status, said: said() }),
        // A proxy may find requests too many, too, and has nothing against the token.
        StatusCode::TOO_MANY_REQUESTS if said().contains(BAD_TOKEN) => {
            Some(Failure::Unauthorized { status, said: said() })
        }
        _ => Some(Failure::Refused { status, said: said() }),
    }
}

/// Whether the REST API of b3scale gave this refusal.
fn is_ours(body: &[u8]) -> bool {
    serde_json::from_slice::<Problem>(body).is_ok()
}

/// The server's words, as `key: value` joined by `; `.
fn words(status: StatusCode, body: &[u8]) -> String {
    if let Ok(object) = serde_json::from_slice::<Map<String, Value>>(body)
        && !object.is_empty()
    {
        let pairs = object.iter().map(|(key, value)| match value {
            Value::String(text) => format!("{key}: {text}"),
            other => format!("{key}: {other}"),
        });
        return pairs.collect::<Vec<_>>().join("; ");
    }
    let text = String::from_utf8_lossy(body);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_CHARS).collect();
    if text.is_empty() { status.canonical_reason().unwrap_or("no reason given").to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_quoted_as_the_original_does_it() {
        let said = |body: &str| of_status(StatusCode::BAD_REQUEST, body.as_bytes()).unwrap().to_string();
        assert_eq!(said(r#"{"message":"Bad Request"}"#), "refused (400 Bad Request): message: Bad Request");
        let fields = r#"{"error":"validation_error","fields":{"bbb.key":["this field is required"]},"message":"no"}"#;
        assert!(said(fields).ends_with(r#"fields: {"bbb.key":["this field is required"]}; message: no"#));
        assert_eq!(said("<h1>\nno</h1>"), "refused (400 Bad Request): <h1> no</h1>");
        assert_eq!(said(""), "refused (400 Bad Request): Bad Request");
    }

    #[test]
    fn too_many_bad_tokens_are_bad_tokens() {
        let failed = |body: &str| of_status(StatusCode::TOO_MANY_REQUESTS, body.as_bytes()).unwrap();
        let token = failed(r#"{"message":"invalid or expired jwt"}"#);
        assert_eq!(token.to_string(), "not authorized (429): message: invalid or expired jwt");
        assert!(ApiError::failed(&Method::GET, "http://a", token).is_unauthorized());
        assert!(matches!(failed("slow down"), Failure::Refused { .. }));
    }

    #[test]
    fn a_404_of_another_program_asks_for_the_url() {
        let failed = |body: &str| of_status(StatusCode::NOT_FOUND, body.as_bytes()).unwrap();
        assert!(matches!(failed(r#"{"message":"Not Found"}"#), Failure::NotFound));
        for body in ["", "<html>", "{}", "[]", r#"{"error":"no"}"#] {
            assert!(failed(body).to_string().ends_with("is this the URL of b3scale?"), "{body}");
        }
    }

    #[test]
    fn only_what_may_be_over_by_itself_is_passing() {
        let is_passing = |status: u16, body: &str| {
            let failure = of_status(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap();
            ApiError::failed(&Method::GET, "http://a", failure).is_passing()
        };
        for status in [408, 429, 500, 502, 503] {
            assert!(is_passing(status, ""), "{status}");
        }
        for (status, body) in [(400, ""), (401, ""), (403, ""), (404, ""), (409, ""), (429, BAD_TOKEN)] {
            assert!(!is_passing(status, body), "{status}");
        }
    }

    #[test]
    fn an_error_names_the_request_without_its_query() {
        let error = ApiError::failed(&Method::GET, "http://a/bbb/x/create?checksum=1", Failure::NotFound);
        assert_eq!(error.to_string(), "GET http://a/bbb/x/create: the resource could not be found (404)");
        assert!(error.is_not_found() && !error.is_unauthorized());
    }
}
