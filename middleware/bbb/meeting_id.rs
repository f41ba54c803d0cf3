//! Meeting ids: the tenant's, and the one a node knows.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::params::clean;

/// Marks an id as ours, inside its JSON and in front of a hash.
const MARK: &str = "b3scl";
/// The first letters of the base64 of `["`. The third one already depends on the key.
const ENCODED_START: &str = "Wy";

/// The id a frontend knows its meeting by, without control characters and surrounding white space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub struct MeetingId(Arc<str>);

impl MeetingId {
    /// The most characters BBB takes as a meeting id.
    pub const MAX_CHARS: usize = 256;

    /// Takes an id as a call has it and cleans it as BBB does.
    pub fn new(text: &str) -> Self {
        Self(clean(text).into())
    }

    /// Checks what BBB asks of the id of a new meeting. Other calls must accept any id and not find it.
    ///
    /// # Errors
    ///
    /// [`MeetingIdError`], in BBB's words.
    pub fn validate_for_create(&self) -> Result<(), MeetingIdError> {
        match self.0.chars().take(Self::MAX_CHARS + 1).count() {
            0 => Err(MeetingIdError::Empty),
            1 => Err(MeetingIdError::TooShort),
            2..=Self::MAX_CHARS if self.0.contains(',') => Err(MeetingIdError::Comma),
            2..=Self::MAX_CHARS => Ok(()),
            _ => Err(MeetingIdError::TooLong),
        }
    }

    /// Whether it has the form in which nodes make ids of their own: a SHA-1 hash and a time. So have the ids of breakouts.
    pub fn may_be_internal(&self) -> bool {
        let Some((hash, time)) = self.0.split_once('-') else { return false };
        let is_hash = hash.len() == 40 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hash && !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Why BBB would not create a meeting of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeetingIdError {
    /// There is none.
    #[error("You must provide a meeting ID")]
    Empty,
    /// It has one character.
    #[error("Meeting ID must be between 2 and 256 characters")]
    TooShort,
    /// It has more than 256 characters.
    #[error("Meeting ID must be between 2 and 256 characters")]
    TooLong,
    /// It has a comma, which separates ids elsewhere.
    #[error("Meeting ID cannot contain ','")]
    Comma,
}

/// A node's id of a meeting, which holds the frontend's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub struct ScopedId(Arc<str>);

impl ScopedId {
    /// How ids begin that are ours: encoded ones, and hashed ones.
    pub(super) const STARTS: [&'static str; 2] = [ENCODED_START, "b3scl."];

    /// The id of that frontend's meeting on every node: the same at any time and on any server.
    ///
    /// It can be decoded unless it would be too long for BBB; see [`is_hashed`](Self::is_hashed).
    pub fn new(frontend_key: &str, id: &MeetingId) -> Self {
        let json = go_json([frontend_key, &id.0, MARK]);
        // Base64 is ASCII: its bytes are its characters.
        let mut encoded = [0; MeetingId::MAX_CHARS];
        let length = URL_SAFE.encode_slice(&json, &mut encoded).ok();
        if let Some(text) = length.and_then(|length| std::str::from_utf8(&encoded[..length]).ok()) {
            return Self(text.into());
        }
        let hash: String = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{MARK}.{hash}").into())
    }

    /// Takes an id as a node reported it or as it was stored, perhaps a foreign one. Never a tenant's text.
    pub fn verbatim(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the pair was too long to be kept in the id, so that it must be remembered elsewhere.
    pub fn is_hashed(&self) -> bool {
        let hash = self.0.strip_prefix(MARK).and_then(|rest| rest.strip_prefix('.'));
        hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    }

    /// The frontend's key and its id of the meeting. None if this id is hashed or not ours.
    pub fn decode(&self) -> Option<(String, MeetingId)> {
        if !self.0.starts_with(ENCODED_START) || self.0.len() > MeetingId::MAX_CHARS {
            return None;
        }
        let json = URL_SAFE.decode(self.0.as_bytes()).ok()?;
        let [key, id, mark]: [String; 3] = serde_json::from_slice(&json).ok()?;
        (mark == MARK).then(|| (key, MeetingId::new(&id)))
    }

    /// That frontend's id of the meeting. None if this id is hashed, another frontend's or not ours.
    pub fn decode_for(&self, frontend_key: &str) -> Option<MeetingId> {
        self.decode().filter(|(key, _)| key == frontend_key).map(|(_, id)| id)
    }
}

/// The meeting's two ids, and its parent's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// As the tenant says it.
    pub meeting_id: MeetingId,
    /// As nodes know it.
    pub scoped: ScopedId,
    /// The meeting that it is a breakout of, as nodes know that, where a create names one.
    pub parent: Option<ScopedId>,
}

/// A JSON array as Go's `encoding/json` writes it, since ids must come out as the original makes them.
fn go_json(texts: [&str; 3]) -> String {
    let mut json = String::with_capacity(texts.iter().map(|text| text.len() + 3).sum::<usize>() + 2);
    json.push('[');
    for (index, text) in texts.iter().enumerate() {
        json.push_str(if index == 0 { "\"" } else { ",\"" });
        for char in text.chars() {
            match char {
                '"' => json.push_str("\\\""),
                '\\' => json.push_str("\\\\"),
                '\u{8}' => json.push_str("\\b"),
                '\u{c}' => json.push_str("\\f"),
                '\n' => json.push_str("\\n"),
                '\r' => json.push_str("\\r"),
                '\t' => json.push_str("\\t"),
                '<' | '>' | '&' | '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                    json.push_str(&format!("\\u{:04x}", u32::from(char)));
                }
                _ => json.push(char),
            }
        }
        json.push('"');
    }
    json.push(']');
    json
}

macro_rules! text {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $id {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}

text!(MeetingId, ScopedId);

impl From<String> for MeetingId {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<String> for ScopedId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(key: &str, id: &str) -> String {
        let scoped = ScopedId::new(key, &MeetingId::new(id));
        String::from_utf8(URL_SAFE.decode(scoped.as_ref()).expect("base64")).expect("UTF-8")
    }

    #[test]
    fn the_golden_id_comes_out() {
        let scoped = ScopedId::new("fe1", &MeetingId::new("m 1"));
        assert_eq!(scoped.to_string(), "WyJmZTEiLCJtIDEiLCJiM3NjbCJd");
        assert_eq!(scoped.decode(), Some(("fe1".to_owned(), MeetingId::new("m 1"))));
    }

    #[test]
    fn text_is_escaped_as_go_does_it() {
        let cases = [
            ("a<b>&c", r"a\u003cb\u003e\u0026c"),
            ("a\u{2028}b\u{2029}c", r"a\u2028b\u2029c"),
            (r#"a"b\c/d"#, r#"a\"b\\c/d"#),
            ("ü😀", "ü😀"),
        ];
        for (id, escaped) in cases {
            assert_eq!(json("fe", id), format!(r#"["fe","{escaped}","b3scl"]"#));
        }
        assert_eq!(
            go_json(["\u{8}\u{c}\n\r\t", "\u{1}\u{1f}", "\u{7f}"]),
            "[\"\\b\\f\\n\\r\\t\",\"\\u0001\\u001f\",\"\u{7f}\"]"
        );
    }

    #[test]
    fn the_alphabet_is_that_of_urls_with_padding() {
        assert_eq!(
            ScopedId::new("f", &MeetingId::new("??>>~~")).to_string(),
            "WyJmIiwiPz9cdTAwM2VcdTAwM2V-fiIsImIzc2NsIl0="
        );
    }

    #[test]
    fn an_id_too_long_for_bbb_is_hashed() {
        let fits = MeetingId::new(&"x".repeat(192 - json("fe", "").len()));
        let scoped = ScopedId::new("fe", &fits);
        assert_eq!(scoped.as_ref().len(), 256);
        assert!(!scoped.is_hashed());
        assert_eq!(scoped.decode(), Some(("fe".to_owned(), fits.clone())));

        let hashed = ScopedId::new("fe", &MeetingId::new(&format!("{fits}x")));
        assert!(hashed.is_hashed());
        assert_eq!(hashed.as_ref().len(), 6 + 64);
        assert_eq!(hashed.decode(), None);
        assert_ne!(hashed, ScopedId::new("fe2", &MeetingId::new(&format!("{fits}x"))));
    }

    #[test]
    fn a_key_may_start_with_any_character() {
        for key in ["", "1st", "-x", "fe", "ü", "😀"] {
            let scoped = ScopedId::new(key, &MeetingId::new("m 1"));
            assert_eq!(scoped.decode(), Some((key.to_owned(), MeetingId::new("m 1"))), "{key}");
        }
    }

    #[test]
    fn foreign_ids_are_not_decoded() {
        for id in ["", "room", "WyJ", "WyJh", "WyJmZTEiLCJtIDEiLCJvdGhlciJd", "b3scl.00", "WyJmZTEiLCJtIDEiXQ=="] {
            let id = ScopedId::verbatim(id);
            assert_eq!(id.decode(), None, "{id}");
            assert!(!id.is_hashed(), "{id}");
        }
    }

    #[test]
    fn a_new_meeting_needs_an_id_bbb_takes() {
        let validate = |text: &str| MeetingId::new(text).validate_for_create();
        assert_eq!(validate(" \n"), Err(MeetingIdError::Empty));
        assert_eq!(validate("0"), Err(MeetingIdError::TooShort));
        assert_eq!(validate("üü"), Ok(()));
        assert_eq!(validate(&"ü".repeat(256)), Ok(()));
        assert_eq!(validate(&"ü".repeat(257)), Err(MeetingIdError::TooLong));
        assert_eq!(validate("a,b"), Err(MeetingIdError::Comma));
    }

    #[test]
    fn an_internal_id_is_a_hash_and_a_time() {
        let hash = "6367c48dd193d56ea7b0baad25b19455e529f5ee";
        assert!(MeetingId::new(&format!("{hash}-1700000000000")).may_be_internal());
        let others = [hash, &format!("{hash}-"), &format!("{}-1", &hash[1..]), &format!("{hash}-1-2"), "abc-1", ""];
        for other in others.iter().chain([&&*format!("{}-1", hash.to_uppercase())]) {
            assert!(!MeetingId::new(other).may_be_internal(), "{other}");
        }
    }

    #[test]
    fn ids_are_text_in_json() {
        let id: MeetingId = serde_json::from_str(r#"" a\u0000b ""#).expect("a string");
        assert_eq!(id, MeetingId::new("ab"));
        assert_eq!(serde_json::to_string(&ScopedId::verbatim("x")).expect("a string"), r#""x""#);
    }

    proptest! {
        #[test]
        fn what_was_scoped_is_decoded(key in ".{0,12}", id in ".{0,40}") {
            let id = MeetingId::new(&id);
            let scoped = ScopedId::new(&key, &id);
            prop_assert!(scoped.as_ref().len() <= 256);
            if !scoped.is_hashed() {
                prop_assert_eq!(scoped.decode(), Some((key, id)));
            }
        }

        #[test]
        fn what_a_node_reports_never_panics(text in ".{0,60}") {
            let id = ScopedId::verbatim(&text);
            let _ = (id.decode(), id.is_hashed());
            let _ = ScopedId::verbatim(&format!("{ENCODED_START}{text}")).decode();
        }
    }
}
