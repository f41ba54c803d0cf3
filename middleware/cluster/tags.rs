//! Tags: words on a backend that a frontend may ask for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A set of tags. Empty words and surrounding white space are dropped as it is made, since an empty tag asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>")]
pub struct Tags(BTreeSet<String>);

impl Tags {
    /// Whether every one of `required` is among these.
    pub fn cover(&self, required: &Tags) -> bool {
        required.0.is_subset(&self.0)
    }

    /// Whether there is no tag at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Tags {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().trim().to_owned());
        Self(words.filter(|word| !word.is_empty()).collect())
    }
}

impl From<Option<Vec<String>>> for Tags {
    fn from(words: Option<Vec<String>>) -> Self {
        words.unwrap_or_default().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(words: &[&str]) -> Tags {
        words.iter().collect()
    }

    #[test]
    fn a_set_covers_what_it_holds() {
        assert!(tags(&["eu", "gpu"]).cover(&tags(&["eu"])));
        assert!(!tags(&["eu"]).cover(&tags(&["eu", "gpu"])));
    }

    #[test]
    fn an_empty_tag_asks_for_nothing() {
        assert!(tags(&[]).cover(&tags(&["", "  "])));
    }

    #[test]
    fn null_is_no_tags() {
        let read: Tags = serde_json::from_str("null").expect("null is accepted");
        assert!(read.is_empty());
    }
}
