//! Cutting quoted text: a message quotes the faulty text, and stays short.

use std::borrow::Cow;

/// The most characters of a name or a value that a message quotes.
const LONGEST_QUOTE: usize = 100;

/// A foreign name or value, as a message may quote it: on one line, and short enough to be read.
pub fn cut(text: &str) -> Cow<'_, str> {
    cut_at(text, LONGEST_QUOTE)
}

/// The same with at most so many characters, and `…` in place of the rest.
pub fn cut_at(text: &str, most: usize) -> Cow<'_, str> {
    let end = text.char_indices().nth(most).map(|(end, _)| end);
    let kept = &text[..end.unwrap_or(text.len())];
    if end.is_none() && !kept.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = kept.replace(char::is_control, " ");
    line.extend(end.map(|_| '…'));
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_stays_on_its_line_and_says_that_it_was_cut() {
        assert_eq!(cut("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(cut_at("äöü", 3), "äöü");
        assert_eq!(cut_at("äöü", 2), "äö…");
        assert_eq!(cut(&"ä".repeat(1 << 20)).chars().count(), LONGEST_QUOTE + 1);
    }
}
