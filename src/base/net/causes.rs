//! The reasons behind an error.

use std::error::Error;
use std::io;

/// The innermost reasons of an error. The outermost, the client's own, only says at which step it happened.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in chain(error.source().unwrap_or(error)) {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// The nearest reason of a type.
pub fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// An error and all that is behind it.
pub fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| within(*cause).or_else(|| (*cause).source()))
}

/// The inner error of an I/O error, which `source` does not return.
fn within<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    Some(error.downcast_ref::<io::Error>()?.get_ref()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_inside_an_io_error_is_found_and_told_once() {
        let error = io::Error::other(io::Error::other(rustls::Error::HandshakeNotComplete));
        assert!(find::<rustls::Error>(&error).is_some());
        assert_eq!(causes(&error), rustls::Error::HandshakeNotComplete.to_string());
    }
}
