//! Parameters as a servlet sees them: ordered, query before form, the first value counts.

use std::fmt::Write;

/// Decoded parameters of one call, stripped of control characters and surrounding white space.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads form-encoded text. Nothing is refused: what cannot be decoded stays as it is.
    pub(super) fn parse(text: &str) -> Params {
        let item = |item: &str| {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            (decoded(name), stripped(&decoded(value)))
        };
        Params(text.split('&').filter(|part| !part.is_empty()).map(item).collect())
    }

    /// Adds a parameter that needs no decoding.
    pub(super) fn add(&mut self, name: String, value: &str) {
        self.0.push((name, stripped(value)));
    }

    /// The first value, also when it is empty.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The first value, unless it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// Java's reading of a boolean: only the word `true` is true, so `1` is false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number. An unreadable one counts as missing, as on a node.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.given(name)?.parse().ok()
    }

    /// All values of one name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().filter(move |(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All but one name.
    pub(super) fn without(&self, name: &str) -> Params {
        Params(self.0.iter().filter(|(key, _)| key != name).cloned().collect())
    }

    /// Appends `more`.
    pub(super) fn extend(&mut self, more: Params) {
        self.0.extend(more.0);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn to_vec(&self) -> Vec<(String, String)> {
        self.0.clone()
    }
}

/// Percent-encodes everything but unreserved characters.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Without control characters and the blanks around. Java takes no other white space away, such as U+00A0.
fn stripped(value: &str) -> String {
    value.replace(|letter: char| letter.is_ascii_control(), "").trim_matches(' ').to_owned()
}

/// Decodes form-encoded text. What cannot be decoded stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(nibble(*high) << 4 | nibble(*low));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_present() {
        let params = Params::parse("a=1&a=2&password=&c");
        assert_eq!(params.first("a"), Some("1"));
        assert_eq!(params.first("password"), Some(""));
        assert_eq!(params.given("password"), None);
        assert_eq!(params.all("a").count(), 2);
        assert_eq!(params.first("c"), Some(""));
    }

    #[test]
    fn values_are_decoded_and_stripped() {
        let params = Params::parse("name=+Caf%C3%A9%0A%20&odd=100%25%zz%2");
        assert_eq!(params.first("name"), Some("Café"));
        assert_eq!(params.first("odd"), Some("100%%zz%2"));
        assert!(Params::parse("a=%09true%00+").flag("a") && !Params::parse("a=true%C2%A0").flag("a"));
    }

    #[test]
    fn one_is_not_true() {
        let params = Params::parse("record=1&guest=TRUE");
        assert!(!params.flag("record"));
        assert!(params.flag("guest"));
    }
}
