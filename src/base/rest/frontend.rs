//! Frontends, in the original's shape and as entries of a [`StateDocument`](super::StateDocument).

use b3scale_middleware::bbb::{Algorithms, Secret};
use b3scale_middleware::cluster::{self, FrontendSettings, RecordingSettings, Secrets};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::check::{Wrong, said};
use super::shape::Shape;
use super::strict::strict;
use super::{filled, shown};

/// A tenant's registered client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Frontend {
    /// Identity, given by the server.
    pub id: Uuid,
    /// An inactive one is answered as if it did not exist.
    pub active: bool,
    /// Its key and secrets.
    pub bbb: FrontendKeys,
    /// Its settings.
    pub settings: FrontendSettings,
    /// The customer it belongs to, in another system. Tokens without `b3scale:admin` see only those of their subject.
    pub account_ref: Option<String>,
    /// Its purpose, in the operator's words. Not known to the original.
    #[serde(default)]
    pub description: Option<String>,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// A frontend's key and secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendKeys {
    /// The segment of the URL that names it.
    pub key: String,
    /// The secret of its checksums.
    pub secret: String,
    /// A second valid secret while the frontend is moved to it. Not known to the original.
    #[serde(default)]
    pub next_secret: Option<String>,
    /// The checksum algorithms it may use. `null`: all. Not known to the original.
    #[serde(default)]
    #[schema(example = json!(["sha256", "sha512"]))]
    pub checksum_algorithms: Option<Vec<String>>,
}

impl From<cluster::Frontend> for Frontend {
    fn from(frontend: cluster::Frontend) -> Self {
        let cluster::Frontend { id, key, secrets, algorithms, active, settings, account_ref, description, .. } =
            frontend;
        Self {
            id: id.0,
            active,
            bbb: FrontendKeys {
                key,
                secret: secrets.current().expose().to_owned(),
                next_secret: secrets.next().map(|next| next.expose().to_owned()),
                checksum_algorithms: algorithms.names(),
            },
            settings,
            account_ref,
            description,
            created_at: shown(frontend.created_at),
            updated_at: shown(frontend.updated_at),
        }
    }
}

/// The fields that a request may set.
pub static FRONTEND: Shape = Shape::Object(&[
    ("bbb", Shape::Optional(&KEYS)),
    ("active", Shape::Flag),
    ("settings", SETTINGS),
    ("account_ref", Shape::Optional(&Shape::Text)),
    ("description", Shape::Optional(&Shape::Text)),
]);

static KEYS: Shape = Shape::Object(&[
    ("key", Shape::Text),
    ("secret", Shape::Text),
    ("next_secret", Shape::Optional(&Shape::Text)),
    ("checksum_algorithms", Shape::List(&Shape::Text)),
]);

const SETTINGS: Shape = Shape::Object(&[
    ("required_tags", Shape::List(&Shape::Text)),
    ("default_presentation", Shape::Optional(&PRESENTATION)),
    ("attendees_limit", Shape::Optional(&LIMIT)),
    ("create_default_params", Shape::Texts),
    ("create_override_params", Shape::Texts),
    ("join_default_params", Shape::Texts),
    ("join_override_params", Shape::Texts),
    ("recordings", Shape::Optional(&RECORDINGS)),
    ("allowed_tags", Shape::List(&Shape::Text)),
    ("webhooks", Shape::Optional(&WEBHOOKS)),
]);

static PRESENTATION: Shape = Shape::Object(&[("url", Shape::Text), ("force", Shape::Flag), ("filename", Shape::Text)]);
static LIMIT: Shape = Shape::Object(&[("limit", Shape::Whole)]);
static RECORDINGS: Shape = Shape::Object(&[
    ("visibility_override", Shape::Optional(&Shape::Text)),
    ("keep_days", Shape::Optional(&Shape::Whole)),
    ("keep_bytes", Shape::Optional(&Shape::Whole)),
    ("trash_days", Shape::Optional(&Shape::Whole)),
]);
static WEBHOOKS: Shape = Shape::Object(&[
    ("most", Shape::Optional(&Shape::Whole)),
    ("raw", Shape::Flag),
    ("algorithm", Shape::Optional(&Shape::Text)),
    ("domain", Shape::Optional(&Shape::Text)),
    ("permanent", Shape::List(&PERMANENT)),
]);
static PERMANENT: Shape =
    Shape::Object(&[("url", Shape::Text), ("events", Shape::List(&Shape::Text)), ("raw", Shape::Flag)]);

/// A change of a frontend. Missing fields stay.
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
    /// `null` or empty: none. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A change of a frontend's key and secrets. Missing fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendKeysChange {
    /// It cannot be changed while meetings run under the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The secret of its checksums.
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

/// A frontend of a `StateDocument`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateFrontend {
    /// The segment of the URL that names it.
    pub key: String,
    /// The secret of its checksums.
    pub secret: String,
    /// A second valid secret while the frontend is moved to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_secret: Option<String>,
    /// The checksum algorithms it may use. Missing: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_algorithms: Option<Vec<String>>,
    /// An inactive one is answered as if it did not exist.
    #[serde(default = "yes")]
    pub active: bool,
    /// The customer it belongs to, in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    /// Its purpose, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its settings.
    #[serde(default, deserialize_with = "strict")]
    pub settings: FrontendSettings,
    /// The identity it brings from another system. Kept if it is new here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// When it was added there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
}

impl From<Frontend> for StateFrontend {
    /// The fields of a frontend that an operator may set.
    fn from(frontend: Frontend) -> Self {
        let Frontend { active, bbb, settings, account_ref, description, .. } = frontend;
        let FrontendKeys { key, secret, next_secret, checksum_algorithms } = bbb;
        Self { next_secret, checksum_algorithms, active, account_ref, description, settings, ..Self::new(key, secret) }
    }
}

impl From<cluster::Frontend> for StateFrontend {
    fn from(frontend: cluster::Frontend) -> Self {
        Frontend::from(frontend).into()
    }
}

impl StateFrontend {
    /// An active frontend without other fields.
    pub fn new(key: String, secret: String) -> Self {
        Self {
            key,
            secret,
            next_secret: None,
            checksum_algorithms: None,
            active: true,
            account_ref: None,
            description: None,
            settings: FrontendSettings::default(),
            id: None,
            created_at: None,
        }
    }

    /// Without white space around its texts, and texts without anything else.
    #[must_use]
    pub fn trimmed(self) -> Self {
        Self {
            key: self.key.trim().to_owned(),
            secret: self.secret.trim().to_owned(),
            next_secret: filled(self.next_secret),
            account_ref: filled(self.account_ref),
            description: filled(self.description),
            ..self
        }
    }

    /// The same entry of another system, with what only exists here.
    #[must_use]
    pub fn moved_onto(self, there: &Self) -> Self {
        let allowed_tags = self.settings.allowed_tags.or_else(|| there.settings.allowed_tags.clone());
        let webhooks = self.settings.webhooks.or_else(|| there.settings.webhooks.clone());
        let kept = there.settings.recordings.clone().unwrap_or_default();
        let visibility_override = self.settings.recordings.and_then(|recordings| recordings.visibility_override);
        let recordings = RecordingSettings { visibility_override, ..kept };
        let recordings = Some(recordings).filter(|recordings| *recordings != RecordingSettings::default());
        Self {
            next_secret: self.next_secret.or_else(|| there.next_secret.clone()),
            checksum_algorithms: there.checksum_algorithms.clone(),
            active: there.active,
            account_ref: self.account_ref.or_else(|| there.account_ref.clone()),
            description: self.description.or_else(|| there.description.clone()),
            settings: FrontendSettings { allowed_tags, recordings, webhooks, ..self.settings },
            ..self
        }
    }

    /// The frontend that it describes.
    ///
    /// # Errors
    /// Its [`problems`](Self::problems).
    pub fn record(&self, id: Uuid, is_kept: bool) -> Result<cluster::Frontend, Vec<(String, String)>> {
        let problems = self.problems(is_kept);
        let secret = Secret::new(&self.secret).filter(|_| problems.is_empty()).ok_or(problems)?;
        let next_secret = self.next_secret.as_deref().and_then(Secret::new);
        let algorithms = self.checksum_algorithms.iter().flatten().filter_map(|word| word.parse().ok());
        let algorithms = self.checksum_algorithms.as_ref().map_or(Algorithms::ALL, |_| algorithms.collect());
        Ok(cluster::Frontend {
            algorithms,
            active: self.active,
            settings: self.settings.clone(),
            account_ref: self.account_ref.clone(),
            description: self.description.clone(),
            created_at: self.created_at.map(Into::into),
            ..cluster::Frontend::new(id, &self.key, Secrets::new(secret, next_secret))
        })
    }

    /// The fields that cannot be kept, each with why. A key that is there already may stay.
    pub fn problems(&self, is_kept: bool) -> Vec<(String, String)> {
        let mut wrong = Wrong::default();
        wrong.key("key", &self.key, is_kept);
        wrong.secret("secret", Some(&self.secret));
        wrong.secret("next_secret", self.next_secret.as_deref());
        wrong.text("account_ref", said(&self.account_ref), LONGEST_ACCOUNT);
        wrong.text("description", said(&self.description), LONGEST_DESCRIPTION);
        wrong.algorithms("checksum_algorithms", self.checksum_algorithms.as_deref());
        wrong.settings("settings", &self.settings);
        wrong.0
    }
}

/// The most characters of another system's name of a customer.
const LONGEST_ACCOUNT: usize = 80;

/// The most characters of a description.
const LONGEST_DESCRIPTION: usize = 1000;

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> StateFrontend {
        let entry = json!({"key": "school", "secret": "one", "next_secret": "two", "checksum_algorithms": ["sha256"],
            "active": false, "account_ref": "customer-7", "description": "Classes 5 to 10", "settings": {"required_tags": ["b", "a"]}});
        serde_json::from_value(entry).expect("it is an entry")
    }

    #[test]
    fn an_entry_and_its_frontend_say_the_same() {
        let frontend = entry().record(Uuid::nil(), false).expect("it can be kept");
        assert_eq!(StateFrontend::from(frontend), entry());
    }

    #[test]
    fn what_cannot_be_kept_makes_no_frontend() {
        let wrong = StateFrontend { next_secret: Some(String::new()), ..entry() };
        let problems = wrong.record(Uuid::nil(), false).expect_err("its next secret is empty");
        assert_eq!(problems, [("next_secret".to_owned(), "this field is required".to_owned())]);
        let odd = StateFrontend::new("a b".to_owned(), "one".to_owned());
        assert!(odd.record(Uuid::nil(), false).is_err(), "the key does not stand in URLs");
        assert!(odd.record(Uuid::nil(), true).is_ok(), "it is there already");
    }

    #[test]
    fn an_entry_of_another_system_keeps_what_only_exists_here() {
        let moved = StateFrontend::new("school".to_owned(), "new".to_owned()).moved_onto(&entry());
        let settings = FrontendSettings::default();
        assert_eq!(moved, StateFrontend { secret: "new".to_owned(), settings, ..entry() });
    }
}
