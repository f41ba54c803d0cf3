//! Tags: words on a backend that a frontend may ask for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Tags as an operator wrote them. Empty words and white space around a word do not count: an empty tag asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>")]
pub struct Tags(Vec<String>);

impl Tags {
    /// No tag at all.
    pub const NONE: Self = Self(Vec::new());

    /// The first of `required`, in alphabetical order, that is not among these.
    pub fn missing<'r>(&self, required: &'r Tags) -> Option<&'r str> {
        required.iter().filter(|tag| !self.contains(tag)).min()
    }

    /// Whether that tag is among these.
    pub fn contains(&self, tag: &str) -> bool {
        self.iter().any(|there| there == tag)
    }

    /// Whether there is no tag at all.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The tags in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|word| word.trim()).filter(|word| !word.is_empty())
    }

    /// The words as they were written.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// The same tags, each once and in alphabetical order.
    #[must_use]
    pub fn normal(&self) -> Self {
        self.iter().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Tags {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        Self(words.into_iter().map(|word| word.as_ref().to_owned()).collect())
    }
}

impl From<Option<Vec<String>>> for Tags {
    fn from(words: Option<Vec<String>>) -> Self {
        Self(words.unwrap_or_default())
    }
}

/// A frontend's choice for one meeting, by scalelite's `meta_server-tag`: `a;b;none!`.
///
/// Any of the tags will do. `none` stands for a backend without a tag, and `!` at the end says that it must be one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChoice {
    /// The frontend's own words, including forbidden ones.
    said: String,
    tags: Tags,
    untagged: bool,
    /// Whether the create fails if none of the choices is available.
    pub required: bool,
}

impl TagChoice {
    /// Reads a choice, as far as it is among the tags that are `allowed`. `None`: nothing was chosen.
    pub fn read(text: &str, allowed: Option<&Tags>) -> Option<Self> {
        let text = text.trim();
        let (words, required) = text.strip_suffix('!').map_or((text, false), |words| (words, true));
        let words = words.split(';').collect::<Tags>().normal();
        if words.is_empty() {
            return None;
        }
        let untagged = words.contains(UNTAGGED);
        let may = |tag: &&str| *tag != UNTAGGED && allowed.is_none_or(|allowed| allowed.contains(tag));
        let said = words.iter().collect::<Vec<_>>().join(";");
        Some(Self { said, tags: words.iter().filter(may).collect(), untagged, required })
    }

    /// Whether a backend is one of the choices. Tags that the frontend is bound to anyway do not make it a tagged one.
    pub fn accepts(&self, tags: &Tags, bound: &Tags) -> bool {
        self.tags.iter().any(|tag| tags.contains(tag)) || (self.untagged && tags.iter().all(|tag| bound.contains(tag)))
    }

    /// The frontend's own words, including forbidden ones.
    pub fn words(&self) -> &str {
        &self.said
    }
}

/// The word for a backend without a tag.
const UNTAGGED: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(words: &[&str]) -> Tags {
        words.iter().collect()
    }

    #[test]
    fn what_a_set_does_not_hold_is_missing() {
        assert_eq!(tags(&["eu", "gpu"]).missing(&tags(&["eu"])), None);
        assert_eq!(tags(&["eu"]).missing(&tags(&["eu", "gpu"])), Some("gpu"));
    }

    #[test]
    fn an_empty_tag_asks_for_nothing() {
        assert_eq!(tags(&[]).missing(&tags(&["", "  "])), None);
    }

    #[test]
    fn null_is_no_tags() {
        let read: Tags = serde_json::from_str("null").expect("null is accepted");
        assert!(read.is_empty());
    }

    #[test]
    fn any_of_the_chosen_tags_will_do() {
        let choice = TagChoice::read("gpu; fast", None).expect("something is chosen");
        assert!(choice.accepts(&tags(&["fast", "eu"]), &tags(&[])) && !choice.accepts(&tags(&["eu"]), &tags(&[])));
        assert!(!choice.required);
    }

    #[test]
    fn a_choice_may_be_a_backend_without_a_tag() {
        let choice = TagChoice::read("gpu;none!", None).expect("something is chosen");
        assert!(
            choice.required && choice.accepts(&tags(&[]), &tags(&[])) && !choice.accepts(&tags(&["eu"]), &tags(&[]))
        );
        assert!(choice.accepts(&tags(&["eu"]), &tags(&["eu"])), "the frontend is bound to that one anyway");
        assert_eq!(choice.words(), "gpu;none");
    }

    #[test]
    fn only_tags_that_are_allowed_are_chosen() {
        let choice = TagChoice::read("gpu;vip!", Some(&tags(&["gpu"]))).expect("something is chosen");
        assert!(!choice.accepts(&tags(&["vip"]), &tags(&[])) && choice.accepts(&tags(&["gpu"]), &tags(&[])));
        let nothing = TagChoice::read("vip!", Some(&tags(&[]))).expect("something is chosen");
        assert!(!nothing.accepts(&tags(&["vip"]), &tags(&[])) && nothing.required);
    }

    #[test]
    fn no_words_are_no_choice() {
        for text in ["", " ", "!", ";!"] {
            assert_eq!(TagChoice::read(text, None), None, "{text}");
        }
    }
}
