//! What frontends ask of a server, in few words.

use b3scale_middleware::bbb::CallKind;
use b3scale_support::Servers;

pub(crate) fn creation(meeting: &str) -> String {
    format!("name=Lesson&meetingID={meeting}")
}

/// Creates a meeting on one server. Gives the node's own id of it.
pub(crate) async fn create(servers: &Servers, server: usize, meeting: &str) -> String {
    let created = servers.call(server, CallKind::Create, &creation(meeting)).await;
    created.success().field("internalMeetingID")
}
