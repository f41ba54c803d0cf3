//! A node's requests when a meeting has ended: `meetingEndedURL` and `meta_endCallbackUrl`.

use std::time::Duration;

use super::meeting::Meeting;
use super::outgoing::Outgoing;
use super::params::encoded;

/// Waits between the attempts, as BBB has them; after the last the call is dropped.
const WAITS: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(300)];

/// The addresses to call when this meeting has ended; breakouts have none.
pub(super) fn addresses(meeting: &Meeting) -> Vec<String> {
    if meeting.breakout.is_some() {
        return Vec::new();
    }
    let appended = |url: &String| {
        let joint = if url.contains('?') { '&' } else { '?' };
        format!("{url}{joint}recordingmarks={}&meetingID={}", meeting.marked, encoded(&meeting.meeting_id))
    };
    let ended = meeting.params.given("meetingEndedURL").map(str::to_owned);
    ended.into_iter().chain(meeting.metadata.get("endcallbackurl").map(appended)).collect()
}

/// Calls until a 2xx comes back.
pub(super) async fn call(url: String) {
    let request = Outgoing::get(url);
    for wait in WAITS.into_iter().map(Some).chain([None]) {
        let Some(wait) = (if request.send().await { None } else { wait }) else { return };
        tokio::time::sleep(wait).await;
    }
}
