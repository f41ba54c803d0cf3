//! What keeps a private cluster from running: one line each, with what to do.

use std::io;
use std::path::PathBuf;

/// Why there is no private cluster.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// No place for the data folder.
    #[error("no data folder: neither B3SCALE_DATA_DIR nor XDG_STATE_HOME nor HOME is set; set B3SCALE_DATA_DIR")]
    NoHome,
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL's programs `initdb` and `postgres` were not found: install PostgreSQL (for example `apt-get install \
         postgresql`), or set PG_BIN to their folder, or B3SCALE_DB_URL to a database"
    )]
    NoPrograms,
    /// `PG_BIN` names a folder without them.
    #[error("PG_BIN is `{}`, which has no working `initdb` and `postgres`: set it to the folder that has them", .0.display())]
    WrongPrograms(PathBuf),
    /// The cluster was made by a version that is not installed.
    #[error(
        "`{}` was made by PostgreSQL {wanted}, and found was only {found}: install PostgreSQL {wanted}, or set PG_BIN to \
         its folder", folder.display()
    )]
    WrongVersion {
        /// The cluster's folder.
        folder: PathBuf,
        /// The version that made it.
        wanted: String,
        /// The versions that are installed.
        found: String,
    },
    /// Another server has the folder.
    #[error(
        "the data folder `{}` is in use by another b3scaled: stop that one, or set B3SCALE_DATA_DIR to another folder",
        .0.display()
    )]
    InUse(PathBuf),
    /// PostgreSQL does not run as root, and no other user is there to run it.
    #[error("PostgreSQL does not run as root, and this system has neither a user `postgres` nor `nobody`: add one")]
    NoUser,
    /// The user that runs PostgreSQL cannot get to the folder.
    #[error(
        "user `{user}`, as whom PostgreSQL runs, may not enter `{}`: set B3SCALE_DATA_DIR to a folder elsewhere, or allow \
         it with `chmod o+x`", folder.display()
    )]
    NotEnterable {
        /// The user of PostgreSQL.
        user: String,
        /// The folder that bars the way.
        folder: PathBuf,
    },
    /// Something that is not ours is where the socket should be.
    #[error("`{}` is not a folder that only user `{user}` may use: remove it", folder.display())]
    ForeignFolder {
        /// The folder.
        folder: PathBuf,
        /// The expected owner.
        user: String,
    },
    /// A file or folder could not be used.
    #[error("cannot {task} `{}`: {error}", path.display())]
    File {
        /// The attempted step.
        task: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The system refused something else.
    #[error("cannot {task}: {error}")]
    System {
        /// The attempted step.
        task: &'static str,
        /// The system's error.
        error: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb could not make a database in `{}`: {reason}", folder.display())]
    NotMade {
        /// The cluster's folder.
        folder: PathBuf,
        /// Its last words.
        reason: String,
    },
    /// `postgres` failed.
    #[error("PostgreSQL does not start in `{}`: {reason}", folder.display())]
    NotStarted {
        /// The cluster's folder.
        folder: PathBuf,
        /// Its last words.
        reason: String,
    },
    /// It runs, and its database could not be made.
    #[error("the private database could not be made: {0}")]
    NoDatabase(String),
    /// The thread that watches the cluster ended.
    #[error("the thread that watches PostgreSQL ended early")]
    Gone,
}

impl PrivateError {
    pub(super) fn file(task: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { task, path, error }
    }
}
