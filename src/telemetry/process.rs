//! What the process takes of its machine, under the names that every exporter uses.

use metrics_process::collector::collect;
use tokio::runtime::Handle;

use super::catalog;

/// Counts the processor time of this process.
pub(super) fn count() {
    if let Some(seconds) = collect().cpu_seconds_total {
        catalog::PROCESS_CPU.with([]).absolute(seconds as u64);
    }
}

/// Sets the figures of this process. One that the system does not tell is left out.
pub(super) fn set() {
    if let Ok(runtime) = Handle::try_current() {
        let runtime = runtime.metrics();
        catalog::TASKS.with([]).set(runtime.num_alive_tasks() as f64);
        catalog::QUEUE.with([]).set(runtime.global_queue_depth() as f64);
    }
    let process = collect();
    let gauges = [
        (&catalog::PROCESS_OPEN_FDS, process.open_fds),
        (&catalog::PROCESS_MAX_FDS, process.max_fds),
        (&catalog::PROCESS_RESIDENT, process.resident_memory_bytes),
        (&catalog::PROCESS_VIRTUAL, process.virtual_memory_bytes),
        (&catalog::PROCESS_START, process.start_time_seconds),
        (&catalog::PROCESS_THREADS, process.threads),
    ];
    for (gauge, figure) in gauges {
        // Exact up to 2⁵³, which is far.
        figure.iter().for_each(|figure| gauge.with([]).set(*figure as f64));
    }
}
