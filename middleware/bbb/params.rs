//! The parameters of a call: the raw query, which is what a checksum covers, and what it says.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What Java's `URLEncoder` encodes, but for the space.
const JAVA_RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// How many parameters are read, as in the servlet container of a node. Those behind are passed over.
const MAX_PARAMS: usize = 10_000;

/// The ordered parameters of a call.
///
/// Changes touch the decoded parameters only. [`raw`](Self::raw) stays what the client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    raw: Arc<str>,
    /// Shared until it is changed: a call is cloned for each node that is tried.
    pairs: Arc<Vec<(String, String)>>,
    malformed: Option<String>,
}

impl Params {
    /// Reads a query as it came, without the leading `?`. Never fails: see [`malformed`](Self::malformed).
    pub fn parse(raw: &str) -> Self {
        let mut params = Self { raw: raw.into(), ..Self::default() };
        params.append(raw);
        params
    }

    /// Adds the parameters of a form body behind those of the query, so that a query's value comes first.
    pub fn merge_form(&mut self, body: &str) {
        self.append(body);
    }

    /// The query as it was received. It holds neither form parameters nor changes.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The first parameter with a broken percent-encoding such as `%zz`, which is kept as the text it is.
    pub fn malformed(&self) -> Option<&str> {
        self.malformed.as_deref()
    }

    /// The value that counts, verbatim. BBB reads it through [`clean`].
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Every value of that name, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Every name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Gives a parameter this one value, in the place it has or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let mut found = false;
        let pairs = Arc::make_mut(&mut self.pairs);
        pairs.retain_mut(|(key, held)| {
            if key != name {
                return true;
            }
            value.clone_into(held);
            !std::mem::replace(&mut found, true)
        });
        if !found {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Sets a parameter the call does not have and says whether it did. An empty value counts as had.
    pub fn set_default(&mut self, name: &str, value: &str) -> bool {
        let absent = self.first(name).is_none();
        if absent {
            Arc::make_mut(&mut self.pairs).push((name.to_owned(), value.to_owned()));
        }
        absent
    }

    /// Removes every value of that name.
    pub fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.pairs).retain(|(key, _)| key != name);
    }

    /// The parameters in one canonical form, to be signed and sent as it is.
    ///
    /// All but unreserved characters are encoded, a space as `%20`. A `checksum` is never part of it.
    pub fn encode(&self) -> String {
        let mut query = String::new();
        self.encode_onto(&mut query);
        query
    }

    /// Puts [`encode`](Self::encode) behind a text.
    pub fn encode_onto(&self, text: &mut String) {
        // Enough unless more has to be escaped than the client escaped.
        let plain: usize = self.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        text.reserve(plain.max(self.raw.len()));
        let mut separator = "";
        for (name, value) in self.iter().filter(|(name, _)| *name != "checksum") {
            let name = utf8_percent_encode(name, RESERVED);
            let value = utf8_percent_encode(value, RESERVED);
            // Writing to a String cannot fail.
            let _ = write!(text, "{separator}{name}={value}");
            separator = "&";
        }
    }

    fn append(&mut self, text: &str) {
        let pairs = Arc::make_mut(&mut self.pairs);
        for item in items(text).take(MAX_PARAMS.saturating_sub(pairs.len())) {
            let (raw_name, raw_value) = item.split_once('=').unwrap_or((item, ""));
            let name = decode(raw_name).into_owned();
            if self.malformed.is_none() && !(is_well_encoded(raw_name) && is_well_encoded(raw_value)) {
                self.malformed = Some(name.clone());
            }
            pairs.push((name, decode(raw_value).into_owned()));
        }
    }
}

/// Removes control characters and surrounding white space, as BBB does before it looks at a value.
pub fn clean(value: &str) -> Cow<'_, str> {
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        let kept: String = value.chars().filter(|char| !char.is_ascii_control()).collect();
        Cow::Owned(kept.trim_matches(' ').to_owned())
    } else {
        Cow::Borrowed(value.trim_matches(' '))
    }
}

/// The parameters of a query or a form body, still encoded and at most [`MAX_PARAMS`]. Empty items are none.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|item| !item.is_empty()).take(MAX_PARAMS)
}

/// Decodes a name or a value, leniently: a `+` is a space, a broken escape is text, bad UTF-8 is replaced.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// Encodes a value as Java's `URLEncoder` does: a space becomes a `+`.
pub(super) fn java_encode(text: &str) -> String {
    utf8_percent_encode(text, JAVA_RESERVED).to_string().replace(' ', "+")
}

fn is_well_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let bytes = rest.as_bytes();
        bytes.len() >= 2 && bytes[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(params: &Params) -> Vec<(&str, &str)> {
        params.iter().collect()
    }

    #[test]
    fn plus_and_percent_twenty_are_the_same_value() {
        let params = Params::parse("name=Test+Meeting&other=Test%20Meeting&plus=%2B&u=%C3%BC");
        assert_eq!(pairs(&params), [("name", "Test Meeting"), ("other", "Test Meeting"), ("plus", "+"), ("u", "ü")]);
        assert_eq!(params.malformed(), None);
    }

    #[test]
    fn empty_items_are_no_parameters() {
        let params = Params::parse("&a=1&&b=&c&");
        assert_eq!(pairs(&params), [("a", "1"), ("b", ""), ("c", "")]);
        assert_eq!(params.raw(), "&a=1&&b=&c&");
        assert_eq!(pairs(&Params::parse("")), []);
    }

    #[test]
    fn a_broken_escape_stays_text_and_is_remembered() {
        let params = Params::parse("ok=%41&bad=%zz&worse=100%");
        assert_eq!(params.first("bad"), Some("%zz"));
        assert_eq!(params.first("worse"), Some("100%"));
        assert_eq!(params.malformed(), Some("bad"));
        assert_eq!(Params::parse("x=%4").malformed(), Some("x"));
    }

    #[test]
    fn invalid_utf_8_is_replaced() {
        assert_eq!(Params::parse("x=%FF").first("x"), Some("\u{fffd}"));
    }

    #[test]
    fn a_value_of_the_query_comes_before_one_of_the_form() {
        let mut params = Params::parse("role=VIEWER");
        params.merge_form("role=MODERATOR&name=a+b");
        assert_eq!(params.first("role"), Some("VIEWER"));
        assert!(params.values("role").eq(["VIEWER", "MODERATOR"]));
        assert_eq!(params.first("name"), Some("a b"));
        assert_eq!(params.raw(), "role=VIEWER");
    }

    #[test]
    fn parameters_are_bounded_in_number() {
        let mut params = Params::parse(&"a&".repeat(MAX_PARAMS - 1));
        params.merge_form("b&c");
        assert_eq!(params.iter().count(), MAX_PARAMS);
        assert_eq!((params.first("b"), params.first("c")), (Some(""), None));
    }

    #[test]
    fn setting_keeps_the_place_and_drops_the_rest() {
        let mut params = Params::parse("a=1&b=2&a=3&c=4&a=5");
        params.set("a", "x");
        params.set("d", "y");
        assert_eq!(pairs(&params), [("a", "x"), ("b", "2"), ("c", "4"), ("d", "y")]);
    }

    #[test]
    fn a_default_does_not_replace_an_empty_value() {
        let mut params = Params::parse("password=");
        assert!(!params.set_default("password", "secret"));
        assert!(params.set_default("role", "VIEWER"));
        assert_eq!(pairs(&params), [("password", ""), ("role", "VIEWER")]);
    }

    #[test]
    fn removing_takes_every_value() {
        let mut params = Params::parse("a=1&b=2&a=3");
        params.remove("a");
        assert_eq!(pairs(&params), [("b", "2")]);
    }

    #[test]
    fn the_canonical_form_has_no_checksum_and_no_plus() {
        let params = Params::parse("name=a+b*%7e/ü&checksum=abc&c");
        assert_eq!(params.encode(), "name=a%20b%2A~%2F%C3%BC&c=");
    }

    #[test]
    fn cleaning_drops_control_characters_and_white_space() {
        assert_eq!(clean(" \tm\u{0}1\r\n "), "m1");
        assert!(matches!(clean(" m 1 "), Cow::Borrowed("m 1")));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(pairs in prop::collection::vec((".*", ".*"), 0..8)) {
            let pairs = Arc::new(pairs.into_iter().filter(|(name, _)| name != "checksum").collect());
            let params = Params { pairs, ..Params::default() };
            let query = params.encode();
            let back = Params::parse(&query);
            prop_assert_eq!(&back.pairs, &params.pairs);
            prop_assert_eq!(back.malformed(), None);
            prop_assert_eq!(back.encode(), query);
        }

        #[test]
        fn any_query_is_read(raw in ".*") {
            let params = Params::parse(&raw);
            prop_assert_eq!(params.raw(), &raw);
            let again = Params::parse(&params.encode());
            prop_assert!(again.iter().eq(params.iter().filter(|(name, _)| *name != "checksum")));
        }
    }
}
