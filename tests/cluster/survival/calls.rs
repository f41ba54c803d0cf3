//! What frontends ask of a server, in few words.

use b3scale::ledger::Lookups;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::Meeting;
use b3scale_support::{Answer, Servers};

pub(crate) fn creation(meeting: &str) -> String {
    format!("name=Lesson&meetingID={meeting}")
}

/// Creates a meeting on one server. Gives the node's own id of it.
pub(crate) async fn create(servers: &Servers, server: usize, meeting: &str) -> String {
    let created = servers.call(server, CallKind::Create, &creation(meeting)).await;
    created.success().field("internalMeetingID")
}

pub(crate) async fn running(servers: &Servers, server: usize, meeting: &str) -> Answer {
    servers.call(server, CallKind::IsMeetingRunning, &format!("meetingID={meeting}")).await
}

pub(crate) async fn info(servers: &Servers, server: usize, meeting: &str) -> Answer {
    servers.call(server, CallKind::GetMeetingInfo, &format!("meetingID={meeting}")).await
}

/// Whether a server finds a meeting with this internal id.
pub(crate) async fn finds(servers: &Servers, server: usize, meeting: &str, internal_id: &str) -> bool {
    let info = info(servers, server, meeting).await;
    info.is_success() && info.field("internalMeetingID") == internal_id
}

pub(crate) fn joining(meeting: &str) -> String {
    format!("meetingID={meeting}&fullName=Ada&role=VIEWER")
}

pub(crate) async fn join(servers: &Servers, server: usize, meeting: &str) -> Answer {
    servers.call(server, CallKind::Join, &joining(meeting)).await
}

/// Whether a join leads to a node, and not to the waiting page.
pub(crate) fn leads_to_node(joined: &Answer) -> bool {
    joined.status.is_redirection() && joined.location().starts_with("http://127.0.0.1:")
}

/// The meetings of the store.
pub(crate) async fn rows(servers: &Servers) -> Vec<Meeting> {
    servers.store.load_meetings().await.expect("the meetings are loaded")
}

/// The number of the node that has a meeting, by the store.
pub(crate) fn home(servers: &Servers, meeting: &Meeting) -> usize {
    let home = servers.backends.iter().position(|backend| backend.id == meeting.backend);
    home.expect("it is one of the nodes")
}
