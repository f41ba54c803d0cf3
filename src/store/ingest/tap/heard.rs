//! Events, as the statement of the tap takes them.

use serde::Serialize;
use serde_json::Value;

/// An event, as the statement takes it.
#[derive(Debug, PartialEq)]
pub(super) struct Heard<'a> {
    /// The node's own id of the meeting.
    pub(super) meeting: &'a str,
    pub(super) name: &'a str,
    /// Missing: now.
    pub(super) ts: Option<i64>,
    pub(super) attributes: Attributes<'a>,
    pub(super) raw: Option<&'a Value>,
    /// The node's id of an attendee whose external id is still to be added.
    pub(super) who: Option<&'a str>,
    /// Of a breakout that was created: its own id, and the internal id of its parent.
    pub(super) breakout: Option<Breakout<'a>>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Attributes<'a> {
    Told(&'a Value),
    Basic(Value),
}

#[derive(Debug, PartialEq)]
pub(super) struct Breakout<'a> {
    pub(super) id: &'a str,
    pub(super) parent: &'a str,
}
