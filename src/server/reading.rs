//! In which form a client reads an error, by its header `Accept`.

use http::header::{ACCEPT, HeaderMap, HeaderValue};

/// The client's `Accept` header, in one line or several. It is read only if the call fails.
pub(super) struct Reading(Vec<HeaderValue>);

impl Reading {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(ACCEPT).iter().cloned().collect())
    }

    /// Whether it is a browser, which shows the answer to a person. Browsers name HTML, though old ones want XML more. Libraries of
    /// BBB's API name no HTML.
    pub(super) fn reads_html(&self) -> bool {
        self.weight("text/html") > 0.0
    }

    /// Whether it wants JSON, which a node writes for clients that name it.
    pub(super) fn prefers_json(&self) -> bool {
        self.weight("application/json") > self.weight_of_xml()
    }

    fn weight_of_xml(&self) -> f32 {
        self.weight("application/xml").max(self.weight("text/xml"))
    }

    /// Its preference for a media type. A wildcard does not count.
    fn weight(&self, wanted: &str) -> f32 {
        let lines = self.0.iter().filter_map(|line| line.to_str().ok());
        let ranges = lines.flat_map(|line| line.split(',')).map(|range| {
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
        Reading(vec![HeaderValue::from_static(accept)])
    }

    #[test]
    fn a_browser_reads_html_and_a_library_does_not() {
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5",
            "application/json, Text/HTML; q=0.5",
        ] {
            assert!(reading(accept).reads_html(), "{accept}");
        }
        for accept in ["*/*", "application/xml", "application/xml, text/html;q=0", "application/json", "text/*", ""] {
            assert!(!reading(accept).reads_html(), "{accept}");
        }
        assert!(!Reading(Vec::new()).reads_html());
    }

    #[test]
    fn what_a_client_reads_may_stand_in_several_lines() {
        let mut headers = HeaderMap::new();
        for line in ["application/xml", "text/html;q=0.9", "application/json;q=0.5"] {
            headers.append(ACCEPT, HeaderValue::from_static(line));
        }
        assert!(Reading::of(&headers).reads_html() && !Reading::of(&headers).prefers_json());
    }

    #[test]
    fn only_a_client_that_names_json_prefers_it() {
        assert!(reading("application/json").prefers_json() && reading("application/json, */*").prefers_json());
        for accept in ["*/*", "application/xml", "application/json;q=0.5, text/xml", "application/*", ""] {
            assert!(!reading(accept).prefers_json(), "{accept}");
        }
    }
}
