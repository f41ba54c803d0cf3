//! Requests of the REST API as tools make them.

use std::time::{SystemTime, UNIX_EPOCH};

use b3scale::token;
use http::Method;
use serde_json::Value;

use crate::{Answer, TestCluster, document};

/// The secret by which the servers of tests sign tokens.
pub const JWT_SECRET: &str = "cluster-secret";

/// A token for that subject.
pub fn token(sub: &str, scope: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    token::sign(JWT_SECRET, sub, scope, now).unwrap()
}

/// A client with or without a token.
pub struct Tool<'c> {
    cluster: &'c TestCluster,
    token: Option<String>,
    program: Option<&'static str>,
}

impl TestCluster {
    /// A client with a token.
    pub fn tool(&self, sub: &str, scope: &str) -> Tool<'_> {
        Tool { cluster: self, token: Some(token(sub, scope)), program: None }
    }

    /// An operator.
    pub fn operator(&self) -> Tool<'_> {
        self.tool("operator", "b3scale b3scale:admin")
    }

    /// The agent of a node.
    pub fn agent(&self, sub: &str) -> Tool<'_> {
        self.tool(sub, "b3scale:node")
    }

    /// A client without a token.
    pub fn stranger(&self) -> Tool<'_> {
        Tool { cluster: self, token: None, program: None }
    }

    /// A client with a text that may be no token.
    pub fn impostor(&self, token: &str) -> Tool<'_> {
        Tool { cluster: self, token: Some(token.to_owned()), program: None }
    }
}

impl Tool<'_> {
    /// The same, asking with that program.
    pub fn with(self, program: &'static str) -> Self {
        Self { program: Some(program), ..self }
    }

    /// A request, with a body as it stands.
    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: &str) -> Answer {
        self.send_anywhere(method, &format!("/api/v1{path}"), content_type, body).await
    }

    /// The same to any path. The OpenAPI document must know of such an answer.
    pub async fn send_anywhere(&self, method: Method, path: &str, content_type: &str, body: &str) -> Answer {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", content_type)];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        headers.extend(self.program.map(|program| ("user-agent", program)));
        let answer = self.cluster.request(method.clone(), path, &headers, body).await;
        document::hold(&method, path, &answer);
        answer
    }

    /// A GET.
    pub async fn fetch(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "application/json", "").await
    }

    /// A POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", &body.to_string()).await
    }

    /// A PATCH with JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, "application/json", &body.to_string()).await
    }

    /// A DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, "application/json", "").await
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as JSON, of a request that was granted.
    pub fn granted(&self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.json()
    }

    /// The status and the body of a request that was not.
    pub fn refused(&self) -> (u16, &str) {
        assert!(!self.status.is_success(), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/json");
        (self.status.as_u16(), self.text.trim_end_matches('\n'))
    }
}
