//! What the service manager is told, where one has started this program and listens: systemd's protocol of readiness and watchdog.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::interval;

/// The program does its work from now on. If the manager wants signs of life, it gets them for as long as the runtime lives.
pub(crate) fn ready() {
    tell(NotifyState::Ready);
    // Twice as often as wanted, so that one that comes late does no harm.
    if let Some(every) = sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| *every > Duration::ZERO) {
        tokio::spawn(async move {
            let mut beat = interval(every);
            loop {
                beat.tick().await;
                tell(NotifyState::Watchdog);
            }
        });
    }
}

/// The program is about to end.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "The service manager could not be told");
    }
}
