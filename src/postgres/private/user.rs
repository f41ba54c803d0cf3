//! The user of PostgreSQL: our own, but never root.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::PrivateError;

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// A user of the system.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether it differs from ours, so that files must be handed over.
    pub(super) other: bool,
}

impl User {
    /// Our own user; as root `postgres`, else `nobody`.
    pub(super) fn choose() -> Result<Self, PrivateError> {
        if !is_root() {
            let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
            let name = find(|entry| entry.uid == uid).map_or_else(|| uid.to_string(), |entry| entry.name);
            return Ok(Self { name, uid, gid, other: false });
        }
        let named = |name| find(|entry| entry.name == name && entry.uid != 0);
        named("postgres").or_else(|| named("nobody")).ok_or(PrivateError::NoUser)
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), PrivateError> {
        if self.other {
            chown(path, Some(self.uid), Some(self.gid)).map_err(PrivateError::file("give to another user", path))?;
        }
        Ok(())
    }

    /// Checks that this user gets to `folder`, through every folder above it.
    pub(super) fn check_way(&self, folder: &Path) -> Result<(), PrivateError> {
        if !self.other {
            return Ok(());
        }
        for step in folder.ancestors() {
            let metadata = fs::metadata(step).map_err(PrivateError::file("look at", step))?;
            if !self.may_enter(&metadata) {
                return Err(PrivateError::NotEnterable { user: self.name.clone(), folder: step.to_owned() });
            }
        }
        Ok(())
    }

    fn may_enter(&self, folder: &Metadata) -> bool {
        let shift = match folder {
            _ if folder.uid() == self.uid => 6,
            _ if folder.gid() == self.gid => 3,
            _ => 0,
        };
        folder.mode() >> shift & 1 == 1
    }
}

fn find(wanted: impl Fn(&User) -> bool) -> Option<User> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().filter_map(entry).find(wanted)
}

fn entry(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(User { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, other: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_user_table_is_read() {
        let user = entry("postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash").expect("it is complete");
        assert_eq!((user.name.as_str(), user.uid, user.gid), ("postgres", 101, 104));
        assert!(entry("+::::::").is_none());
    }
}
