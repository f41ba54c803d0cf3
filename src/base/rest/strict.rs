//! Settings of a document, without unknown names.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::FrontendSettings;
use crate::names::suggestion;

/// Reads settings with known names only. Elsewhere they are read as the original reads them, which ignores misspelt names.
pub(super) fn strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FrontendSettings, D::Error> {
    let said = Value::deserialize(deserializer)?;
    let read = FrontendSettings::deserialize(&said).map_err(D::Error::custom)?;
    let kept = serde_json::to_value(&read).map_err(D::Error::custom)?;
    match lost(&said, &kept).first() {
        None => Ok(read),
        Some(path) => Err(D::Error::custom(format!("there is no setting `{path}`{}", meant(path, &kept)))),
    }
}

/// The unknown names in a value, by path: those missing from its parsed form.
pub fn lost(said: &Value, kept: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (name, said) in said.as_object().into_iter().flatten() {
        match kept.get(name) {
            None => names.push(name.clone()),
            Some(kept) => names.extend(lost(said, kept).iter().map(|inner| format!("{name}.{inner}"))),
        }
    }
    names
}

/// The nearest known name to an unknown one, and the known names in its place.
fn meant(path: &str, kept: &Value) -> String {
    let (place, name) = path.rsplit_once('.').unwrap_or(("", path));
    let place = place.split('.').filter(|name| !name.is_empty()).try_fold(kept, |kept, name| kept.get(name));
    let known = place.and_then(Value::as_object).into_iter().flatten();
    suggestion(name, known.map(|(name, _)| name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::StateFrontend;

    fn read(settings: &Value) -> Result<StateFrontend, String> {
        let entry = json!({"key": "school", "secret": "x", "settings": settings});
        serde_json::from_value(entry).map_err(|error| error.to_string())
    }

    #[test]
    fn a_misspelt_setting_is_told() {
        let said = |settings| read(&settings).unwrap_err();
        let misspelt = said(json!({"required_tag": ["eu"]}));
        let expected = "there is no setting `required_tag`; did you mean `required_tags`? There are ";
        assert!(misspelt.starts_with(expected), "{misspelt}");
        let nested = json!({"attendees_limit": {"limit": 7, "max": 8}});
        assert_eq!(said(nested), "there is no setting `attendees_limit.max`; the only one is `limit`");
        let any_param = json!({"create_default_params": {"anything": "1", "empty": ""}, "recordings": null});
        assert!(read(&any_param).is_ok());
    }
}
