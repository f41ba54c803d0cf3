//! Where the demo keeps its files.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::DemoError;

/// The folders of recordings, by the variables of the servers.
const RECORDINGS: [(&str, &str); 3] = [
    ("B3SCALE_RECORDINGS_PUBLISHED_PATH", "published"),
    ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", "unpublished"),
    ("B3SCALE_RECORDINGS_INBOX_PATH", "inbox"),
];

/// The folder of one demo. A temporary one is removed when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// Uses the folder that was asked for, or makes one of its own.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self, DemoError> {
        let Some(wanted) = wanted else { return Self::temporary() };
        if !wanted.exists() {
            fs::create_dir_all(wanted).map_err(DemoError::file("make the folder", wanted))?;
            // Others may pass through, for the user that runs PostgreSQL, but not look around.
            let passable = fs::set_permissions(wanted, Permissions::from_mode(0o711));
            passable.map_err(DemoError::file("set the permissions of", wanted))?;
        }
        let path = fs::canonicalize(wanted).map_err(DemoError::file("find", wanted))?;
        Ok(Self { path, temporary: false })
    }

    fn temporary() -> Result<Self, DemoError> {
        // Short, since the path of PostgreSQL's socket is bounded, and never a folder of another user.
        let name = Uuid::new_v4().simple().to_string();
        let path = std::env::temp_dir().join(format!("b3scale-demo-{}", &name[..12]));
        DirBuilder::new().mode(0o711).create(&path).map_err(DemoError::file("make the folder", &path))?;
        let folder = Self { path, temporary: true };
        let passable = fs::set_permissions(&folder.path, Permissions::from_mode(0o711));
        passable.map_err(DemoError::file("set the permissions of", &folder.path))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folders of recordings, and says which variable of a server names each.
    pub(super) fn recordings(&self) -> Result<Vec<(&'static str, String)>, DemoError> {
        let made = RECORDINGS.map(|(variable, name)| {
            let folder = self.fresh(&format!("recordings/{name}"))?;
            Ok((variable, folder.display().to_string()))
        });
        made.into_iter().collect()
    }

    /// An empty folder of that name in it.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf, DemoError> {
        let path = self.path.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(DemoError::file("empty", &path))?;
        }
        fs::create_dir_all(&path).map_err(DemoError::file("make the folder", &path))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // Nothing better is left to do about a folder that cannot be removed.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_and_a_chosen_one_stays() {
        let temporary = Folder::open(None).unwrap();
        let path = temporary.path().to_owned();
        assert!(path.is_dir());
        drop(temporary);
        assert!(!path.exists());

        let parent = tempfile::tempdir().unwrap();
        let wanted = parent.path().join("a/b");
        drop(Folder::open(Some(&wanted)).unwrap());
        assert!(wanted.is_dir());
    }
}
