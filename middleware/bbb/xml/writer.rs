//! Our own answers, in BBB's form: no declaration, everything escaped, CDATA only where clients may count on it.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// Whether a call succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnCode {
    /// It did.
    Success,
    /// It did not.
    Failed,
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        })
    }
}

/// Whether a text can be the name of an element. A colon would make a part of it the name of a namespace.
pub fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(starts_a_name) && letters.all(continues_a_name)
}

/// Writes an answer from the root down. Names must be such that [`is_name`] says so: they are written as they are.
#[derive(Debug)]
#[must_use = "an answer is complete once it is finished"]
pub struct Writer {
    out: Vec<u8>,
    open: Vec<String>,
}

impl Writer {
    /// Starts an answer with its return code.
    pub fn response(returncode: ReturnCode) -> Self {
        Self::element("response").field("returncode", &returncode.to_string())
    }

    /// Starts an element that is to stand in an answer.
    pub fn element(name: &str) -> Self {
        Self { out: Vec::new(), open: Vec::new() }.open(name)
    }

    /// Adds an element with text. Characters that XML 1.0 forbids are dropped.
    pub fn field(mut self, name: &str, text: &str) -> Self {
        self.tag("<", name);
        self = self.raw(escape(text).as_bytes());
        self.tag("</", name);
        self
    }

    /// Adds an element with text in CDATA. Characters that XML 1.0 forbids are dropped.
    pub fn cdata(mut self, name: &str, text: &str) -> Self {
        let text: String = text.chars().filter(|char| is_allowed(*char)).collect();
        self.tag("<", name);
        self = self.raw(b"<![CDATA[").raw(text.replace("]]>", "]]]]><![CDATA[>").as_bytes()).raw(b"]]>");
        self.tag("</", name);
        self
    }

    /// Adds an element with attributes and text. An attribute without a value is left out.
    pub fn field_with(mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> Self {
        self.out.extend_from_slice(format!("<{name}").as_bytes());
        for (attribute, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
            self.out.extend_from_slice(format!(" {attribute}=\"{}\"", escape(value)).as_bytes());
        }
        self = self.raw(b">").raw(escape(text).as_bytes());
        self.tag("</", name);
        self
    }

    /// Starts an element with children.
    pub fn open(mut self, name: &str) -> Self {
        self.tag("<", name);
        self.open.push(name.to_owned());
        self
    }

    /// Closes the element opened last. The root stays open until the answer is finished.
    pub fn close(mut self) -> Self {
        if self.open.len() > 1 {
            self.end();
        }
        self
    }

    /// Adds XML as it is, such as an element of a node's answer. It must be well-formed.
    pub fn raw(mut self, xml: &[u8]) -> Self {
        self.out.extend_from_slice(xml);
        self
    }

    /// Closes open elements and returns the answer.
    pub fn finish(mut self) -> Bytes {
        while !self.open.is_empty() {
            self.end();
        }
        self.out.into()
    }

    fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            self.tag("</", &name);
        }
    }

    fn tag(&mut self, start: &str, name: &str) {
        self.out.extend_from_slice(start.as_bytes());
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'>');
    }
}

/// Escapes text for the content of an element or an attribute and drops what XML 1.0 forbids.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().all(|char| entity(char).is_none() && is_allowed(char)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars().filter(|char| is_allowed(*char)) {
        match entity(char) {
            Some(entity) => escaped.push_str(entity),
            None => escaped.push(char),
        }
    }
    Cow::Owned(escaped)
}

fn entity(char: char) -> Option<&'static str> {
    match char {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        // A parser would turn it into a line feed.
        '\r' => Some("&#13;"),
        _ => None,
    }
}

/// The production `Char` of XML 1.0.
pub(super) fn is_allowed(char: char) -> bool {
    !matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// As in XML 1.0, fifth edition, section 2.3, but for the colon.
fn starts_a_name(letter: char) -> bool {
    matches!(letter, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn continues_a_name(letter: char) -> bool {
    let more = matches!(letter, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}');
    more || starts_a_name(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Outcome, elements, fields, outcome, rewrite};
    use super::*;

    #[test]
    fn an_answer_has_bbbs_form() {
        let answer = Writer::response(ReturnCode::Success)
            .open("meetings")
            .raw(b"<meeting>1</meeting>")
            .close()
            .field("messageKey", "")
            .field("message", "a < b & \"c\"\u{0}")
            .finish();
        let expected = "<response><returncode>SUCCESS</returncode><meetings><meeting>1</meeting></meetings>\
            <messageKey></messageKey><message>a &lt; b &amp; &quot;c&quot;</message></response>";
        assert_eq!(answer, expected);
    }

    #[test]
    fn attributes_are_escaped_and_empty_ones_left_out() {
        let image = [("width", "176"), ("height", ""), ("alt", "a \"b\" <c>")];
        let answer = Writer::element("images").field_with("image", &image, "x&y").finish();
        let expected = "<images><image width=\"176\" alt=\"a &quot;b&quot; &lt;c&gt;\">x&amp;y</image></images>";
        assert_eq!(answer, expected);
    }

    #[test]
    fn nothing_ends_cdata_early() {
        let answer = Writer::element("hook").cdata("url", "https://a.example/?a=1&b=]]>\u{0}").finish();
        assert_eq!(answer, "<hook><url><![CDATA[https://a.example/?a=1&b=]]]]><![CDATA[>]]></url></hook>");
        assert_eq!(fields(&answer, ["url"]).expect("well-formed"), [Some("https://a.example/?a=1&b=]]>".to_owned())]);
    }

    #[test]
    fn what_is_open_is_closed_at_the_end_and_the_root_not_before() {
        let answer = Writer::response(ReturnCode::Failed).close().close().open("a").open("b").finish();
        assert_eq!(answer, "<response><returncode>FAILED</returncode><a><b></b></a></response>");
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(escape("Grüße\n\t-"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(key in ".*", message in "\\PC*") {
            let answer = Writer::response(ReturnCode::Failed).field("messageKey", &key).field("message", &message).finish();
            let [read_key, read_message] = fields(&answer, ["messageKey", "message"]).expect("well-formed");
            let kept: String = key.chars().filter(|char| is_allowed(*char)).collect();
            prop_assert_eq!(read_key, Some(kept));
            prop_assert_eq!(read_message.as_deref(), Some(message.as_str()));
            let Outcome { returncode, .. } = outcome(&answer).expect("an answer");
            prop_assert_eq!(returncode, ReturnCode::Failed);
        }

        #[test]
        fn rewriting_to_the_same_changes_nothing(texts in prop::collection::vec("\\PC*", 0..5)) {
            let start = Writer::response(ReturnCode::Success).open("list");
            let answer = texts.iter().fold(start, |writer, text| writer.field("item", text)).finish();
            let marked = rewrite(&answer, |path, text| (path.last() == "item").then(|| format!("{text}!"))).expect("well-formed");
            let back = rewrite(&marked, |path, text| {
                (path.last() == "item").then(|| text.strip_suffix('!').unwrap_or(text).to_owned())
            });
            prop_assert_eq!(back.expect("well-formed"), answer.clone());
            prop_assert_eq!(elements(&answer, &["response", "list", "item"]).expect("well-formed").len(), texts.len());
        }
    }

    #[test]
    fn a_name_is_what_xml_takes_for_one() {
        for name in ["a", "_a", "bbb-x.y_1", "ü", "名前"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", ".a", "x y", "a:b", "a/b", "a>", "a=b", "a\u{a0}", "a\0", "×"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
