//! The cluster's configuration as one document, to be kept, read, changed and put back.
//!
//! Not known to the original.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{FrontendSettings, StateBackend, StateFrontend};
use crate::names::suggestion;

/// The version of the documents that this program writes and reads.
pub const VERSION: u32 = 1;

/// Frontends and backends as one document.
///
/// A frontend is known by its key, a backend by its host. What an entry does not say is set to its default, so that the
/// document alone decides what is there. Entries that are missing from it are left alone, unless they are to be deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDocument {
    /// Always 1.
    pub version: u32,
    /// The frontends by their key.
    #[serde(default)]
    pub frontends: Vec<StateFrontend>,
    /// The backends by their host.
    #[serde(default)]
    pub backends: Vec<StateBackend>,
    /// Running meetings that are brought over from another system, and never exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meetings: Vec<ImportedMeeting>,
    /// Meetings that ran in another system, whose recordings may still come. Never exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryRow>,
}

/// A running meeting that is brought over from another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedMeeting {
    /// The id its node knows it by.
    pub id: String,
    /// The id its frontend knows it by.
    pub meeting_id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// The host of its backend.
    pub backend: String,
    /// The node's own id of it, if it is known.
    #[serde(default)]
    pub internal_id: Option<String>,
    /// The node's time of its creation, in milliseconds since 1970.
    #[serde(default)]
    pub create_time: Option<i64>,
    /// Whether it is a breakout of another one.
    #[serde(default)]
    pub breakout: bool,
}

/// A meeting that ran in another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryRow {
    /// The id its node knew it by.
    pub id: String,
    /// The id its frontend knew it by.
    pub meeting_id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// When it was last seen there.
    #[serde(with = "time::serde::rfc3339")]
    pub seen_at: OffsetDateTime,
}

/// What putting a document back changes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateChanges {
    /// Whether it was done. `false`: it was only asked for.
    pub applied: bool,
    /// Everything that differs, in the order of the document. Empty: nothing.
    pub changes: Vec<Change>,
    /// Names these changes. Sent with the document, it makes sure that these are done and no others.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What another entry has here, so that it was left out of the document. A sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// What is done.
    pub kind: ChangeKind,
    /// `frontend`, `backend`, `meeting` or `history`.
    pub what: String,
    /// Its key, host or id.
    pub name: String,
    /// What changes in it, a line each, as `settings.required_tags: ["a"] → ["a","b"]`. Secrets are not shown.
    pub details: Vec<String>,
}

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is added.
    Add,
    /// It is changed.
    Change,
    /// It is deleted.
    Delete,
}

/// Settings in which every word is known. Elsewhere they are read as the original reads them, which lets a misspelt word pass.
pub(super) fn strict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FrontendSettings, D::Error> {
    let said = Value::deserialize(deserializer)?;
    let read = FrontendSettings::deserialize(&said).map_err(D::Error::custom)?;
    let kept = serde_json::to_value(&read).map_err(D::Error::custom)?;
    match lost(&said, &kept).first() {
        None => Ok(read),
        Some(path) => Err(D::Error::custom(format!("there is no setting `{path}`{}", meant(path, &kept)))),
    }
}

/// The names that were said and not kept, by their paths.
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

/// What may have been meant by a name that was not kept, and what is kept in its place.
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
