//! The values of frontends and backends that can be kept.

use std::ops::RangeInclusive;

use b3scale_middleware::bbb::Algorithm;
use b3scale_middleware::cluster::{FrontendSettings, RecordingSettings, WebhookSettings};
use url::Url;

use crate::net::url::{base_url, without_user};

/// The problem of an empty field.
pub const REQUIRED: &str = "this field is required";

/// The largest limit: tools keep it in 32 bits with a sign.
const LARGEST_LIMIT: i64 = i32::MAX as i64;

/// How much a unit of load may count on a node. A factor near zero would draw every meeting there.
pub const LOAD_FACTORS: RangeInclusive<f64> = 0.01..=100.0;

/// The same for an agent. Its token may be stolen.
pub const AGENTS_FACTORS: RangeInclusive<f64> = 0.1..=10.0;

/// The most characters of a key: with a longer one no meeting's id fits what nodes take.
const LONGEST_KEY: usize = 128;

/// The most characters of the name of slides.
const LONGEST_FILENAME: usize = 255;

/// The most characters of a URL.
const LONGEST_URL: usize = 2048;

/// The most days for which recordings are kept: a hundred years.
const LONGEST_KEPT: i64 = 36_500;

/// The most bytes in a setting: tools keep numbers in JavaScript.
const LARGEST_SIZE: i64 = (1 << 53) - 1;

/// The most hooks that a frontend may be let create, and that its settings may name.
const MOST_HOOKS: i64 = 1000;
const MOST_PERMANENT: usize = 100;

/// The most events that a hook may name, and the most bytes of the name of one.
const MOST_EVENTS: usize = 100;
const LONGEST_EVENT: usize = 64;

/// The most characters of the name of this service.
const LONGEST_DOMAIN: usize = 255;

/// The longest URL of a hook, in bytes.
const LONGEST_HOOK: usize = 8192;

/// The most characters of a secret.
const LONGEST_SECRET: usize = 1024;

/// The fields that cannot be kept, each with why.
#[derive(Default)]
pub(super) struct Wrong(pub(super) Vec<(String, String)>);

impl Wrong {
    pub(super) fn unless(&mut self, holds: bool, place: &str, why: impl FnOnce() -> String) {
        if !holds {
            self.0.push((place.to_owned(), why()));
        }
    }

    /// A text that is there has something in it, and not too much.
    pub(super) fn text(&mut self, place: &str, text: Option<&str>, longest: usize) {
        let Some(text) = text else { return };
        self.unless(!text.trim().is_empty(), place, || REQUIRED.to_owned());
        self.unless(text.chars().count() <= longest, place, || format!("should have at most {longest} characters"));
    }

    pub(super) fn secret(&mut self, place: &str, secret: Option<&str>) {
        self.text(place, secret, LONGEST_SECRET);
    }

    /// The key of a frontend. An existing one may stay.
    pub(super) fn key(&mut self, place: &str, key: &str, is_kept: bool) {
        self.text(place, Some(key), LONGEST_KEY);
        let is_clean = !key.contains(|char: char| matches!(char, '/' | '\\' | '"') || char.is_control());
        self.unless(is_clean, place, || {
            "should have no slash, backslash, quote or control character: it is a part of URLs and metrics".to_owned()
        });
        self.unless(is_kept || !is_clean || stands_in_urls(key), place, || {
            "should stand in a URL as it is: letters, digits and any of -._~!$&'()*+,;=:@, and be none of `.`, `..` and `metrics`"
                .to_owned()
        });
    }

    /// The base URL of a node.
    pub(super) fn host(&mut self, place: &str, host: &str) {
        self.text(place, Some(host), LONGEST_URL);
        let is_url = host.starts_with("http://") || host.starts_with("https://");
        self.unless(is_url || host.is_empty(), place, || "should start with http(s)://".to_owned());
        let has_user = without_user(host) != host;
        self.unless(!has_user, place, || {
            "should name no user and no password: they would be sent to every browser that joins".to_owned()
        });
        self.unless(!is_url || has_user || base_url(host).is_some(), place, || {
            "should be a URL that calls can be appended to".to_owned()
        });
    }

    pub(super) fn algorithms(&mut self, place: &str, words: Option<&[String]>) {
        let Some(words) = words else { return };
        for (at, word) in words.iter().enumerate() {
            self.algorithm(&format!("{place}[{at}]"), word);
        }
        self.unless(!words.is_empty(), place, || "should name at least one, or be null for all of them".to_owned());
    }

    pub(super) fn algorithm(&mut self, place: &str, word: &str) {
        self.unless(word.parse::<Algorithm>().is_ok(), place, || {
            format!("`{word}` is none of sha1, sha256, sha384, sha512")
        });
    }

    fn webhooks(&mut self, place: &str, webhooks: &WebhookSettings) {
        let WebhookSettings { most, raw, domain, permanent, .. } = webhooks;
        self.unless(most.is_none_or(|most| (0..=MOST_HOOKS).contains(&most)), &format!("{place}.most"), || {
            format!("should be from 0 to {MOST_HOOKS}, or null")
        });
        self.text(&format!("{place}.domain"), domain.as_deref(), LONGEST_DOMAIN);
        self.unless(permanent.len() <= MOST_PERMANENT, &format!("{place}.permanent"), || {
            format!("should name at most {MOST_PERMANENT}")
        });
        for (at, hook) in permanent.iter().enumerate().take(MOST_PERMANENT) {
            let place = format!("{place}.permanent[{at}]");
            self.unless(is_postable(&hook.url), &format!("{place}.url"), || {
                format!("should be an http(s) URL of at most {LONGEST_HOOK} bytes, without a user")
            });
            let fits = hook.events.len() <= MOST_EVENTS && hook.events.iter().all(|event| event.len() <= LONGEST_EVENT);
            self.unless(fits, &format!("{place}.events"), || {
                format!("should name at most {MOST_EVENTS} events, each of at most {LONGEST_EVENT} bytes")
            });
            self.unless(*raw || !hook.raw, &format!("{place}.raw"), || {
                "should be false unless `webhooks.raw` is true".to_owned()
            });
        }
    }

    pub(super) fn settings(&mut self, place: &str, settings: &FrontendSettings) {
        let RecordingSettings { keep_days, keep_bytes, trash_days, .. } =
            settings.recordings.clone().unwrap_or_default();
        for (name, value, bounds) in [
            ("keep_days", keep_days, 1..=LONGEST_KEPT),
            ("keep_bytes", keep_bytes, 1..=LARGEST_SIZE),
            ("trash_days", trash_days, 0..=LONGEST_KEPT),
        ] {
            self.unless(
                value.is_none_or(|value| bounds.contains(&value)),
                &format!("{place}.recordings.{name}"),
                || format!("should be from {} to {}, or null", bounds.start(), bounds.end()),
            );
        }
        let limit = settings.attendees_limit.map_or(0, |limit| limit.limit);
        self.unless((0..=LARGEST_LIMIT).contains(&limit), &format!("{place}.attendees_limit.limit"), || {
            format!("should be from 0 to {LARGEST_LIMIT}")
        });
        self.webhooks(&format!("{place}.webhooks"), settings.webhooks());
        let filename = settings.default_presentation.as_ref().map_or("", |slides| &slides.filename);
        self.unless(filename.is_empty() || names_a_file(filename), &format!("{place}.default_presentation.filename"), || {
            format!(
                "should be a file's name of at most {LONGEST_FILENAME} characters with its extension, such as Welcome.pdf"
            )
        });
    }
}

/// Whether events can be posted to a URL.
fn is_postable(url: &str) -> bool {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_plain = |url: &Url| url.username().is_empty() && url.password().is_none();
    url.len() <= LONGEST_HOOK && Url::parse(url).is_ok_and(|url| is_web(&url) && is_plain(&url))
}

/// A text that says something. Other tools write an empty one where there is none.
pub(super) fn said(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// Whether nodes know the file's type by its name.
fn names_a_file(name: &str) -> bool {
    let is_clean = !name.contains(|char: char| matches!(char, '/' | '\\') || char.is_control());
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    is_clean && !extension.trim().is_empty() && name.chars().count() <= LONGEST_FILENAME
}

/// Whether a URL with that segment in its path reaches the frontend from every client. Clients take dots for folders, and
/// `metrics` names a frontend's page of metrics. Empty keys are refused elsewhere.
fn stands_in_urls(key: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(letter);
    key.chars().all(is_plain) && ![".", "..", "metrics"].contains(&key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn what_cannot_be_kept_of_webhooks_is_named() {
        let problems = |webhooks: serde_json::Value| -> Vec<String> {
            let settings: FrontendSettings = serde_json::from_value(json!({ "webhooks": webhooks })).unwrap();
            let mut wrong = Wrong::default();
            wrong.settings("settings", &settings);
            wrong.0.into_iter().map(|(place, _)| place.replace("settings.webhooks.", "")).collect()
        };
        let hook = json!({"url": "https://cb.example/hook?token=1", "events": ["meeting-ended"], "raw": true});
        let good =
            json!({"most": 1000, "raw": true, "algorithm": "sha512", "domain": "bbb.example", "permanent": [hook]});
        assert_eq!(problems(good), [""; 0]);
        assert_eq!(problems(json!({"most": 1001, "domain": " "})), ["most", "domain"]);
        assert_eq!(problems(json!({"permanent": [hook]})), ["permanent[0].raw"]);
        assert_eq!(problems(json!({"permanent": vec![json!({"url": "https://a.example"}); 101]})), ["permanent"]);
        for url in [
            "",
            "cb.example",
            "ftp://cb.example",
            "https://user@cb.example",
            &format!("https://a/{}", "x".repeat(9000)),
        ] {
            assert_eq!(problems(json!({"permanent": [{"url": url}]})), ["permanent[0].url"], "{url}");
        }
        assert_eq!(
            problems(json!({"permanent": [{"url": "https://a", "events": ["x".repeat(65)]}]})),
            ["permanent[0].events"]
        );
    }

    #[test]
    fn slides_are_named_with_their_extension() {
        assert!(names_a_file("Über uns.pdf") && names_a_file("v1.2.pptx"));
        for name in ["slides", "slides.", "a/b.pdf", "a\\b.pdf", "a\n.pdf", &format!("{}.pdf", "x".repeat(252))] {
            assert!(!names_a_file(name), "{name}");
        }
    }
}
