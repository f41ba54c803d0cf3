//! Addresses: the URLs of tenants, as they are called.

use http::Uri;
use http::uri::Scheme;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

/// The longest URL that a tenant may name, in bytes. Some are called with a query behind it.
const LONGEST_URL: usize = 8192;

/// Characters without a place in a request. All others stay as they are, since tenants sign and hash their URLs.
const UNFIT: &AsciiSet = &CONTROLS.add(b' ').add(b'<').add(b'>').add(b'`');

/// Whether a tenant may name a URL: it can be called, and is not too long.
pub(super) fn is_usable(url: &str) -> bool {
    url.len() <= LONGEST_URL && address(url).is_some()
}

/// The host of a URL, for logs and operators.
pub fn host(url: &str) -> Option<String> {
    Some(address(url)?.host()?.to_owned())
}

/// A URL as it is called: without its fragment, and as it was given but for characters that have no place in a request.
pub(super) fn address(url: &str) -> Option<Uri> {
    let uri: Uri = utf8_percent_encode(&with_plain_host(url)?, UNFIT).to_string().parse().ok()?;
    let is_web = uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
    // Neither a user stands before the host, nor anything but a port behind it.
    let (authority, host) = (uri.authority()?, uri.host().filter(|host| !host.is_empty())?);
    let behind = authority.as_str().strip_prefix(host)?;
    (is_web && (behind.is_empty() || authority.port_u16().is_some())).then_some(uri)
}

/// A URL with the name of its host in ASCII, as DNS has it.
fn with_plain_host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.is_ascii() {
        return Some(url.to_owned());
    }
    let plain = Url::parse(&format!("{scheme}://{authority}")).ok()?;
    Some(format!("{}{path}", plain.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_called_as_it_was_given() {
        let long = |length| format!("https://a.example/{}", "x".repeat(length - "https://a.example/".len()));
        for (url, called) in [
            ("https://a.example/end?salt=%242y%2410%24a%2Fb.", Some("https://a.example/end?salt=%242y%2410%24a%2Fb.")),
            ("http://a.example:8080?x=[1]|{2}", Some("http://a.example:8080/?x=[1]|{2}")),
            ("https://a.example/a b?c=<d>`ü#part", Some("https://a.example/a%20b?c=%3Cd%3E%60%C3%BC")),
            ("https://münchen.example/a/..//b", Some("https://xn--mnchen-3ya.example/a/..//b")),
            ("HTTPS://A.example/", Some("https://A.example/")),
            ("https://a.example/100%", Some("https://a.example/100%")),
            ("ftp://a.example/", None),
            ("//a.example/", None),
            ("a.example/", None),
            ("https:///path", None),
            ("https://user:secret@a.example/", None),
            ("https://a.example@10.0.0.1/", None),
            ("https://a@a.example/", None),
            ("https://a.example:port/", None),
            ("https://a.example:70000/", None),
            ("javascript:alert(1)", None),
            ("", None),
        ] {
            assert_eq!(address(url).map(|uri| uri.to_string()).as_deref(), called, "{url}");
        }
        assert!(is_usable(&long(LONGEST_URL)));
        assert!(!is_usable(&long(LONGEST_URL + 1)));
        assert!(address(&long(LONGEST_URL + 100)).is_some(), "BBB appends a query");
    }
}
