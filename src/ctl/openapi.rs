//! The description of the REST API, which the repository keeps as a file. A test of the server holds the file to the routes.

use b3scale_base::names::suggestion;
use serde_json::{Map, Value, json};

/// The document, as JSON.
pub(super) const DOCUMENT: &str = include_str!("../../docs/openapi.json");

/// The resource that has the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingsOf {
    Backend,
    Frontend,
}

/// A name that the API would ignore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no setting `{path}`{}", suggestion(.name, .known.iter().map(String::as_str)))]
pub(super) struct NoSetting {
    path: String,
    name: String,
    known: Vec<String>,
}

impl SettingsOf {
    /// Refuses settings with a name that the API would ignore.
    pub(super) fn check(self, settings: &Value) -> Result<(), NoSetting> {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        let path = match self {
            Self::Backend => "/api/v1/backends",
            Self::Frontend => "/api/v1/frontends",
        };
        let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let Some((names, known)) = unknown(&document, body, &json!({ "settings": settings })) else { return Ok(()) };
        let name = names.last().cloned().unwrap_or_default();
        Err(NoSetting { path: names[1..].join("."), name, known })
    }
}

/// The first unknown name, with the names before it, and the known names in its place.
fn unknown(document: &Value, schema: &Value, given: &Value) -> Option<(Vec<String>, Vec<String>)> {
    let (known, given) = (properties(document, schema)?, given.as_object()?);
    given.iter().find_map(|(name, value)| {
        let Some((name, schema)) = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            return Some((vec![name.clone()], known.keys().cloned().collect()));
        };
        let (mut names, known_there) = unknown(document, schema, value)?;
        names.insert(0, name.clone());
        Some((names, known_there))
    })
}

/// The named values of an object. `None`: it takes any, or is no object.
fn properties<'d>(document: &'d Value, schema: &'d Value) -> Option<&'d Map<String, Value>> {
    if let Some(reference) = schema["$ref"].as_str() {
        return properties(document, document.pointer(reference.trim_start_matches('#'))?);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return choices.iter().find_map(|choice| properties(document, choice));
    }
    schema["properties"].as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(whose: SettingsOf, settings: &Value) -> String {
        whose.check(settings).map_or_else(|error| error.to_string(), |()| "known".to_owned())
    }

    #[test]
    fn a_misspelt_setting_is_named_with_the_nearest_at_every_level() {
        let expected = "there is no setting `tag`; did you mean `tags`?";
        assert_eq!(said(SettingsOf::Backend, &json!({ "tag": ["eu"] })), expected);
        let expected = "there is no setting `attendees_limit.limt`; did you mean `limit`?";
        assert_eq!(said(SettingsOf::Frontend, &json!({ "attendees_limit": { "limt": 7 } })), expected);
        let other = said(SettingsOf::Frontend, &json!({ "colour": "red" }));
        assert!(other.starts_with("there is no setting `colour`; there are `allowed_tags`, "), "{other}");
        let nested = said(SettingsOf::Frontend, &json!({ "recordings": { "visibility_overide": "public" } }));
        assert!(nested.contains("did you mean `visibility_override`?"), "{nested}");
    }

    #[test]
    fn settings_that_the_api_reads_are_known_whatever_their_case_and_value() {
        for settings in [
            json!({ "Required_Tags": ["eu"], "attendees_limit": null }),
            json!({ "create_default_params": { "anything": "1", "logo": null } }),
            json!({ "default_presentation": "wrong, which the server says" }),
            json!({}),
        ] {
            assert_eq!(said(SettingsOf::Frontend, &settings), "known", "{settings}");
        }
    }
}
