//! Messages to the service manager, if one has started this program: systemd's protocol of readiness and watchdog.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::interval;

/// The program does its work from now on.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Gives the manager signs of life, if it wants them, for as long as the program `lives` by its own judgement.
pub async fn watch(lives: impl AsyncFn(Duration) -> bool) -> Infallible {
    // Twice as often as wanted, so that a late one does no harm.
    let wanted = sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| *every > Duration::ZERO);
    let Some(every) = wanted else { return pending().await };
    let mut beat = interval(every);
    loop {
        beat.tick().await;
        if lives(every).await {
            tell(NotifyState::Watchdog);
        } else {
            tracing::error!("This server does not answer itself; withholding the watchdog's signal");
        }
    }
}

/// The program is about to end.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "Notifying the service manager failed");
    }
}
