//! The required fields of the document: fields that an answer always has, and fields that a request needs.
//!
//! A struct that stands in both has two schemas. That of the request has `Input` behind its name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The fields that answers leave out where they have nothing. All others are always sent.
const LEFT_OUT: [(&str, &[&str]); 5] = [
    ("Problem", &["error", "fields"]),
    ("Receipt", &["wants"]),
    ("DefaultPresentation", &["filename"]),
    ("StateChanges", &["notes"]),
    ("StateDocument", &["meetings", "history", "recordings"]),
];

/// The entries of a state document, which leave out every field that would be `null`.
const ENTRIES: [&str; 2] = ["StateFrontend", "StateBackend"];

/// Before the name of a schema.
const PLACE: &str = "#/components/schemas/";

type Names = BTreeSet<String>;

/// Requires the fields that are always sent in the schemas of a document.
pub(super) fn settle(document: &mut Value) {
    let Value::Object(mut schemas) = document["components"]["schemas"].take() else { return };
    let (mut asked, mut sent) = (Names::new(), Names::new());
    for operation in operations(document) {
        reach(&operation["requestBody"], &schemas, &mut asked);
        reach(&operation["responses"], &schemas, &mut sent);
    }
    let is_struct = |name: &&String| schemas[*name].get("properties").is_some();
    let both: Names = asked.intersection(&sent).filter(is_struct).cloned().collect();
    let inputs: Vec<_> = both.iter().map(|name| (input(name), schemas[name].clone())).collect();
    for name in &sent {
        require(name, &mut schemas[name]);
    }
    schemas.extend(inputs);
    for name in asked.iter().filter(|name| !sent.contains(*name)).cloned().chain(both.iter().map(input)) {
        rename(&mut schemas[&name], &both);
    }
    for operation in operations(document) {
        operation.get_mut("requestBody").into_iter().for_each(|body| rename(body, &both));
    }
    document["components"]["schemas"] = Value::Object(schemas);
}

fn input(name: impl AsRef<str>) -> String {
    format!("{}Input", name.as_ref())
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    items.filter_map(Value::as_object_mut).flat_map(Map::values_mut).filter(|one| one.get("responses").is_some())
}

/// Finds the schemas that a value refers to, and theirs in turn.
fn reach(value: &Value, schemas: &Map<String, Value>, found: &mut Names) {
    let name = value.get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix(PLACE));
    if let Some(name) = name
        && found.insert(name.to_owned())
    {
        reach(&schemas[name], schemas, found);
    }
    match value {
        Value::Array(values) => values.iter().for_each(|value| reach(value, schemas, found)),
        Value::Object(values) => values.values().for_each(|value| reach(value, schemas, found)),
        _ => {}
    }
}

fn require(name: &str, schema: &mut Value) {
    let left_out = LEFT_OUT.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, fields)| fields);
    let is_entry = ENTRIES.contains(&name);
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return };
    let is_null = |field: &Value| field["type"].as_array().is_some_and(|types| types.contains(&"null".into()));
    let is_sent =
        |(name, field): &(&String, &Value)| !(left_out.contains(&name.as_str()) || is_entry && is_null(field));
    let required: Vec<_> = fields.iter().filter(is_sent).map(|(name, _)| name.clone()).collect();
    schema["required"] = required.into();
}

/// Refers to the schemas of requests where there are two.
fn rename(value: &mut Value, both: &Names) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| rename(value, both)),
        Value::Object(values) => {
            if let Some(Value::String(place)) = values.get_mut("$ref")
                && place.strip_prefix(PLACE).is_some_and(|name| both.contains(name))
            {
                *place = input(&*place);
            }
            values.values_mut().for_each(|value| rename(value, both));
        }
        _ => {}
    }
}
