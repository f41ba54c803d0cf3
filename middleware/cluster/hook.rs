//! Hooks: addresses at which a frontend wants to hear of every event of its meetings.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::null::null_is_empty;
use crate::bbb::Algorithm;

/// The most hooks that a frontend may create, unless its settings say otherwise.
const MOST_HOOKS: i64 = 100;

/// A hook.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its identity, for its frontend.
    pub id: String,
    /// Where events are posted to.
    pub url: String,
    /// The frontend's id of the one meeting whose events it gets. `None`: it gets those of all its frontend's meetings.
    pub meeting_id: Option<String>,
    /// The ids of the events it gets, in lower case. Empty: all.
    pub events: Vec<String>,
    /// Whether it stands in the settings of its frontend, and cannot be destroyed.
    pub permanent: bool,
    /// Whether it gets the messages of BBB instead of events.
    pub raw: bool,
}

/// A hook that a frontend wants to have.
#[derive(Clone, PartialEq, Eq)]
pub struct NewHook {
    /// Where events are to be posted to.
    pub url: String,
    /// The frontend's id of a meeting. It need not exist yet.
    pub meeting_id: Option<String>,
    /// The ids of the wanted events, in lower case. Empty: all.
    pub events: Vec<String>,
    /// Whether it is to get the messages of BBB.
    pub raw: bool,
}

/// The answer to a wanted hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookMade {
    /// It is there from now on.
    New(Hook),
    /// The frontend had it. It was resumed if it was paused.
    Known(Hook),
    /// The frontend has as many as it may.
    TooMany,
    /// Its URL cannot be called.
    Unusable,
    /// Its URL names an address inside our network.
    Inward,
    /// The frontend's settings allow no messages of BBB.
    RawRefused,
}

/// The state of the posts of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HookState {
    /// It has heard all it was told.
    Active,
    /// The event it is to hear next has failed, and is tried again.
    Retrying,
    /// It failed too often, and hears nothing.
    Paused,
}

impl HookState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
        }
    }
}

/// Settings of a frontend's webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct WebhookSettings {
    /// The most hooks that it may create. Permanent ones do not count. `null`: 100.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 1000))]
    pub most: Option<i64>,
    /// Whether its hooks may ask for the messages of BBB. They hold more than events do.
    pub raw: bool,
    /// The algorithm of the checksums in its posts: `sha1`, `sha256`, `sha384` or `sha512`. `null`: `sha1`.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub algorithm: Option<Algorithm>,
    /// The name of this service in its posts. `null`: the host of `B3SCALE_API_URL`.
    pub domain: Option<String>,
    /// Hooks that are always there.
    #[serde(deserialize_with = "null_is_empty")]
    pub permanent: Vec<PermanentHook>,
}

impl WebhookSettings {
    /// The most hooks that the frontend may create.
    pub fn most(&self) -> i64 {
        self.most.unwrap_or(MOST_HOOKS)
    }

    /// The algorithm of the checksums in its posts.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Sha1)
    }
}

/// A hook that stands in the settings of its frontend.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PermanentHook {
    /// Where events are posted to.
    pub url: String,
    /// The ids of the events it gets, such as `meeting-ended`. Empty: all.
    #[serde(deserialize_with = "null_is_empty")]
    pub events: Vec<String>,
    /// Whether it gets the messages of BBB instead of events. Only where `raw` allows it.
    pub raw: bool,
}

/// URLs are often the only secret of a receiver, so none is shown.
impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, events, permanent, raw, .. } = self;
        f.debug_struct("Hook")
            .field("id", id)
            .field("events", events)
            .field("permanent", permanent)
            .field("raw", raw)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for NewHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewHook").field("events", &self.events).field("raw", &self.raw).finish_non_exhaustive()
    }
}

impl fmt::Debug for PermanentHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermanentHook").field("events", &self.events).field("raw", &self.raw).finish_non_exhaustive()
    }
}
