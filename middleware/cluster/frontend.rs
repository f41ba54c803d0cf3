//! A frontend: a tenant's registered client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Backend, FrontendId, Tags};
use crate::bbb::{Algorithms, Secret};

/// Names and values of call parameters, as a frontend's settings hold them.
pub type ParamMap = BTreeMap<String, String>;

/// A tenant's registered client (Greenlight, Moodle, a script): its key, its secrets and its settings.
#[derive(Debug)]
pub struct Frontend {
    /// Identity in the store.
    pub id: FrontendId,
    /// The segment of the URL that names this frontend.
    pub key: String,
    /// The secrets of its checksums.
    pub secrets: Secrets,
    /// The checksum algorithms it may use.
    pub algorithms: Algorithms,
    /// A disabled frontend is answered as if it did not exist.
    pub active: bool,
    /// Its settings.
    pub settings: FrontendSettings,
    /// The row's version; memory only ever takes a newer one.
    pub version: i64,
}

impl Frontend {
    /// Whether its meetings may be on that backend, by the tags that it requires.
    pub fn may_use(&self, backend: &Backend) -> bool {
        backend.tags.missing(&self.settings.required_tags).is_none()
    }
}

/// One secret, or two while it is being changed, so that a frontend can be moved to a new one without an outage.
#[derive(Debug)]
pub struct Secrets {
    current: Secret,
    next: Option<Secret>,
}

impl Secrets {
    /// The secret in use and, during a change, the next one.
    pub fn new(current: Secret, next: Option<Secret>) -> Self {
        Self { current, next }
    }

    /// The secret in use.
    pub fn current(&self) -> &Secret {
        &self.current
    }

    /// Every secret that is valid now.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.next)
    }

    /// The same, for trying them. A single secret is given twice, so that the time taken does not tell how many there are.
    pub fn both(&self) -> [&Secret; 2] {
        [&self.current, self.next.as_ref().unwrap_or(&self.current)]
    }
}

/// A frontend's settings, in the JSON shape of b3scale. Keys it does not know are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendSettings {
    /// Only backends that carry all of these take this frontend's meetings.
    pub required_tags: Tags,
    /// The tags that it may choose among with `meta_server-tag`. `None`: any. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tags: Option<Tags>,
    /// Slides for meetings that bring none.
    pub default_presentation: Option<DefaultPresentation>,
    /// How many people may be in this frontend's meetings at once.
    pub attendees_limit: Option<AttendeesLimit>,
    /// Parameters of `create` where the call has none.
    #[serde(deserialize_with = "null_is_empty")]
    pub create_default_params: ParamMap,
    /// Overrides of parameters of `create`.
    #[serde(deserialize_with = "null_is_empty")]
    pub create_override_params: ParamMap,
    /// Parameters of `join` where the call has none.
    #[serde(deserialize_with = "null_is_empty")]
    pub join_default_params: ParamMap,
    /// Overrides of parameters of `join`.
    #[serde(deserialize_with = "null_is_empty")]
    pub join_override_params: ParamMap,
}

impl FrontendSettings {
    /// How many people may be in this frontend's meetings at once. `None`: any number.
    pub fn most_attendees(&self) -> Option<i64> {
        self.attendees_limit.map(|limit| limit.limit).filter(|limit| *limit > 0)
    }
}

/// How many people may be in a frontend's meetings at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttendeesLimit {
    /// So many. 0 and less: any number.
    #[serde(deserialize_with = "null_is_empty")]
    pub limit: i64,
}

/// Slides that a frontend's meetings start with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DefaultPresentation {
    /// Where a node fetches them. Empty: none.
    pub url: String,
    /// Use them even when the call brings slides of its own.
    pub force: bool,
    /// Their name in the meeting. Empty: named by the download. Not in the original.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filename: String,
}

fn null_is_empty<'de, T: Deserialize<'de> + Default, D: serde::Deserializer<'de>>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_original_are_read() {
        let json = r#"{"required_tags":null,"default_presentation":null,"attendees_limit":null,
            "create_default_params":null,"create_override_params":{"record":"false"},"recordings":null}"#;
        let settings: FrontendSettings = serde_json::from_str(json).expect("nulls and unknown keys are accepted");
        assert!(settings.required_tags.is_empty());
        assert_eq!(settings.create_override_params["record"], "false");
    }

    #[test]
    fn only_a_limit_above_zero_is_one() {
        let most = |limit: &str| {
            let settings: FrontendSettings = serde_json::from_str(&format!("{{\"attendees_limit\":{limit}}}")).unwrap();
            settings.most_attendees()
        };
        assert_eq!(most(r#"{"limit":40,"more":1}"#), Some(40));
        for none in ["null", "{}", r#"{"limit":0}"#, r#"{"limit":-1}"#, r#"{"limit":null}"#] {
            assert_eq!(most(none), None, "{none}");
        }
    }

    #[test]
    fn both_secrets_are_valid_during_a_change() {
        let secret = |text| Secret::new(text).expect("not empty");
        let secrets = Secrets::new(secret("old"), Some(secret("new")));
        assert!(secrets.iter().eq(secrets.both()));
        assert!(secrets.current() == &secret("old"));
        assert_eq!(Secrets::new(secret("old"), None).both(), [&secret("old"); 2]);
    }
}
