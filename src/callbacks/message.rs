//! A node's message as it came, and its proof: a JWT with the node's secret, where BBB signs.

use b3scale_middleware::bbb::{Params, Secret};
use b3scale_middleware::cluster::CallbackKind;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::token::bearer;

/// How far the clocks of a node may differ, in seconds.
const LEEWAY: u64 = 300;

/// A node's message.
pub(super) struct Message {
    pub(super) method: Method,
    pub(super) query: String,
    pub(super) media: Option<String>,
    pub(super) bearer: Option<String>,
    pub(super) body: Bytes,
}

/// The claims of a message about a recording.
#[derive(Deserialize)]
pub(super) struct ReadyClaims {
    pub(super) meeting_id: String,
    pub(super) record_id: String,
}

#[derive(Deserialize)]
struct NoClaims {}

/// A message that its node has signed: by that algorithm.
pub(super) struct Signed(pub(super) Algorithm);

impl Message {
    pub(super) fn new(head: &Parts, body: Bytes) -> Self {
        let media = head.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
        Self {
            method: head.method.clone(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            media: media.map(str::to_owned),
            bearer: bearer(&head.headers).map(str::to_owned),
            body,
        }
    }

    /// A parameter of its query.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        Params::parse(&self.query).first(name).map(str::to_owned)
    }

    /// The meeting that it says it is about, by the node's id. Nothing has proved it yet.
    pub(super) fn meeting(&self, kind: CallbackKind) -> Option<String> {
        match kind {
            CallbackKind::End | CallbackKind::Ended => self.asked("meetingID"),
            CallbackKind::Ready => Some(self.ready_unproved()?.meeting_id),
            CallbackKind::Analytics | CallbackKind::Other => {
                let said: Option<Value> = serde_json::from_slice(&self.body).ok();
                let said = said.and_then(|said| said["meeting_id"].as_str().map(str::to_owned));
                said.or_else(|| self.asked("meetingID"))
            }
        }
    }

    /// Its claims about a recording. Nothing has proved them yet.
    pub(super) fn ready_unproved(&self) -> Option<ReadyClaims> {
        jsonwebtoken::dangerous::insecure_decode_claims(self.signed_parameters()?).ok()
    }

    /// Its claims about a recording, if that node has signed them as BBB does.
    pub(super) fn ready(&self, secret: &Secret) -> Option<ReadyClaims> {
        proved(&self.signed_parameters()?, secret, &[Algorithm::HS256], false)
    }

    /// Whether that node has signed it as BBB signs analytics.
    pub(super) fn is_of(&self, secret: &Secret) -> bool {
        let token = self.bearer.as_deref();
        token.is_some_and(|token| proved::<NoClaims>(token, secret, &[Algorithm::HS512], true).is_some())
    }

    /// Its signature, if that node made it. `None`: it has one that the node did not make. A message without a signature is
    /// proved by its address alone.
    pub(super) fn signature(&self, secret: &Secret) -> Option<Option<Signed>> {
        let Some(token) = &self.bearer else { return Some(None) };
        let algorithms = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
        proved::<NoClaims>(token, secret, &algorithms, false)?;
        Some(Some(Signed(decode_header(token).ok()?.alg)))
    }

    fn signed_parameters(&self) -> Option<String> {
        let form = std::str::from_utf8(&self.body).ok()?;
        Params::parse(form).first("signed_parameters").map(str::to_owned)
    }
}

/// The claims of a JWT by a node. An expiry in it holds, and `expires` says whether there must be one.
fn proved<C: DeserializeOwned>(token: &str, secret: &Secret, algorithms: &[Algorithm], expires: bool) -> Option<C> {
    let mut validation = Validation::new(*algorithms.first()?);
    validation.algorithms = algorithms.to_vec();
    validation.leeway = LEEWAY;
    validation.validate_aud = false;
    if !expires {
        validation.required_spec_claims.clear();
    }
    decode(token, &DecodingKey::from_secret(secret.expose().as_bytes()), &validation).ok().map(|data| data.claims)
}
