//! A frontend: a tenant's registered client.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::null::null_is_empty;
use super::{Backend, FrontendId, RecordingSettings, Tags, WebhookSettings};
use crate::bbb::{Algorithms, Secret};

/// Names and values of call parameters. An empty value is none.
pub type ParamMap = BTreeMap<String, String>;

/// A tenant's registered client (Greenlight, Moodle, a script): its key, its secrets and its settings.
#[derive(Clone, Debug, PartialEq)]
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
    /// The customer it belongs to, in another system.
    pub account_ref: Option<String>,
    /// Its purpose, in the operator's words.
    pub description: Option<String>,
    /// When it was added. `None`: the store is to say so.
    pub created_at: Option<SystemTime>,
    /// When it was last changed. `None`: the store is to say so.
    pub updated_at: Option<SystemTime>,
    /// The row's version; memory only ever takes a newer one. 0: it has no row yet.
    pub version: i64,
}

impl Frontend {
    /// An active frontend without settings that is to be added.
    pub fn new(id: Uuid, key: impl Into<String>, secrets: Secrets) -> Self {
        Self {
            id: FrontendId(id),
            key: key.into(),
            secrets,
            algorithms: Algorithms::default(),
            active: true,
            settings: FrontendSettings::default(),
            account_ref: None,
            description: None,
            created_at: None,
            updated_at: None,
            version: 0,
        }
    }

    /// Whether its meetings may be on that backend, by the tags that it requires.
    pub fn may_use(&self, backend: &Backend) -> bool {
        backend.tags.missing(self.settings.required_tags()).is_none()
    }
}

/// One secret, or two while it is being changed, so that a frontend can be moved to a new one without an outage.
#[derive(Clone, Debug, PartialEq)]
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

    /// The secret that is to follow it, during a change.
    pub fn next(&self) -> Option<&Secret> {
        self.next.as_ref()
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

/// A frontend's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct FrontendSettings {
    /// Only backends that carry all of these take its meetings.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub required_tags: Option<Tags>,
    /// Slides for meetings that bring none.
    pub default_presentation: Option<DefaultPresentation>,
    /// How many people may be in its meetings.
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
    /// Settings of its recordings.
    pub recordings: Option<RecordingSettings>,
    /// The tags that it may choose among with `meta_server-tag`. `null`: any. Not known to the original.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<String>>))]
    pub allowed_tags: Option<Tags>,
    /// Settings of its webhooks. Not known to the original.
    pub webhooks: Option<WebhookSettings>,
}

impl FrontendSettings {
    /// Reads settings as they are stored, where `null` is as good as missing. Unknown names are passed over.
    ///
    /// # Errors
    /// The name of an unreadable one. Its value may be a password.
    pub fn read(mut stored: Value) -> Result<Self, String> {
        drop_nulls(&mut stored);
        let read = |stored: &Value| Self::deserialize(stored);
        read(&stored).map_err(|_| {
            let alone =
                |name: &String, value: &Value| Value::Object([(name.clone(), value.clone())].into_iter().collect());
            let broken =
                stored.as_object().and_then(|all| all.iter().find(|(name, value)| read(&alone(name, value)).is_err()));
            broken.map(|(name, _)| name.clone()).unwrap_or_default()
        })
    }

    /// The tags of the backends that take its meetings.
    pub fn required_tags(&self) -> &Tags {
        static NONE: Tags = Tags::NONE;
        self.required_tags.as_ref().unwrap_or(&NONE)
    }

    /// The settings of its webhooks.
    pub fn webhooks(&self) -> &WebhookSettings {
        static NONE: WebhookSettings =
            WebhookSettings { most: None, raw: false, algorithm: None, domain: None, permanent: Vec::new() };
        self.webhooks.as_ref().unwrap_or(&NONE)
    }

    /// How many people may be in this frontend's meetings at once. `None`: any number.
    pub fn most_attendees(&self) -> Option<i64> {
        self.attendees_limit.map(|limit| limit.limit).filter(|limit| *limit > 0)
    }

    /// Every value in the one way in which it is compared: nothing that says nothing, no word twice, words in order.
    #[must_use]
    pub fn normal(mut self) -> Self {
        self.required_tags = self.required_tags.map(|tags| tags.normal()).filter(|tags| !tags.is_empty());
        self.default_presentation.take_if(|slides| *slides == DefaultPresentation::default());
        self.attendees_limit.take_if(|limit| limit.limit <= 0);
        self.drop_empty_params();
        self.recordings.take_if(|recordings| *recordings == RecordingSettings::default());
        // None at all differs from any.
        self.allowed_tags = self.allowed_tags.map(|tags| tags.normal());
        self.webhooks.take_if(|webhooks| *webhooks == WebhookSettings::default());
        self
    }

    /// Drops parameters without a value.
    pub fn drop_empty_params(&mut self) {
        let Self { create_default_params, create_override_params, join_default_params, join_override_params, .. } =
            self;
        for params in [create_default_params, create_override_params, join_default_params, join_override_params] {
            params.retain(|_, value| !value.is_empty());
        }
    }
}

/// How many people may be in a frontend's meetings at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct AttendeesLimit {
    /// So many, up to 2147483647. 0: any number.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 2147483647))]
    pub limit: i64,
}

/// Slides that meetings start with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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

fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_of_the_original_are_read() {
        let stored = json!({"required_tags": null, "default_presentation": null, "attendees_limit": null,
            "create_default_params": null, "create_override_params": {"record": "false"},
            "recordings": null, "unknown": {"x": 1}});
        let settings = FrontendSettings::read(stored).expect("nulls and unknown keys are accepted");
        assert!(settings.required_tags().is_empty());
        assert_eq!(settings.create_override_params, ParamMap::from([("record".to_owned(), "false".to_owned())]));
    }

    #[test]
    fn a_setting_that_cannot_be_read_is_named_without_its_value() {
        let stored = json!({"required_tags": ["eu"], "join_default_params": {"moderatorPW": ["hunter2"]}});
        assert_eq!(FrontendSettings::read(stored), Err("join_default_params".to_owned()));
    }

    #[test]
    fn tags_are_shown_as_they_were_said() {
        for tags in [json!(["b", "a", "a"]), json!([]), json!(null)] {
            let settings = FrontendSettings::read(json!({ "required_tags": tags })).expect("they are tags");
            assert_eq!(serde_json::to_value(settings).expect("it is JSON")["required_tags"], tags);
        }
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        let said = json!({"required_tags": [" ", "b", "a", "b"], "default_presentation": {"url": "", "force": null},
            "attendees_limit": {"limit": 0}, "create_default_params": null, "join_default_params": {"a": "", "b": "1"},
            "recordings": {"visibility_override": null}, "allowed_tags": []});
        let expected = FrontendSettings {
            required_tags: Some(["a", "b"].iter().collect()),
            join_default_params: ParamMap::from([("b".to_owned(), "1".to_owned())]),
            allowed_tags: Some(Tags::NONE),
            ..FrontendSettings::default()
        };
        assert_eq!(FrontendSettings::read(said).map(FrontendSettings::normal), Ok(expected));
    }

    #[test]
    fn only_a_limit_above_zero_is_one() {
        let most = |limit: Value| {
            FrontendSettings::read(json!({ "attendees_limit": limit })).expect("it is read").most_attendees()
        };
        assert_eq!(most(json!({"limit": 40, "more": 1})), Some(40));
        for none in [json!(null), json!({}), json!({"limit": 0}), json!({"limit": -1}), json!({"limit": null})] {
            assert_eq!(most(none.clone()), None, "{none}");
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
