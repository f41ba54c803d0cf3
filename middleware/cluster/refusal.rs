//! Why a backend may not have a meeting.

use std::fmt;

/// Why a backend may not have a meeting: a kind of reason, to be counted, and the reason itself, to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word of a few: `stopped`, `down`, `overload` …
    pub word: &'static str,
    /// In words that follow the backend's name.
    pub reason: String,
}

impl Refusal {
    /// For this reason.
    pub fn new(word: &'static str, reason: impl Into<String>) -> Self {
        Self { word, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
