//! The names of settings, for the command line. The API itself ignores names that it does not know, as the original does.

use serde_json::{Value, json};

use super::body::Shaped;
use super::{backends, frontends};
use crate::names::suggestion;

/// Whose settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SettingsOf {
    Backend,
    Frontend,
}

/// A name that the API would ignore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no setting `{path}`{}", suggestion(.name, .known.iter().copied()))]
pub(crate) struct NoSetting {
    path: String,
    name: String,
    known: Vec<&'static str>,
}

impl SettingsOf {
    /// Refuses settings with a name that the API would ignore.
    pub(crate) fn check(self, settings: &Value) -> Result<(), NoSetting> {
        let shape = match self {
            Self::Backend => backends::form::Form::SHAPE,
            Self::Frontend => frontends::form::Form::SHAPE,
        };
        let Some((names, known)) = shape.unknown(&json!({ "settings": settings })) else { return Ok(()) };
        let name = names.last().cloned().unwrap_or_default();
        Err(NoSetting { path: names[1..].join("."), name, known })
    }
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
        assert!(other.starts_with("there is no setting `colour`; there are `required_tags`, "), "{other}");
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
