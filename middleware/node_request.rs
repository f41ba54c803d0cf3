//! One request to a node: its query, its target, and its checksum.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method};

use crate::bbb::{self, Algorithm, CallKind, Content, Media, Params};
use crate::cluster::Backend;
use crate::fault::Fault;
use crate::trace::Trace;

/// Above this many bytes the largest parameters of a query are posted, where that can be.
pub(crate) const LONGEST_QUERY: usize = 7000;

/// The longest request line that a BBB node's nginx takes, in bytes.
const LONGEST_LINE: usize = 8 << 10;

/// The largest form that a node reads, in bytes. It passes over the parameters of a larger one.
const LARGEST_FORM: usize = 2 << 20;

/// The usual growth of a signed query: the call's name, a scoped id, a longer checksum.
const ROOM: usize = 256;

/// One request to a node, which is signed at the moment it is sent.
#[derive(Clone)]
pub struct NodeRequest {
    /// Which call it is.
    pub kind: CallKind,
    /// Where it goes.
    pub backend: Arc<Backend>,
    /// Call and query without a checksum: `create?name=…`.
    pub unsigned: String,
    /// The algorithm of its checksum. `None`: found out from its node.
    pub algorithm: Option<Algorithm>,
    /// The body of a POST. `None`: a GET.
    pub content: Option<Content>,
    /// Names the call in the node's logs.
    pub request_id: HeaderValue,
    /// The trace that the call belongs to.
    pub trace: Option<Trace>,
    /// When the whole answer must have come, if that is before the client's own limit. Tries with several algorithms share it.
    pub deadline: Option<Instant>,
    /// Whether this server asks for itself, to learn how the node is. Its answer has room when tenants have used up theirs.
    pub is_poll: bool,
}

impl NodeRequest {
    /// A call for the node of `backend`, signed with the backend's own algorithm, else with that of a setting, else with what
    /// the node accepts. Parameters that make the query too long for a node's request line are posted, if no other body is. A part
    /// stays in the query, which nodes of all versions then sign alone.
    pub fn new(
        kind: CallKind,
        params: &Params,
        mut content: Option<Content>,
        backend: &Arc<Backend>,
        setting: Option<Algorithm>,
        request_id: &HeaderValue,
    ) -> Self {
        let call = kind.checksum_name();
        let mut unsigned = String::with_capacity(params.raw().len() + ROOM);
        unsigned.extend([call, "?"]);
        let start = unsigned.len();
        params.encode_onto(&mut unsigned);
        let is_long = unsigned.len() - start > LONGEST_QUERY;
        if is_long && content.is_none() && kind.methods().contains(&Method::POST) {
            let (query, form) = params.split(LONGEST_QUERY);
            unsigned.truncate(start);
            unsigned.push_str(&query);
            content = Some(Content::new(Media::Form, form));
        }
        let (backend, request_id) = (Arc::clone(backend), request_id.clone());
        let algorithm = backend.algorithm.or(setting);
        Self { kind, backend, unsigned, algorithm, content, request_id, trace: None, deadline: None, is_poll: false }
    }

    /// The algorithm of its checksum: the settled one, or the last one accepted by its node, or else an algorithm of all nodes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.or_else(|| self.backend.vitals.signing.known()).unwrap_or(Algorithm::Sha256)
    }

    /// Where it goes, signed: the bytes that are hashed are the bytes that are sent.
    pub fn url(&self) -> String {
        if self.kind == CallKind::Index {
            return self.backend.url.clone();
        }
        let (call, query) = self.unsigned.split_once('?').unwrap_or((&self.unsigned, ""));
        let checksum = bbb::sign(self.algorithm(), call, query, &self.backend.secret);
        let separator = if query.is_empty() { "" } else { "&" };
        format!("{}{call}?{query}{separator}checksum={checksum}", self.backend.url)
    }

    /// Whether a node takes it, as far as its size goes.
    ///
    /// # Errors
    /// A fault of the call, which names the oversized part.
    pub fn fits(&self) -> Result<(), Fault> {
        let url = &self.backend.url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        let path = host.find('/').map_or(0, |start| host.len() - start);
        let frame = if self.content.is_some() { "POST  HTTP/1.1\r\n" } else { "GET  HTTP/1.1\r\n" };
        let checksum = "&checksum=".len() + self.algorithm().hex_len();
        let line = frame.len() + path + self.unsigned.len() + checksum;
        let form = self.content.as_ref().filter(|content| content.media == Media::Form);
        let what = if line > LONGEST_LINE {
            format!("The request is {line} bytes long without what can be posted, and the servers take {LONGEST_LINE}.")
        } else if form.is_some_and(|form| form.bytes.len() > LARGEST_FORM) {
            format!("The parameters are larger than the {LARGEST_FORM} bytes that the servers take.")
        } else {
            return Ok(());
        };
        Err(Fault::InvalidParam { key: "requestTooLong", message: what.into() })
    }
}

impl fmt::Debug for NodeRequest {
    /// Leaves out the query, which is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRequest")
            .field("kind", &self.kind)
            .field("backend", &self.backend.id)
            .finish_non_exhaustive()
    }
}
