//! The signals that end a program.

use tokio::signal::unix::{SignalKind, signal};

/// Ends with SIGTERM or Ctrl-C.
///
/// # Errors
/// The system does not let us listen for signals.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
