//! The OpenAPI document, to which every answer of the REST API is held.

use std::sync::LazyLock;

use http::Method;
use serde_json::Value;

use crate::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&b3scale::admin::openapi()).unwrap());

/// Fails if the document does not list the status of an answer, or if its body is not as the document says. A route that is not there
/// has no operation.
pub(crate) fn hold(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = operation(method, path.split('?').next().unwrap_or_default()) else { return };
    let response = &operation["responses"][answer.status.as_str()];
    assert!(response.is_object(), "the document lists no {} of {method} {path}: {answer:?}", answer.status);
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_object() {
        conforms(&answer.json(), schema, path);
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let is_its = |template: &str| {
        let pairs = template.split('/').zip(path.split('/'));
        template.split('/').count() == path.split('/').count()
            && pairs.into_iter().all(|(wanted, given)| wanted == given || wanted.starts_with('{') && !given.is_empty())
    };
    let (_, item) = DOCUMENT["paths"].as_object().unwrap().iter().find(|(template, _)| is_its(template))?;
    item.get(method.as_str().to_lowercase())
}

/// Whether a value has every field that its schema requires, and none that the schema does not know.
fn conforms(value: &Value, schema: &Value, at: &str) {
    if let Some(place) = schema["$ref"].as_str() {
        return conforms(value, DOCUMENT.pointer(&place[1..]).expect("a schema that is there"), at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let inner = choices.iter().find(|choice| choice["type"] != "null").filter(|_| !value.is_null());
        return inner.into_iter().for_each(|schema| conforms(value, schema, at));
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| conforms(item, &schema["items"], at)),
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(fields.contains_key(required.as_str().unwrap()), "{at} sends no {required}: {value}");
            }
            let Some(known) = schema["properties"].as_object() else { return };
            for (name, value) in fields {
                let schema = known.get(name).unwrap_or_else(|| panic!("the document knows no {name} of {at}"));
                conforms(value, schema, &format!("{at} {name}"));
            }
        }
        Value::Null => assert!(can_be_null(schema), "{at} may not be null"),
        _ => {}
    }
}

fn can_be_null(schema: &Value) -> bool {
    match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == "null"),
        Value::String(one) => one == "null",
        _ => true,
    }
}
