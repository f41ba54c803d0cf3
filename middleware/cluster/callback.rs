//! Callbacks: addresses at which a frontend wants to hear of a meeting.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A callback as the frontend gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenCallback {
    /// The parameter, such as `meta_endCallbackUrl`.
    pub name: String,
    /// The event it is for.
    pub kind: CallbackKind,
    /// The URL, as a node reads it.
    pub url: String,
}

/// A callback that is pointed at this cluster. It is stored with its meeting, but for the address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The parameter, such as `meta_endCallbackUrl`.
    pub name: String,
    /// The event it is for.
    pub kind: CallbackKind,
    /// The frontend's own URL.
    pub url: String,
    /// The last segment of the address that the node got.
    pub token: String,
    /// The address that the node got. Empty once it was stored.
    #[serde(skip)]
    pub address: String,
}

/// The event that a callback is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallbackKind {
    /// The meeting has ended: `meta_endCallbackUrl`, called with its id.
    End,
    /// The meeting has ended: `meetingEndedURL`, called as it is.
    Ended,
    /// A recording of it is ready.
    Ready,
    /// Its learning analytics.
    Analytics,
    /// Another callback that some version of a node knows.
    Other,
}

impl CallbackKind {
    /// The kind of a callback by the name of its parameter. `None`: the parameter is no callback.
    pub fn of_name(name: &str) -> Option<Self> {
        if name == "meetingEndedURL" {
            return Some(Self::Ended);
        }
        let (prefix, key) = name.split_at_checked("meta_".len())?;
        if !prefix.eq_ignore_ascii_case("meta_") {
            return None;
        }
        match key.to_ascii_lowercase().as_str() {
            "endcallbackurl" => Some(Self::End),
            "analytics-callback-url" => Some(Self::Analytics),
            key if key.ends_with("-recording-ready-url") => Some(Self::Ready),
            key if key.ends_with("-callback-url") => Some(Self::Other),
            _ => None,
        }
    }

    /// The word for it, in the database and in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Ended => "ended",
            Self::Ready => "ready",
            Self::Analytics => "analytics",
            Self::Other => "other",
        }
    }
}

/// URLs are often the only secret of a receiver, so none is shown.
impl fmt::Debug for GivenCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenCallback").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_known_by_its_name_in_any_letters() {
        for (name, kind) in [
            ("meetingEndedURL", Some(CallbackKind::Ended)),
            ("meta_endCallbackUrl", Some(CallbackKind::End)),
            ("meta_endcallbackurl", Some(CallbackKind::End)),
            ("meta_bbb-recording-ready-url", Some(CallbackKind::Ready)),
            ("meta_bn-recording-ready-url", Some(CallbackKind::Ready)),
            ("META_Canvas-Recording-Ready-URL", Some(CallbackKind::Ready)),
            ("meta_analytics-callback-url", Some(CallbackKind::Analytics)),
            ("meta_my-callback-url", Some(CallbackKind::Other)),
            ("logoutURL", None),
            ("meta_url", None),
            ("meta", None),
            ("metaü", None),
        ] {
            assert_eq!(CallbackKind::of_name(name), kind, "{name}");
        }
    }
}
