//! `show status`: how every server and every backend is. Not known to the original.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::program::table::NOTHING;
use b3scale_base::rest::{BackendReport, Server};

use super::console::table;
use super::context::Context;
use super::layout::{age, go_duration, warned};
use super::{CtlError, Exit};

/// How every server and every backend is, and why one is not used.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "status")]
pub(super) struct Status {}

impl Status {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        let (api, _) = context.connect().await?;
        let cluster = api.cluster().await?;
        let head = ["server", "state", "last beat", "version", "pipeline", "problems"];
        let servers = table(&head, cluster.servers.iter().map(server));
        let head = ["backend", "wanted", "node", "agent", "latency", "meetings", "people", "remarks"];
        let backends = table(&head, cluster.backends.iter().map(backend));
        let warning = warned(cluster.database.as_deref());
        context.console.report(format_args!("{warning}{servers}\n\n{backends}"), &cluster)
    }
}

fn server(server: &Server) -> Vec<String> {
    let state = match (server.alive, server.answering) {
        (true, true) => "answers",
        (true, false) if !server.serves() => "starts",
        (true, false) => "runs",
        (false, _) => "lost",
    };
    let place = [&*server.address, &*server.host].into_iter().filter(|name| !name.is_empty());
    vec![
        said(&place.collect::<Vec<_>>().join(" on ")),
        state.to_owned(),
        format!("{} ago", age(server.beat_age)),
        server.version.clone(),
        said(&server.pipeline_hash),
        said(&server.problems.join("; ")),
    ]
}

fn backend(backend: &BackendReport) -> Vec<String> {
    vec![
        backend.host.clone(),
        backend.admin_state.to_string(),
        backend.node_state.to_string(),
        backend.heartbeat_age.map_or_else(|| "none".to_owned(), |seconds| format!("{} ago", age(seconds))),
        go_duration(backend.latency / 1_000_000 * 1_000_000),
        backend.meetings.to_string(),
        backend.attendees.to_string(),
        said(&backend.reason.iter().chain(&backend.remarks).map(String::as_str).collect::<Vec<_>>().join("; ")),
    ]
}

fn said(text: &str) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() }
}
