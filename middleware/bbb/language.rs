//! Languages of text tracks.

use std::fmt;

use icu_locale_core::LanguageIdentifier;

/// The languages of ISO 639-1 with their English names.
const NAMES: &str = include_str!("language/names.txt");

/// The longest tag, in bytes. RFC 5646 asks readers for room for as many.
const LONGEST: usize = 35;

/// A language in BCP 47's spelling, such as `en-US`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageTag(LanguageIdentifier);

impl LanguageTag {
    /// Reads a tag in any case. The underscore of Java's locales will do for the dash.
    pub fn new(text: &str) -> Option<Self> {
        let tag = Some(text).filter(|text| text.len() <= LONGEST)?.replace('_', "-");
        LanguageIdentifier::try_from_str(&tag).ok().filter(|tag| !tag.language.is_unknown()).map(Self)
    }

    /// The English name of the language. `None`: it is not in ISO 639-1.
    pub fn name(&self) -> Option<&'static str> {
        let mut lines = NAMES.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(code, _)| *code == self.0.language.as_str()).map(|(_, name)| name)
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_one_spelling() {
        let tags = [("en", "en"), ("EN_us", "en-US"), ("zh-hANT-tw", "zh-Hant-TW"), ("de-CH-1996", "de-CH-1996")];
        for (text, spelt) in tags {
            assert_eq!(LanguageTag::new(text).map(|tag| tag.to_string()).as_deref(), Some(spelt), "{text}");
        }
        for text in ["", "-", "e", "english-words", "en--US", "en-", "../x", "en US", "und", "1", "en-US-US", "ä"] {
            assert_eq!(LanguageTag::new(text), None, "{text}");
        }
        assert_eq!(LanguageTag::new(&format!("en{}", "-abcdefgh".repeat(100))), None);
    }

    #[test]
    fn a_language_has_an_english_name() {
        let name = |text| LanguageTag::new(text).expect("it is a tag").name();
        assert_eq!((name("pt-BR"), name("EN"), name("gsw")), (Some("Portuguese"), Some("English"), None));
        assert!(NAMES.lines().all(|line| line.split_once(' ').is_some_and(|(code, _)| name(code).is_some())));
    }
}
