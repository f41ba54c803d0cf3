//! Redirects: a receiver that has moved is found, and a login page is no receiver.

use http::{Method, StatusCode, Uri};
use url::Url;

use super::address::address;

/// How many redirects of one message are followed.
pub(super) const MOST: usize = 3;

/// Where a redirected message goes. `None`: the redirect is the answer.
///
/// A POST is sent again only if the answer wants it to stay one. No message leaves its host, nor the encryption of its way.
pub(super) fn target(method: &Method, status: StatusCode, from: &Uri, location: &str) -> Option<Uri> {
    let is_followed = match status.as_u16() {
        301..=303 => *method == Method::GET,
        307 | 308 => true,
        _ => false,
    };
    if !is_followed {
        return None;
    }
    let to = address(Url::parse(&from.to_string()).ok()?.join(location).ok()?.as_str())?;
    let stays = to.host()?.eq_ignore_ascii_case(from.host()?);
    let weakens = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    (stays && !weakens).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_at_its_host_and_a_post_stays_a_post() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, status, location, to) in [
            (&get, 301, "/b", Some("https://school.example/b")),
            (&get, 302, "b?c", Some("https://school.example/a/b?c")),
            (&get, 303, "https://SCHOOL.example:444/", Some("https://school.example:444/")),
            (&get, 308, "//school.example/b", Some("https://school.example/b")),
            (&post, 307, "/b", Some("https://school.example/b")),
            (&post, 308, "/b", Some("https://school.example/b")),
            (&post, 301, "/login", None),
            (&post, 302, "/login", None),
            (&post, 303, "/login", None),
            (&get, 300, "/b", None),
            (&get, 304, "/b", None),
            (&get, 302, "https://other.example/b", None),
            (&get, 302, "http://school.example/b", None),
            (&get, 302, "ftp://school.example/b", None),
            (&get, 302, "https://user@school.example/b", None),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let from = Uri::from_static("https://school.example/a/end?x=1");
            let found = target(method, status, &from, location).map(|to| to.to_string());
            assert_eq!(found.as_deref(), to, "{method} {status} {location}");
        }
    }
}
