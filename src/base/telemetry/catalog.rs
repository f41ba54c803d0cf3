//! All metrics. `docs/metrics.md` has the same list for people, and a test compares the two with the page.
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

        /// All metrics, by subject.
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
        "BBB calls answered by this server, by outcome and, if they failed, by blame.";
    Histogram CALL_SECONDS = "b3scale_call_duration_seconds" [frontend, call]
        "From the head of a BBB call to its answer.";
    Figure CALLS_IN_FLIGHT = "b3scale_calls_in_flight" []
        "BBB calls that this server is answering.";
    Gauge CONNECTIONS = "b3scale_connections" []
        "Open connections of clients.";
    Counter PUSHED_OUT = "b3scale_pushed_out_total" [what = "connection" | "body"]
        "Connections and bodies without a proved checksum that were dropped for a newcomer. The longest waiting ones go first.";
    Counter ACCEPT_FAILURES = "b3scale_accept_failures_total" [why = "descriptors" | "connections" | "other"]
        "Connections of clients that were refused. descriptors: no file descriptor was left; connections: all are in calls, or all of that address.";
    Histogram STAGE_SECONDS = "b3scale_stage_duration_seconds" [stage]
        "Time of a stage for a call, without the stages after it.";
    Counter STAGE_FAULTS = "b3scale_stage_faults_total" [stage, blame]
        "Faults by the stage that raised them.";
    Counter API_REQUESTS = "b3scale_api_requests_total" [method, route, code]
        "Answered requests of the REST API.";
    Histogram API_SECONDS = "b3scale_api_request_duration_seconds" [route]
        "From a request of the REST API to its answer.";

    "Frontends and meetings":
    Figure FRONTEND_MEETINGS = "b3scale_frontend_meetings" [frontend]
        "Number of meetings per frontend.";
    Figure FRONTEND_ATTENDEES = "b3scale_frontend_attendees" [frontend]
        "Number of attendees per frontend, with and without video.";
    Figure FRONTEND_LIMIT = "b3scale_frontend_attendees_limit" [frontend]
        "Limit of a frontend's attendees, if there is one.";
    Figure MEETINGS = "b3scale_meetings" [state]
        "Meetings by state: claimed, live, ending, detached.";
    Figure MEETING_ATTENDEES = "b3scale_meeting_attendees" [frontend, backend, type, meeting]
        "Number of attendees in the cluster, with video or without (audio). If B3SCALE_METRICS_PER_MEETING is false the label meeting is empty, and breakouts made by nodes are left out, since their attendees count in the parents.";
    Figure MEETING_DURATIONS = "b3scale_meeting_durations" [frontend, backend, meeting]
        "Duration of meetings in the cluster, in seconds. Absent if B3SCALE_METRICS_PER_MEETING is false.";

    "Backends":
    Figure BACKEND_UP = "b3scale_backend_up" [backend]
        "Whether the node answers.";
    Figure BACKEND_ADMIN_STATE = "b3scale_backend_admin_state" [backend, state]
        "Admin state of the backend: 1 for the current one.";
    Figure BACKEND_TAKES_MEETINGS = "b3scale_backend_takes_meetings" [backend]
        "Whether new meetings may be placed there.";
    Figure BACKEND_REFUSAL = "b3scale_backend_refusal" [backend, reason]
        "Why no new meeting may be placed there: 1 for the reason, absent where there is none.";
    Figure BACKEND_UNREADABLE_MEETINGS = "b3scale_backend_unreadable_meetings" [backend]
        "Meetings of the node's last list with unreadable entries.";
    Figure BACKEND_STRAY_MEETINGS = "b3scale_backend_stray_meetings" [backend]
        "Meetings of the node's last list that belong to no frontend. They count in the backend's other figures, and under the frontend `undefined` in figures of meetings.";
    Figure BACKEND_OCCUPIED_COPIES = "b3scale_backend_occupied_copies" [backend]
        "Copies of meetings with attendees in the node's last list. The meetings live on another node.";
    Figure BACKEND_LOAD = "b3scale_backend_load" [backend]
        "Load for placement: present and expected attendees, times the load factor.";
    Figure BACKEND_MEETINGS = "b3scale_backend_meetings" [backend]
        "Number of meetings per backend.";
    Figure BACKEND_ATTENDEES = "b3scale_backend_attendees" [backend]
        "Attendees in meetings there, copies and strays included.";
    Figure BACKEND_LATENCY = "b3scale_backend_latency_seconds" [backend]
        "Latency of the node's last report, to any server.";
    Figure BACKEND_CIRCUIT_OPEN = "b3scale_backend_circuit_open" [backend]
        "Whether this server keeps calls from the node after several failures in a row.";
    Figure BACKEND_HEARTBEAT_AGE = "b3scale_backend_heartbeat_age_seconds" [backend]
        "Age of the last batch of the node's agent, if it has one.";
    Figure BACKEND_PRESENCE_AGE = "b3scale_backend_presence_age_seconds" [backend]
        "Lag of the known attendees behind the node, if it has an agent.";
    Figure BACKEND_CPU = "b3scale_backend_cpu_ratio" [backend]
        "CPU use of the node, from its agent, from 0 to 1.";
    Figure BACKEND_MEMORY = "b3scale_backend_memory_ratio" [backend]
        "Memory use of the node, from its agent, from 0 to 1.";
    Counter BACKEND_CALLS = "b3scale_backend_calls_total" [backend, outcome]
        "Calls of frontends for the node, by outcome. left_alone: not sent, since the circuit is open; lost: cut, since the node is gone; abandoned: the client hung up; oversized: more than the node takes.";
    Histogram BACKEND_CALL_SECONDS = "b3scale_backend_call_duration_seconds" [backend]
        "Time of the node for an answered call of a frontend.";
    Counter PROBES = "b3scale_probes_total" [outcome = "answered" | "missed"]
        "Version requests to a node with waiting calls, or after another node missed its own. missed: no answer, and the calls were cut.";
    Counter BACKEND_RETRIES = "b3scale_backend_retries_total" []
        "Calls sent to a node again because it had just closed the connection.";
    Counter POLLS = "b3scale_polls_total" [outcome = "answered" | "missed" | "late" | "failed"]
        "Health checks of nodes by this server. late: another server has taken over meanwhile; failed: the result could not be recorded.";

    "Placement":
    Counter PLACEMENTS = "b3scale_placements_total" [backend]
        "Meetings created on a node by this server.";
    Counter PLACEMENT_REFUSALS = "b3scale_placement_refusals_total" [stage, reason]
        "Backends refused to a create that found no place, by stage and reason.";
    Counter CREATES_WITHOUT_PLACE = "b3scale_creates_without_place_total" [why = "refused" | "chosen_tag" | "failed"]
        "Creates that found no place. refused: no node may take the meeting; chosen_tag: no node with the required tag of the call may; failed: all tried nodes failed.";
    Counter CLAIMS = "b3scale_claims_total" [outcome = "won" | "taken" | "barred" | "failed"]
        "Claims made before a node is called. taken: the meeting has a place; barred: a copy there is being ended.";
    Counter FAILOVERS = "b3scale_failovers_total" [outcome = "moved" | "barred" | "lost" | "failed"]
        "Creates that moved to another node after a failure. lost: another server has the meeting by now.";
    Counter CLAIMS_GIVEN_UP = "b3scale_claims_given_up_total" [why = "released" | "orphaned" | "reaped" | "withdrawn"]
        "Claims without a meeting. released: no node made it; orphaned: its server is lost, and its node has no such meeting; reaped: it was not finished in time; withdrawn: the claim statement timed out.";
    Counter CLAIMS_INHERITED = "b3scale_claims_inherited_total" []
        "Creates taken over from a lost server.";
    Counter MEETINGS_DETACHED = "b3scale_meetings_detached_total" []
        "Meetings detached by this server from a lost node, to be created again elsewhere.";
    Counter COPIES_ENDED = "b3scale_copies_ended_total" []
        "Copies of meetings ended on nodes.";

    "Memory and the database":
    Figure VIEW_AGE = "b3scale_view_age_seconds" []
        "Age of this server's memory of the cluster.";
    Counter VIEW_RELOADS = "b3scale_view_reloads_total" []
        "Full loads from the database.";
    Counter VIEW_CHANGES = "b3scale_view_changes_total" [kind = "frontend" | "backend" | "meeting" | "command" | "pipeline" | "echo" | "reconnected"]
        "Received announcements of changes.";
    Counter VIEW_LOOKUPS = "b3scale_view_lookups_total" [outcome = "found" | "missed" | "failed"]
        "Meetings looked up in the database because memory did not have them.";
    Figure DB_UP = "b3scale_db_up" []
        "Whether the database answered the last statement.";
    Figure DB_TROUBLE = "b3scale_db_trouble" [reason]
        "Trouble of a database that answers and cannot work, 1 for the reason: disk_full, out_of_memory, too_many_connections, stopping, read_only, unauthorized, missing, failing.";
    Figure DB_CONNECTIONS = "b3scale_db_connections" [state]
        "Connections of the pool to the database: idle, used.";
    Figure DB_CONNECTIONS_LIMIT = "b3scale_db_connections_limit" []
        "Limit of the pool's connections.";
    Figure DB_WAITING = "b3scale_db_waiting" []
        "Statements that wait for a connection.";
    Histogram DB_WAIT_SECONDS = "b3scale_db_wait_duration_seconds" []
        "Time that a statement waited for a connection.";
    Histogram DB_SECONDS = "b3scale_db_query_duration_seconds" [query]
        "Time of the database for a statement or a transaction, without the wait for a connection.";
    Counter DB_FAILURES = "b3scale_db_failures_total" [reason = "away" | "slow" | "busy" | "refused" | "taken" | "given_up" | "disk_full" | "out_of_memory" | "too_many_connections" | "stopping" | "read_only" | "unauthorized" | "missing" | "failing"]
        "Statements that failed. busy: no connection was free; taken: a unique value exists already; given_up: a lock was held for too long; disk_full and the rest: the trouble of the database.";
    Counter DB_RETRIES = "b3scale_db_retries_total" []
        "Statements run again after a deadlock or a serialisation failure.";

    "Background":
    Counter COMMANDS = "b3scale_commands_total" [action, outcome]
        "Commands that this server has carried out.";
    Counter JOBS = "b3scale_jobs_total" [kind, outcome]
        "Attempts at queued jobs that ended on this server. retried: failed, another follows; poisoned: failed, and the job is given up; lost: the lease ended before the attempt did.";
    Histogram JOB_SECONDS = "b3scale_job_duration_seconds" [kind]
        "Duration of one attempt at a queued job.";
    Gauge JOBS_WAITING = "b3scale_jobs_waiting" [kind]
        "Queued jobs that no server runs, retries included. Counted every 5 seconds.";
    Gauge JOBS_POISONED = "b3scale_jobs_poisoned" [kind]
        "Queued jobs that were given up and wait for an operator.";
    Gauge JOB_LAG = "b3scale_job_lag_seconds" [kind]
        "How long the oldest waiting job has been due.";
    Counter DUTIES = "b3scale_duties_total" [duty, outcome]
        "Duties of the cluster done by this server, such as ending copies. lost: another server took the duty meanwhile.";
    Counter ROUNDS = "b3scale_rounds_total" [round, outcome]
        "Runs of the work that this server repeats for itself.";
    Figure BACKGROUND_TASKS = "b3scale_background_tasks" []
        "Running tasks of this server's own.";

    "Recordings":
    Counter RECORDING_IMPORTS = "b3scale_recording_imports_total" [outcome = "imported" | "refused" | "paused"]
        "Attempts at imports of recordings that ended on this server. refused: the archive cannot be taken in as it is; paused: a disk is full or a bucket away, and another attempt follows.";
    Gauge RECORDING_IMPORTS_WAITING = "b3scale_recording_imports_waiting" []
        "Imports that are not taken in yet, except refused ones. Counted every 15 seconds.";
    Gauge RECORDING_IMPORT_AGE = "b3scale_recording_import_age_seconds" []
        "How long ago the oldest of these imports was queued.";
    Gauge RECORDING_UPLOADS = "b3scale_recording_uploads" []
        "Uploads of recordings that had a chunk within the last five minutes and lack others.";
    Gauge RECORDING_FORMATS = "b3scale_recording_formats" [shelf, format]
        "Formats of recordings with files, those in the trash included, by shelf (local, s3) and format (presentation, video, podcast, screenshare, notes, statistics, other).";
    Gauge RECORDING_BYTES = "b3scale_recording_bytes" [shelf, format]
        "Size of these files, in bytes.";
    Counter PLAYBACK_REQUESTS = "b3scale_playback_requests_total" [format, class]
        "Answered requests of browsers for recordings, by format and class of the status: 2xx, 3xx, 4xx, 5xx. player: the files of the player.";

    "Callbacks":
    Counter CALLBACKS = "b3scale_callbacks_total" [kind, outcome = "taken" | "known" | "superseded" | "forged" | "unknown"]
        "Calls of nodes for frontends, by kind of the callback (end, ended, ready, analytics, other). known: received before; superseded: of a copy of a meeting that lives elsewhere; forged: not of the node of its meeting; refused: too large or too many without a signature; unknown: no token of ours.";
    Counter DELIVERIES = "b3scale_deliveries_total" [kind, outcome = "delivered" | "retried" | "refused" | "dead" | "dropped"]
        "Tries to call frontends that ended on this server. retried: failed, another follows; refused: the receiver wants no other; dead: given up after three days; dropped: by an operator.";
    Gauge DELIVERIES_WAITING = "b3scale_deliveries_waiting" [kind]
        "Calls that frontends have not had yet. Counted every 5 seconds.";
    Gauge DELIVERY_AGE = "b3scale_delivery_age_seconds" [receiver = "away" | "unwilling"]
        "How long ago the tries of the oldest of these calls began. away: its receiver has not answered yet, or with an error of its own; unwilling: it answered that it does not want it, such as 401.";

    "Webhooks":
    Counter HOOK_POSTS = "b3scale_hook_posts_total" [outcome = "delivered" | "retried" | "paused" | "lost"]
        "Tries to post an event to a hook that ended on this server. retried: failed, another follows; paused: failed, and the hook is paused; lost: events that were removed before their hook had them.";
    Gauge HOOKS = "b3scale_hooks" [state = "active" | "retrying" | "paused"]
        "Hooks by state. retrying: the last try at an event failed; paused: they hear nothing until they are created again or resumed. Counted every 5 seconds.";
    Gauge HOOK_LAG = "b3scale_hook_lag_events" []
        "How many events of its frontend the hook that is last has not had. Paused ones do not count.";

    "Agents":
    Counter INGEST_BATCHES = "b3scale_ingest_batches_total" [outcome = "counted" | "repeated" | "refused" | "failed"]
        "Batches of agents. repeated: received before; refused: a snapshot is required; failed: it could not be recorded.";
    Counter INGEST_EVENTS = "b3scale_ingest_events_total" []
        "Events in accepted batches, without those for webhooks.";
    Counter INGEST_SNAPSHOTS = "b3scale_ingest_snapshots_total" []
        "Snapshots of a node in accepted batches.";

    "This server":
    Figure BUILD = "b3scale_build_info" [version, pipeline]
        "Version of the program and hash of its pipeline.";
    Figure READY = "b3scale_ready" [check]
        "Whether the server can take calls, by check.";
    Counter PIPELINE_RELOADS = "b3scale_pipeline_reloads_total" [outcome = "done" | "refused"]
        "Reloads of the pipeline.";
    Figure BUFFERED = "b3scale_buffered_bytes" []
        "Bytes of bodies, documents and answers of nodes in memory.";
    Figure BUFFERED_PEAK = "b3scale_buffered_peak_bytes" []
        "Highest value of these bytes.";
    Figure BUFFERED_LIMIT = "b3scale_buffered_limit_bytes" []
        "Limit of these bytes.";
    Counter BUFFER_REFUSALS = "b3scale_buffer_refusals_total" [owner = "backend" | "poll" | "frontend" | "caller" | "stranger"]
        "Refusals for lack of room in memory, by owner.";
    Figure TASKS = "b3scale_runtime_tasks" []
        "Tasks of the runtime.";
    Figure QUEUE = "b3scale_runtime_queue" []
        "Tasks in the queue shared by all threads of the runtime. Each thread also has its own.";
    Counter LOG_LINES_WITHHELD = "b3scale_log_lines_withheld_total" []
        "Log lines counted and not written, because one place in the code had used up its quota.";
    Reading PROCESS_CPU = "process_cpu_seconds_total" []
        "Processor time spent, of the user and of the system.";
    Figure PROCESS_OPEN_FDS = "process_open_fds" []
        "Open file descriptors.";
    Figure PROCESS_MAX_FDS = "process_max_fds" []
        "Limit of open file descriptors.";
    Figure PROCESS_RESIDENT = "process_resident_memory_bytes" []
        "Resident memory, in bytes.";
    Figure PROCESS_VIRTUAL = "process_virtual_memory_bytes" []
        "Virtual memory, in bytes.";
    Figure PROCESS_START = "process_start_time_seconds" []
        "Start of the process, in seconds since 1970.";
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
        let text = include_str!("../../../docs/metrics.md");
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
