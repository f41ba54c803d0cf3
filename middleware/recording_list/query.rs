//! The recordings that a call asks for.

use std::num::IntErrorKind;

use crate::bbb::Params;
use crate::cluster::{RecordingQuery, RecordingState};

/// The most recordings of a list with a limit.
const LARGEST_LIMIT: i64 = 100;

/// States that are listed if the call names none.
const USUAL: [RecordingState; 2] = [RecordingState::Published, RecordingState::Unpublished];

/// All states that recordings have here.
const ANY: [RecordingState; 3] = [RecordingState::Published, RecordingState::Unpublished, RecordingState::Deleted];

/// Reads the parameters of the call.
pub(super) fn of(params: &Params) -> RecordingQuery {
    let listed = |name| params.list(name).map(str::to_owned).collect::<Vec<_>>();
    let record_ids = listed("recordID");
    let meeting_ids = if record_ids.is_empty() { listed("meetingID") } else { Vec::new() };
    let protected = match params.first("protect") {
        None | Some("") => Ok(None),
        Some(word) => word.to_ascii_lowercase().parse().map(Some),
    };
    // No recording has metadata of such names, and none is protected in a third way.
    let matches_none = params.unwritable().iter().any(|name| name.starts_with("meta_")) || protected.is_err();
    RecordingQuery {
        record_ids,
        meeting_ids,
        states: if matches_none { Vec::new() } else { states(params) },
        metadata: params.metadata().map(|(name, value)| (name, value.to_owned())).collect(),
        protected: protected.unwrap_or_default(),
        offset: params.first("offset").and_then(number).map_or(0, |offset| offset.max(0).unsigned_abs()),
        limit: params.first("limit").and_then(number).map(|limit| limit.clamp(1, LARGEST_LIMIT).unsigned_abs()),
    }
}

/// A node has further states, which match nothing here.
fn states(params: &Params) -> Vec<RecordingState> {
    let mut words = params.list("state").peekable();
    if words.peek().is_none() {
        return USUAL.to_vec();
    }
    let named: Vec<&str> = words.collect();
    if named.contains(&"any") {
        ANY.to_vec()
    } else {
        named.into_iter().filter_map(RecordingState::from_name).collect()
    }
}

/// A whole number. One beyond ours is the nearest of ours.
fn number(text: &str) -> Option<i64> {
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow => Some(i64::MAX),
            IntErrorKind::NegOverflow => Some(i64::MIN),
            _ => None,
        },
    }
}
