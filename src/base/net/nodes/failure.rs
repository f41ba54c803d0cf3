//! Failures between us and a node, without a word of the request.

use std::error::Error;

use b3scale_middleware::NodeFailure;

use super::ClientError;
use super::pace::Stalled;
use crate::net::causes::{causes, find};
use crate::net::descriptors;

/// Whether the connection was closed before a byte of an answer came.
pub(super) fn is_closed(error: &ClientError) -> bool {
    !error.is_connect() && find::<hyper::Error>(error).is_some_and(was_cut)
}

/// An exchange that ended before the answer's head.
pub(super) fn of_client(error: &ClientError) -> NodeFailure {
    if descriptors::are_used_up(error) {
        return NodeFailure::NotAsked("no file descriptor is left for a connection");
    }
    if error.is_connect() {
        return NodeFailure::Unreachable(causes(error));
    }
    match find::<hyper::Error>(error) {
        Some(inner) if inner.is_parse() => NodeFailure::Garbled(inner.to_string()),
        _ => NodeFailure::Broken(causes(error)),
    }
}

/// An answer that ended within its body.
pub(super) fn of_body(error: &(dyn Error + 'static)) -> NodeFailure {
    if let Some(stalled) = find::<Stalled>(error) {
        return NodeFailure::Silent { seconds: stalled.pause.as_secs().max(1) };
    }
    match find::<hyper::Error>(error) {
        Some(_) => NodeFailure::Broken(causes(error)),
        None => NodeFailure::Garbled(format!("it cannot be decompressed: {}", causes(error))),
    }
}

fn was_cut(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || find::<std::io::Error>(error).is_some()
}
