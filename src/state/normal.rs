//! Every value in the one way in which it is compared and kept: nothing that says nothing, no word twice, words in order.

use b3scale_middleware::bbb::Algorithms;
use b3scale_middleware::cluster::Tags;
use serde_json::Value;

use crate::rest::check::base_url;
use crate::rest::{FrontendSettings, Params, StateBackend, StateFrontend};

pub(super) fn frontend(entry: &StateFrontend) -> StateFrontend {
    StateFrontend {
        key: entry.key.trim().to_owned(),
        secret: entry.secret.trim().to_owned(),
        next_secret: filled(entry.next_secret.as_deref()),
        checksum_algorithms: entry.checksum_algorithms.as_deref().and_then(algorithms),
        account_ref: filled(entry.account_ref.as_deref()),
        settings: settings(&entry.settings),
        ..entry.clone()
    }
}

pub(super) fn backend(entry: &StateBackend) -> StateBackend {
    StateBackend {
        host: host(&entry.host),
        secret: entry.secret.trim().to_owned(),
        checksum_algorithm: filled(entry.checksum_algorithm.as_deref()),
        tags: words(&entry.tags),
        agent_ref: filled(entry.agent_ref.as_deref()),
        ..entry.clone()
    }
}

/// A backend's URL as it is stored. An unusable one stays as it is, and is refused elsewhere.
pub(super) fn host(text: &str) -> String {
    base_url(text).unwrap_or_else(|| text.to_owned())
}

/// Settings as they are stored, where `null` and a missing key are the same. Keys that we do not know are not looked at.
///
/// # Errors
/// The name of an unreadable one. Its value may be a password.
pub(super) fn stored_settings(stored: Value) -> Result<FrontendSettings, String> {
    FrontendSettings::from_stored(stored).map(|read| settings(&read))
}

fn settings(given: &FrontendSettings) -> FrontendSettings {
    let FrontendSettings { required_tags, default_presentation, attendees_limit, recordings, allowed_tags, .. } = given;
    FrontendSettings {
        required_tags: required_tags.as_deref().map(words).filter(|tags| !tags.is_empty()),
        default_presentation: default_presentation.clone().filter(|slides| *slides != Default::default()),
        attendees_limit: attendees_limit.filter(|limit| limit.limit > 0),
        create_default_params: params(&given.create_default_params),
        create_override_params: params(&given.create_override_params),
        join_default_params: params(&given.join_default_params),
        join_override_params: params(&given.join_override_params),
        recordings: recordings.clone().filter(|recordings| *recordings != Default::default()),
        // None at all differs from any.
        allowed_tags: allowed_tags.as_deref().map(words),
    }
}

fn filled(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn words(tags: &[String]) -> Vec<String> {
    tags.iter().collect::<Tags>().iter().map(str::to_owned).collect()
}

fn params(params: &Params) -> Params {
    params.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The list of all algorithms is stored as none, so that later ones are allowed, too.
pub(crate) fn algorithms(words: &[String]) -> Option<Vec<String>> {
    let named: Algorithms = words.iter().filter_map(|word| word.parse().ok()).collect();
    (named != Algorithms::default()).then(|| named.iter().map(|one| one.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_nothing_is_nothing() {
        let said = json!({"required_tags": [" ", "b", "a", "b"], "default_presentation": {"url": "", "force": null},
            "attendees_limit": {"limit": 0}, "create_default_params": null, "join_default_params": {"a": "", "b": "1"},
            "recordings": {"visibility_override": null}, "allowed_tags": [], "unknown": {"x": 1}});
        let settings = stored_settings(said).expect("it can be read");
        let expected = FrontendSettings {
            required_tags: Some(vec!["a".to_owned(), "b".to_owned()]),
            join_default_params: Params::from([("b".to_owned(), "1".to_owned())]),
            allowed_tags: Some(Vec::new()),
            ..FrontendSettings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn every_algorithm_is_the_same_as_none() {
        let names = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(algorithms(&names(&["sha512", "sha1", "sha256", "sha384"])), None);
        assert_eq!(algorithms(&names(&["sha512", "sha1", "sha1"])), Some(names(&["sha1", "sha512"])));
    }
}
