//! The process's use of its machine, under the names of every exporter.

use metrics_process::collector::collect;
use tokio::runtime::Handle;

use super::catalog;
use super::sheet::Sheet;

/// Writes the figures of this process. Unknown ones are left out.
pub(super) fn write(sheet: &mut Sheet) {
    let process = collect();
    if let Some(seconds) = process.cpu_seconds_total {
        sheet.read(&catalog::PROCESS_CPU, [], seconds);
    }
    sheet.set_some(&catalog::PROCESS_OPEN_FDS, [], process.open_fds);
    sheet.set_some(&catalog::PROCESS_MAX_FDS, [], process.max_fds);
    sheet.set_some(&catalog::PROCESS_RESIDENT, [], process.resident_memory_bytes);
    sheet.set_some(&catalog::PROCESS_VIRTUAL, [], process.virtual_memory_bytes);
    sheet.set_some(&catalog::PROCESS_START, [], process.start_time_seconds);
    sheet.set_some(&catalog::PROCESS_THREADS, [], process.threads);
    if let Ok(runtime) = Handle::try_current() {
        let runtime = runtime.metrics();
        sheet.set(&catalog::TASKS, [], runtime.num_alive_tasks());
        sheet.set(&catalog::QUEUE, [], runtime.global_queue_depth());
    }
}
