//! What of a frontend or a backend can be kept, whoever says it and in which body.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use b3scale_middleware::bbb::Algorithm;
use url::Url;

use super::{AdminState, StateBackend, StateFrontend};

/// What is said of a field that has nothing in it.
pub const REQUIRED: &str = "this field is required";

/// The largest limit: tools keep it in 32 bits with a sign.
const LARGEST_LIMIT: i64 = i32::MAX as i64;

/// How much a unit of load may count on a node. A factor near zero would draw every meeting there.
pub const LOAD_FACTORS: RangeInclusive<f64> = 0.01..=100.0;

/// The same where an agent says it, whose token may be in other hands.
pub const AGENTS_FACTORS: RangeInclusive<f64> = 0.1..=10.0;

/// The most characters of a key: with a longer one no meeting's id fits what nodes take.
const LONGEST_KEY: usize = 128;

/// The most characters of what another system calls a customer.
const LONGEST_ACCOUNT: usize = 80;

/// The most characters of the name of an agent.
const LONGEST_AGENT: usize = 64;

/// The most characters of the name of slides.
const LONGEST_FILENAME: usize = 255;

/// The most characters of a URL.
const LONGEST_URL: usize = 2048;

/// The most characters of a secret.
const LONGEST_SECRET: usize = 1024;

/// The fields that cannot be kept, as a [`StateFrontend`] names them, each with why. A key that is there already may stay.
pub fn frontend(entry: &StateFrontend, is_kept: bool) -> Vec<(String, String)> {
    let mut wrong = Wrong::default();
    wrong.text("key", Some(&entry.key), LONGEST_KEY);
    let is_clean = !entry.key.contains(|char: char| matches!(char, '/' | '\\' | '"') || char.is_control());
    wrong.unless(is_clean, "key", || {
        "should have no slash, backslash, quote or control character: it is a part of URLs and metrics".to_owned()
    });
    wrong.unless(is_kept || !is_clean || stands_in_urls(&entry.key), "key", || {
        "should stand in a URL as it is: letters, digits and any of -._~!$&'()*+,;=:@, and be none of `.`, `..` and `metrics`"
            .to_owned()
    });
    wrong.text("secret", Some(&entry.secret), LONGEST_SECRET);
    wrong.text("next_secret", entry.next_secret.as_deref(), LONGEST_SECRET);
    wrong.text("account_ref", some(&entry.account_ref), LONGEST_ACCOUNT);
    for (at, word) in entry.checksum_algorithms.iter().flatten().enumerate() {
        wrong.algorithm(&format!("checksum_algorithms[{at}]"), word);
    }
    let some = entry.checksum_algorithms.as_ref().is_none_or(|words| !words.is_empty());
    wrong.unless(some, "checksum_algorithms", || "should name at least one, or be null for all of them".to_owned());
    let limit = entry.settings.attendees_limit.map_or(0, |limit| limit.limit);
    wrong.unless((0..=LARGEST_LIMIT).contains(&limit), "settings.attendees_limit.limit", || {
        format!("should be from 0 to {LARGEST_LIMIT}")
    });
    let filename = entry.settings.default_presentation.as_ref().map_or("", |slides| &slides.filename);
    wrong.unless(filename.is_empty() || names_a_file(filename), "settings.default_presentation.filename", || {
        format!(
            "should be a file's name of at most {LONGEST_FILENAME} characters with its extension, such as Welcome.pdf"
        )
    });
    wrong.0
}

/// Whether nodes can tell by the name what is in the file.
fn names_a_file(name: &str) -> bool {
    let is_clean = !name.contains(|char: char| matches!(char, '/' | '\\') || char.is_control());
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    is_clean && !extension.trim().is_empty() && name.chars().count() <= LONGEST_FILENAME
}

/// The fields that cannot be kept, as a [`StateBackend`] names them, each with why.
pub fn backend(entry: &StateBackend) -> Vec<(String, String)> {
    let mut wrong = Wrong::default();
    wrong.text("host", Some(&entry.host), LONGEST_URL);
    let is_url = entry.host.starts_with("http://") || entry.host.starts_with("https://");
    wrong.unless(is_url || entry.host.is_empty(), "host", || "should start with http(s)://".to_owned());
    let has_user = without_user(&entry.host) != entry.host;
    wrong.unless(!has_user, "host", || {
        "should name no user and no password: they would be sent to every browser that joins".to_owned()
    });
    wrong.unless(!is_url || has_user || base_url(&entry.host).is_some(), "host", || {
        "should be a URL that calls can be appended to".to_owned()
    });
    wrong.text("secret", Some(&entry.secret), LONGEST_SECRET);
    some(&entry.checksum_algorithm).into_iter().for_each(|word| wrong.algorithm("checksum_algorithm", word));
    wrong.text("agent_ref", some(&entry.agent_ref), LONGEST_AGENT);
    wrong.unless(LOAD_FACTORS.contains(&entry.load_factor), "load_factor", || {
        format!("should be from {} to {}", LOAD_FACTORS.start(), LOAD_FACTORS.end())
    });
    wrong.unless(entry.admin_state != AdminState::Destroyed, "admin_state", || {
        "should be init, ready, stopped or decommissioned".to_owned()
    });
    wrong.0
}

/// The base URL of a node's API as it is kept, ending in a slash. None if it is no http(s) URL that calls can be appended to.
pub fn base_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    // Parsing would pass over white space and too many slashes, and calls would not.
    let is_clean =
        !text.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "?#".contains(letter));
    let has_host = !rest.starts_with('/') && Url::parse(text).is_ok();
    let has_user = without_user(text) != text;
    let slash = if text.ends_with('/') { "" } else { "/" };
    (is_clean && has_host && !has_user).then(|| format!("{text}{slash}"))
}

/// A URL without the user and the password that may stand before its host.
pub fn without_user(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
    authority.rfind('@').map_or(url.into(), |at| format!("{scheme}://{}", &rest[at + 1..]).into())
}

/// Whether a URL with that segment in its path reaches the frontend from every client. Clients take dots for folders, and
/// `metrics` names a frontend's page of metrics. Empty keys are refused elsewhere.
fn stands_in_urls(key: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(letter);
    key.chars().all(is_plain) && ![".", "..", "metrics"].contains(&key)
}

/// What other tools write empty where there is none.
fn some(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

#[derive(Default)]
struct Wrong(Vec<(String, String)>);

impl Wrong {
    fn unless(&mut self, holds: bool, place: &str, why: impl FnOnce() -> String) {
        if !holds {
            self.0.push((place.to_owned(), why()));
        }
    }

    fn algorithm(&mut self, place: &str, word: &str) {
        self.unless(word.parse::<Algorithm>().is_ok(), place, || {
            format!("`{word}` is none of sha1, sha256, sha384, sha512")
        });
    }

    /// What is there has something in it, and not too much.
    fn text(&mut self, place: &str, text: Option<&str>, longest: usize) {
        let Some(text) = text else { return };
        self.unless(!text.trim().is_empty(), place, || REQUIRED.to_owned());
        self.unless(text.chars().count() <= longest, place, || format!("should have at most {longest} characters"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_a_url_as_it_is() {
        for key in ["school", "a.b", "...", ".a", "a-b_c~d", "metrics2", "a:b@c", "Metrics"] {
            assert!(stands_in_urls(key), "{key}");
        }
        for key in [".", "..", "metrics", "a?b", "a b", "a#b", "a%62", "ü", "a/b", "[a]", "a|b", "a\u{a0}"] {
            assert!(!stands_in_urls(key), "{key}");
        }
    }

    #[test]
    fn slides_are_named_with_their_extension() {
        assert!(names_a_file("Über uns.pdf") && names_a_file("v1.2.pptx"));
        for name in ["slides", "slides.", "a/b.pdf", "a\\b.pdf", "a\n.pdf", &format!("{}.pdf", "x".repeat(252))] {
            assert!(!names_a_file(name), "{name}");
        }
    }

    #[test]
    fn a_base_url_ends_in_a_slash() {
        let url = "https://node.example/bigbluebutton/api";
        let kept = format!("{url}/");
        assert_eq!((base_url(url), base_url(&kept)), (Some(kept.clone()), Some(kept.clone())));
    }

    #[test]
    fn a_user_and_a_password_are_cut_out_of_a_url() {
        for (url, shown) in [
            ("https://u:p@node/api/", "https://node/api/"),
            ("https://u@p@node:8443/", "https://node:8443/"),
            ("http://@node", "http://node"),
            ("https://node/a@b/", "https://node/a@b/"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }

    #[test]
    fn what_calls_cannot_be_appended_to_is_no_base_url() {
        for text in [
            "",
            "node",
            "ftp://node/",
            "https://",
            "https:///api",
            " https://node/",
            "http://no de/",
            "http://n/?a",
            "http://u:p@n/",
        ] {
            assert_eq!(base_url(text), None, "{text}");
        }
    }
}
