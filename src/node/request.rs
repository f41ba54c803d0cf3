//! A request to the node.

use bytes::Bytes;
use http::Method;

use super::params::Params;

/// A request, read completely.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) raw_query: String,
    /// Query, then form.
    pub(super) params: Params,
    pub(super) form: Option<Params>,
    /// Lower-case media type without parameters; `None` without a body.
    pub(super) content: Option<String>,
    pub(super) body: Bytes,
}
