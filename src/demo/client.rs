//! A client as a frontend has it: it signs calls, reads answers, and follows a redirect only when told to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::{Algorithm, CallKind, Params, Secret, sign, xml};
use b3scale_node::TestAuthority;
use bytes::Bytes;
use http::{StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How much an answer may hold.
const MOST_BYTES: usize = 16 << 20;
/// Redirects from a join to the client page: to the node, and on to its page, with some to spare.
const MOST_REDIRECTS: usize = 4;

/// Speaks http, and https to nodes of one authority.
pub(super) struct Client(HyperClient<HttpsConnector<HttpConnector>, Empty<Bytes>>);

/// The endpoint of a frontend, and its secret.
pub(super) struct Endpoint {
    /// Ends in a slash.
    pub(super) url: String,
    pub(super) secret: Secret,
}

/// The answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("`{0}` is no address")]
    Address(String),
    #[error("no connection: {0}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    #[error("a broken answer: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late,
    #[error("more than {MOST_REDIRECTS} redirects")]
    Redirects,
    #[error("there is no server to call")]
    NoServer,
}

impl Endpoint {
    /// The address of a call, signed as the frontend signs it.
    pub(super) fn address(&self, kind: CallKind, params: &[(&str, &str)]) -> String {
        let mut query = Params::default();
        params.iter().for_each(|(name, value)| query.set(name, value));
        let query = query.encode();
        let checksum = sign(Algorithm::Sha256, kind.checksum_name(), &query, &self.secret);
        let joint = if query.is_empty() { "" } else { "&" };
        format!("{}{}?{query}{joint}checksum={checksum}", self.url, kind.name())
    }
}

impl Client {
    pub(super) fn new(authority: Option<&TestAuthority>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        if let Some(authority) = authority {
            roots.add(authority.der().clone())?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        Ok(Self(HyperClient::builder(TokioExecutor::new()).build(connector)))
    }

    /// Makes a signed call.
    pub(super) async fn call(
        &self,
        to: &Endpoint,
        kind: CallKind,
        params: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        self.visit(&to.address(kind, params)).await
    }

    /// Asks for an address, and stays where it is sent to.
    pub(super) async fn visit(&self, address: &str) -> Result<Answer, CallError> {
        let uri: Uri = address.parse().map_err(|_| CallError::Address(address.to_owned()))?;
        let exchange = async {
            let (head, body) = self.0.get(uri).await?.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await.map_err(CallError::Body)?.to_bytes();
            let location = head.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            Ok(Answer { status: head.status, location: location.map(str::to_owned), body })
        };
        timeout(LIMIT, exchange).await.unwrap_or(Err(CallError::Late))
    }

    /// Goes on from `address` as a browser does, and returns where it ends, and with what.
    pub(super) async fn follow(&self, address: String) -> Result<(String, Answer), CallError> {
        let mut address = address;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.visit(&address).await?;
            match answer.location {
                Some(next) if answer.status.is_redirection() => address = next,
                _ => return Ok((address, answer)),
            }
        }
        Err(CallError::Redirects)
    }
}

impl Answer {
    /// Whether BBB's document says SUCCESS.
    pub(super) fn succeeded(&self) -> bool {
        self.status == StatusCode::OK && xml::outcome(&self.body).is_ok_and(|outcome| outcome.is_success())
    }

    /// Whether BBB's document says FAILED with that key.
    pub(super) fn failed_with(&self, key: &str) -> bool {
        self.status == StatusCode::OK
            && xml::outcome(&self.body)
                .is_ok_and(|outcome| !outcome.is_success() && outcome.message_key.as_deref() == Some(key))
    }

    /// Texts of the document's elements.
    pub(super) fn fields<const N: usize>(&self, names: [&str; N]) -> [Option<String>; N] {
        xml::fields(&self.body, names).unwrap_or([const { None }; N])
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status.as_u16())?;
        if let Some(location) = &self.location {
            write!(f, " to {location}")?;
        }
        match xml::outcome(&self.body) {
            Ok(outcome) => {
                f.write_str(if outcome.is_success() { ", SUCCESS" } else { ", FAILED" })?;
                outcome.message_key.iter().try_for_each(|key| write!(f, " {key}"))?;
                outcome.message.iter().try_for_each(|message| write!(f, " ({message})"))
            }
            Err(_) if self.body.is_empty() => Ok(()),
            Err(_) => write!(f, ", {} bytes that are no answer of BBB", self.body.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use b3scale_node::{Node, NodeOptions};

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_answer_says_in_a_line_what_came() {
        let failed = answer(
            200,
            "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey><message>No</message></response>",
        );
        assert_eq!(failed.to_string(), "HTTP 200, FAILED notFound (No)");
        assert!(failed.failed_with("notFound") && !failed.succeeded());
        assert_eq!(answer(502, "oops").to_string(), "HTTP 502, 4 bytes that are no answer of BBB");
        assert_eq!(answer(404, "").to_string(), "HTTP 404");
    }

    #[tokio::test]
    async fn a_node_accepts_what_was_signed_and_a_browser_gets_in() {
        let authority = TestAuthority::new().unwrap();
        let options = NodeOptions { tls: Some(authority.server_config().unwrap()), ..NodeOptions::default() };
        let node = Node::start(options).await.unwrap();
        let endpoint = Endpoint { url: node.url(), secret: Secret::new(node.secret()).unwrap() };
        let client = Client::new(Some(&authority)).unwrap();

        let created = client.call(&endpoint, CallKind::Create, &[("meetingID", "m 1"), ("name", "Über uns")]).await;
        assert!(created.unwrap().succeeded());
        let join = [("meetingID", "m 1"), ("fullName", "Ada"), ("role", "VIEWER")];
        let (place, page) = client.follow(endpoint.address(CallKind::Join, &join)).await.unwrap();
        assert!(place.contains("/html5client/") && page.status == 200, "{place}: {page}");
        assert!(node.meeting("m 1").unwrap().running);
        assert!(client.call(&endpoint, CallKind::GetMeetings, &[]).await.unwrap().succeeded());
    }
}
