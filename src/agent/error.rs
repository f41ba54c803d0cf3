//! Why an agent does not start, or cannot run a command.

use std::io;
use std::path::PathBuf;

use b3scale_base::client::{ApiError, CaFileError};
use b3scale_base::program::ConfigError;
use b3scale_base::program::terminal::Unwritable;

/// Why an agent does not start, or cannot run a command, in one line.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A value in the environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No server is set.
    #[error("B3SCALE_API_URL is not set: it is the URL of b3scale, such as https://b3scale.example")]
    NoServer,
    /// There is no token.
    #[error(
        "there is no access token: B3SCALE_API_ACCESS_TOKEN is not set, and {} {reason}; \
         `b3scaled token --sub NODE --scopes b3scale:node` at the server prints one",
        path.display()
    )]
    NoToken {
        /// The file that may hold it.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// BBB's own settings are not there.
    #[error("{} cannot be read: {source}; BBB_CONFIG names the file with the settings of bbb-web", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// BBB's own settings lack something.
    #[error("{} has no {key}, which every report needs", files)]
    Missing {
        /// The files that were read.
        files: String,
        /// The property.
        key: &'static str,
    },
    /// One of BBB's own settings refers to another that is not there. It is not repeated: it may be a secret.
    #[error("{key} in {files} refers to a property, as `${{name}}`, that is not set; check the spelling of the name")]
    Reference {
        /// The files that were read.
        files: String,
        /// The property.
        key: &'static str,
    },
    /// One of BBB's own settings makes no sense.
    #[error("{key}=`{value}` in the settings of bbb-web: {wanted}")]
    Property {
        /// The property.
        key: &'static str,
        /// The given value.
        value: String,
        /// The accepted values.
        wanted: &'static str,
    },
    /// Certificate authorities that cannot be used.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The server does not know this node.
    #[error("{url} does not know this node; register it with `b3scaleagent --register`")]
    NotRegistered {
        /// The server.
        url: String,
    },
    /// An operator has to allow it first.
    #[error("{error}; ask an operator: `b3scalectl enable backend {host}`")]
    NotEnabled {
        /// The node's backend.
        host: String,
        /// The refusal.
        error: ApiError,
    },
    /// A request failed.
    #[error("{0}{hint}", hint = advice(.0))]
    Api(#[from] ApiError),
    /// A folder of recordings cannot be used.
    #[error("{}: {source}; {hint}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The problem.
        source: io::Error,
        /// The remedy.
        hint: &'static str,
    },
    /// There are no formats of a recording.
    #[error("{} has no format of recording {record}; --dir names the folder of published recordings", dir.display())]
    NoRecording {
        /// The recording.
        record: String,
        /// The folder of published recordings.
        dir: PathBuf,
    },
    /// Some recordings were not pushed.
    #[error("{failed} formats of recordings were not pushed; those that were not refused are tried again")]
    NotPushed {
        /// How many.
        failed: usize,
    },
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] Unwritable),
    /// The system does not let it run.
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
}

fn advice(error: &ApiError) -> &'static str {
    if error.is_for_operators() {
        "; ask an operator"
    } else if error.is_unauthorized() || error.wants_scope() {
        "; `b3scaled token --sub NODE --scopes b3scale:node` at the server prints the token of a node"
    } else {
        ""
    }
}
