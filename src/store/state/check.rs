//! Everything that is wrong with a document, each with its place in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{Entry, Kept, normal};
use crate::rest::{AdminState, ImportedMeeting, StateBackend, StateDocument, StateFrontend, VERSION};

/// The most characters of a meeting's id.
const LONGEST_ID: usize = 256;

type Fields = BTreeMap<String, Vec<String>>;

/// The base URL of a node's API as it is kept, ending in a slash. None if it is no http(s) URL that calls can be appended to.
pub(crate) fn base_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    // Parsing would pass over white space and too many slashes, and calls would not.
    let is_clean =
        !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "?#".contains(letter));
    let has_host = !rest.starts_with('/') && Url::parse(text).is_ok();
    let slash = if text.ends_with('/') { "" } else { "/" };
    (is_clean && has_host).then(|| format!("{text}{slash}"))
}

/// What is wrong, in one line.
pub(super) fn in_a_line(fields: &Fields) -> String {
    let problems =
        fields.iter().flat_map(|(field, messages)| messages.iter().map(move |text| format!("{field}: {text}")));
    format!("the document cannot be used: {}", problems.collect::<Vec<_>>().join("; "))
}

/// All problems of a document, by itself and with the rows that it meets.
pub(super) fn problems(
    document: &StateDocument,
    frontends: &[Kept<StateFrontend>],
    backends: &[Kept<StateBackend>],
    delete: bool,
) -> Fields {
    let mut problems = Problems::default();
    if document.version != VERSION {
        problems.add("version", format!("must be {VERSION}"));
    }
    document.frontends.iter().enumerate().for_each(|(at, entry)| check_frontend(&mut problems, at, entry));
    document.backends.iter().enumerate().for_each(|(at, entry)| check_backend(&mut problems, at, entry));
    let keys = document.frontends.iter().map(|one| Some(one.key.clone()).filter(|key| !key.is_empty()));
    problems.unique("frontends", "key", keys);
    problems.unique("frontends", "id", document.frontends.iter().map(|one| one.id));
    problems.unique("backends", "host", document.backends.iter().map(|one| base_url(&one.host)));
    problems.unique("backends", "id", document.backends.iter().map(|one| one.id));
    let agents = document.backends.iter().map(|one| one.agent_ref.clone().filter(|agent| !agent.is_empty()));
    problems.unique("backends", "agent_ref", agents);
    check_arrivals(&mut problems, document);
    check_ids(&mut problems, "frontends", &document.frontends, frontends, delete);
    check_ids(&mut problems, "backends", &document.backends, backends, delete);
    if !delete {
        check_agents(&mut problems, &document.backends, backends);
    }
    let whole = serde_json::to_value(document).unwrap_or_default();
    problems.texts("", &whole);
    problems.0
}

#[derive(Default)]
struct Problems(Fields);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.entry(field.into()).or_default().push(message.into());
    }

    fn required(&mut self, field: String, value: &str) {
        if value.is_empty() {
            self.add(field, "this field is required");
        }
    }

    /// Values that no two entries may have.
    fn unique<V: Eq + Hash>(&mut self, list: &str, field: &str, values: impl Iterator<Item = Option<V>>) {
        let mut seen = HashMap::new();
        for (at, value) in values.enumerate() {
            let Some(value) = value else { continue };
            let first = *seen.entry(value).or_insert(at);
            if first != at {
                self.add(format!("{list}[{at}].{field}"), format!("is that of {list}[{first}], too"));
            }
        }
    }

    /// PostgreSQL takes every character but one.
    fn texts(&mut self, path: &str, value: &Value) {
        match value {
            Value::String(text) if text.contains('\0') => self.add(path, "must not contain the character U+0000"),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| self.texts(&format!("{path}[{at}]"), item));
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    if name.contains('\0') {
                        self.add(path.replace('\0', "\u{fffd}"), "its name must not contain the character U+0000");
                    }
                    self.texts(&path, field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn check_frontend(problems: &mut Problems, at: usize, entry: &StateFrontend) {
    let place = |field: &str| format!("frontends[{at}].{field}");
    problems.required(place("key"), &entry.key);
    problems.required(place("secret"), &entry.secret);
    if entry.next_secret.as_deref() == Some("") {
        problems.add(place("next_secret"), "must not be empty; leave it out if there is none");
    }
    for (at, word) in entry.checksum_algorithms.iter().flatten().enumerate() {
        if normal::algorithm(word).is_none() {
            let message = format!("`{word}` is none of sha1, sha256, sha384, sha512");
            problems.add(place(&format!("checksum_algorithms[{at}]")), message);
        }
    }
}

fn check_backend(problems: &mut Problems, at: usize, entry: &StateBackend) {
    let place = |field: &str| format!("backends[{at}].{field}");
    match base_url(&entry.host) {
        Some(_) => {}
        None if entry.host.is_empty() => problems.add(place("host"), "this field is required"),
        None if entry.host.starts_with("http") => {
            problems.add(place("host"), "is no URL that calls can be appended to");
        }
        None => problems.add(place("host"), "should start with http(s)://"),
    }
    problems.required(place("secret"), &entry.secret);
    if !(entry.load_factor.is_finite() && entry.load_factor > 0.0) {
        problems.add(place("load_factor"), "must be a number above 0");
    }
    if entry.admin_state == AdminState::Destroyed {
        problems.add(place("admin_state"), "must be one of init, ready, stopped, decommissioned");
    }
}

/// Meetings that run or ran: each has an id of its own, a frontend, and a place if it runs.
fn check_arrivals(problems: &mut Problems, document: &StateDocument) {
    let keys: HashSet<&str> = document.frontends.iter().map(|one| one.key.as_str()).collect();
    let hosts: HashSet<String> = document.backends.iter().filter_map(|one| base_url(&one.host)).collect();
    let unknown = |what: &str, name: &str| format!("`{name}` is no {what} of this document");
    for (at, ImportedMeeting { id, frontend, backend, internal_id, .. }) in document.meetings.iter().enumerate() {
        let place = |field: &str| format!("meetings[{at}].{field}");
        check_meeting_id(problems, place("id"), id);
        if !keys.contains(frontend.as_str()) {
            problems.add(place("frontend"), unknown("frontend", frontend));
        }
        if !hosts.contains(&*normal::host(backend)) {
            problems.add(place("backend"), unknown("backend", backend));
        }
        if internal_id.as_deref() == Some("") {
            problems.add(place("internal_id"), "must not be empty; leave it out if it is not known");
        }
    }
    for (at, row) in document.history.iter().enumerate() {
        check_meeting_id(problems, format!("history[{at}].id"), &row.id);
        if !keys.contains(row.frontend.as_str()) {
            problems.add(format!("history[{at}].frontend"), unknown("frontend", &row.frontend));
        }
    }
    problems.unique("meetings", "id", document.meetings.iter().map(|one| Some(&one.id)));
    problems.unique("history", "id", document.history.iter().map(|one| Some(&one.id)));
}

fn check_meeting_id(problems: &mut Problems, field: String, id: &str) {
    if id.is_empty() || id.chars().count() > LONGEST_ID {
        problems.add(field, format!("must have 1 to {LONGEST_ID} characters"));
    }
}

/// A new row cannot have the identity of one that stays.
fn check_ids<T: Entry>(problems: &mut Problems, list: &str, entries: &[T], kept: &[Kept<T>], delete: bool) {
    let normals: Vec<T> = entries.iter().map(Entry::normal).collect();
    let named: HashSet<&str> = normals.iter().map(Entry::name).collect();
    let there: HashSet<&str> = kept.iter().map(|kept| kept.entry.name()).collect();
    let stays = |kept: &&Kept<T>| !delete || named.contains(kept.entry.name());
    let taken: HashMap<Uuid, &str> = kept.iter().filter(stays).map(|kept| (kept.id, kept.entry.name())).collect();
    for (at, entry) in normals.iter().enumerate().filter(|(_, entry)| !there.contains(entry.name())) {
        if let Some(owner) = entry.id().and_then(|id| taken.get(&id)) {
            let message = format!("is that of the {} `{owner}`; delete that one, or leave the id out", T::WHAT);
            problems.add(format!("{list}[{at}].id"), message);
        }
    }
}

/// An agent has one backend, and those that are not in the document keep theirs.
fn check_agents(problems: &mut Problems, entries: &[StateBackend], kept: &[Kept<StateBackend>]) {
    let hosts: HashSet<String> = entries.iter().map(|entry| entry.normal().host).collect();
    let others = kept.iter().filter(|kept| !hosts.contains(&kept.entry.host));
    let taken: HashMap<&str, &str> =
        others.filter_map(|kept| Some((kept.entry.agent_ref.as_deref()?, kept.entry.host.as_str()))).collect();
    for (at, entry) in entries.iter().enumerate() {
        if let Some(owner) = entry.agent_ref.as_deref().and_then(|agent| taken.get(agent)) {
            problems.add(format!("backends[{at}].agent_ref"), format!("is that of the backend `{owner}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_ends_in_a_slash() {
        let url = "https://node.example/bigbluebutton/api";
        let kept = format!("{url}/");
        assert_eq!((base_url(url), base_url(&kept)), (Some(kept.clone()), Some(kept.clone())));
    }

    #[test]
    fn what_calls_cannot_be_appended_to_is_no_base_url() {
        for text in
            ["", "node", "ftp://node/", "https://", "https:///api", " https://node/", "http://no de/", "http://n/?a"]
        {
            assert_eq!(base_url(text), None, "{text}");
        }
    }
}
