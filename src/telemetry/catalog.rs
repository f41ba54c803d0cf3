//! Every metric there is. `docs/metrics.md` has the same list for people, and a test compares the two with what is exposed.
//!
//! Labels are bounded: a frontend or a backend that is known, a call of BBB's, a word of ours. Nothing that a client sends, but an id
//! of a meeting that runs, ever becomes a label.
#![expect(clippy::doc_markdown, reason = "Prometheus shows these sentences, and backticks would be shown too")]

use super::metric::{Counter, Figure, Gauge, Histogram, Kind, Metric, Reading};

macro_rules! catalog {
    ($($group:literal: $($kind:ident $constant:ident = $name:literal [$($label:ident $(= $($value:literal)|+)?),*] $help:literal;)*)*) => {
        $($(
            #[doc = $help]
            pub static $constant: $kind<{ count(&[$(stringify!($label)),*]) }> =
                $kind::new($name, [$(stringify!($label)),*]);
        )*)*

        /// All of them, by what they tell of.
        pub const ALL: &[(&str, &[Metric])] = &[$(($group, &[$(
            Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$(stringify!($label)),*],
                values: &[$($($($value),+)?)*],
                help: $help,
            },
        )*])),*];
    };
}

catalog! {
    "Calls":
    Counter CALLS = "b3scale_calls_total" [frontend, call, outcome, blame]
        "BBB calls that have left this server: whose, which, what came of it, and whose fault that was.";
    Histogram CALL_SECONDS = "b3scale_call_duration_seconds" [frontend, call]
        "From the head of a BBB call to its answer.";
    Figure CALLS_IN_FLIGHT = "b3scale_calls_in_flight" []
        "BBB calls that this server is answering.";
    Gauge CONNECTIONS = "b3scale_connections" []
        "Connections of clients that are open.";
    Counter PUSHED_OUT = "b3scale_pushed_out_total" [what = "connection" | "body"]
        "Connections, and bodies read without proof, that were given up for a newcomer. These had waited longest without proof, or without a call.";
    Counter ACCEPT_FAILURES = "b3scale_accept_failures_total" [why = "descriptors" | "connections" | "other"]
        "Connections of clients that could not be taken. descriptors: no file descriptor was left; connections: all are in calls, or all of that address.";
    Histogram STAGE_SECONDS = "b3scale_stage_duration_seconds" [stage]
        "What a stage takes of a call by itself, without the stages behind it.";
    Counter STAGE_FAULTS = "b3scale_stage_faults_total" [stage, blame]
        "Faults by the stage that raised them.";
    Counter API_REQUESTS = "b3scale_api_requests_total" [method, route, code]
        "Requests of the REST API that have been answered.";
    Histogram API_SECONDS = "b3scale_api_request_duration_seconds" [route]
        "From a request of the REST API to its answer.";

    "Frontends and meetings":
    Figure FRONTEND_MEETINGS = "b3scale_frontend_meetings" [frontend]
        "Number of meetings per frontend.";
    Figure FRONTEND_ATTENDEES = "b3scale_frontend_attendees" [frontend]
        "Number of attendees per frontend, with and without video.";
    Figure FRONTEND_LIMIT = "b3scale_frontend_attendees_limit" [frontend]
        "How many attendees a frontend may have at once, if there is a limit.";
    Figure MEETINGS = "b3scale_meetings" [state]
        "Meetings by how far they have come: claimed, live, ending, detached.";
    Figure MEETING_ATTENDEES = "b3scale_meeting_attendees" [frontend, backend, type, meeting]
        "Number of attendees in the cluster, with video or without (audio). If B3SCALE_METRICS_PER_MEETING is false the label meeting is empty, and breakouts that nodes made are left out, whose people are in their parents.";
    Figure MEETING_DURATIONS = "b3scale_meeting_durations" [frontend, backend, meeting]
        "Duration of meetings in the cluster, in seconds. Absent if B3SCALE_METRICS_PER_MEETING is false.";

    "Backends":
    Figure BACKEND_UP = "b3scale_backend_up" [backend]
        "Whether the node answers.";
    Figure BACKEND_ADMIN_STATE = "b3scale_backend_admin_state" [backend, state]
        "What the operator wants of the backend: 1 for the state it is in.";
    Figure BACKEND_TAKES_MEETINGS = "b3scale_backend_takes_meetings" [backend]
        "Whether new meetings may be placed there.";
    Figure BACKEND_REFUSAL = "b3scale_backend_refusal" [backend, reason]
        "Why no new meeting may be placed there: 1 for the reason, absent where there is none.";
    Figure BACKEND_UNREADABLE_MEETINGS = "b3scale_backend_unreadable_meetings" [backend]
        "Meetings of the node's last list whose entries cannot be read.";
    Figure BACKEND_STRAY_MEETINGS = "b3scale_backend_stray_meetings" [backend]
        "Meetings of the node's last list that belong to no frontend. They count in the backend's other figures, and under the frontend `undefined` in figures of meetings.";
    Figure BACKEND_OCCUPIED_COPIES = "b3scale_backend_occupied_copies" [backend]
        "Meetings of the node's last list with people in them that live on another node.";
    Figure BACKEND_LOAD = "b3scale_backend_load" [backend]
        "What new meetings are placed by: attendees there and to be expected, on a node whose factor is 1.";
    Figure BACKEND_MEETINGS = "b3scale_backend_meetings" [backend]
        "Number of meetings per backend.";
    Figure BACKEND_ATTENDEES = "b3scale_backend_attendees" [backend]
        "People in meetings there, in those of others too.";
    Figure BACKEND_LATENCY = "b3scale_backend_latency_seconds" [backend]
        "How long the node took for the last report that it gave, whichever server asked.";
    Figure BACKEND_CIRCUIT_OPEN = "b3scale_backend_circuit_open" [backend]
        "Whether this server keeps calls from the node because it has failed several in a row.";
    Figure BACKEND_HEARTBEAT_AGE = "b3scale_backend_heartbeat_age_seconds" [backend]
        "How long ago the node's agent was heard, if it has one.";
    Figure BACKEND_PRESENCE_AGE = "b3scale_backend_presence_age_seconds" [backend]
        "How far what is known of the people there lags behind, where an agent tells.";
    Figure BACKEND_CPU = "b3scale_backend_cpu_ratio" [backend]
        "How busy the node's processors are by its agent's word, from 0 to 1.";
    Figure BACKEND_MEMORY = "b3scale_backend_memory_ratio" [backend]
        "How full the node's memory is by its agent's word, from 0 to 1.";
    Counter BACKEND_CALLS = "b3scale_backend_calls_total" [backend, outcome]
        "Calls of frontends for the node, by outcome. left_alone: not sent, the circuit being open; lost: cut, the node being gone; abandoned: the client has hung up; oversized: more than the node takes.";
    Histogram BACKEND_CALL_SECONDS = "b3scale_backend_call_duration_seconds" [backend]
        "How long the node took for a call of a frontend that it answered.";
    Counter PROBES = "b3scale_probes_total" [outcome = "answered" | "missed"]
        "Times that a node was asked for its version because calls waited for it, or because another had not answered that. missed: no answer, and the calls were cut.";
    Counter BACKEND_RETRIES = "b3scale_backend_retries_total" []
        "Calls sent to a node once more because it had just closed the connection.";
    Counter POLLS = "b3scale_polls_total" [outcome = "answered" | "missed" | "late" | "failed"]
        "Times that this server asked a node how it fares. late: another server had asked meanwhile; failed: it could not be noted.";

    "Placement":
    Counter PLACEMENTS = "b3scale_placements_total" [backend]
        "Meetings that a node made when this server asked it to.";
    Counter PLACEMENT_REFUSALS = "b3scale_placement_refusals_total" [stage, reason]
        "Backends that a create which found no place could not have, by the stage that said so and why.";
    Counter CREATES_WITHOUT_PLACE = "b3scale_creates_without_place_total" [why = "refused" | "chosen_tag" | "failed"]
        "Creates that found no place. refused: no node may have the meeting; chosen_tag: none with the tag that the call insists on may; failed: every node that was tried failed.";
    Counter CLAIMS = "b3scale_claims_total" [outcome = "won" | "taken" | "barred" | "failed"]
        "Places asked for before a node is called. taken: the meeting has one; barred: what is left of it there is being ended.";
    Counter FAILOVERS = "b3scale_failovers_total" [outcome = "moved" | "barred" | "lost" | "failed"]
        "Creates that went on to another node after one had failed. lost: another server has the meeting by now.";
    Counter CLAIMS_GIVEN_UP = "b3scale_claims_given_up_total" [why = "released" | "orphaned" | "reaped" | "withdrawn"]
        "Claims that came to nothing. released: no node made the meeting; orphaned: its server is lost, and its node has no such meeting; reaped: it was not finished in time; withdrawn: the statement that made it came to no answer.";
    Counter CLAIMS_INHERITED = "b3scale_claims_inherited_total" []
        "Creates finished for a server that was gone.";
    Counter MEETINGS_DETACHED = "b3scale_meetings_detached_total" []
        "Meetings that this server found to be on a lost node, to be created again elsewhere.";
    Counter COPIES_ENDED = "b3scale_copies_ended_total" []
        "Meetings ended on a node on which they were left behind.";

    "What is known, and the database":
    Figure VIEW_AGE = "b3scale_view_age_seconds" []
        "How old the picture of the cluster in memory is.";
    Counter VIEW_RELOADS = "b3scale_view_reloads_total" []
        "Times that everything was loaded from the database.";
    Counter VIEW_CHANGES = "b3scale_view_changes_total" [kind = "frontend" | "backend" | "meeting" | "command" | "pipeline" | "echo" | "reconnected"]
        "Announcements of changes that were heard.";
    Counter VIEW_LOOKUPS = "b3scale_view_lookups_total" [outcome = "found" | "missed" | "failed"]
        "Meetings looked up in the database because memory did not have them.";
    Figure DB_UP = "b3scale_db_up" []
        "Whether the database answered what it was last asked.";
    Figure DB_TROUBLE = "b3scale_db_trouble" [reason]
        "What keeps the database from working while it answers, 1 for the reason: disk_full, out_of_memory, too_many_connections, stopping, read_only, unauthorized, missing, failing.";
    Figure DB_CONNECTIONS = "b3scale_db_connections" [state]
        "Connections of the pool to the database: idle, used.";
    Figure DB_CONNECTIONS_LIMIT = "b3scale_db_connections_limit" []
        "The most connections that the pool may have.";
    Figure DB_WAITING = "b3scale_db_waiting" []
        "Statements that wait for a connection.";
    Histogram DB_WAIT_SECONDS = "b3scale_db_wait_duration_seconds" []
        "How long a statement waited for a connection.";
    Histogram DB_SECONDS = "b3scale_db_query_duration_seconds" [query]
        "How long the database took for a statement, or for several that count as one, without the wait for a connection.";
    Counter DB_FAILURES = "b3scale_db_failures_total" [reason = "away" | "slow" | "busy" | "refused" | "taken" | "given_up" | "disk_full" | "out_of_memory" | "too_many_connections" | "stopping" | "read_only" | "unauthorized" | "missing" | "failing"]
        "Statements that failed. busy: no connection was free; taken: what must be unique is there already; given_up: a lock was held for too long; disk_full and the rest: why the database cannot work.";
    Counter DB_RETRIES = "b3scale_db_retries_total" []
        "Statements that PostgreSQL ended because they stood in another one's way, and that were run again.";

    "Background":
    Counter COMMANDS = "b3scale_commands_total" [action, outcome]
        "Commands that this server has carried out.";
    Gauge COMMANDS_WAITING = "b3scale_commands_waiting" []
        "Commands that nobody had begun when this server last looked. They are given up after two minutes.";
    Counter DUTIES = "b3scale_duties_total" [duty, outcome]
        "Duties of the cluster that this server has done, such as ending copies.";
    Figure BACKGROUND_TASKS = "b3scale_background_tasks" []
        "Tasks of this server's own that are under way.";

    "Agents":
    Counter INGEST_BATCHES = "b3scale_ingest_batches_total" [outcome = "counted" | "repeated" | "refused" | "failed"]
        "Batches of agents. repeated: it had been taken before; refused: a whole picture is wanted; failed: it could not be taken.";
    Counter INGEST_EVENTS = "b3scale_ingest_events_total" []
        "Events in batches that counted.";
    Counter INGEST_PICTURES = "b3scale_ingest_pictures_total" []
        "Whole pictures of a node in batches that counted.";

    "This server":
    Figure BUILD = "b3scale_build_info" [version, pipeline]
        "What runs: the version of the program and the hash of its pipeline.";
    Figure READY = "b3scale_ready" [check]
        "Whether the server can take calls, by what it needs for that.";
    Counter PIPELINE_RELOADS = "b3scale_pipeline_reloads_total" [outcome = "done" | "refused"]
        "Times that the pipeline was read again.";
    Figure BUFFERED = "b3scale_buffered_bytes" []
        "Bytes of bodies, documents and answers of nodes that wait in memory.";
    Figure BUFFERED_PEAK = "b3scale_buffered_peak_bytes" []
        "The most of them that there ever were at once.";
    Figure BUFFERED_LIMIT = "b3scale_buffered_limit_bytes" []
        "The most of them that there may be.";
    Counter BUFFER_REFUSALS = "b3scale_buffer_refusals_total" [owner = "backend" | "poll" | "frontend" | "caller" | "stranger"]
        "Times that there was no room for more of them, by whose they were.";
    Figure TASKS = "b3scale_runtime_tasks" []
        "Tasks that the runtime has.";
    Figure QUEUE = "b3scale_runtime_queue" []
        "Tasks in the queue that all threads of the runtime share; each has one of its own, too.";
    Counter LOG_LINES_WITHHELD = "b3scale_log_lines_withheld_total" []
        "Lines of the log that were counted and not written, because one place in the code had written as many as it may.";
    Reading PROCESS_CPU = "process_cpu_seconds_total" []
        "Processor time spent, of the user and of the system.";
    Figure PROCESS_OPEN_FDS = "process_open_fds" []
        "Open file descriptors.";
    Figure PROCESS_MAX_FDS = "process_max_fds" []
        "The most file descriptors that may be open.";
    Figure PROCESS_RESIDENT = "process_resident_memory_bytes" []
        "Memory that is resident, in bytes.";
    Figure PROCESS_VIRTUAL = "process_virtual_memory_bytes" []
        "Virtual memory, in bytes.";
    Figure PROCESS_START = "process_start_time_seconds" []
        "When the process was started, in seconds since 1970.";
    Figure PROCESS_THREADS = "process_threads" []
        "Threads of the operating system.";
}

/// The metric of that name.
pub(super) fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().flat_map(|(_, metrics)| *metrics).find(|metric| metric.name == name)
}

const fn count(labels: &[&str]) -> usize {
    labels.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A part of `docs/metrics.md`, as it must be there.
    fn section(group: &str, metrics: &[Metric]) -> String {
        let rows: String = metrics.iter().map(row).collect();
        format!("## {group}\n\n| metric | kind | labels | is |\n|---|---|---|---|\n{rows}")
    }

    fn row(metric: &Metric) -> String {
        let values = metric.values.join(", ");
        let labels = match (metric.labels, metric.values) {
            ([], _) => "–".to_owned(),
            ([label], [_, ..]) => format!("{label}: {values}"),
            (labels, _) => labels.join(", "),
        };
        format!("| `{}` | {} | {labels} | {} |\n", metric.name, metric.kind.name(), metric.help)
    }

    #[test]
    fn the_documentation_has_every_metric_as_it_is_declared() {
        let text = include_str!("../../docs/metrics.md");
        for (group, metrics) in ALL {
            let section = section(group, metrics);
            assert!(text.contains(&section), "docs/metrics.md must have this section:\n\n{section}");
        }
        let documented = text.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(documented, ALL.iter().map(|(_, metrics)| metrics.len()).sum::<usize>());
    }

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        let metrics = || ALL.iter().flat_map(|(_, metrics)| *metrics);
        let names: BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
        assert_eq!(names.len(), metrics().count(), "no name stands for two metrics");
        for Metric { name, kind, help, .. } in metrics() {
            assert_eq!(name.ends_with("_total"), kind.name() == "counter", "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(name.starts_with("b3scale_") || name.starts_with("process_"), "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
    }
}
