//! Callbacks: addresses at which a frontend wants to hear of a meeting.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The path of our addresses, before the token. It is the original's.
pub const CALLBACK_PATH: &str = "/api/v1/callbacks/proxy/";

/// A callback as the frontend gave it.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenCallback {
    /// The parameter: `meetingEndedURL`, or `meta_` and the rest in lower case.
    pub name: String,
    /// The event it is for.
    pub kind: CallbackKind,
    /// The URL, as a node reads it.
    pub url: String,
}

/// A callback that is pointed at this cluster. It is stored with its meeting, but for the address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The parameter: `meetingEndedURL`, or `meta_` and the rest in lower case.
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// All there are.
    pub const ALL: [Self; 5] = [Self::End, Self::Ended, Self::Ready, Self::Analytics, Self::Other];

    /// The kind of a callback by the name of its parameter, in any case of letters. `None`: the parameter is no callback.
    pub fn of_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("meetingEndedURL") {
            return Some(Self::Ended);
        }
        let (prefix, key) = name.split_at_checked("meta_".len())?;
        if !prefix.eq_ignore_ascii_case("meta_") {
            return None;
        }
        let ends_in = |suffix: &str| {
            let start = key.len().checked_sub(suffix.len());
            start.and_then(|start| key.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        match () {
            () if key.eq_ignore_ascii_case("endCallbackUrl") => Some(Self::End),
            () if key.eq_ignore_ascii_case("analytics-callback-url") => Some(Self::Analytics),
            () if ends_in("-recording-ready-url") => Some(Self::Ready),
            () if ends_in("-callback-url") => Some(Self::Other),
            () => None,
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

/// How far a message to a callback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Another try follows.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// The receiver wants no other try, or cannot be called.
    Refused,
    /// An operator has dropped it.
    Dropped,
    /// There were tries for three days.
    Dead,
}

impl DeliveryState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Dead => "dead",
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

/// The frontend's URL in place of an address of ours. `None`: the text is none, or belongs to no callback of the meeting.
pub fn restored(text: &str, callbacks: &[Callback]) -> Option<String> {
    let token = callback_token(text)?;
    let known = callbacks.iter().find(|callback| callback.token == token);
    known.map(|callback| callback.url.clone()).or_else(|| original(token))
}

/// The token in an address of ours, under this URL of the cluster or an earlier one. `None`: the text is no such address.
fn callback_token(text: &str) -> Option<&str> {
    let (base, token) = text.split_once(CALLBACK_PATH)?;
    let is_address = base.starts_with("http://") || base.starts_with("https://");
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (is_address && !token.is_empty() && token.bytes().all(of_token)).then_some(token)
}

/// The URL in a token of the original, which is a JWT with that URL as its audience. Nothing is proved by it: the URL is only shown
/// to the tenant of the meeting.
fn original(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        scope: String,
        aud: Audience,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        List(Vec<String>),
    }
    let [_, claims, _] = token.split('.').collect::<Vec<_>>()[..] else { return None };
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let first = match claims.aud {
        Audience::One(url) => Some(url),
        Audience::List(urls) => urls.into_iter().next(),
    };
    first.filter(|_| claims.scope.split(' ').any(|word| word == "b3scale:callback"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(token: &str) -> Callback {
        let (name, url) = ("meta_endcallbackurl".to_owned(), "https://school.example/end?salt=%242y".to_owned());
        Callback { name, kind: CallbackKind::End, url, token: token.to_owned(), address: String::new() }
    }

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
            ("meta_ü-recording-ready-url", Some(CallbackKind::Ready)),
            ("meta_ürecording-ready-url", None),
        ] {
            assert_eq!(CallbackKind::of_name(name), kind, "{name}");
        }
    }

    #[test]
    fn an_address_of_ours_is_the_frontends_url_again() {
        let callbacks = [callback("abc_-1")];
        let restored = |text: &str| restored(text, &callbacks);
        for base in ["https://b3scale.example", "http://127.0.0.1:42352", "https://earlier.example/prefix"] {
            let address = format!("{base}{CALLBACK_PATH}abc_-1");
            assert_eq!(restored(&address), Some(callbacks[0].url.clone()), "{address}");
        }
        for other in ["https://x/api/v1/callbacks/proxy/abc", "https://x/api/v1/callbacks/proxy/", "abc_-1", ""] {
            assert_eq!(restored(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_of_the_original_names_its_url() {
        let token = |claims: &str| format!("eyJhbGciOiJIUzM4NCJ9.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        let restored = |claims: &str| restored(&format!("https://old{CALLBACK_PATH}{}", token(claims)), &[]);
        let url = Some("https://school.example/end".to_owned());
        let claims = |scope: &str, aud: &str| format!(r#"{{"scope":"{scope}","sub":"1","aud":{aud}}}"#);
        assert_eq!(restored(&claims("b3scale:callback", r#"["https://school.example/end"]"#)), url);
        assert_eq!(restored(&claims("b3scale:callback", r#""https://school.example/end""#)), url);
        assert_eq!(restored(&claims("b3scale:admin", r#""https://school.example/end""#)), None);
        assert_eq!(restored(&claims("b3scale:callback", "[]")), None);
        assert_eq!(restored("no claims"), None);
    }

    #[test]
    fn no_log_has_a_url_or_a_token() {
        let text = format!("{:?}", callback("secret-token"));
        assert!(!text.contains("school.example") && !text.contains("secret-token"), "{text}");
    }
}
