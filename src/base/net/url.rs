//! URLs of nodes.

use std::borrow::Cow;

use url::Url;

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

#[cfg(test)]
mod tests {
    use super::*;

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
