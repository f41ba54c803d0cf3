//! Hooks: addresses of frontends that hear of the events of their meetings. The original has none.

use b3scale_middleware::cluster::HookState;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A hook of a frontend. The URL is a secret of the frontend, and only its host is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hook {
    /// Identity, which the frontend knows as `hookID`.
    pub id: Uuid,
    /// The key of the frontend.
    pub frontend: String,
    /// The state of its posts.
    pub state: HookState,
    /// The host of its URL.
    pub host: Option<String>,
    /// The frontend's id of the one meeting whose events it gets. `null`: it gets those of all its meetings.
    pub meeting_id: Option<String>,
    /// The ids of the events it gets. Empty: all.
    pub events: Vec<String>,
    /// Whether it gets the messages of BBB instead of events.
    pub raw: bool,
    /// Whether it stands in the settings of the frontend.
    pub permanent: bool,
    /// How many events of its frontend it has not come to yet.
    pub behind: i64,
    /// How many events it has heard.
    pub delivered: i64,
    /// How many events were removed before it heard them.
    pub lost: i64,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// Why the last try failed.
    pub problem: Option<String>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last heard an event.
    #[serde(with = "time::serde::rfc3339::option")]
    pub delivered_at: Option<OffsetDateTime>,
    /// Since when it is paused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub paused_at: Option<OffsetDateTime>,
}
