//! Records by the names that people use.

use b3scale_base::client::Api;
use b3scale_base::rest::{Backend, Frontend};

use super::CtlError;

/// The backend of a host, which the line may give without the slash at its end.
pub(super) async fn find_backend(api: &Api, host: &str) -> Result<Backend, CtlError> {
    let found = match api.find_backend(host).await? {
        None if !host.ends_with('/') => api.find_backend(&format!("{host}/")).await?,
        found => found,
    };
    found.ok_or_else(|| missing(api, "backend", host, "b3scalectl show backends"))
}

/// The frontend of a key.
pub(super) async fn find_frontend(api: &Api, key: &str) -> Result<Frontend, CtlError> {
    let found = api.find_frontend(key).await?;
    found.ok_or_else(|| missing(api, "frontend", key, "b3scalectl show frontends"))
}

/// What to say of something that is not there.
pub(super) fn missing(api: &Api, what: &'static str, name: &str, list: &'static str) -> CtlError {
    CtlError::Missing { url: api.url().to_owned(), what, name: name.to_owned(), list }
}
