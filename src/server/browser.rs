//! What a join answers to somebody's browser when it cannot be made.
//!
//! BBB sends the browser back to where the frontend asked for, with the errors in the query. That is done for calls whose
//! checksum held and for no others, or anybody could make links of ours that lead anywhere. A browser reads a page then.

use std::sync::{Arc, OnceLock};

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::params_rewrite::rewrite;
use b3scale_middleware::{Call, Door, Fault};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use url::Url;

use super::calls::Head;
use super::reading::Reading;
use super::{Answer, render};

/// Where the frontend may want errors to go, the first that can be used first.
const ERRORS_TO: [&str; 2] = ["errorRedirectUrl", "logoutURL"];

/// What is known of whoever makes a join. It is read only if the join fails.
pub(super) struct Browser {
    door: Arc<Door>,
    /// Path and query of the join.
    pub address: PathAndQuery,
    params: OnceLock<Params>,
}

impl Browser {
    /// Only a join is made by a browser.
    pub(super) fn of(call: &Call, head: &Head<'_>) -> Option<Self> {
        (call.kind == CallKind::Join).then(|| Self::at(Arc::clone(&call.door), head.address.clone()))
    }

    fn at(door: Arc<Door>, address: PathAndQuery) -> Self {
        Self { door, address, params: OnceLock::new() }
    }

    /// Whether the join may be answered by the waiting page.
    pub(super) fn may_wait(&self, fault: &Fault) -> bool {
        matches!(fault, Fault::MeetingNotReady) && self.params().wants_redirect()
    }

    /// What the join says, with the values of its frontend's settings, whichever stage it came to. It is read once, when the stages
    /// are done.
    fn params(&self) -> &Params {
        self.params.get_or_init(|| {
            let mut params = Params::parse(self.address.query().unwrap_or_default());
            // A known key is answered like an unknown one until the checksum has held.
            if let Some(frontend) = self.door.trail.frontend().filter(|_| self.door.trail.is_verified()) {
                rewrite(CallKind::Join, &frontend.settings, &mut params);
            }
            params
        })
    }

    /// The answer to a fault, unless a document does. What the query says counts only once its checksum has held.
    pub(super) fn fault(&self, fault: &Fault, reading: &Reading) -> Option<Answer> {
        let params = self.params();
        if !params.wants_redirect() {
            return None;
        }
        let elsewhere = errors_to(params, fault).filter(|_| self.door.trail.is_verified());
        elsewhere.map(render::redirect).or_else(|| reading.reads_html().then(|| self.page(fault)))
    }

    fn page(&self, fault: &Fault) -> Answer {
        let advice = match fault {
            Fault::NoSeat { .. } => return self.all_seats_taken(),
            Fault::ChecksumMissing | Fault::ChecksumMismatch(_) => {
                "The link to this meeting is incomplete, or was changed on its way here. Please go back to the page you came \
                 from and join from there."
            }
            _ => "Please go back to the page you came from and try again.",
        };
        let message = render::escape(&fault.message(CallKind::Join));
        render::page(fault.status(), "You cannot join this meeting", &format!("<p>{message}</p>\n<p>{advice}</p>"))
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

/// Adds the error to the query as BBB does. What is there stays, and so does the fragment.
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
    use std::net::SocketAddr;

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
    fn the_query_of_a_failed_join_is_read_once() {
        let door = Door::new(HeaderValue::from_static("test"), SocketAddr::from(([127, 0, 0, 1], 1)), "school");
        let browser = Browser::at(Arc::new(door), PathAndQuery::from_static("/bbb/school/api/join?redirect=false"));
        assert!(!browser.may_wait(&Fault::MeetingNotReady));
        assert!(std::ptr::eq(browser.params(), browser.params()));
    }

    #[test]
    fn only_the_web_is_an_address() {
        for text in ["javascript:alert(1)", "//evil.example", "/here", "ftp://x.example", "data:text/html,x", ""] {
            assert_eq!(web_address(text), None, "{text}");
        }
    }
}
