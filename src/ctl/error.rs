//! How a command ends.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use b3scale_base::client::ApiError;
use b3scale_base::program::ConfigError;
use b3scale_base::program::terminal::Unwritable;

use crate::import::ImportError;

/// Why a command failed. Each error is one line, with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// The API could not be asked, or says no.
    #[error("{0}{hint}", hint = reauthenticate(.0))]
    Api(#[from] ApiError),
    /// The token is valid, and not one of an administrator.
    #[error(
        "{url}: authorization failed: the token has no scope b3scale:admin; get another with `b3scalectl auth authorize`"
    )]
    NotAdmin {
        /// The server.
        url: String,
    },
    /// There is no token, and no terminal to ask for the secret.
    #[error(
        "there is no access token for {url}; set B3SCALE_API_ACCESS_TOKEN (`b3scaled token` prints one at the server), or run `b3scalectl auth authorize` on a terminal"
    )]
    NoToken {
        /// The server.
        url: String,
    },
    /// There is no secret, and no terminal to ask for one.
    #[error("the shared secret is needed: give --secret or B3SCALE_API_JWT_SECRET, or run this on a terminal")]
    NoSecret,
    /// The server does not know the secret that was given.
    #[error("{url}: the server does not accept a token of that secret; it is the server's B3SCALE_API_JWT_SECRET")]
    WrongSecret {
        /// The server.
        url: String,
    },
    /// A token cannot be signed with that secret.
    #[error("a token cannot be signed with this secret: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// There is no such thing.
    #[error("{url}: there is no {what} `{name}`; `{list}` shows those there are")]
    Missing {
        /// The server.
        url: String,
        /// The expected kind of value.
        what: &'static str,
        /// The given text.
        name: String,
        /// Which command lists them.
        list: &'static str,
    },
    /// An id that several meetings have.
    #[error(
        "{url}: several meetings have the id `{id}`: give --frontend KEY, with `end` --copy-on URL, or one of {ids}"
    )]
    Several {
        /// The server.
        url: String,
        /// The id.
        id: String,
        /// The unambiguous ids, with their frontends.
        ids: String,
    },
    /// The database takes no changes.
    #[error("{url}: nothing can be changed now: {why}")]
    NoDatabase {
        /// The server.
        url: String,
        /// Why.
        why: String,
    },
    /// Others were faster than who was asked.
    #[error("{url}: the cluster was changed meanwhile, and nothing was done; start the import again")]
    Overtaken {
        /// The server.
        url: String,
    },
    /// A value in the environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The line can be read, and yet not be done.
    #[error("{0}")]
    Usage(String),
    /// The given input cannot be read.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The other system cannot be read.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Something that ends meetings was not confirmed.
    #[error("{question} There is no terminal to ask on: confirm with --yes or B3SCALE_YES=true")]
    Unconfirmed {
        /// What would have been asked.
        question: String,
    },
    /// It was asked, and the answer is no.
    #[error("nothing was done")]
    Declined,
    /// The cluster was asked, and could not.
    #[error("{0}")]
    Failed(String),
    /// The file of a token.
    #[error("the token file {} cannot be used: {error}", path.display())]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The result cannot be printed.
    #[error(transparent)]
    Output(#[from] Unwritable),
    /// The terminal, or a signal.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] io::Error),
}

impl CtlError {
    /// The exit code of a command that failed so.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(super::USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}

fn reauthenticate(error: &ApiError) -> &'static str {
    if error.is_unauthorized() { "; get another token with `b3scalectl auth authorize`" } else { "" }
}
