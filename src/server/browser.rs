//! What a join answers to somebody's browser when it cannot be made.
//!
//! BBB sends the browser back to where the frontend asked for, with the errors in the query. That is done for calls whose
//! checksum held and for no others, or anybody could make links of ours that lead anywhere.

use std::sync::Arc;

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::params_rewrite::rewrite;
use b3scale_middleware::{Call, Door, Fault};
use http::header::ACCEPT;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::calls::Head;
use super::{Answer, render};

/// Where the frontend may want errors to go, the first that can be used first.
const ERRORS_TO: [&str; 2] = ["errorRedirectUrl", "logoutURL"];

/// What is known of whoever makes a join. It is read only if the join fails.
pub(super) struct Browser {
    accept: Option<HeaderValue>,
    door: Arc<Door>,
    /// Path and query of the join.
    pub address: PathAndQuery,
}

impl Browser {
    /// Only a join is made by a browser.
    pub(super) fn of(call: &Call, head: &Head<'_>) -> Option<Self> {
        (call.kind == CallKind::Join).then(|| Self {
            accept: head.headers.get(ACCEPT).cloned(),
            door: Arc::clone(&call.door),
            address: head.address.clone(),
        })
    }

    /// Whether the join may be answered by the waiting page.
    pub(super) fn may_wait(&self, fault: &Fault) -> bool {
        matches!(fault, Fault::MeetingNotReady) && self.params().wants_redirect()
    }

    /// What the join says, with the values of its frontend's settings, whichever stage it came to.
    fn params(&self) -> Params {
        let mut params = Params::parse(self.address.query().unwrap_or_default());
        if let Some(frontend) = self.door.trail.frontend() {
            rewrite(CallKind::Join, &frontend.settings, &mut params);
        }
        params
    }

    /// The answer to a fault, unless a document does.
    pub(super) fn fault(&self, fault: &Fault) -> Option<Answer> {
        let params = self.params();
        if !params.wants_redirect() {
            return None;
        }
        let no_seat = matches!(fault, Fault::NoSeat { .. });
        // Where people go when they leave a meeting is no place to try again.
        let errors_to = if no_seat { &ERRORS_TO[..1] } else { &ERRORS_TO[..] };
        if let Some(url) = errors_to.iter().find_map(|name| web_address(params.first(name)?)) {
            let location = HeaderValue::try_from(with_error(url, fault).as_str()).ok()?;
            return Some(render::redirect(location));
        }
        prefers_html(self.accept.as_ref()).then(|| {
            if no_seat {
                return self.all_seats_taken();
            }
            let message = render::escape(&fault.message());
            let text = format!("<p>{message}</p>\n<p>Please go back to the page you came from and try again.</p>");
            render::page(fault.status(), "You cannot join this meeting", &text)
        })
    }

    fn all_seats_taken(&self) -> Answer {
        let text = format!(
            "<p>This meeting's organisation has reached the number of people it may have in its meetings at once.</p>\n\
             <p>Please <a href=\"{}\">try again</a> later, when somebody has left.</p>",
            render::local(&self.address)
        );
        render::page(StatusCode::OK, "All seats are taken", &text)
    }
}

/// An address that a browser may be sent to.
fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Adds the error to the query as BBB does. What is there stays, and so does the fragment.
fn with_error(mut url: Url, fault: &Fault) -> Url {
    let errors = json!([{ "key": fault.message_key(CallKind::Join), "message": fault.message() }]).to_string();
    let errors = utf8_percent_encode(&errors, NON_ALPHANUMERIC);
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&errors={errors}"),
        _ => format!("errors={errors}"),
    };
    url.set_query(Some(&query));
    url
}

fn prefers_html(accept: Option<&HeaderValue>) -> bool {
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let weight = |wanted: &str| {
        let ranges = accept.split(',').map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            (name, weight)
        });
        ranges
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .fold(0.0, |most: f32, (_, weight)| most.max(weight))
    };
    weight("text/html") > weight("application/xml").max(weight("text/xml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_added_to_the_query_and_the_fragment_stays() {
        let to = |text| with_error(web_address(text).expect("it is an address"), &Fault::MeetingNotFound).to_string();
        let errors = "errors=%5B%7B%22key%22%3A%22invalidMeetingIdentifier%22%2C%22message%22%3A%22\
                      A%20meeting%20with%20that%20ID%20does%20not%20exist%22%7D%5D";
        assert_eq!(to("https://school.example/out"), format!("https://school.example/out?{errors}"));
        assert_eq!(to("https://school.example/out?a=b#c"), format!("https://school.example/out?a=b&{errors}#c"));
    }

    #[test]
    fn only_the_web_is_an_address() {
        for text in ["javascript:alert(1)", "//evil.example", "/here", "ftp://x.example", "data:text/html,x", ""] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_browser_prefers_html_and_a_library_does_not() {
        let prefers = |accept| prefers_html(Some(&HeaderValue::from_static(accept)));
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!prefers("*/*"));
        assert!(!prefers("application/xml, text/html;q=0.5"));
        assert!(!prefers(""));
    }
}
