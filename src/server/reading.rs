//! In which form a client reads an error, by its header `Accept`.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

/// What a client says that it reads. It is looked at only if the call fails.
pub(super) struct Reading(Option<HeaderValue>);

impl Reading {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(ACCEPT).cloned())
    }

    /// Whether it is a browser that shows the answer to somebody. Browsers name HTML first when they navigate.
    pub(super) fn prefers_html(&self) -> bool {
        self.weight("text/html") > self.weight("application/json").max(self.weight_of_xml())
    }

    /// Whether it wants JSON, which a node writes for those that name it.
    pub(super) fn prefers_json(&self) -> bool {
        self.weight("application/json") > self.weight_of_xml()
    }

    fn weight_of_xml(&self) -> f32 {
        self.weight("application/xml").max(self.weight("text/xml"))
    }

    /// How much it wants what it names so. A wildcard names nothing.
    fn weight(&self, wanted: &str) -> f32 {
        let accept = self.0.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let ranges = accept.split(',').map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            (name, weight)
        });
        ranges
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .fold(0.0, |most: f32, (_, weight)| most.max(weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(accept: &'static str) -> Reading {
        Reading(Some(HeaderValue::from_static(accept)))
    }

    #[test]
    fn a_browser_prefers_html_and_a_library_does_not() {
        assert!(reading("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").prefers_html());
        for accept in ["*/*", "application/xml, text/html;q=0.5", "application/json, text/html;q=0.5", ""] {
            assert!(!reading(accept).prefers_html(), "{accept}");
        }
        assert!(!Reading(None).prefers_html());
    }

    #[test]
    fn only_a_client_that_names_json_prefers_it() {
        assert!(reading("application/json").prefers_json() && reading("application/json, */*").prefers_json());
        for accept in ["*/*", "application/xml", "application/json;q=0.5, text/xml", "application/*", ""] {
            assert!(!reading(accept).prefers_json(), "{accept}");
        }
    }
}
