//! The answer of a failed join to a browser.
//!
//! BBB sends the browser to the frontend's error page, with the errors in the query. This server does so only for calls with a
//! valid checksum: else anyone could make links of ours that lead anywhere. All others get a page.

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{CallKind, Params};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::visit::Visit;
use crate::site::{self, Answer};

/// Where the frontend may want errors to go, the first that can be used first.
const ERRORS_TO: [&str; 2] = ["errorRedirectUrl", "logoutURL"];

/// Whether a fault is over in a moment, and a browser reads the answer that may be trusted.
pub(super) fn may_wait(visit: &Visit, fault: &Fault) -> bool {
    matches!(fault, Fault::MeetingNotReady) && visit.is_verified() && is_redirected(visit)
}

/// The answer to a fault for a browser that makes a join, unless a document does.
pub(super) fn answer(visit: &Visit, fault: &Fault) -> Option<Answer> {
    if !is_redirected(visit) {
        return None;
    }
    let elsewhere = errors_to(visit.params(), fault).filter(|_| visit.is_verified());
    elsewhere.map(site::redirect).or_else(|| visit.reading.reads_html().then(|| page(&visit.address, fault)))
}

/// Whether the call sends a browser to its meeting: no other call is made by one.
fn is_redirected(visit: &Visit) -> bool {
    visit.kind == CallKind::Join && visit.params().wants_redirect()
}

fn page(join: &PathAndQuery, fault: &Fault) -> Answer {
    let advice = match fault {
        Fault::NoSeat { .. } => return all_seats_taken(join),
        Fault::ChecksumMissing | Fault::ChecksumMismatch(_) => {
            "The link to this meeting is incomplete, or was changed on its way here. Please go back to the page you came \
             from and join from there."
        }
        _ => "Please go back to the page you came from and try again.",
    };
    let message = site::escape(&fault.message(CallKind::Join));
    site::page(fault.status(), "You cannot join this meeting", &format!("<p>{message}</p>\n<p>{advice}</p>"))
}

fn all_seats_taken(join: &PathAndQuery) -> Answer {
    let text = format!(
        "<p>This meeting's organisation has reached the number of people it may have in its meetings at once.</p>\n\
         <p>Please <a href=\"{}\">try again</a> later, when somebody has left.</p>",
        site::local(join)
    );
    site::page(StatusCode::OK, "All seats are taken", &text)
}

/// Where the frontend wants this error to go.
fn errors_to(params: &Params, fault: &Fault) -> Option<HeaderValue> {
    // Where people go when they leave a meeting is no place to try again.
    let fit = if matches!(fault, Fault::NoSeat { .. }) { &ERRORS_TO[..1] } else { &ERRORS_TO[..] };
    let url = fit.iter().find_map(|name| web_address(params.first(name)?))?;
    HeaderValue::try_from(with_error(url, fault).as_str()).ok()
}

/// An address that a browser may be sent to.
fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Adds the error to the query as BBB does. The rest of the URL stays, with its fragment.
fn with_error(mut url: Url, fault: &Fault) -> Url {
    let errors =
        json!([{ "key": fault.message_key(CallKind::Join), "message": fault.message(CallKind::Join) }]).to_string();
    let errors = utf8_percent_encode(&errors, NON_ALPHANUMERIC);
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&errors={errors}"),
        _ => format!("errors={errors}"),
    };
    url.set_query(Some(&query));
    url
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
}
