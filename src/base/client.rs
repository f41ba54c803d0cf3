//! The client of the REST API in the command line and the agents.
//!
//! Every request is bounded in time and size. An error is one line that says which request failed, why, and what to do; it never
//! holds a query, which may be signed, nor a secret.

mod calls;
mod failure;
mod lines;
mod userinfo;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;
use tower_http::decompression::Decompression;
use url::Url;

use crate::net::tls::{self, Connector};

pub use crate::net::tls::CaFileError;
pub use calls::{MeetingsOf, PutState, RecordingsOf};
pub use failure::{ApiError, Failure};
pub use lines::Lines;
pub use userinfo::{blanked, blanked_in};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// The most bytes an answer may have: a cluster's whole state fits many times.
const LARGEST_ANSWER: usize = 256 << 20;
/// How long a connection may take, name look-up and TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Characters that stay as they are in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The server that a client asks, and its token.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The server's base URL, as in `B3SCALE_API_URL`.
    pub url: String,
    /// The access token.
    pub token: String,
    /// The client's user agent.
    pub user_agent: String,
    /// A PEM file of certificate authorities, trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a whole answer may take.
    pub patience: Duration,
}

type Pooled = Decompression<Client<Connector, Full<Bytes>>>;

/// A server, asked over its REST API. Clones share their connections.
#[derive(Clone)]
pub struct Api {
    client: Pooled,
    base: String,
    authorization: HeaderValue,
    user_agent: HeaderValue,
    patience: Duration,
}

impl Api {
    /// Makes the client. It opens no connection yet.
    ///
    /// # Errors
    /// The URL, the token or the file of certificate authorities cannot be used.
    pub fn new(settings: &ApiSettings) -> Result<Self, ApiError> {
        let base = base(&settings.url)?;
        let authorization = bearer(settings.token.trim())?;
        let connector = tls::connector(settings.ca_file.as_deref(), CONNECT)?;
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let (client, user_agent) = (Decompression::new(client), header_value(&settings.user_agent)?);
        Ok(Self { client, base, authorization, user_agent, patience: settings.patience })
    }

    /// The server's base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Sends a GET. `path` follows `/api/v1/`.
    ///
    /// # Errors
    /// Which request failed, and why.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, ApiError> {
        self.exchange(Method::GET, path, query, Bytes::new()).await
    }

    /// Adds something, or asks for it to be done.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = self.body(&Method::POST, path, body)?;
        self.exchange(Method::POST, path, query, body).await
    }

    /// Asks for something to be done that needs no words.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn trigger<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.exchange(Method::POST, path, &[], Bytes::new()).await
    }

    /// Sends a PATCH: fields that the body does not name stay as they are.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ApiError> {
        let body = self.body(&Method::PATCH, path, body)?;
        self.exchange(Method::PATCH, path, &[], body).await
    }

    /// Removes something, and returns it as it was last.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, ApiError> {
        self.exchange(Method::DELETE, path, query, Bytes::new()).await
    }

    /// Sends a call as a frontend would, without the token. `path_and_query` is signed, and begins with a slash.
    ///
    /// # Errors
    /// There was no answer. An answer of any status is returned.
    pub async fn call(&self, method: Method, path_and_query: &str) -> Result<Response<Bytes>, ApiError> {
        let url = format!("{}{path_and_query}", self.base);
        let mut request = Request::new(Full::default());
        if method == Method::POST {
            request.headers_mut().insert(header::CONTENT_TYPE, XML);
        }
        *request.method_mut() = method;
        self.answer(request, &url).await
    }

    /// Sends a request, perhaps with another token than the client's, such as the signature of a node. `path` begins with a slash.
    ///
    /// # Errors
    /// As for [`Api::get`].
    pub async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Bytes) -> Result<Bytes, ApiError> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::new(Full::new(body));
        let authorization = token.map_or_else(|| Ok(self.authorization.clone()), bearer)?;
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        *request.method_mut() = method.clone();
        let answer = self.answer(request, &url).await?;
        match failure::of_status(answer.status(), answer.body()) {
            None => Ok(answer.into_body()),
            Some(failure) => Err(ApiError::failed(&method, &url, failure)),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<T, ApiError> {
        let url = self.address(path, query);
        let mut request = Request::new(Full::new(body));
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.authorization.clone());
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::CONTENT_TYPE, JSON);
        *request.method_mut() = method.clone();
        let answer = self.answer(request, &url).await?;
        let failed = |failure| ApiError::failed(&method, &url, failure);
        if let Some(failure) = failure::of_status(answer.status(), answer.body()) {
            return Err(failed(failure));
        }
        serde_json::from_slice(answer.body()).map_err(|error| failed(Failure::Garbled(error.to_string())))
    }

    async fn answer(&self, mut request: Request<Full<Bytes>>, url: &str) -> Result<Response<Bytes>, ApiError> {
        let method = request.method().clone();
        let failed = |failure| ApiError::failed(&method, url, failure);
        *request.uri_mut() = Uri::try_from(url).map_err(|error| failed(Failure::Unsendable(error.to_string())))?;
        request.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        let answer = tokio::time::timeout(self.patience, self.received(request)).await;
        let answer = answer.unwrap_or(Err(Failure::Silent { seconds: self.patience.as_secs() }));
        answer.map_err(failed)
    }

    async fn received(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
        // Boxed, as below: the client's futures are large.
        let answer = self.client.clone().oneshot(request).boxed().await;
        let (head, body) = answer.map_err(|error| failure::of_client(&error))?.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().boxed().await;
        let body = body.map_err(|error| failure::of_body(&*error))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    fn body(&self, method: &Method, path: &str, body: &impl Serialize) -> Result<Bytes, ApiError> {
        let unsendable = |error: serde_json::Error| Failure::Unsendable(error.to_string());
        let written = serde_json::to_vec(body).map_err(unsendable);
        let written = written.map_err(|failure| ApiError::failed(method, &self.address(path, &[]), failure))?;
        Ok(written.into())
    }

    fn address(&self, path: &str, query: &[(&str, &str)]) -> String {
        let slash = if path.is_empty() { "" } else { "/" };
        let mut address = format!("{}/api/v1{slash}{path}", self.base);
        if !query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            address.push('?');
            address.push_str(&query);
        }
        address
    }
}

/// A part of a path that may hold anything.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn base(url: &str) -> Result<String, ApiError> {
    let refused = |reason: &str| ApiError::Url { url: blanked(url), reason: reason.to_owned() };
    if url.contains('@') {
        return Err(refused("it holds a user or a password, and it is a token that says who asks"));
    }
    let parsed = Url::parse(url).map_err(|error| refused(&error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(refused("it is neither http nor https"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(refused("it has a query"));
    }
    // Tools of the original take it with the path of its API.
    let base = url.trim_end_matches('/');
    Ok(base.strip_suffix("/api/v1").unwrap_or(base).trim_end_matches('/').to_owned())
}

fn bearer(token: &str) -> Result<HeaderValue, ApiError> {
    let mut value = header_value(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|_| ApiError::Token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> Result<Api, ApiError> {
        let (token, user_agent) = ("token".to_owned(), "test".to_owned());
        Api::new(&ApiSettings { url: url.to_owned(), token, user_agent, ca_file: None, patience: CONNECT })
    }

    #[test]
    fn an_address_is_made_of_base_path_and_query() {
        let api = api("http://127.0.0.1:1/").unwrap();
        assert_eq!(api.address("", &[]), "http://127.0.0.1:1/api/v1");
        let address = api.address("backends", &[("host", "https://n/a b/&")]);
        assert_eq!(address, "http://127.0.0.1:1/api/v1/backends?host=https%3A%2F%2Fn%2Fa+b%2F%26");
        assert_eq!(base("https://a/api/v1/").unwrap(), "https://a");
        assert_eq!(segment("internal:a/b="), "internal:a%2Fb%3D");
    }

    #[test]
    fn a_url_that_cannot_be_asked_is_refused_with_a_reason() {
        let refused = |url: &str| api(url).err().unwrap().to_string();
        assert!(refused("127.0.0.1:42353").contains("is no URL of an API"));
        assert!(refused("ftp://a").contains("neither http nor https"));
        assert!(refused("http://a?b").contains("it has a query"));
        for url in ["http://user:geheim@a", "http://user:ge/heim@a", "user:geheim@a", "http://geheim@a?b"] {
            let said = refused(url);
            assert!(said.contains("it holds a user or a password") && !said.contains("heim"), "{said}");
        }
    }
}
