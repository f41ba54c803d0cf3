//! Everything that is wrong with a document, each with its place in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use b3scale_middleware::bbb::MeetingId;
use b3scale_middleware::cluster::{RecordId, is_format};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::entries::host;
use super::{Entry, Kept};
use crate::net::url::base_url;
use crate::rest::{ImportedMeeting, StateBackend, StateDocument, StateFrontend, VERSION};

type Fields = BTreeMap<String, Vec<String>>;

/// The problem, in one line.
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
    for (at, entry) in document.frontends.iter().enumerate() {
        let is_kept = frontends.iter().any(|kept| kept.entry.key == entry.key);
        problems.within(&format!("frontends[{at}]"), entry.problems(is_kept));
        problems.time(format!("frontends[{at}].created_at"), entry.created_at);
    }
    for (at, entry) in document.backends.iter().enumerate() {
        problems.within(&format!("backends[{at}]"), entry.problems());
        problems.time(format!("backends[{at}].created_at"), entry.created_at);
    }
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

    fn within(&mut self, entry: &str, wrong: Vec<(String, String)>) {
        wrong.into_iter().for_each(|(field, why)| self.add(format!("{entry}.{field}"), why));
    }

    /// Something that has happened, in a year that others can write.
    fn time(&mut self, field: String, time: Option<OffsetDateTime>) {
        let happened = OffsetDateTime::UNIX_EPOCH..=OffsetDateTime::now_utc() + Duration::DAY;
        if time.is_some_and(|time| !happened.contains(&time)) {
            self.add(field, "must be a time from 1970 to now");
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
        if !hosts.contains(&*host(backend)) {
            problems.add(place("backend"), unknown("backend", backend));
        }
        if internal_id.as_deref() == Some("") {
            problems.add(place("internal_id"), "must not be empty; leave it out if it is not known");
        }
    }
    for (at, row) in document.history.iter().enumerate() {
        check_meeting_id(problems, format!("history[{at}].id"), &row.id);
        problems.time(format!("history[{at}].seen_at"), Some(row.seen_at));
        if !keys.contains(row.frontend.as_str()) {
            problems.add(format!("history[{at}].frontend"), unknown("frontend", &row.frontend));
        }
    }
    for (at, recording) in document.recordings.iter().enumerate() {
        let place = |field: &str| format!("recordings[{at}].{field}");
        if RecordId::new(&recording.record_id).is_none() {
            problems.add(place("record_id"), "must have 1 to 255 letters, digits, `-` and `_`");
        }
        if !keys.contains(recording.frontend.as_str()) {
            problems.add(place("frontend"), unknown("frontend", &recording.frontend));
        }
        let kinds = recording.formats.iter().map(|format| Some(&format.kind));
        problems.unique(&place("formats"), "kind", kinds);
        if !recording.formats.iter().all(|format| is_format(&format.kind)) {
            problems.add(place("formats"), "must each have a kind of 1 to 64 letters, digits, `-` and `_`");
        }
        problems.time(place("created_at"), recording.created_at);
    }
    problems.unique("recordings", "record_id", document.recordings.iter().map(|one| Some(&one.record_id)));
    problems.unique("meetings", "id", document.meetings.iter().map(|one| Some(&one.id)));
    problems.unique("history", "id", document.history.iter().map(|one| Some(&one.id)));
}

fn check_meeting_id(problems: &mut Problems, field: String, id: &str) {
    if id.is_empty() || id.chars().count() > MeetingId::MAX_CHARS {
        problems.add(field, format!("must have 1 to {} characters", MeetingId::MAX_CHARS));
    }
}

/// A new row cannot have the identity of a remaining row.
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

/// An agent has one backend, and backends outside the document keep theirs.
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
