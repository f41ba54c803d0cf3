//! The waiting page of the original b3scale, which open browsers still have.

use b3scale_middleware::bbb::CallKind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use http::uri::PathAndQuery;
use serde::Deserialize;

use crate::server::Target;

/// A request as the original's waiting page carries it, unsigned: base64 of JSON.
#[derive(Deserialize)]
struct Waiting {
    mth: String,
    url: String,
}

/// The join that a browser waits for there. Its own checksum is verified as ever; an address elsewhere is none.
pub(super) fn join_of(request: &str) -> Option<HeaderValue> {
    let Waiting { mth, url } = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(request).ok()?).ok()?;
    let address: PathAndQuery = url.parse().ok()?;
    let target = Target::of(address.path()).filter(|_| address.path().starts_with("/bbb/"))?;
    let is_join = mth == "GET" && target.call == Ok(CallKind::Join);
    is_join.then(|| HeaderValue::try_from(address.as_str()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting_for(json: &str) -> Option<HeaderValue> {
        join_of(&URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn the_waiting_page_of_the_original_leads_to_its_join() {
        let json = r#"{"mth":"GET","url":"/bbb/school/bigbluebutton/api/join?meetingID=m1\u0026checksum=a"}"#;
        assert_eq!(waiting_for(json).unwrap(), "/bbb/school/bigbluebutton/api/join?meetingID=m1&checksum=a");
    }

    #[test]
    fn a_waiting_page_that_leads_elsewhere_is_none() {
        for (mth, url) in [
            ("POST", "/bbb/school/join"),
            ("GET", "/bbb/school/end?meetingID=m1"),
            ("GET", "//evil.example/bbb/school/join"),
            ("GET", "//bbb/school/join"),
            ("GET", "https://evil.example/bbb/school/join"),
            ("GET", "/bbb/join"),
            ("GET", "/api/v1/join"),
            ("GET", "/bbb/school/join\\r\\nset-cookie: a=b"),
        ] {
            assert_eq!(waiting_for(&format!(r#"{{"mth":"{mth}","url":"{url}"}}"#)), None, "{mth} {url}");
        }
        for request in ["", "e30", "%%%", "eyJ.eyJ.x"] {
            assert_eq!(join_of(request), None);
        }
    }
}
