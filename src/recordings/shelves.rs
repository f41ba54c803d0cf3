//! The shelves of a server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use b3scale_middleware::cluster::Visibility;

use super::settings::{
    ACCESS_KEY, BUCKET, DELETED, INBOX, PLAYER, PUBLISHED, RecordingsConfig, SECRET_KEY, SPOOL, Storage, UNPUBLISHED,
};
use super::shelf::Shelf;
use super::shelf::local::{Local, Trees};
use super::shelf::s3::{Refusal, S3, S3Error};
use crate::program::ConfigError;

/// The shelves of a server. Clones are the same shelves.
#[derive(Clone)]
pub struct Shelves {
    local: Option<Arc<Local>>,
    s3: Option<Arc<S3>>,
    main: Arc<dyn Shelf>,
    /// Where recordings arrive.
    pub inbox: Inbox,
}

/// Where recordings arrive, so that any server can finish an import.
#[derive(Clone)]
pub enum Inbox {
    /// A folder that the servers share.
    Folder(PathBuf),
    /// Objects below [`INBOX`](super::shelf::s3::INBOX).
    Bucket(Arc<S3>),
}

impl Shelves {
    /// Opens all shelves of the settings, and proves that they can be used. `None`: there are none.
    ///
    /// # Errors
    /// A folder that is not there or cannot be used, or a bucket that refuses. A server of a bucket that does not answer now is
    /// only a warning.
    pub async fn open(config: &RecordingsConfig) -> Result<Option<Self>, ConfigError> {
        let local = local(config)?.map(Arc::new);
        let s3 = s3(config).await?.map(Arc::new);
        if let Some(spool) = &config.spool {
            usable(SPOOL, spool)?;
        }
        if let Some(player) = &config.player {
            let page = player.join("index.html");
            std::fs::metadata(&page).map_err(|error| unusable(PLAYER, player, "has no readable index.html", &error))?;
        }
        let (main, inbox): (Arc<dyn Shelf>, _) = match (config.storage, &local, &s3) {
            (Storage::Local, Some(local), _) => (Arc::<Local>::clone(local), Inbox::Folder(inbox(config)?)),
            (Storage::S3, _, Some(s3)) => (Arc::<S3>::clone(s3), Inbox::Bucket(Arc::clone(s3))),
            (Storage::S3, _, None) => {
                let wanted = "it is not set; name the bucket, or set B3SCALE_RECORDINGS_STORAGE to `local`";
                return Err(ConfigError::new(BUCKET, "", wanted));
            }
            (Storage::Local, None, Some(_)) => {
                let wanted = "it is not set; name the folder, or set B3SCALE_RECORDINGS_STORAGE to `s3`";
                return Err(ConfigError::new(PUBLISHED, "", wanted));
            }
            (Storage::Local, None, None) => return Ok(None),
        };
        Ok(Some(Self { local, s3, main, inbox }))
    }

    /// The shelf for files that arrive.
    pub fn main(&self) -> &Arc<dyn Shelf> {
        &self.main
    }

    /// The shelf of that name, if this server has it.
    pub fn named(&self, name: &str) -> Option<Arc<dyn Shelf>> {
        match name {
            "local" => self.local.clone().map(|shelf| shelf as Arc<dyn Shelf>),
            "s3" => self.s3.clone().map(|shelf| shelf as Arc<dyn Shelf>),
            _ => None,
        }
    }

    /// All shelves.
    pub fn all(&self) -> impl Iterator<Item = Arc<dyn Shelf>> {
        ["local", "s3"].into_iter().filter_map(|name| self.named(name))
    }
}

fn local(config: &RecordingsConfig) -> Result<Option<Local>, ConfigError> {
    let (published, unpublished) = match (&config.published, &config.unpublished) {
        (Some(published), Some(unpublished)) => (published.clone(), unpublished.clone()),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(ConfigError::new(UNPUBLISHED, "", missing(PUBLISHED))),
        (None, Some(_)) => return Err(ConfigError::new(PUBLISHED, "", missing(UNPUBLISHED))),
    };
    usable(PUBLISHED, &published)?;
    usable(UNPUBLISHED, &unpublished)?;
    let same = |error| unusable(UNPUBLISHED, &unpublished, "cannot be read", &error);
    if published.canonicalize().map_err(same)? == unpublished.canonicalize().map_err(same)? {
        let wanted = format!("{PUBLISHED} is the same folder; name another one");
        return Err(ConfigError::new(UNPUBLISHED, &unpublished.display().to_string(), wanted));
    }
    let deleted = config.deleted.clone().unwrap_or_else(|| unpublished.with_file_name("deleted"));
    std::fs::create_dir_all(&deleted).map_err(|error| unusable(DELETED, &deleted, "cannot be made", &error))?;
    usable(DELETED, &deleted)?;
    Ok(Some(Local::new(Trees { published, unpublished, deleted })))
}

fn missing(other: &str) -> String {
    format!("it is not set, and {other} is; set both, or none to do without folders")
}

/// The folder where recordings arrive, by default one of the trees, as in the original.
fn inbox(config: &RecordingsConfig) -> Result<PathBuf, ConfigError> {
    let default =
        if config.default_visibility == Visibility::Unpublished { &config.unpublished } else { &config.published };
    let folder = config.inbox.clone().or_else(|| default.clone()).unwrap_or_default();
    usable(INBOX, &folder)?;
    Ok(folder)
}

async fn s3(config: &RecordingsConfig) -> Result<Option<S3>, ConfigError> {
    let Some(settings) = &config.s3 else { return Ok(None) };
    for (name, value) in [(ACCESS_KEY, &settings.access_key), (SECRET_KEY, &settings.secret_key)] {
        if value.is_none() {
            let wanted = format!("it is not set, and {BUCKET} is; set it to a key that may read and write the bucket");
            return Err(ConfigError::new(name, "", wanted));
        }
    }
    let refused = |error: &S3Error| {
        let wanted = format!("the bucket cannot be used: {error}; check the settings B3SCALE_RECORDINGS_S3_…");
        ConfigError::new(BUCKET, &settings.bucket, wanted)
    };
    let s3 = S3::new(settings).map_err(|error| refused(&error))?;
    match s3.probe().await {
        Err(S3Error::Store(error)) if is_away(&error) => {
            tracing::warn!(bucket = settings.bucket, %error, "Probing the bucket of recordings failed, it may come back");
            Ok(Some(s3))
        }
        Err(error) => Err(refused(&error)),
        Ok(()) => Ok(Some(s3)),
    }
}

/// Whether a server did not answer, rather than refuse.
fn is_away(error: &object_store::Error) -> bool {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    let is_refused = matches!(error, NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. });
    // The refusal of a list has no kind of its own.
    !is_refused && !Refusal::of(error).is_final()
}

/// Makes sure that a folder is there and that files in it can be listed and written.
fn usable(name: &'static str, folder: &Path) -> Result<(), ConfigError> {
    let problem = |what, error: io::Error| unusable(name, folder, what, &error);
    if !std::fs::metadata(folder).map_err(|error| problem("cannot be read", error))?.is_dir() {
        return Err(problem("is no folder", io::ErrorKind::NotADirectory.into()));
    }
    std::fs::read_dir(folder).map_err(|error| problem("cannot be read", error))?;
    let trial = folder.join(format!(".b3scale-{:016x}", fastrand::u64(..)));
    let written = std::fs::write(&trial, "b3scale was here").and_then(|()| std::fs::remove_file(&trial));
    written.map_err(|error| problem("cannot be written", error))
}

fn unusable(name: &'static str, folder: &Path, what: &str, error: &io::Error) -> ConfigError {
    let wanted = format!("this folder {what}: {error}; name one that this user can read and write");
    ConfigError::new(name, &folder.display().to_string(), wanted)
}
