//! Frontends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::null_is_empty;

/// Names and values of call parameters. An empty value is none.
pub type Params = BTreeMap<String, String>;

/// A tenant's registered client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Frontend {
    /// Identity, given by the server.
    pub id: Uuid,
    /// One that is not active is answered as if it did not exist.
    pub active: bool,
    /// How it is known and what it signs with.
    pub bbb: FrontendKeys,
    /// What is done to its calls.
    pub settings: FrontendSettings,
    /// The customer it belongs to, in another system. Tokens without `b3scale:admin` see only those of their subject.
    pub account_ref: Option<String>,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// How a frontend is known and what it signs with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendKeys {
    /// The segment of the URL that names it.
    pub key: String,
    /// What its checksums are made with.
    pub secret: String,
    /// Valid beside the first one while the frontend is moved to it. Not known to the original.
    #[serde(default)]
    pub next_secret: Option<String>,
    /// The checksum algorithms it may use. `null`: all. Not known to the original.
    #[serde(default)]
    #[schema(example = json!(["sha256", "sha512"]))]
    pub checksum_algorithms: Option<Vec<String>>,
}

/// What is done to a frontend's calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FrontendSettings {
    /// Only backends that carry all of these take its meetings.
    pub required_tags: Option<Vec<String>>,
    /// Slides for meetings that bring none.
    pub default_presentation: Option<DefaultPresentation>,
    /// How many people may be in its meetings.
    pub attendees_limit: Option<AttendeesLimit>,
    /// Parameters of `create` where the call has none.
    #[serde(deserialize_with = "null_is_empty")]
    pub create_default_params: Params,
    /// Parameters of `create` whatever the call has.
    #[serde(deserialize_with = "null_is_empty")]
    pub create_override_params: Params,
    /// Parameters of `join` where the call has none.
    #[serde(deserialize_with = "null_is_empty")]
    pub join_default_params: Params,
    /// Parameters of `join` whatever the call has.
    #[serde(deserialize_with = "null_is_empty")]
    pub join_override_params: Params,
    /// What becomes of its recordings.
    pub recordings: Option<RecordingSettings>,
    /// The tags that it may choose among with `meta_server-tag`. `null`: any. Not known to the original.
    pub allowed_tags: Option<Vec<String>>,
}

impl FrontendSettings {
    /// Reads stored settings, where `null` and a missing key are the same. Unknown keys are ignored.
    ///
    /// # Errors
    /// The name of an unreadable setting, without its value, which may be a password.
    pub fn from_stored(mut stored: Value) -> Result<Self, String> {
        drop_nulls(&mut stored);
        let read = |stored: Value| serde_json::from_value::<Self>(stored);
        let alone = |(name, value): &(&String, &Value)| {
            Value::Object([((*name).clone(), (*value).clone())].into_iter().collect())
        };
        let is_broken = |setting: &(&String, &Value)| read(alone(setting)).is_err();
        let broken = || stored.as_object().and_then(|all| all.iter().find(is_broken)).map(|(name, _)| name.clone());
        read(stored.clone()).map_err(|_| broken().unwrap_or_default())
    }

    /// What is kept of them and does nothing yet, a sentence each.
    pub fn idle(&self) -> impl Iterator<Item = &'static str> + use<> {
        let overrides = self.recordings.as_ref().is_some_and(|recordings| recordings.visibility_override.is_some());
        overrides
            .then_some("the setting `recordings.visibility_override` does nothing yet: recordings are not served")
            .into_iter()
    }

    /// All of its parameters.
    pub fn params_mut(&mut self) -> [&mut Params; 4] {
        [
            &mut self.create_default_params,
            &mut self.create_override_params,
            &mut self.join_default_params,
            &mut self.join_override_params,
        ]
    }
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, field| !field.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

/// Slides that meetings start with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DefaultPresentation {
    /// Where a node fetches them. Empty: none.
    pub url: String,
    /// Use them even when the call brings slides of its own.
    pub force: bool,
    /// What they are called in the meeting. Empty: as where they are fetched says. Not known to the original.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filename: String,
}

/// How many people may be in a frontend's meetings at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AttendeesLimit {
    /// So many, up to 2147483647. 0: any number.
    #[schema(minimum = 0, maximum = 2147483647)]
    pub limit: i64,
}

/// What becomes of a frontend's recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RecordingSettings {
    /// Who may see them, whatever the meeting says.
    pub visibility_override: Option<Visibility>,
}

/// Who may see a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", rename_all = "snake_case")]
pub enum Visibility {
    /// Nobody.
    Unpublished,
    /// Whoever has the link.
    Published,
    /// Whom the frontend lets.
    Protected,
    /// Everybody: it is listed.
    Public,
    /// It is listed for everybody, and opened for whom the frontend lets.
    PublicProtected,
}

impl TryFrom<String> for Visibility {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Ok(match &*word {
            "unpublished" => Self::Unpublished,
            "published" => Self::Published,
            "protected" => Self::Protected,
            "public" => Self::Public,
            "public_protected" => Self::PublicProtected,
            // In the words of the original.
            _ => return Err(format!("unknown recording visibility: '{word}'")),
        })
    }
}

/// What is to be changed about a frontend. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendChange {
    /// Needed with a `key` and a `secret` when a frontend is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbb: Option<FrontendKeysChange>,
    /// True if it is not said when a frontend is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Merged: maps name by name, where an empty text takes a name away; lists are replaced; `null` clears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<FrontendSettings>,
    /// For the scope `b3scale:admin` only. `null` clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
}

/// What is to be changed about how a frontend is known. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendKeysChange {
    /// It cannot be changed while meetings run under the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What its checksums are made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `null` or empty ends the change to another secret. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_secret: Option<String>,
    /// `null`: all of them. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["sha256", "sha512"]))]
    pub checksum_algorithms: Option<Vec<String>>,
}
