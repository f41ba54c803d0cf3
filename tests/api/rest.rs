//! The REST API: every endpoint as the tools of the original use it, called with success, without a token, with the wrong
//! scope, for unknown ids, and with invalid bodies.

mod access;
mod agents;
mod backends;
mod bodies;
mod commands;
mod deliveries;
mod follow;
mod frontends;
mod hooks;
mod imports;
mod insight;
mod jobs;
mod meetings;
mod metrics;
mod openapi;
mod recording_files;
mod recordings;
mod state;
mod status;
mod trust;
mod two_servers;

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Nothing is ever left out of an object, and nothing is in it that is not known.
fn has_keys(object: &Value, known: &[&str]) {
    let found: BTreeSet<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, known.iter().copied().collect());
}

/// A body that says nothing but this.
fn message(text: &str) -> String {
    json!({ "message": text }).to_string()
}

/// Problems reported for invalid fields.
fn validation(fields: &Value) -> String {
    json!({ "error": "validation_error", "fields": fields, "message": "validation failed with input" }).to_string()
}
