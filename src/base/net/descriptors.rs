//! File descriptors: their limit, and errors when none is left.

use std::error::Error;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::net::causes::chain;

/// Lets the process have as many as the system would give it, and says how many those are.
pub fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "Cannot raise the limit of file descriptors");
    }
    let many = |limit: Option<u64>| limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    many(getrlimit(Resource::Nofile).current)
}

/// Whether something failed because this process, or its machine, has no file descriptor left.
pub fn are_used_up(error: &(dyn Error + 'static)) -> bool {
    let used_up = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    chain(error)
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| used_up.contains(&error.raw_os_error())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_up_descriptors_are_seen_behind_other_reasons() {
        let used_up = || io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(are_used_up(&used_up()));
        assert!(are_used_up(&io::Error::other(io::Error::other(used_up()))));
        assert!(!are_used_up(&io::Error::from(io::ErrorKind::ConnectionRefused)));
    }
}
