//! Property files of Java, as far as BBB's use them, with references to other properties.

use std::collections::HashMap;

/// How deep references may lead from one property to the next.
const DEEPEST: usize = 16;

/// Keys and values. Of several values of one key the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Properties(HashMap<String, String>);

impl Properties {
    /// Reads a text. There is none that cannot be read.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let mut found = HashMap::new();
        while let Some(line) = lines.next() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let mut whole = line.to_owned();
            while ends_open(&whole) {
                whole.pop();
                let Some(next) = lines.next() else { break };
                whole.push_str(next.trim_start());
            }
            let (key, value) = halves(&whole);
            found.insert(unescaped(key), unescaped(value));
        }
        Self(found)
    }

    /// Puts others over these.
    pub(super) fn overridden_by(mut self, others: Properties) -> Self {
        self.0.extend(others.0);
        self
    }

    /// A value, with every `${key}` in it replaced by the value of that key. Empty values are none.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        let value = self.resolved(self.0.get(key)?, DEEPEST);
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A reference to a missing key, or in a circle, stays as it is written.
    fn resolved(&self, text: &str, depth: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                rest = &rest[before.len()..];
                break;
            };
            match self.0.get(name.trim()).filter(|_| depth > 0) {
                Some(value) => out.push_str(&self.resolved(value, depth - 1)),
                None => out.extend(["${", name, "}"]),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Whether a line goes on in the next: it ends in a backslash that is not escaped itself.
fn ends_open(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value, both still escaped. The first `=`, `:` or white space that is not escaped stands between them.
fn halves(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter: char| {
        let ends = !escaped && (matches!(letter, '=' | ':') || letter.is_ascii_whitespace());
        escaped = !escaped && letter == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start())
}

fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    let plain = |letter: char, units: &mut Vec<u16>| units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain(letter, &mut units);
            continue;
        }
        match letters.next() {
            Some('t') => plain('\t', &mut units),
            Some('n') => plain('\n', &mut units),
            Some('r') => plain('\r', &mut units),
            Some('f') => plain('\u{c}', &mut units),
            // Java writes a character beyond 16 bits as two of these.
            Some('u') => match letters.as_str().get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                Some(unit) => {
                    units.push(unit);
                    letters.nth(3);
                }
                None => plain('u', &mut units),
            },
            Some(other) => plain(other, &mut units),
            None => {}
        }
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::*;

    fn value(text: &str, key: &str) -> Option<String> {
        Properties::parse(text).value(key)
    }

    #[test]
    fn lines_are_read_as_java_reads_them() {
        let text = "# a=1\n  ! a=2\n\na = b = c  \nb:d\nc e\nd\\ e\\=f=g\nlong = one, \\\n   two\\\\\nlast\\\n";
        let expected = [("a", "b = c"), ("b", "d"), ("c", "e"), ("d e=f", "g"), ("long", "one, two\\")];
        for (key, expected) in expected {
            assert_eq!(value(text, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(value(text, "last"), None);
        assert_eq!(value(text, "# a"), None);
    }

    #[test]
    fn escapes_are_read() {
        let text = r"k = \u00fc\uD83D\uDE00 \t| \q \u12 \uzzzz";
        assert_eq!(value(text, "k").as_deref(), Some("ü😀 \t| q u12 uzzzz"));
    }

    #[test]
    fn references_are_followed_but_not_in_circles() {
        let text = "host=h\nurl=https://${host}/${ host }\nall=${url}/${none}/${open\na=${b}\nb=${a}";
        assert_eq!(value(text, "all").as_deref(), Some("https://h/h/${none}/${open"));
        assert!(value(text, "a").is_some_and(|value| value.starts_with("${")));
    }

    #[test]
    fn the_last_value_counts_also_when_it_is_empty() {
        let admin = Properties::parse("a=3\nb=");
        let both = Properties::parse("a=1\na=2\nb=2\nc=2").overridden_by(admin);
        assert_eq!(["a", "b", "c"].map(|key| both.value(key)), [Some("3".to_owned()), None, Some("2".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in r"([ab=:\\u0$\{\}# \n\PC]){0,60}") {
            let properties = Properties::parse(&text);
            properties.0.keys().for_each(|key| drop(properties.value(key)));
        }
    }
}
